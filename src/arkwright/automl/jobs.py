"""The durable training: from a dataset version to a registered model version.

Steps: ``prepare``, one per candidate, ``logbook``, then ``package-<name>`` down the ranking until a candidate can
be packaged, ``evaluate``, ``register``, ``close``, ``finish``. Each may run twice after a crash and changes nothing
the second time: trials are keyed by (job, step) in the logbook, bundles by their digest, evidence by its content,
versions by the bundle, and the experiment's row is written exactly once.

The budget covers everything from the job's start to the end of the refit; packaging, evaluating and registering
follow in a few seconds. A cancelled search keeps the best candidate so far and goes on from there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arkwright.automl.pool import WorkerPool
from arkwright.automl.publication import TrainingServices
from arkwright.automl.service import TRAIN_KIND, ExperimentService
from arkwright.automl.steps import Training
from arkwright.core.errors import ArkwrightError
from arkwright.data import DatasetService
from arkwright.evaluation import EvaluationService
from arkwright.kit.db import Database, UnitOfWork
from arkwright.kit.jobs import JobCancelled, JobRun
from arkwright.kit.objects import ObjectStore
from arkwright.registry import RegistryService
from arkwright.tenancy import TenancyService
from arkwright.tracking.ports import TrackingStore


class TrainJob:
    """Search, refit, package, evaluate and register.

    Parameters
    ----------
    tenancy, database
        To look the workspace's name in the logbook up.
    start_evaluation
        Starts an evaluation of the version that comes out, in the same commit; None for none.
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
        *,
        start_evaluation: Callable[[UnitOfWork, str], str] | None = None,
    ) -> None:
        self._services = TrainingServices(
            experiments, datasets, evaluation, registry, tracking, objects, start_evaluation=start_evaluation
        )
        self._tenancy = tenancy
        self._database = database

    def run(self, job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
        """Train; the result names the model version, and says so if the search was cancelled early."""
        experiment_id: str = payload["experiment_id"]
        with self._database.read_global() as unit:
            names = {row.id: row.tracking_name for row in self._tenancy.workspaces(unit)}
        workspace_name = names[job.context.workspace_id]
        try:
            with tempfile.TemporaryDirectory(prefix="arkwright-train-") as temporary, WorkerPool() as pool:
                return _trained(Training(self._services, job, experiment_id, workspace_name, Path(temporary), pool))
        except JobCancelled:
            self._end(job, experiment_id, "cancelled", {})
            raise
        except ArkwrightError as error:
            problem = {"code": error.code, "detail": error.detail, "hint": error.hint}
            self._end(job, experiment_id, "failed", {"problem": problem})
            raise

    def _end(self, job: JobRun, experiment_id: str, status: str, summary: dict[str, Any]) -> None:
        with job.write() as unit:
            self._services.experiments.end(unit, experiment_id, job.job_id, status, summary)


def _trained(training: Training) -> dict[str, Any]:
    try:
        return training.run()
    except JobCancelled:
        training.give_up("cancelled")
        raise
    except ArkwrightError:
        training.give_up("failed")
        raise
