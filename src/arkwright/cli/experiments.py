"""``arkwright experiment``: trainings and their candidates."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from arkwright.cli.console import Json, emit, facts, heading, moment, say, table
from arkwright.cli.leaderboard import show_leaderboard
from arkwright.cli.session import connect

app = typer.Typer(help="Trainings and their candidates.")
ExperimentId = Annotated[str, typer.Argument(help="The experiment's id, exp_...", metavar="EXPERIMENT")]


@app.command("ls")
def list_experiments(_json: Json = False) -> None:
    """List experiments, oldest first."""
    with connect() as client:
        found = client.experiments.list()
    columns: list[tuple[str, Any]] = [
        ("ID", lambda experiment: experiment["id"]),
        ("NAME", lambda experiment: experiment["name"]),
        ("TARGET", lambda experiment: experiment["target"]),
        ("TASK", lambda experiment: experiment["task_type"]),
        ("STATUS", lambda experiment: experiment["status"]),
        ("CREATED (UTC)", lambda experiment: moment(experiment["created_at"])),
    ]
    emit(found, lambda: table(columns, found, empty="No experiments yet: `arkwright train` makes one."))


@app.command("show")
def show_experiment(experiment: ExperimentId, _json: Json = False) -> None:
    """Show an experiment with its leaderboard."""
    with connect() as client:
        found = client.experiments.get(experiment)
        board = client.experiments.leaderboard(experiment)

    def render() -> None:
        facts(
            {
                "id": found["id"],
                "name": found["name"],
                "target": found["target"],
                "task": found["task_type"],
                "objective": found["objective"],
                "status": found["status"],
                "dataset": f"{found['dataset_id']} ({found['dataset_version_id']})",
                "job": found["job_id"],
                "created": moment(found["created_at"]),
                "finished": moment(found["finished_at"]) if found["finished_at"] else None,
            }
        )
        heading("Leaderboard")
        show_leaderboard(board)

    emit({**found, "leaderboard": board}, render)


@app.command("trials")
def list_trials(experiment: ExperimentId, _json: Json = False) -> None:
    """List every candidate's run, with its parameters and metrics."""
    with connect() as client:
        found = client.experiments.trials(experiment)
    columns: list[tuple[str, Any]] = [
        ("NAME", lambda trial: trial["name"]),
        ("STATUS", lambda trial: trial["status"]),
        ("METRICS", lambda trial: _pairs(trial["metrics"])),
        ("PARAMETERS", lambda trial: _pairs(trial["params"])),
        ("RUN", lambda trial: trial["run_id"]),
    ]
    emit(found, lambda: table(columns, found, empty="No candidates have run yet."))


@app.command("cancel")
def cancel_experiment(experiment: ExperimentId, _json: Json = False) -> None:
    """Stop searching; the best candidate so far is still fitted, evaluated and registered."""
    with connect() as client:
        accepted = client.experiments.cancel(experiment)
    emit(accepted, lambda: say(f"It was asked to end. Follow it: arkwright job wait {accepted['job_id']}"))


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()
    )
