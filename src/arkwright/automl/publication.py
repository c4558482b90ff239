"""From the best trial to a registered version: refit, bundle, evaluation, registration."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from arkwright.automl.budget import Deadline
from arkwright.automl.learners.constant import constant_scores
from arkwright.automl.learners.ports import FloatArray
from arkwright.automl.packaging import Package, PackagingFailed, package
from arkwright.automl.payloads import ExperimentConfig
from arkwright.automl.plan import TrainingPlan, default_model_name
from arkwright.automl.pool import WorkerPool
from arkwright.automl.refit import FinalModel, RefitFailed, has_stand_in, refit_trial
from arkwright.automl.search import Search, Trial
from arkwright.automl.service import ExperimentService
from arkwright.automl.tables import ExperimentRow
from arkwright.automl.workbench import Workbench
from arkwright.core.structs import prepared
from arkwright.data import DatasetService
from arkwright.evaluation import EvaluationService
from arkwright.kit.db import UnitOfWork
from arkwright.kit.jobs import JobRun
from arkwright.kit.objects import ObjectStore
from arkwright.registry import RegistryService
from arkwright.tracking.ports import TrackingStore


@dataclass(frozen=True)
class TrainingServices:
    """What a training works with; ``start_evaluation`` starts one of a version and returns its job's id."""

    experiments: ExperimentService
    datasets: DatasetService
    evaluation: EvaluationService
    registry: RegistryService
    tracking: TrackingStore
    objects: ObjectStore
    start_evaluation: Callable[[UnitOfWork, str], str] | None = None


class StepOfPackage(msgspec.Struct, frozen=True, kw_only=True):
    """What the packaging of a candidate leaves: a bundle, or the reason why there is none."""

    package: Package | None
    final: FinalModel | None
    reason: str = ""


class Publication:
    """The second half of a training.

    Parameters
    ----------
    workspace_name
        The workspace's name in the logbook.
    temporary
        A folder of this training's own.
    """

    def __init__(
        self,
        services: TrainingServices,
        job: JobRun,
        row: ExperimentRow,
        bench: Workbench,
        pool: WorkerPool,
        *,
        workspace_name: str,
        temporary: Path,
    ) -> None:
        self._services = services
        self._job = job
        self._row = row
        self._config = ExperimentConfig.model_validate(row.config)
        self._bench = bench
        self._pool = pool
        self._workspace_name = workspace_name
        self._temporary = temporary

    def package(self, plan: TrainingPlan, trial: Trial, run_id: str, deadline: Deadline) -> StepOfPackage:
        """Refit a trial on all training rows and store it as a bundle."""
        folder = self._bench.lay_out(plan)
        if not has_stand_in(folder, trial):
            # This process took the job over: the folds' models are gone, so the refit gets the time it needs.
            needed = Search(folder, self._pool).reserve_seconds(trial)
            deadline = Deadline.after(max(deadline.remaining_seconds, needed), time.monotonic)

        def on_wait() -> bool:
            self._job.progress(0.82)  # leaves the job if this run is over
            return False

        try:
            started = time.monotonic()
            final = refit_trial(folder, self._pool, trial, deadline=deadline, on_wait=on_wait)
            final = msgspec.structs.replace(final, seconds=time.monotonic() - started)
            out = self._temporary / f"bundle-{trial.name}"
            packed = package(
                folder,
                trial.name,
                out,
                signature=plan.signature,
                learner=trial.candidate.learner,
                lineage={
                    "experiment_id": self._row.id,
                    "dataset_version_id": self._row.dataset_version_id,
                    "job_id": self._job.job_id,
                    "run_id": run_id,
                    "trial": trial.name,
                    "seed": str(plan.problem.seed),
                    "rounds": str(final.rounds),
                },
                created_by=self._row.created_by,
            )
        except (RefitFailed, PackagingFailed) as error:
            return StepOfPackage(package=None, final=None, reason=str(error))
        self._services.registry.bundles.save(self._job.context.workspace_id, out, packed.digest)
        return StepOfPackage(package=packed, final=final)

    def evaluate(self, plan: TrainingPlan, trial: Trial, digest: str) -> dict[str, Any]:
        """Evaluate the stored bundle on the holdout, file the report, and keep the rows for later evaluations."""
        folder = self._bench.lay_out(plan)
        bundle = self._services.registry.bundles.load(self._job.context.workspace_id, digest)
        target, holdout = folder.target(), folder.holdout_rows()
        reference = constant_scores(plan.problem.question, np.asarray(target[folder.training_rows()]))
        self._keep_rows(plan, trial, digest, reference)
        evidence_id, report = self._services.evaluation.evaluate_and_file(
            self._job,
            bundle,
            folder.inputs(holdout),
            np.asarray(target[holdout]),
            reference,
            seed=plan.problem.seed,
            primary_metric=plan.problem.metric,
        )
        return {
            "evidence_id": evidence_id,
            "metrics": {name: metric.value for name, metric in report.metrics.items()},
            "beats_baseline": msgspec.to_builtins(report.beats_baseline),
        }

    def _keep_rows(self, plan: TrainingPlan, trial: Trial, digest: str, reference: FloatArray) -> None:
        """Keep the holdout and a sample of the training rows, every column but the identifiers."""
        services, folder = self._services, self._bench.lay_out(plan)
        rows, seed = self._bench.dataset_rows(plan), plan.problem.seed
        with self._job.read() as unit:
            version = services.datasets.version_by_id(unit, self._row.dataset_version_id)
            names = [each["name"] for each in version.schema if each["name"] not in plan.signature.identifiers]
            batches = services.datasets.iter_batches(unit, version.id, columns=names)
            holdout, training = services.evaluation.take_rows(
                batches, holdout=rows[folder.holdout_rows()], training=rows[folder.training_rows()], seed=seed
            )
        services.evaluation.keep_data(
            self._job,
            services.objects,
            digest,
            holdout,
            training,
            dataset_version_id=self._row.dataset_version_id,
            target=plan.decision.target,
            reference_scores=reference,
            primary_metric=plan.problem.metric,
            fold_scores=trial.fold_scores,
            seed=seed,
        )

    def start_evaluation(self, unit: UnitOfWork, model_version_id: str) -> str:
        """Start a quick evaluation of the version, if that is wanted, and return its job's id or nothing."""
        start = self._services.start_evaluation
        return "" if start is None else start(unit, model_version_id)

    def register(self, digest: str) -> dict[str, Any]:
        """Make the bundle a version of the model, which is created if need be."""
        row, registry = self._row, self._services.registry
        name = self._config.model_name or default_model_name(row.name)
        with self._job.write() as unit:
            model = registry.ensure(unit, name, project_id=row.project_id, experiment_id=row.id)
            model_id, model_name = model.id, model.name
        version = registry.register(self._job, model_id, digest, workspace_name=self._workspace_name)
        return {
            "model_id": model_id,
            "model_name": model_name,
            "model_version_id": version.id,
            "number": version.number,
            "semver": version.semver,
        }


prepared(StepOfPackage)
