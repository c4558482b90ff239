"""``arkwright experiment``: trainings and their candidates."""

from __future__ import annotations

from collections.abc import Mapping
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
        ("OUTCOME", lambda experiment: (experiment["outcome"] or {}).get("status")),
        ("CREATED (UTC)", lambda experiment: moment(experiment["created_at"])),
    ]
    emit(found, lambda: table(columns, found, empty="No experiments yet: `arkwright train` makes one."))


@app.command("show")
def show_experiment(experiment: ExperimentId, _json: Json = False) -> None:
    """Show an experiment with its leaderboard."""
    with connect() as client:
        found: Mapping[str, Any] = client.experiments.get(experiment)
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
                "dataset": _dataset(found),
                "job": found["job_id"],
                "created": moment(found["created_at"]),
                "finished": moment(found["finished_at"]) if found["finished_at"] else None,
            }
        )
        _show_definition(found["definition"])
        _show_outcome(found)
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


def _dataset(found: Mapping[str, Any]) -> str:
    defined = found["definition"]
    if defined["dataset_version"] is None:
        return f"{found['dataset_id']} ({found['dataset_version_id']})"
    return f"{defined['dataset']} version {defined['dataset_version']} ({found['dataset_version_id']})"


def _show_definition(defined: Mapping[str, Any]) -> None:
    heading("Definition")
    stated = "as stated" if defined["baseline_stated"] else "in production when it was created"
    facts(
        {
            "hypothesis": defined["hypothesis"] or None,
            "baseline": f"{defined['baseline_model']} ({stated})" if defined["baseline_model"] else None,
            "primary metric": defined["primary_metric"] or None,
            "guardrails": "; ".join(map(_guardrail, defined["guardrails"])) or None,
            "success": "; ".join(map(_criterion, defined["success_criteria"])) or None,
            "margin": defined["margin"] or None,
            "minimum improvement": defined["minimum_improvement"] or None,
        }
    )


def _show_outcome(found: Mapping[str, Any]) -> None:
    heading("Outcome")
    outcome = found["outcome"]
    if outcome is None:
        say(f"None: {found['outcome_note']}")
        return
    p = outcome["statistical_significance"]
    facts(
        {
            "status": outcome["status"],
            "compared with": outcome["baseline_model"],
            "because": outcome["recommendation_rationale"],
            "p-value": None if p is None else f"{p:.3g} ({outcome['primary_metric']}, adjusted)",
            "metrics": outcome["comparison_summary"],
            "evaluation": outcome["evaluation_id"],
            "completed": moment(outcome["completed_at"]),
        }
    )


def _guardrail(guardrail: Mapping[str, Any]) -> str:
    tolerance = guardrail["tolerance"]
    return f"{guardrail['metric']} not worse" + (f" by more than {tolerance:.12g}" if tolerance else "")


def _criterion(criterion: Mapping[str, Any]) -> str:
    bounds = {"at least": criterion["at_least"], "at most": criterion["at_most"]}
    listed = [f"{words} {value:.12g}" for words, value in bounds.items() if value is not None]
    return f"{criterion['metric']} {' and '.join(listed)}"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items()
    )
