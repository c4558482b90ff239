"""Creating, running and reading experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from arkwright.access import authorise, record
from arkwright.automl import repository
from arkwright.automl.definition import (
    NO_MODEL,
    NOT_EVALUATED,
    NOT_RUN,
    Conclusion,
    Definition,
    read_conclusion,
    read_definition,
)
from arkwright.automl.errors import experiment_not_found
from arkwright.automl.logbook import JOB_TAG, KIND_TAG, TRIAL_KIND
from arkwright.automl.objective import resolve_objective
from arkwright.automl.payloads import CreateExperiment
from arkwright.automl.plan import default_model_name, wants_balance
from arkwright.automl.tables import ExperimentRow
from arkwright.contracts import Signature
from arkwright.contracts.signature import TaskType
from arkwright.core.errors import Conflict, Invalid, NotFound
from arkwright.core.events import EXPERIMENT_FINISHED
from arkwright.core.ids import is_id, new_id
from arkwright.data import DatasetService
from arkwright.evaluation import (
    Criterion,
    Guardrail,
    StatedDefinition,
    TrainingEffort,
    check_stated_metrics,
    question_of,
)
from arkwright.features import infer_feature_types
from arkwright.kit.db import UnitOfWork
from arkwright.kit.jobs import JobRow, JobService
from arkwright.registry import RegistryService, check_model_name
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
    """The experiments of a workspace.

    Parameters
    ----------
    registry
        Knows the versions that a model to be trained may be compared with.
    """

    def __init__(
        self,
        datasets: DatasetService,
        jobs: JobService,
        tracking: TrackingStore,
        tenancy: TenancyService,
        registry: RegistryService,
    ) -> None:
        self._datasets = datasets
        self._jobs = jobs
        self._tracking = tracking
        self._tenancy = tenancy
        self._registry = registry

    def create(self, unit: UnitOfWork, request: CreateExperiment) -> ExperimentRow:
        """Create an experiment.

        Raises
        ------
        NotFound
            If the dataset, the version of it, or the baseline does not exist.
        Invalid
            If the target or an override is no column, an override does not fit its column, the model's name cannot be
            used, the objective does not exist or does not suit the task, or the definition cannot be judged.
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
        name = request.name or f"{dataset.name}-{request.target}"
        definition = msgspec.structs.replace(
            self._definition(unit, request, config.model_name or default_model_name(name)),
            dataset=dataset.name,
            dataset_version=version.number,
        )
        row = ExperimentRow(
            id=new_id("experiment"),
            project_id=project_id,
            name=name,
            task_type=request.task_type,
            objective=request.objective,
            dataset_id=dataset.id,
            dataset_version_id=version.id,
            target=request.target,
            config=request.config.model_dump(),
            definition=msgspec.to_builtins(definition),
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
        row.status, row.job_id, row.summary, row.finished_at, row.outcome = "running", job.id, {}, None, None
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

    def check_definition(self, unit: UnitOfWork, row: ExperimentRow, signature: Signature) -> None:
        """Check what could not be checked before the target was looked at.

        Raises
        ------
        Invalid
            If a metric is none of the task's, or the baseline answers another question.
        """
        definition = read_definition(row.definition)
        check_stated_metrics(definition.stated, [signature.task])
        if definition.baseline_stated:
            baseline = self._registry.version_by_id(unit, definition.baseline_version_id)
            theirs = msgspec.convert(baseline.signature, Signature)
            if question_of(theirs) != question_of(signature):
                raise _another_question(definition.baseline, "its task or its classes differ")

    def definition_of(self, unit: UnitOfWork, experiment_id: str) -> StatedDefinition | None:
        """Return what an experiment states, for the evaluations of its version; None if there is no such experiment."""
        row = self.find(unit, experiment_id)
        return None if row is None else read_definition(row.definition).stated

    def effort_of(self, unit: UnitOfWork, lineage: Mapping[str, str]) -> TrainingEffort | None:
        """Return what the training of a bundle with this lineage took; None where that was not kept."""
        row = self.find(unit, lineage.get("experiment_id", ""))
        # An experiment that was cancelled and run again says of the second run only.
        if row is None or row.job_id != lineage.get("job_id") or "effort" not in row.summary:
            return None
        return msgspec.convert(row.summary["effort"], TrainingEffort)

    def conclude(self, unit: UnitOfWork, experiment_id: str, job_id: str, conclusion: Conclusion) -> None:
        """Write down what an evaluation of an experiment's version came to; the newest one counts."""
        authorise(unit, "experiment.conclude", "experiment", experiment_id)
        row = self.find(unit, experiment_id)
        if row is None or row.job_id != job_id or not conclusion.supersedes(read_conclusion(row.outcome)):
            return
        row.outcome = msgspec.to_builtins(conclusion)
        facts = {"evaluation": conclusion.evaluation_id, "status": conclusion.status}
        record(unit, "experiment.conclude", "experiment", row.id, facts)

    def outcome(self, row: ExperimentRow) -> Conclusion | None:
        """Return what an experiment came to; None where nothing was compared."""
        found = read_conclusion(row.outcome)
        return found if found is not None and found.status else None

    def why_no_outcome(self, unit: UnitOfWork, row: ExperimentRow) -> str:
        """Say why an experiment has no outcome; empty if it has one."""
        found = read_conclusion(row.outcome)
        if found is not None:
            return found.reason
        if self.status(unit, row) in ("created", "running"):
            return NOT_RUN
        return NOT_EVALUATED if row.summary.get("model_version_id") else NO_MODEL

    def primary_metric(self, unit: UnitOfWork, row: ExperimentRow) -> str:
        """Return the metric of an experiment's objective; empty while that depends on a task that is not known yet."""
        found: str = self.progress(unit, row).get("metric", "")
        if found:
            return found
        names = set()
        for task in _TASKS[row.task_type]:
            with suppress(Invalid):
                names.add(resolve_objective(row.objective, task).metric.name)
        return names.pop() if len(names) == 1 else ""

    def find(self, unit: UnitOfWork, experiment_id: str) -> ExperimentRow | None:
        """Return an experiment, or None."""
        authorise(unit, "experiment.read", "experiment", experiment_id)
        return repository.experiment(unit.session, experiment_id)

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

    def _definition(self, unit: UnitOfWork, request: CreateExperiment, model_name: str) -> Definition:
        """Return the definition with its baseline looked up."""
        wanted = request.definition
        found = Definition(
            hypothesis=wanted.hypothesis.strip(),
            guardrails=tuple(Guardrail(**each.model_dump()) for each in wanted.guardrails),
            criteria=tuple(Criterion(**each.model_dump()) for each in wanted.success_criteria),
            margin=wanted.margin,
            minimum_improvement=wanted.minimum_improvement,
        )
        tasks = _TASKS[request.task_type]
        check_stated_metrics(found.stated, tasks)
        address = wanted.baseline_model.strip()
        version_id = self._baseline(unit, address, model_name)
        if not version_id:
            return found
        version = self._registry.version_by_id(unit, version_id)
        label = f"{self._registry.get(unit, version.model_id).name} {version.semver}"
        target, stated = msgspec.convert(version.signature, Signature).target, bool(address)
        if target != request.target or version.task not in tasks:
            if stated:
                differs = f"it predicts {target!r} ({version.task}), and this is to predict {request.target!r}"
                raise _another_question(label, differs)
            return found
        return msgspec.structs.replace(found, baseline=label, baseline_version_id=version.id, baseline_stated=stated)

    def _baseline(self, unit: UnitOfWork, address: str, model_name: str) -> str:
        """Return the version that is named, or else the one in production under the model's name; empty for none."""
        registry = self._registry
        if not address:
            try:
                production = registry.production_of(unit, model_name)
            except NotFound:
                return ""
            return production.id if production is not None else ""
        if is_id("model_version", address):
            return address
        model, _, number = address.partition("@")
        if number:
            return registry.version(unit, model, number).id
        newest = registry.production_of(unit, model) or next(iter(registry.versions(unit, model, limit=1)), None)
        if newest is None:
            raise Invalid(
                f"The model {model!r} has no version to compare with.",
                code="experiment.baseline",
                hint="Name another baseline_model, or leave it out.",
            )
        return newest.id

    def _row(self, unit: UnitOfWork, experiment_id: str) -> ExperimentRow:
        row = repository.experiment(unit.session, experiment_id)
        if row is None:
            raise experiment_not_found(experiment_id)
        return row


def _another_question(baseline: str, differs: str) -> Invalid:
    return Invalid(
        f"The baseline {baseline} answers another question: {differs}.",
        code="experiment.baseline",
        hint="Name a version with the same task, target and classes as baseline_model, or leave it out.",
    )


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
