"""``arkwright audit``, ``lineage`` and ``apikey``: who did what, what came from what, who may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkwright.cli.console import Json, emit, moment, note, say, table
from arkwright.cli.session import connect
from arkwright.core.errors import ArkwrightError, Invalid

if TYPE_CHECKING:
    from datetime import datetime

    from arkwright.sdk.types import AuditVerdict, LineageGraph

audit = typer.Typer(help="The audit log, a hash chain.")
keys = typer.Typer(help="API keys.")


@audit.command("ls")
def list_audit_log(
    entity: Annotated[str, typer.Option(help="Only entries about this id.")] = "",
    action: Annotated[str, typer.Option(help="Only this action, such as model_version.stage.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at the most.")] = 30,
    _json: Json = False,
) -> None:
    """List who did what, newest first."""
    with connect() as client:
        found = client.audit.list(entity_id=entity, action=action, limit=limit)
    columns: list[tuple[str, Any]] = [
        ("SEQ", lambda entry: entry["seq"]),
        ("TIME (UTC)", lambda entry: moment(entry["created_at"])),
        ("ACTOR", lambda entry: entry["actor_id"]),
        ("ACTION", lambda entry: entry["action"]),
        ("ABOUT", lambda entry: f"{entry['entity_type']} {entry['entity_id']}".strip()),
    ]
    emit(found, lambda: table(columns, found, empty="No entries."))


@audit.command("verify")
def verify_audit_log(_json: Json = False) -> None:
    """Recompute the whole chain; fails if it is broken."""
    with connect() as client:
        verdict = client.audit.verify()
    emit(verdict, lambda: say(_verdict(verdict), style="green" if verdict["intact"] else "bold red"))
    if not verdict["intact"]:
        raise typer.Exit(ArkwrightError.exit_code)


def lineage(
    entity_type: Annotated[str, typer.Argument(help="model_version, dataset_version, deployment, ...")],
    entity_id: Annotated[str, typer.Argument(help="Its id.")],
    _json: Json = False,
) -> None:
    """Show everything a thing was made from, and everything that was made with it."""
    with connect() as client:
        graph = client.lineage(entity_type, entity_id)
    emit(graph, lambda: _show_graph(graph, entity_id))


@keys.command("ls")
def list_keys(_json: Json = False) -> None:
    """List keys, without their secrets."""
    with connect() as client:
        found = client.api_keys.list()
    columns: list[tuple[str, Any]] = [
        ("ID", lambda key: key["id"]),
        ("NAME", lambda key: key["name"]),
        ("ROLE", lambda key: key["role"]),
        ("CREATED (UTC)", lambda key: moment(key["created_at"])),
        ("EXPIRES", lambda key: moment(key["expires_at"]) if key["expires_at"] else "never"),
        ("REVOKED", lambda key: moment(key["revoked_at"]) if key["revoked_at"] else None),
    ]
    emit(found, lambda: table(columns, found))


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    expires: Annotated[str, typer.Option(help="When it ends, such as 2027-01-01 or 2027-01-01T00:00:00Z.")] = "",
    _json: Json = False,
) -> None:
    """Create a key; its secret is shown this once."""
    expires_at = _moment(expires) if expires else None
    with connect() as client:
        created = client.api_keys.create(name, expires_at=expires_at)

    def render() -> None:
        note("This is the only time the secret is shown:")
        say(created["secret"])

    emit(created, render)


@keys.command("revoke")
def revoke_key(key: Annotated[str, typer.Argument(help="The key's id, key_...")], _json: Json = False) -> None:
    """Revoke a key: at once, for predictions within a second."""
    with connect() as client:
        revoked = client.api_keys.revoke(key)
    emit(revoked, lambda: say(f"The key {revoked['name']!r} is revoked."))


def _verdict(verdict: AuditVerdict) -> str:
    if verdict["intact"]:
        return f"The audit chain is intact: {verdict['n_entries']:,} entries, head {verdict['head']}."
    return f"The audit chain is BROKEN at entry {verdict.get('broken_at')}: {verdict.get('reason')}"


def _show_graph(graph: LineageGraph, entity_id: str) -> None:
    if not graph["edges"]:
        say("Nothing is known to have come from it, or to have gone into it.", style="dim")
        return
    for edge in graph["edges"]:
        ends = [f"{edge['from_entity_type']} {edge['from_id']}", f"{edge['to_entity_type']} {edge['to_id']}"]
        marked = [f"{end} *" if end.endswith(entity_id) else end for end in ends]
        say(f"{marked[0]}  →  {marked[1]}")


def _moment(text: str) -> datetime:
    from datetime import UTC, datetime

    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(
            f"{text!r} is not a moment.", code="cli.moment", hint="Write it as 2027-01-01 or 2027-01-01T00:00:00Z."
        ) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
