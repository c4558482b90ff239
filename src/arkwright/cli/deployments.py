"""``arkwright deploy`` and ``arkwright deployment``: endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkwright.cli.console import Json, emit, facts, moment, note, say, table
from arkwright.cli.session import connect

if TYPE_CHECKING:
    from arkwright.sdk import Client
    from arkwright.sdk.types import Deployment, DeploymentMetrics, ModelVersion

app = typer.Typer(help="Endpoints that answer predictions.")
DeploymentName = Annotated[str, typer.Argument(help="Id or name of a deployment.", metavar="DEPLOYMENT")]


def deploy(
    model: Annotated[str, typer.Argument(help="Name or id of a model.", metavar="MODEL")],
    version: Annotated[
        str, typer.Option(help="Pin this version; without it the endpoint follows the production version.")
    ] = "",
    name: Annotated[str, typer.Option(help="Name of the endpoint; the model's by default.")] = "",
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it answers.")] = True,
    _json: Json = False,
) -> None:
    """Make an endpoint for a model, and print a call of it to paste."""
    with connect() as client:
        if version:
            pinned = client.models.version(model, version)["id"]
            created = client.deployments.create(model_version_id=pinned, name=name)
        else:
            created = client.deployments.create(model=model, name=name)
        if wait:
            created = client.deployments.wait_until_ready(created["id"])
        call = curl(client, created)

    def render() -> None:
        follows = "follows production" if created["follows_production"] else "pinned"
        say(
            f"{created['name']} is {created['status']}: {created['model_name']} version {created['model_version']} "
            f"({created['semver']}, {follows}).",
            style="green",
        )
        say("Try it:", style="bold")
        say(call)
        note(f"Watch it: arkwright monitor run {created['id']}")

    emit({**created, "curl": call}, render)


@app.command("ls")
def list_deployments(
    everything: Annotated[bool, typer.Option("--all", help="The stopped ones too.")] = False, _json: Json = False
) -> None:
    """List endpoints."""
    with connect() as client:
        found = [item for item in client.deployments.list() if everything or item["status"] != "stopped"]
    columns: list[tuple[str, Any]] = [
        ("NAME", lambda item: item["name"]),
        ("STATUS", lambda item: item["status"]),
        ("MODEL", lambda item: item["model_name"]),
        ("VERSION", lambda item: f"{item['model_version']} ({item['semver']})" if item["model_version"] else None),
        ("FOLLOWS", lambda item: "production" if item["follows_production"] else "pinned"),
        ("CREATED (UTC)", lambda item: moment(item["created_at"])),
        ("ID", lambda item: item["id"]),
    ]
    emit(found, lambda: table(columns, found, empty="No endpoints: `arkwright deploy MODEL` makes one."))


@app.command("show")
def show_deployment(deployment: DeploymentName, _json: Json = False) -> None:
    """Show an endpoint, and a call of it to paste."""
    with connect() as client:
        found = client.deployments.get(deployment)
        call = curl(client, found)

    def render() -> None:
        facts(
            {
                "name": found["name"],
                "id": found["id"],
                "status": found["status"],
                "because": found["status_detail"],
                "model": f"{found['model_name']} version {found['model_version']} ({found['semver']})",
                "follows": "production" if found["follows_production"] else "nothing: it is pinned",
                "traffic": ", ".join(f"{arm} {share:g} %" for arm, share in found["traffic_split"].items() if share),
                "created": f"{moment(found['created_at'])} by {found['created_by']}",
            }
        )
        say("Try it:", style="bold")
        say(call)

    emit({**found, "curl": call}, render)


@app.command("rm")
def remove_deployment(deployment: DeploymentName, _json: Json = False) -> None:
    """Stop answering; records, logs and reports stay."""
    with connect() as client:
        stopped = client.deployments.delete(deployment)
    emit(stopped, lambda: say(f"{stopped['id']} no longer answers."))


@app.command("metrics")
def show_metrics(
    deployment: DeploymentName,
    hours: Annotated[float, typer.Option(min=0.01, help="How far to look back.")] = 24,
    _json: Json = False,
) -> None:
    """Show what an endpoint answered, and how fast."""
    with connect() as client:
        found = client.deployments.metrics(deployment, hours=hours)
    emit(found, lambda: _show_traffic(found))


def curl(client: Client, deployment: Deployment) -> str:
    """Return a call of an endpoint that can be pasted into a shell; the key is read from its file, never shown."""
    import json
    from shlex import quote

    body = json.dumps({"instances": [example_row(client, deployment)]}, ensure_ascii=False)
    key_file = client.connection.key_file
    key = f"$(cat {quote(str(key_file))})" if key_file else "$ARKWRIGHT_API_KEY"
    return (
        f"curl -s {client.base_url}{deployment['endpoint_url']} \\\n"
        f'  -H "Authorization: Bearer {key}" \\\n'
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d {quote(body)}"
    )


def example_row(client: Client, deployment: Deployment) -> dict[str, Any]:
    """Return a row that a deployment's model takes: one it was trained on, else one without values."""
    from arkwright.core.errors import ArkwrightError

    if not deployment["model_version"]:
        return {}
    version = client.models.version(deployment["model_id"], deployment["model_version"])
    try:
        row = _training_row(client, version)
    except ArkwrightError:
        # The data may be gone, or not for this key's eyes; an example is not worth failing for.
        row = {}
    columns: list[dict[str, Any]] = version["signature"]["columns"]
    known = {name: row.get(name) for name in version["signature"].get("identifiers", ()) if name in row}
    return known | {column["name"]: _fitting(column["kind"], row.get(column["name"])) for column in columns}


def _training_row(client: Client, version: ModelVersion) -> dict[str, Any]:
    if not version["experiment_id"]:
        return {}
    dataset_id = client.experiments.get(version["experiment_id"])["dataset_id"]
    number = next(
        item["number"] for item in client.datasets.versions(dataset_id) if item["id"] == version["dataset_version_id"]
    )
    rows = client.datasets.preview(dataset_id, number)["rows"]
    return rows[0] if rows else {}


def _fitting(kind: str, value: Any) -> Any:
    if value is None or kind != "categorical" or isinstance(value, str | bool | int):
        return value
    return str(value)


def _show_traffic(found: DeploymentMetrics) -> None:
    if not found["n_requests"]:
        say("Nobody has asked it anything in that time.", style="dim")
        return
    say(
        f"{found['n_requests']:,} requests, {found['n_rows']:,} rows, "
        f"{moment(found['start'])} to {moment(found['end'])} UTC."
    )
    if found["truncated"]:
        note("Only the latest rows of the span were counted.")
    columns: list[tuple[str, Any]] = [
        ("VERSION", lambda item: item["semver"]),
        ("REQUESTS", lambda item: item["n_requests"]),
        ("ROWS", lambda item: item["n_rows"]),
        ("MEAN MS", lambda item: (item["latency"] or {}).get("mean_ms")),
        ("P50 MS", lambda item: (item["latency"] or {}).get("p50_ms")),
        ("P95 MS", lambda item: (item["latency"] or {}).get("p95_ms")),
        ("P99 MS", lambda item: (item["latency"] or {}).get("p99_ms")),
    ]
    table(columns, found["versions"])
