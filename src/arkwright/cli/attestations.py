"""``arkwright attest`` and ``arkwright done``: what is stated of a version, and how far it is from done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkwright.cli.console import Json, emit, moment, note, say, table
from arkwright.cli.evaluations import split_address
from arkwright.cli.session import connect
from arkwright.core.errors import Invalid, NotFound

if TYPE_CHECKING:
    from arkwright.sdk import Client
    from arkwright.sdk.types import ModelVersion

ModelAddress = Annotated[
    str,
    typer.Argument(
        help="A model: its newest version. MODEL@2 or MODEL@1.0.1 is one version, MODEL:production a stage's.",
        metavar="MODEL[@VERSION|:STAGE]",
    ),
]
_SCOPES = ("unit", "model", "integration")
_WORDS = {"met": "met", "not_met": "NOT MET", "unknown": "unknown"}


def attest(
    model: ModelAddress,
    junit: Annotated[
        list[str],
        typer.Option(metavar="SCOPE=FILE", help="Test reports (JUnit XML) of unit, model or integration tests."),
    ] = [],  # noqa: B006
    dashboard: Annotated[str, typer.Option(metavar="URL", help="The page on which it is watched.")] = "",
    title: Annotated[str, typer.Option(help="What the dashboard is called.")] = "",
    rollback: Annotated[
        str, typer.Option(metavar="URL|TEXT", help="How to go back, or where that is written down.")
    ] = "",
    _json: Json = False,
) -> None:
    """State what the platform cannot see of a version, as evidence; without options, list what was stated."""
    reports = read_reports(junit)
    if title and not dashboard:
        raise Invalid("A title belongs to a dashboard.", code="cli.attest", hint="Give --dashboard URL as well.")
    with connect() as client:
        version = find_version(client, model)
        address = version["model_id"], version["id"]
        statements = client.evaluations
        filed = [statements.attest_tests(*address, scope, files) for scope, files in reports.items()]
        if dashboard:
            filed.append(statements.attest_dashboard(*address, dashboard, title=title))
        if rollback:
            filed.append(statements.attest_rollback(*address, rollback))
        listed = filed or statements.attestations(*address)
    shown = [_named(each) for each in listed]
    columns: list[tuple[str, Any]] = [
        ("KIND", lambda each: each["kind"]),
        ("WHAT", lambda each: each["what"]),
        ("COUNTS", lambda each: each["counts"]),
        ("BY", lambda each: each["created_by"]),
        ("TIME (UTC)", lambda each: moment(each["created_at"])),
        ("ID", lambda each: each["id"]),
    ]

    def render() -> None:
        say(f"{version['model_name']} {version['semver']}:", style="bold")
        table(columns, shown, empty="Nothing was attested of it yet: `arkwright attest --help` shows what can be.")
        if filed:
            note(f"How far it is from done: arkwright done {version['model_name']}@{version['version']}")

    emit(listed, render)


def done(
    model: ModelAddress,
    require_complete: Annotated[
        bool, typer.Option("--require-complete", help="Exit with 1 unless all eleven items are met, for scripts.")
    ] = False,
    _json: Json = False,
) -> None:
    """Show how far a version is from done: eleven items, each with its evidence or what to do about it."""
    with connect() as client:
        version = find_version(client, model)
        found = client.evaluations.definition_of_done(version["model_id"], version["id"])
    columns: list[tuple[str, Any]] = [
        ("", lambda item: _WORDS[item["status"]]),
        ("ITEM", lambda item: item["title"]),
        ("EVIDENCE", lambda item: "; ".join(part for part in (", ".join(item["evidence"]), item["reason"]) if part)),
        ("WHAT TO DO", lambda item: item["remedy"]),
    ]

    def render() -> None:
        table(columns, found["items"])
        share = f"{found['n_met']} of {len(found['items'])}, {found['percent_complete']} %"
        state = "done" if found["done"] else "not done"
        say(
            f"{found['model_name']} {found['version']} is {state}: {share}.",
            style="bold green" if found["done"] else "bold yellow",
        )
        if found["evaluation_id"] is None:
            note(f"It has not been evaluated: arkwright evaluate {found['model_name']}@{version['version']}")
        else:
            say(f"Its newest evaluation says {found['decision']}: arkwright evaluation show {found['evaluation_id']}")

    emit(found, render)
    if require_complete and not found["done"]:
        raise typer.Exit(1)


def find_version(client: Client, address: str) -> ModelVersion:
    """Return the version that an address names: the newest one, one by its number, or a stage's newest.

    Raises
    ------
    NotFound
        If there is none.
    """
    name, version = split_address(address)
    stages = ("staged", "canary", "production", "archived", "deprecated")
    if version and version not in stages:
        return client.models.version(name, version)
    for found in client.models.versions(name, limit=None if version else 1):
        if version in ("", found["stage"]):
            return found
    where = f"no version in the stage {version!r}" if version else "no versions"
    raise NotFound(
        f"The model {name!r} has {where}.",
        code="evaluation.no_version",
        hint=f"`arkwright model versions {name}` lists its versions.",
    )


def read_reports(texts: list[str]) -> dict[str, list[Path]]:
    """Read which files report tests of which scope.

    Examples
    --------
    >>> read_reports(["unit=a.xml", "unit=b.xml"])
    {'unit': [PosixPath('a.xml'), PosixPath('b.xml')]}

    Raises
    ------
    Invalid
        If a text is not ``SCOPE=FILE``.
    """
    found: dict[str, list[Path]] = {}
    for text in texts:
        scope, _, file = text.partition("=")
        if scope not in _SCOPES or not file:
            raise Invalid(
                f"--junit {text!r} does not say which tests a file reports.",
                code="cli.junit",
                hint=f"Write --junit unit=report.xml; the scopes are {', '.join(_SCOPES)}.",
            )
        found.setdefault(scope, []).append(Path(file))
    return found


def _named(filed: dict[str, Any]) -> dict[str, Any]:
    kind = filed["kind"].replace("_", " ")
    what = filed["summary"]
    if filed["content"].get("failing"):
        what = f"{what}: {', '.join(filed['content']['failing'])}"
    return {**filed, "kind": f"{filed['scope']} {kind}".strip(), "what": what}
