"""The durable training: from a dataset version to a registered model version.

Steps: ``prepare``, one per candidate, ``logbook``, then ``package-<name>`` down the ranking until one can be
packaged, ``evaluate``, ``register``, ``finish``. Each may run twice after a crash and changes nothing the second
time: trials are keyed by (job, step) in the logbook, bundles by their digest, evidence by its content, versions by
the bundle, and the experiment's row is written exactly once.

Arrays live in a folder on this machine while the job runs, and are laid out anew, from the plan and the fold numbers
that ``prepare`` stored, when another process takes the job over.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.automl.budget import Budget, Deadline
from arkwright.automl.leaderboard import leaderboard, recommendation
from arkwright.automl.learners.constant import constant_scores
from arkwright.automl.logbook import Logbook
from arkwright.automl.packaging import Package, PackagingFailed, package
from arkwright.automl.payloads import ExperimentConfig
from arkwright.automl.plan import Request, TrainingPlan, default_model_name, make_plan, wants_balance
from arkwright.automl.pool import WorkerPool
from arkwright.automl.portfolio import portfolio
from arkwright.automl.problem import ProblemFolder
from arkwright.automl.refit import FinalModel, RefitFailed, refit_trial
from arkwright.automl.search import Search, Trial, best_of, ranking
from arkwright.automl.service import TRAIN_KIND, ExperimentService
from arkwright.automl.splits import HOLDOUT
from arkwright.automl.tables import ExperimentRow
from arkwright.automl.training import Candidate
from arkwright.core.context import Context
from arkwright.core.errors import ArkwrightError, Invalid
from arkwright.data import DatasetService
from arkwright.evaluation import EvaluationService
from arkwright.features import infer_feature_types, to_columns, to_labels
from arkwright.kit.db import Database, UnitOfWork
from arkwright.kit.jobs import JobCancelled, JobRun
from arkwright.kit.objects import ObjectStore, WorkspaceObjects
from arkwright.registry import RegistryService
from arkwright.tenancy import TenancyService
from arkwright.tracking import TrackingService
from arkwright.tracking.ports import TrackingStore

_SEARCH_FROM, _SEARCH_TO = 0.05, 0.75


class TrainJob:
    """Search, refit, package, evaluate and register.

    Parameters
    ----------
    experiments, datasets, evaluation, registry, tenancy
        The services.
    tracking
        The logbook.
    objects
        Where out-of-fold scores and bundles are kept.
    database
        To look the workspace's name up in the logbook.
    """

    kind = TRAIN_KIND

    def __init__(
        self,
        experiments: ExperimentService,
        datasets: DatasetService,
        evaluation: EvaluationService,
        registry: RegistryService,
        tenancy: TenancyService,
        tracking: TrackingStore,
        objects: ObjectStore,
        database: Database,
    ) -> None:
        self._experiments = experiments
        self._datasets = datasets
        self._evaluation = evaluation
        self._registry = registry
        self._tenancy = tenancy
        self._tracking = tracking
        self._objects = objects
        self._database = database

    def run(self, job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
        """Train; the result names the model version, and says so if the search was cancelled early."""
        experiment_id: str = payload["experiment_id"]
        try:
            with tempfile.TemporaryDirectory(prefix="arkwright-train-") as temporary, WorkerPool() as pool:
                return _Training(self, job, experiment_id, Path(temporary), pool).run()
        except JobCancelled:
            self._end(job, experiment_id, "cancelled", {})
            raise
        except ArkwrightError as error:
            problem = {"code": error.code, "detail": error.detail, "hint": error.hint}
            self._end(job, experiment_id, "failed", {"problem": problem})
            raise

    def _end(self, job: JobRun, experiment_id: str, status: str, summary: dict[str, Any]) -> None:
        with job.write() as unit:
            self._experiments.end(unit, experiment_id, job.job_id, status, summary)


class _Training:
    """One run of one training; what it holds can be rebuilt from the steps' results."""

    def __init__(self, parts: TrainJob, job: JobRun, experiment_id: str, temporary: Path, pool: WorkerPool) -> None:
        self._parts = parts
        self._job = job
        self._temporary = temporary
        self._pool = pool
        self._objects: WorkspaceObjects = parts._objects.for_workspace(job.context.workspace_id)  # noqa: SLF001
        self._folder = ProblemFolder(temporary / "problem")
        with job.read() as unit:
            row = parts._experiments.get(unit, experiment_id)  # noqa: SLF001
            self._experiment: ExperimentRow = row
            self._config = ExperimentConfig.model_validate(row.config)
            self._started_at = unit.clock.now()
        self._workspace_name = self._name_of_workspace(job.context)
        self._logbook = Logbook(
            parts._tracking,  # noqa: SLF001
            self._workspace_name,
            f"{row.name} {row.id}",
            job_id=job.job_id,
            started_at=self._started_at,
            created_by=row.created_by,
            tags={
                "arkwright.experiment_id": row.id,
                "arkwright.dataset_version_id": row.dataset_version_id,
                "arkwright.target": row.target,
            },
        )
        self._plan: TrainingPlan | None = None

    def run(self) -> dict[str, Any]:
        job = self._job
        job.progress(0.0, "Looking at the data.")
        self._plan = msgspec.convert(job.step("prepare", self._prepare), TrainingPlan)
        plan = self._plan
        for note in plan.notes:
            job.log(note)
        trials, runs = self._search(plan)
        best = best_of(trials, plan.problem.direction)
        if best is None:
            if job.cancel_requested():
                raise JobCancelled
            raise _nothing_worked(trials)
        cancelled = any(trial.status == "stopped" for trial in trials) or len(trials) < len(self._candidates(plan))
        cancelled = cancelled and job.cancel_requested()
        self._report(plan, trials, 0.76, "Writing the trials down.")
        runs = job.step("logbook", lambda: self._complete_logbook(plan, trials, runs))
        chosen, final, packed = self._package(plan, trials, runs)
        self._report(plan, trials, 0.86, f"Evaluating {chosen.name} on {plan.n_holdout} held-out rows.")
        evaluated = job.step("evaluate", lambda: self._evaluate(plan, packed.digest))
        self._report(plan, trials, 0.95, "Registering the model.")
        version = job.step("register", lambda: self._register(packed.digest))
        summary = self._summary(plan, trials, chosen, final, cancelled=cancelled)
        result = {
            "experiment_id": self._experiment.id,
            **version,
            "bundle_digest": packed.digest,
            "run_id": runs[chosen.name],
            "evidence_id": evaluated["evidence_id"],
            "metrics": evaluated["metrics"],
            "beats_baseline": evaluated["beats_baseline"],
            "chosen": chosen.name,
            "recommendation": summary["recommendation"],
            "cancelled_early": cancelled,
            "notes": summary["notes"],
        }
        job.step("close", lambda: self._close_logbook(chosen, evaluated["metrics"], cancelled=cancelled))
        job.write_once("finish", lambda unit: self._finish(unit, {**summary, **version}, result, cancelled=cancelled))
        job.progress(1.0, f"{version['model_name']} {version['semver']}: {evaluated['beats_baseline']['detail']}")
        return result

    # prepare

    def _prepare(self) -> dict[str, Any]:
        row, config = self._experiment, self._config
        with self._job.read() as unit:
            version = self._parts._datasets.version_by_id(unit, row.dataset_version_id)  # noqa: SLF001
            profile = self._parts._datasets.profile(unit, version.id)  # noqa: SLF001
            column_type = next(column["type"] for column in version.schema if column["name"] == row.target)
        decisions = infer_feature_types(
            profile, target=row.target, overrides=config.feature_types, ignore=config.ignore_columns
        )
        request = Request(
            target=row.target,
            column_type=column_type,
            task=row.task_type,  # type: ignore[arg-type]  # checked by the payload
            objective=row.objective,
            folds=config.cv.folds,
            stratified=None if config.cv.type is None else config.cv.type == "stratified_kfold",
            seed=config.cv.seed,
            balanced=wants_balance(config.imbalance),
            positive_class=config.positive_class,
        )
        plan, _rows, _target, folds = make_plan(request, decisions, self._labels())
        buffer = io.BytesIO()
        np.save(buffer, folds)
        self._objects.put_bytes(self._key("folds.npy"), buffer.getvalue())
        plan_json: dict[str, Any] = msgspec.to_builtins(plan)
        return plan_json

    def _labels(self) -> npt.NDArray[Any]:
        row = self._experiment
        with self._job.read() as unit:
            table = self._parts._datasets.load_table(unit, row.dataset_version_id, [row.target])  # noqa: SLF001
        return to_labels(table.column(row.target))

    def _lay_out(self, plan: TrainingPlan) -> ProblemFolder:
        """Write the arrays for the training processes, once in the life of this process."""
        if (self._folder.path / "problem.json").exists():
            return self._folder
        from arkwright.automl.task import encode_target  # noqa: PLC0415

        rows, target = encode_target(self._labels(), plan.decision)
        names = [column.name for column in plan.problem.columns]
        with self._job.read() as unit:
            table = self._parts._datasets.load_table(unit, self._experiment.dataset_version_id, names)  # noqa: SLF001
        columns = to_columns(table, plan.problem.columns)
        folds = np.load(io.BytesIO(self._objects.get_bytes(self._key("folds.npy"))))
        self._folder.write(plan.problem, {name: columns[name][rows] for name in names}, target, folds)
        return self._folder
