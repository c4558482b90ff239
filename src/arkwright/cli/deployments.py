"""``arkwright deploy`` and ``arkwright deployment``: endpoints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkwright.cli import rollouts
from arkwright.cli.console import Json, emit, facts, moment, note, say, table
from arkwright.cli.feedback import show_quality
from arkwright.cli.session import connect

if TYPE_CHECKING:
    from arkwright.sdk import Client
    from arkwright.sdk.types import Deployment, DeploymentMetrics, ModelVersion

app = typer.Typer(help="Endpoints that answer predictions.")
for _name, _command in rollouts.COMMANDS.items():
    app.command(_name)(_command)
DeploymentName = Annotated[str, typer.Argument(help="Id or name of a deployment.", metavar="DEPLOYMENT")]


def deploy(
    model: Annotated[str, typer.Argument(help="Name or id of a model.", metavar="MODEL")],
    version: Annotated[
        str, typer.Option(help="Pin this version; without it the endpoint follows the production version.")
    ] = "",
    name: Annotated[str, typer.Option(help="Name of the endpoint; the model's by default.")] = "",
    canary: Annotated[str, typer.Option(help="Roll this version out in steps.", metavar="VERSION")] = "",
    shadow: Annotated[str, typer.Option(help="Give this version a copy of the requests.", metavar="VERSION")] = "",
    blue_green: Annotated[str, typer.Option(help="Load this version beside, and switch.", metavar="VERSION")] = "",
    steps: Annotated[str, typer.Option(help="Percentages of the traffic, such as 10,50,100.")] = "",
    pause: Annotated[
        str, typer.Option(help="How long a step lasts, such as 60s or 1m,10m,manual; 5m by default.")
    ] = "",
    percent: Annotated[float | None, typer.Option(help="Share of the requests a shadow gets a copy of.")] = None,
    min_requests: Annotated[int | None, typer.Option(help="Requests a step needs at least; 50 by default.")] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="How much worse a metric may be, such as accuracy:0.02; may be repeated.")
    ] = None,
    auto_promote: Annotated[
        bool, typer.Option("--auto-promote/--no-auto-promote", help="Promote by itself after the last step.")
    ] = True,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it answers.")] = True,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the rollout until it ends or is paused.")] = False,
    _json: Json = False,
) -> None:
    """Make an endpoint for a model, or roll a version out on it, and print a call of it to paste."""
    chosen = rollouts.one_of({"canary": canary, "shadow": shadow, "blue_green": blue_green})
    with connect() as client:
        if chosen is not None:
            strategy = rollouts.strategy_of(
                chosen[0],
                steps=steps,
                pause=pause,
                percent=percent,
                min_requests=min_requests,
                metrics=metric,
                auto_promote=auto_promote,
            )
            created = rollouts.start(client, model, chosen[1], name, strategy)
        elif version:
            pinned = client.models.version(model, version)["id"]
            created = client.deployments.create(model_version_id=pinned, name=name)
        else:
            created = client.deployments.create(model=model, name=name)
        if wait:
            created = client.deployments.wait_until_ready(created["id"])
        if watch and chosen is not None:
            with rollouts.RolloutProgress() as progress:
                client.deployments.wait_for_rollout(created["id"], on_progress=progress)
            created = client.deployments.get(created["id"])
        call = curl(client, created)

    def render() -> None:
        follows = "follows production" if created["follows_production"] else "pinned"
        say(
            f"{created['name']} is {created['status']}: {created['model_name']} version {created['model_version']} "
            f"({created['semver']}, {follows}).",
            style="green",
        )
        if chosen is not None:
            traffic = ", ".join(f"{arm} {share:g} %" for arm, share in created["traffic_split"].items())
            say(f"Its {chosen[0]} rollout is {created['rollout_state']}: {traffic}.")
            note(f"Follow it: arkwright deployment rollout {created['id']} --watch")
            return
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
                "rollout": f"{found['rollout_state']} ({found['rollout_id']})" if found["rollout_id"] else "",
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


@app.command("image")
def save_image(
    deployment: DeploymentName,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to; it must be new or empty.")],
    _json: Json = False,
) -> None:
    """Write the build context of a container image that serves this endpoint alone: Dockerfile, KServe, bundles."""
    import tarfile
    import tempfile

    from arkwright.core.errors import Conflict

    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise Conflict(
            f"{output} is not an empty folder.", code="image.output", hint="Name another one: nothing is overwritten."
        )
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "image.tar.gz"
        with connect() as client:
            client.deployments.image(deployment, archive)
        with tarfile.open(archive) as tar:
            tar.extractall(output, filter="data")
    files = sorted(path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())
    emit({"folder": str(output), "files": files}, lambda: _show_image(output))


@app.command("metrics")
def show_metrics(
    deployment: DeploymentName,
    hours: Annotated[float, typer.Option(min=0.01, help="How far to look back.")] = 24,
    _json: Json = False,
) -> None:
    """Show what an endpoint answered, how fast and, where feedback came in, how well."""
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


def _show_image(output: Path) -> None:
    say(f"{output} is a build context; its README.md says how to build and run it.")
    note(f"Or run it here: arkwright serve --home {output / 'home'} --port 8080")


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
    show_quality(found)
