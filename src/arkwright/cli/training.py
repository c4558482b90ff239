"""``arkwright train``: from a file to a registered model, watched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkwright.cli.console import Json, emit, heading, note, say
from arkwright.cli.datasets import NaValues, pairs, show_warnings
from arkwright.cli.documents import read_mapping
from arkwright.cli.leaderboard import show_evaluation, show_leaderboard
from arkwright.cli.session import connect_or_start
from arkwright.core.errors import Invalid

if TYPE_CHECKING:
    from arkwright.cli.progress import JobProgress
    from arkwright.core.errors import PolicyRefused
    from arkwright.sdk import Client, TrainedModel, Training
    from arkwright.sdk.types import Job, ModelVersion

_STATED = {"hypothesis", "baseline_model", "guardrails", "success_criteria", "margin", "minimum_improvement"}


def train(
    file: Annotated[str, typer.Argument(help="A CSV, Parquet or JSON lines file, or the id of a dataset (ds_...).")],
    target: Annotated[str, typer.Option("--target", "-t", help="The column to predict.")],
    budget: Annotated[str, typer.Option("--budget", "-b", help="Hard limit of the training's time: 60s, 5m.")] = "60s",
    name: Annotated[str, typer.Option(help="Name of the model; by default from the data's and the target's.")] = "",
    objective: Annotated[str, typer.Option(help="Such as maximize_f1 or minimize_mae; by task if left out.")] = "",
    task: Annotated[str, typer.Option(help="auto, binary, multiclass, classification or regression.")] = "auto",
    column_type: Annotated[
        list[str],
        typer.Option("--type", metavar="COLUMN=KIND", help="Kind of a feature, such as SeniorCitizen=categorical."),
    ] = [],  # noqa: B006  (Typer never changes it)
    ignore: Annotated[
        list[str], typer.Option(metavar="COLUMN", help="Leave a column out; several times for more.")
    ] = [],  # noqa: B006
    na_values: NaValues = [],  # noqa: B006
    promote: Annotated[
        bool | None,
        typer.Option(
            "--promote/--no-promote",
            help="Promote the model if the gate allows it; by default only if nothing is in production yet.",
        ),
    ] = None,
    hypothesis: Annotated[str, typer.Option(metavar="TEXT", help="What the model is meant to show.")] = "",
    spec: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="What the model is to show (YAML): hypothesis, baseline_model, guardrails, success_criteria, ...",
        ),
    ] = None,
    home: Annotated[Path | None, typer.Option(help="Data folder of the platform to use, or to start.")] = None,
    _json: Json = False,
) -> None:
    """Train a model that predicts a column, evaluate it on a holdout, register it.

    Ctrl-C once stops the search and keeps the best candidate so far; twice leaves, and the training goes on.
    """
    from arkwright.cli.progress import JobProgress
    from arkwright.core.units import parse_duration_seconds

    budget_seconds = parse_duration_seconds(budget)
    definition = _definition_in(spec) if spec is not None else {}
    if hypothesis.strip():
        definition["hypothesis"] = hypothesis.strip()
    options: dict[str, Any] = {
        "target": target, "budget": budget_seconds, "name": name, "objective": objective, "task": task,
        "types": pairs(column_type), "ignore": ignore, "na_values": na_values,
        "definition": definition,
    }  # fmt: skip
    with connect_or_start(home) as client:
        with JobProgress() as progress:
            watch = _WarningsFirst(progress)
            training = client.start_training(file, on_progress=watch, **options)
            model = _wait(training, progress)
        promoted, refusal = _promote(client, model, wanted=promote)
        summary = {
            "experiment_id": training.experiment_id,
            "job_id": training.job_id,
            "version": promoted or model.version,
            "leaderboard": model.leaderboard,
            "evaluation": model.evaluation,
            "columns": model.experiment["summary"].get("columns", []),
            "notes": model.experiment["summary"].get("notes", []),
            "warnings": watch.warnings,
            "promoted": promoted is not None,
            "unmet": refusal.unmet if refusal else [],
        }
        emit(summary, lambda: _show(model, promoted, refusal, defined=bool(definition)))
    if refusal and promote:
        raise typer.Exit(refusal.exit_code)


def _definition_in(file: Path) -> dict[str, Any]:
    """Read what an experiment is to show, as ``POST /v1/experiments`` takes it."""
    found = read_mapping(
        file, problem="states nothing", hint="Write `hypothesis: ...` and the like; docs/evaluation.md shows them."
    )
    strange = sorted(found.keys() - _STATED)
    if strange:
        raise Invalid(
            f"The file {str(file)!r} sets {strange[0]!r}, which is not stated before a training.",
            code="cli.spec",
            hint=f"Use {', '.join(sorted(_STATED))}. The primary metric is --objective; what only an evaluation needs "
            "goes to `arkwright evaluate --spec`.",
        )
    return found


class _WarningsFirst:
    """Passes an ingest's progress on, and says at its end what was odd about the file."""

    def __init__(self, progress: JobProgress) -> None:
        self._progress = progress
        self.warnings: list[dict[str, Any]] = []

    def __call__(self, job: Job) -> None:
        self._progress(job)
        if job["status"] == "succeeded":
            self.warnings = (job.get("result") or {}).get("warnings") or []
            show_warnings(self.warnings)


def _wait(training: Training, progress: JobProgress) -> TrainedModel:
    """Wait for the model; the first Ctrl-C asks the search to stop, the second is not caught."""
    try:
        return training.wait(on_progress=progress)
    except KeyboardInterrupt:
        progress.remark("Stopping the search; the best candidate so far is kept. Ctrl-C again leaves without waiting.")
        training.stop()
    try:
        return training.wait(on_progress=progress)
    except KeyboardInterrupt:
        progress.remark(f"The training ends by itself. Look later: arkwright job wait {training.job_id}")
        raise


def _promote(
    client: Client, model: TrainedModel, *, wanted: bool | None
) -> tuple[ModelVersion | None, PolicyRefused | None]:
    """Promote if wanted, or by default if the model has nothing in production that this could push aside."""
    from arkwright.core.errors import PolicyRefused

    if wanted is None:
        wanted = client.models.get(model.name)["production_version"] is None
    if not wanted:
        return None, None
    from arkwright.cli.progress import JobProgress

    try:
        with JobProgress() as progress:
            return model.promote(comment="promoted by arkwright train", on_progress=progress), None
    except PolicyRefused as refusal:
        return None, refusal


def _show(model: TrainedModel, promoted: ModelVersion | None, refusal: PolicyRefused | None, *, defined: bool) -> None:
    _show_notes(model.experiment["summary"])
    heading("Leaderboard (out of fold)")
    show_leaderboard(model.leaderboard)
    if model.evaluation:
        heading(f"Holdout ({model.evaluation['n_rows']:,} rows that no candidate had seen)")
        show_evaluation(model.evaluation)
    say()
    version = promoted or model.version
    say(
        f"{model.name} version {model.number} ({version['semver']}) is registered"
        f"{', and in production' if promoted else ''}.",
        style="bold green",
    )
    if refusal:
        say("It was not promoted:", style="yellow")
        for condition in refusal.unmet:
            say(f"  ✗ {condition}")
    _show_next(model, promoted=promoted is not None, refused=refusal is not None)
    if defined:
        say(f"  arkwright experiment show {model.experiment['id']}")


def _show_notes(summary: dict[str, Any]) -> None:
    """Say what was decided on the way: the task, the columns that were set aside, what was cut short."""
    for line in summary.get("notes") or []:
        note(line)
    short = (summary.get("final") or {}).get("note")
    if short:
        note(f"The model is weaker than it could be: {short}. Give it a larger --budget.", style="bold yellow")


def _show_next(model: TrainedModel, *, promoted: bool, refused: bool) -> None:
    from shlex import quote

    name = quote(model.name)
    heading("Next")
    if promoted:
        say(f"  arkwright deploy {name}")
    elif not refused and model.evaluation["beats_baseline"]["met"]:
        say(f"  arkwright promote {name} {model.number}")
    say(f"  arkwright evaluate {name} --sensitive COLUMN,COLUMN --report report.html")
    say(f"  arkwright batch {name} FILE -o scored.csv")
    say(f"  arkwright model show {name} {model.number}")
