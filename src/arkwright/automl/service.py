"""Creating, running and reading experiments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arkwright.access import authorise, record
from arkwright.automl import repository
from arkwright.automl.errors import experiment_not_found
from arkwright.automl.logbook import JOB_TAG, KIND_TAG, TRIAL_KIND
from arkwright.automl.objective import resolve_objective
from arkwright.automl.payloads import CreateExperiment
from arkwright.automl.plan import wants_balance
from arkwright.automl.tables import ExperimentRow
from arkwright.contracts.signature import TaskType
from arkwright.core.errors import Conflict, Invalid
from arkwright.core.events import EXPERIMENT_FINISHED
from arkwright.core.ids import new_id
from arkwright.data import DatasetService
from arkwright.features import infer_feature_types
from arkwright.kit.db import UnitOfWork
from arkwright.kit.jobs import JobRow, JobService
from arkwright.registry import check_model_name
from arkwright.tenancy import TenancyService, require_project
from arkwright.tracking.ports import TrackingStore, Trial

TRAIN_KIND = "automl.train.v1"
_OPEN = ("created", "failed", "cancelled")
_ENDED = ("failed", "cancelled")
_TASKS: dict[str, tuple[TaskType, ...]] = {
    "auto": ("binary", "multiclass", "regression"),
    "classification": ("binary", "multiclass"),
    "binary": ("binary",),
    "multiclass": ("multiclass",),
    "regression": ("regression",),
}


class ExperimentService:
    """The experiments of a workspace."""

    def __init__(
        self, datasets: DatasetService, jobs: JobService, tracking: TrackingStore, tenancy: TenancyService
    ) -> None:
        self._datasets = datasets
        self._jobs = jobs
        self._tracking = tracking
        self._tenancy = tenancy

    def create(self, unit: UnitOfWork, request: CreateExperiment) -> ExperimentRow:
        """Create an experiment.

        Raises
        ------
        NotFound
            If the dataset, or the version of it, does not exist.
        Invalid
            If the target or an override is no column, an override does not fit its column, the model's name cannot be
            used, or the objective does not exist or does not suit the task.
        """
        authorise(unit, "experiment.create", "experiment")
        project_id = require_project(unit, request.project_id)
        dataset = self._datasets.get(unit, request.dataset_id)
        version = self._datasets.version(unit, dataset.id, request.dataset_version)
        columns = [column["name"] for column in version.schema]
        if request.target not in columns:
            raise Invalid(
                f"The dataset {dataset.name!r} has no column {request.target!r} to predict.",
                code="experiment.target",
                hint=f"Its columns are: {', '.join(columns[:30])}.",
            )
        config = request.config
        # What can be refused now is not refused by a job later.
        infer_feature_types(
            self._datasets.profile(unit, version.id),
            target=request.target,
            overrides=config.feature_types,
            ignore=config.ignore_columns,
        )
        if config.model_name:
            check_model_name(config.model_name)
        _check_objective(request.objective, request.task_type)
        wants_balance(request.config.imbalance)
        row = ExperimentRow(
            id=new_id("experiment"),
            project_id=project_id,
            name=request.name or f"{dataset.name}-{request.target}",
            task_type=request.task_type,
            objective=request.objective,
            dataset_id=dataset.id,
            dataset_version_id=version.id,
            target=request.target,
            config=request.config.model_dump(),
            status="created",
            summary={},
            created_by=unit.context.actor.id,
            created_at=unit.clock.now(),
        )
        unit.session.add(row)
        unit.session.flush()
        record(unit, "experiment.create", "experiment", row.id, {"dataset_version": version.id, "target": row.target})
        return row

    def run(self, unit: UnitOfWork, experiment_id: str) -> JobRow:
        """Start the experiment's job.

        Raises
        ------
        Conflict
            If it is running or has finished.
        """
        authorise(unit, "experiment.run", "experiment", experiment_id)
        row = self._row(unit, experiment_id)
        status = self.status(unit, row)
        if status not in _OPEN:
            raise Conflict(
                f"The experiment {row.name!r} is {status}.",
                code="experiment.started",
                hint="Create another experiment to train again.",
            )
        job = self._jobs.submit(
            unit, TRAIN_KIND, {"experiment_id": row.id}, subject_type="experiment", subject_id=row.id
        )
        row.status, row.job_id, row.summary, row.finished_at = "running", job.id, {}, None
        record(unit, "experiment.run", "experiment", row.id, {"job": job.id})
        return job

    def cancel(self, unit: UnitOfWork, experiment_id: str) -> JobRow:
        """Ask a running experiment to stop searching and to keep the best model so far."""
        authorise(unit, "experiment.cancel", "experiment", experiment_id)
        row = self._row(unit, experiment_id)
        status = self.status(unit, row)
        if status != "running" or row.job_id is None:
            raise Conflict(
                f"The experiment {row.name!r} is {status}, not running.",
                code="experiment.not_running",
                hint=f"Only a running one can be cancelled: see GET /v1/experiments/{row.id}.",
            )
        job = self._jobs.cancel(unit, row.job_id)
        if job.status == "cancelled":
            # It never began, so no job will say so.
            self.end(unit, row.id, job.id, "cancelled", {})
        return job

    def get(self, unit: UnitOfWork, experiment_id: str) -> ExperimentRow:
        """Return an experiment."""
        authorise(unit, "experiment.read", "experiment", experiment_id)
        return self._row(unit, experiment_id)

    def list(self, unit: UnitOfWork, *, limit: int, after: str = "") -> Sequence[ExperimentRow]:
        """Return experiments, oldest first."""
        authorise(unit, "experiment.list", "experiment")
        return repository.experiments(unit.session, limit=limit, after=after)

    def recent(self, unit: UnitOfWork, *, limit: int) -> Sequence[ExperimentRow]:
        """Return the latest experiments, newest first."""
        authorise(unit, "experiment.list", "experiment")
        return repository.newest(unit.session, limit=limit)

    def status(self, unit: UnitOfWork, row: ExperimentRow) -> str:
        """Return an experiment's status; one whose job ended without a word has failed with it."""
        if row.status != "running" or row.job_id is None:
            return row.status
        job = self._jobs.get(unit, row.job_id)
        return "failed" if job.status == "succeeded" else job.status if job.status in _ENDED else row.status

    def show_trials_at(self, unit: UnitOfWork, experiment_id: str, tracking_experiment_id: str) -> None:
        """Remember where in the logbook the trials are."""
        self._row(unit, experiment_id).tracking_experiment_id = tracking_experiment_id

    def end(
        self, unit: UnitOfWork, experiment_id: str, job_id: str, status: str, summary: dict[str, Any]
    ) -> ExperimentRow:
        """Write down how an experiment's job ended; a job that is not the experiment's any more changes nothing."""
        authorise(unit, "experiment.run", "experiment", experiment_id)
        row = self._row(unit, experiment_id)
        if row.job_id != job_id or row.status != "running":
            return row
        row.status, row.summary, row.finished_at = status, summary, unit.clock.now()
        if summary.get("task"):
            row.task_type = summary["task"]
        facts = {"job": job_id, "status": status, "model_version": summary.get("model_version_id")}
        record(unit, "experiment.end", "experiment", row.id, facts)
        unit.emit(EXPERIMENT_FINISHED, row.id, {"experiment_id": row.id, **facts})
        return row

    def progress(self, unit: UnitOfWork, row: ExperimentRow) -> dict[str, Any]:
        """Return the finished experiment's summary, or what its job has reported so far."""
        if row.summary or row.job_id is None:
            return dict(row.summary)
        return dict(self._jobs.get(unit, row.job_id).data or {})

    def trials(self, unit: UnitOfWork, experiment_id: str) -> Sequence[Trial]:
        """Return the candidates' runs from the logbook, in order of start."""
        row = self.get(unit, experiment_id)
        tracking_id = row.tracking_experiment_id
        if not tracking_id:
            return []
        names = {workspace.id: workspace.tracking_name for workspace in self._tenancy.workspaces(unit)}
        return self._tracking.list_trials(
            names[unit.context.workspace_id], tracking_id, tags={KIND_TAG: TRIAL_KIND, JOB_TAG: row.job_id or ""}
        )

    def _row(self, unit: UnitOfWork, experiment_id: str) -> ExperimentRow:
        row = repository.experiment(unit.session, experiment_id)
        if row is None:
            raise experiment_not_found(experiment_id)
        return row


def _check_objective(objective: str, task_type: str) -> None:
    """Refuse an objective that suits none of the tasks this can turn out to be."""
    if not objective:
        return
    problems: list[Invalid] = []
    for task in _TASKS[task_type]:
        try:
            resolve_objective(objective, task)
        except Invalid as error:
            problems.append(error)
        else:
            return
    if len(problems) == 1:
        raise problems[0]
    raise Invalid(
        f"There is no objective {objective!r}, whatever the task turns out to be.",
        code="objective.unknown",
        hint=" ".join(f"{task}: {problem.hint}" for task, problem in zip(_TASKS[task_type], problems, strict=True)),
    )
