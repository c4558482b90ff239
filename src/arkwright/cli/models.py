"""``arkwright model``, ``promote`` and ``rollback``: the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkwright.cli.console import Json, emit, facts, moment, note, say, table
from arkwright.cli.session import connect
from arkwright.core.errors import Conflict

if TYPE_CHECKING:
    from arkwright.sdk.types import ModelVersion

app = typer.Typer(help="Models and their versions.")
ModelName = Annotated[str, typer.Argument(help="Name or id of a model.", metavar="MODEL")]
Version = Annotated[str, typer.Argument(help="Number (2), semantic version (1.0.1) or id.", metavar="VERSION")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="Why; kept in the model's history.")]


@app.command("ls")
def list_models(_json: Json = False) -> None:
    """List models."""
    with connect() as client:
        found = client.models.list()
    columns: list[tuple[str, Any]] = [
        ("NAME", lambda model: model["name"]),
        ("LATEST", lambda model: model["latest_version"]),
        ("IN PRODUCTION", lambda model: model["production_version"]),
        ("UPDATED (UTC)", lambda model: moment(model["updated_at"])),
        ("ID", lambda model: model["id"]),
    ]
    emit(found, lambda: table(columns, found, empty="No models yet: `arkwright train` makes one."))


@app.command("show")
def show_model(
    model: ModelName,
    version: Annotated[str, typer.Argument(help="Show this version; without it, the model.")] = "",
    _json: Json = False,
) -> None:
    """Show a model, or one of its versions."""
    with connect() as client:
        if version:
            release = client.models.version(model, version)
            emit(release, lambda: _show_version(release))
            return
        found = client.models.get(model)
        versions = client.models.versions(model)

    def render() -> None:
        facts(
            {
                "name": found["name"],
                "id": found["id"],
                "about": found["description"],
                "in production": f"version {found['production_version']}" if found["production_version"] else "nothing",
                "created": moment(found["created_at"]),
            }
        )
        say()
        _show_versions(versions)

    emit({**found, "versions": versions}, render)


@app.command("versions")
def list_versions(model: ModelName, _json: Json = False) -> None:
    """List a model's versions, newest first."""
    with connect() as client:
        found = client.models.versions(model)
    emit(found, lambda: _show_versions(found))


@app.command("history")
def show_history(
    model: ModelName,
    until: Annotated[str, typer.Option(help="Only changes up to this moment, such as 2027-01-01T00:00:00Z.")] = "",
    _json: Json = False,
) -> None:
    """List every stage change, oldest first: what was in production at any time."""
    with connect() as client:
        found = client.models.history(model, until=until)
        numbers = {item["id"]: item["version"] for item in client.models.versions(model)}
    columns: list[tuple[str, Any]] = [
        ("TIME (UTC)", lambda change: moment(change["created_at"])),
        ("VERSION", lambda change: numbers.get(change["model_version_id"], change["model_version_id"])),
        ("WHAT", lambda change: change["kind"]),
        ("FROM", lambda change: change["from_stage"]),
        ("TO", lambda change: change["to_stage"]),
        ("BY", lambda change: change["actor_id"]),
        ("WHY", lambda change: change["comment"]),
    ]
    emit(found, lambda: table(columns, found, empty="Nothing has happened to it yet."))


def promote(
    model: ModelName,
    version: Version,
    stage: Annotated[str, typer.Option(help="staged, canary, production, archived or deprecated.")] = "production",
    comment: Comment = "",
    _json: Json = False,
) -> None:
    """Move a version to a stage, if the gate allows it; endpoints that follow production reload within seconds."""
    with connect() as client:
        try:
            promoted = client.models.promote(model, version, stage=stage, comment=comment)
        except Conflict as error:
            # Asked for again, as a script may: what was wanted is so.
            if error.code != "stage.unchanged":
                raise
            promoted = client.models.version(model, version)

    def render() -> None:
        say(f"{_named(promoted)} is in {promoted['stage']}.", style="green")
        if promoted["stage"] == "production":
            note(f"Deploy it, if nothing serves it yet: arkwright deploy {_argument(promoted['model_name'])}")

    emit(promoted, render)


def rollback(model: ModelName, comment: Comment = "", _json: Json = False) -> None:
    """Put the previous production version back."""
    with connect() as client:
        restored = client.models.rollback(model, comment=comment)
    emit(restored, lambda: say(f"{_named(restored)} is back in production.", style="green"))


def _show_versions(versions: list[ModelVersion]) -> None:
    columns: list[tuple[str, Any]] = [
        ("VERSION", lambda version: version["version"]),
        ("SEMVER", lambda version: version["semver"]),
        ("STAGE", lambda version: version["stage"]),
        ("TASK", lambda version: version["task"]),
        ("LEARNER", lambda version: version["learner"]),
        ("CREATED (UTC)", lambda version: moment(version["created_at"])),
        ("ID", lambda version: version["id"]),
    ]
    table(columns, versions, empty="No versions yet.")


def _show_version(version: ModelVersion) -> None:
    facts(
        {
            "model": version["model_name"],
            "version": f"{version['version']} ({version['semver']})",
            "id": version["id"],
            "stage": version["stage"],
            "task": version["task"],
            "learner": version["learner"],
            "takes": version["feature_names"],
            "bundle": version["bundle_digest"],
            "experiment": version["experiment_id"],
            "dataset version": version["dataset_version_id"],
            "MLflow run": version["run_id"],
            "created": f"{moment(version['created_at'])} by {version['created_by']}",
        }
    )
    from arkwright.cli.leaderboard import show_metrics

    show_metrics(version["metrics"])


def _named(version: ModelVersion) -> str:
    return f"{version['model_name']} version {version['version']} ({version['semver']})"


def _argument(text: str) -> str:
    from shlex import quote

    return quote(text)
