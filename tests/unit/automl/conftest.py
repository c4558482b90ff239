"""A platform in one process: real database, object store and jobs, a logbook in memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from arkwright.access import authorise, record
from arkwright.automl import ExperimentService
from arkwright.automl.jobs import TrainJob
from arkwright.automl.payloads import CreateExperiment
from arkwright.core.context import Context
from arkwright.core.errors import Unavailable
from arkwright.data import DatasetService, UploadService
from arkwright.data.ingestion import IngestRequest
from arkwright.data.jobs import IngestJob
from arkwright.evaluation import EvaluationService
from arkwright.governance import GovernanceService
from arkwright.kit.db import Database
from arkwright.kit.jobs import InlineQueue, JobRow, JobRun, JobService, Lane
from arkwright.kit.objects import ObjectStore
from arkwright.registry import BundleStore, RegistryService
from arkwright.tenancy import TenancyService, bootstrap
from arkwright.testing import InMemoryTracking

Rows = list[dict[str, Any]]


class SleepyTracking(InMemoryTracking):
    """A logbook that does not answer the first few times it is written to."""

    asleep = 0

    def log_trial(self, workspace: str, record: Any) -> str:
        if self.asleep:
            self.asleep -= 1
            raise Unavailable("The tracking server is warming up.")
        return super().log_trial(workspace, record)


@dataclass
class Lab:
    """Everything a training needs, and short cuts to use it."""

    database: Database
    context: Context
    tracking: SleepyTracking
    jobs: JobService
    datasets: DatasetService
    uploads: UploadService
    experiments: ExperimentService
    governance: GovernanceService
    registry: RegistryService
    objects: ObjectStore
    watchers: list[Callable[[JobRun], None]]

    def ingest(self, rows: Rows, name: str = "table") -> str:
        """Store rows as a dataset and return its id."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        chunks = [text.getvalue().encode(), b""]
        upload = self.uploads.receive(self.database.bound(self.context), lambda: chunks.pop(0), f"{name}.csv")
        with self.database.write(self.context) as unit:
            job, dataset_id = self.datasets.start_ingest(unit, IngestRequest(upload_id=upload.id, name=name))
        assert self.job(job.id).status == "succeeded", self.job(job.id).error
        return dataset_id

    def train(self, dataset_id: str, target: str, **wanted: Any) -> JobRow:
        """Create and run an experiment; return its job, which has ended."""
        config = {"budget_seconds": 300, "cv": {"folds": 3, "seed": 1}, **wanted.pop("config", {})}
        request = CreateExperiment(dataset_id=dataset_id, target=target, config=config, **wanted)
        with self.database.write(self.context) as unit:
            experiment_id = self.experiments.create(unit, request).id
        with self.database.write(self.context) as unit:
            job_id = self.experiments.run(unit, experiment_id).id
        return self.job(job_id)

    def job(self, job_id: str) -> JobRow:
        """Read a job anew."""
        with self.database.read(self.context) as unit:
            return self.jobs.get(unit, job_id)


class WatchedTrainJob(TrainJob):
    """The training job, with its progress shown to a test."""

    watchers: Iterable[Callable[[JobRun], None]] = ()

    def run(self, job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
        report = job.progress

        def progress(fraction: float, message: str = "", **data: Any) -> None:
            report(fraction, message, **data)
            for watcher in self.watchers:
                watcher(job)

        job.progress = progress  # type: ignore[method-assign]
        return super().run(job, payload)


def make_lab(database: Database, context: Context, objects: ObjectStore, home: Path) -> Lab:
    bootstrap(database, home / "admin.key")
    queue = InlineQueue(database, [])
    jobs = JobService(
        queue, {IngestJob.kind: Lane.LIGHT, TrainJob.kind: Lane.HEAVY}, authorise=authorise, record=record
    )
    uploads = UploadService(objects, max_upload_bytes=10_000_000)
    datasets = DatasetService(jobs, uploads, objects)
    governance, tenancy, tracking = GovernanceService(), TenancyService(), SleepyTracking()
    registry = RegistryService(BundleStore(objects), governance, tracking)
    experiments = ExperimentService(datasets, jobs, tracking, tenancy, registry)
    train = WatchedTrainJob(
        experiments, datasets, EvaluationService(governance), registry, tenancy, tracking, objects, database
    )
    watchers: list[Callable[[JobRun], None]] = []
    train.watchers = watchers
    for job in (IngestJob(datasets, uploads, objects), train):
        queue._jobs[job.kind] = job
    return Lab(
        database, context, tracking, jobs, datasets, uploads, experiments, governance, registry, objects, watchers
    )


@pytest.fixture
def lab(database: Database, context: Context, object_store: ObjectStore, tmp_path: Path) -> Lab:
    return make_lab(database, context, object_store, tmp_path)


@pytest.fixture
def telco_rows(telco_csv: Path) -> Callable[[int], Rows]:
    """Return the first rows of the telco table."""

    def first(n_rows: int) -> Rows:
        with telco_csv.open(encoding="utf-8") as file:
            return [row for _, row in zip(range(n_rows), csv.DictReader(file), strict=False)]

    return first
