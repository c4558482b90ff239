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


@app.command("import")
def import_model(
    name: Annotated[str, typer.Argument(help="The model; it is created if there is none.", metavar="NAME")],
    source: Annotated[
        str,
        typer.Option(
            help="runs:/RUN/NAME, models:/NAME/1, an MLflow model's folder or its zip, or a .skops or .joblib file."
        ),
    ],
    sample: Annotated[
        str, typer.Option(help="Rows as the model takes them, in a CSV, Parquet or JSON lines file.", metavar="FILE")
    ] = "",
    target: Annotated[str, typer.Option(help="The sample's column with the truth.", metavar="COLUMN")] = "",
    task: Annotated[str, typer.Option(help="binary, multiclass or regression, for a python_function.")] = "",
    classes: Annotated[
        list[str], typer.Option("--class", help="A class of such a model; once for each.", metavar="LABEL")
    ] = [],  # noqa: B006
    description: Annotated[str, typer.Option(help="What people should know about it.")] = "",
    _json: Json = False,
) -> None:
    """Make a model of your own a version: compiled where it can be, compared with itself, and staged."""
    from arkwright.cli.progress import JobProgress

    with connect() as client, JobProgress() as progress:
        job = client.models.import_version(
            name,
            source,
            sample=sample or None,
            target=target,
            task=task,
            classes=classes,
            description=description,
            on_progress=progress,
        )
    result = {**(job.get("result") or {}), "job_id": job["id"]}
    emit(result, lambda: _show_import(result))


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
    """Move a version to a stage, if the gate allows it; endpoints that follow production reload within seconds.

    An evaluation of the version that has not ended is waited for.
    """
    from arkwright.cli.progress import JobProgress

    with connect() as client:
        try:
            with JobProgress() as progress:
                promoted = client.models.promote(model, version, stage=stage, comment=comment, on_progress=progress)
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


def _show_import(result: dict[str, Any]) -> None:
    say(f"{result['model_name']} version {result['number']} ({result['semver']}) is staged.", style="green")
    parity = result["parity"]
    if result["predictor"] == "compiled":
        note(
            f"Compiled: at most {parity['max_abs_difference']:.3g} from the model's own answers on "
            f"{parity['n_rows']:,} rows."
        )
    else:
        note(f"It serves in a process of its own, uncompiled: {result['general_reason']}")
    if result["metrics"]:
        from arkwright.cli.leaderboard import show_metrics

        show_metrics(result["metrics"])
    else:
        note("It was not evaluated, so no gate lets it pass: give a --sample with its --target.")
    note(f"Next: arkwright promote {_argument(result['model_name'])} {result['number']}")


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
