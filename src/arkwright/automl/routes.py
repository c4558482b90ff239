"""Experiments over HTTP."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Response

from arkwright.automl.definition import Conclusion, read_definition
from arkwright.automl.payloads import (
    CreatedExperiment,
    CreateExperiment,
    DefinedExperiment,
    Experiment,
    ExperimentConfig,
    ExperimentOutcome,
    Leaderboard,
    Trial,
)
from arkwright.automl.service import ExperimentService
from arkwright.automl.tables import ExperimentRow
from arkwright.kit.db import UnitOfWork
from arkwright.kit.http import Accepted, Limit, Page, PageCursor, Read, Write, accepted, page_of, read_cursor, service

router = APIRouter(prefix="/v1/experiments", tags=["experiments"])


@router.post("", status_code=201)
def create_experiment(
    unit: Write, body: CreateExperiment, experiments: ExperimentService = service(ExperimentService)
) -> CreatedExperiment:
    """Create an experiment; nothing runs yet."""
    row = experiments.create(unit, body)
    return CreatedExperiment(
        experiment_id=row.id, status=row.status, leaderboard_url=_leaderboard_url(row), notes=_unused(body.config)
    )


@router.post("/{experiment_id}/run", status_code=202)
def run_experiment(
    unit: Write, response: Response, experiment_id: str, experiments: ExperimentService = service(ExperimentService)
) -> Accepted:
    """Start the search as a job: follow it at the answer's ``Location``."""
    job = experiments.run(unit, experiment_id)
    accepted(response, job.id)
    return Accepted(job_id=job.id)


@router.post("/{experiment_id}/cancel", status_code=202)
def cancel_experiment(
    unit: Write, response: Response, experiment_id: str, experiments: ExperimentService = service(ExperimentService)
) -> Accepted:
    """Stop searching; the best candidate so far is still fitted, evaluated and registered."""
    job = experiments.cancel(unit, experiment_id)
    accepted(response, job.id)
    return Accepted(job_id=job.id, status=job.status)


@router.get("")
def list_experiments(
    unit: Read,
    limit: Limit = 50,
    cursor: PageCursor = "",
    experiments: ExperimentService = service(ExperimentService),
) -> Page[Experiment]:
    """Return the workspace's experiments, oldest first."""
    rows = experiments.list(unit, limit=limit + 1, after=read_cursor(cursor))
    return page_of(rows, limit, lambda row: row.id, lambda row: _experiment(unit, experiments, row))


@router.get("/{experiment_id}")
def get_experiment(
    unit: Read, experiment_id: str, experiments: ExperimentService = service(ExperimentService)
) -> Experiment:
    """Return an experiment and what came of it."""
    return _experiment(unit, experiments, experiments.get(unit, experiment_id))


@router.get("/{experiment_id}/trials")
def list_trials(
    unit: Read, experiment_id: str, experiments: ExperimentService = service(ExperimentService)
) -> list[Trial]:
    """Return every candidate's run with its parameters and metrics, from MLflow."""
    return [
        Trial(
            run_id=trial.run_id,
            name=trial.name,
            status=trial.status,
            params=trial.params,
            metrics=trial.metrics,
            start_time=trial.started_at,
            end_time=trial.ended_at,
        )
        for trial in experiments.trials(unit, experiment_id)
    ]


@router.get("/{experiment_id}/leaderboard")
def read_leaderboard(
    unit: Read, experiment_id: str, experiments: ExperimentService = service(ExperimentService)
) -> Leaderboard:
    """Return the candidates, best first, while the search goes on too."""
    row = experiments.get(unit, experiment_id)
    progress = experiments.progress(unit, row)
    return Leaderboard(
        experiment_id=row.id,
        status=experiments.status(unit, row),
        metric=progress.get("metric", ""),
        direction=progress.get("direction", ""),
        entries=progress.get("leaderboard", []),
        chosen=progress.get("chosen"),
        recommendation=progress.get("recommendation", ""),
    )


def _experiment(unit: UnitOfWork, experiments: ExperimentService, row: ExperimentRow) -> Experiment:
    return Experiment(
        id=row.id,
        name=row.name,
        project_id=row.project_id,
        task_type=row.task_type,
        objective=row.objective,
        dataset_id=row.dataset_id,
        dataset_version_id=row.dataset_version_id,
        target=row.target,
        config=row.config,
        definition=_definition(unit, experiments, row),
        status=experiments.status(unit, row),
        job_id=row.job_id,
        summary=row.summary,
        outcome=_outcome(experiments.outcome(row)),
        outcome_note=experiments.why_no_outcome(unit, row),
        leaderboard_url=_leaderboard_url(row),
        created_by=row.created_by,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def _definition(unit: UnitOfWork, experiments: ExperimentService, row: ExperimentRow) -> DefinedExperiment:
    found = read_definition(row.definition)
    return DefinedExperiment(
        hypothesis=found.hypothesis,
        baseline_model=found.baseline,
        baseline_version_id=found.baseline_version_id,
        baseline_stated=found.baseline_stated,
        primary_metric=experiments.primary_metric(unit, row),
        guardrails=[msgspec.to_builtins(each) for each in found.guardrails],
        success_criteria=[msgspec.to_builtins(each) for each in found.criteria],
        margin=found.margin,
        minimum_improvement=found.minimum_improvement,
        dataset=found.dataset,
        dataset_version=found.dataset_version,
        dataset_version_id=row.dataset_version_id,
    )


def _outcome(found: Conclusion | None) -> ExperimentOutcome | None:
    if found is None:
        return None
    return ExperimentOutcome(
        status=found.status,
        recommendation=found.recommendation,
        rule=found.rule,
        primary_metric=found.primary_metric,
        comparison_summary=found.comparison_summary,
        statistical_significance=found.statistical_significance,
        recommendation_rationale=found.recommendation_rationale,
        baseline_model=found.baseline,
        baseline_version_id=found.baseline_version_id,
        model_version_id=found.model_version_id,
        evaluation_id=found.evaluation_id,
        completed_at=found.completed_at,
    )


def _leaderboard_url(row: ExperimentRow) -> str:
    return f"/ui/experiments/{row.id}"


def _unused(config: ExperimentConfig) -> list[str]:
    """Say which settings are kept but not acted on by this version's engine."""
    given = {
        "constraints": bool(config.constraints),
        "hpo.sampler": config.hpo.sampler != "portfolio",
        "hpo.early_stopping": config.hpo.early_stopping is not None,
    }
    return [f"config.{name} is kept, but this version's engine does not act on it." for name, on in given.items() if on]
