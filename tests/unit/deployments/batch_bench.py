"""Batches over a real database, object store and registry, with jobs that run at once."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from arkwright.access import authorise, record
from arkwright.core.context import Context
from arkwright.data import DatasetService, IngestJob, IngestRequest, UploadService
from arkwright.deployments import BatchService
from arkwright.deployments.batches import BatchRequest
from arkwright.deployments.jobs import BatchJob
from arkwright.kit.db import Database
from arkwright.kit.jobs import InlineQueue, JobRow, JobService, Lane
from arkwright.kit.objects import ObjectStore
from tests.unit.shelf import Shelf

CONTRACTS = ("month", "year", None, "unseen")


class LateQueue(InlineQueue):
    """An inline queue whose kinds are told after it was made: a job needs services that need the queue."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, [])

    def serve(self, *jobs: Any) -> None:
        self._jobs.update({job.kind: job for job in jobs})


@dataclass
class BatchBench:
    """What a test of batches works with; ``churn`` has a version in production."""

    shelf: Shelf
    context: Context
    objects: ObjectStore
    uploads: UploadService
    datasets: DatasetService
    jobs: JobService
    batches: BatchService
    job: BatchJob
    version_id: str

    @classmethod
    def over(cls, shelf: Shelf, context: Context, objects: ObjectStore) -> BatchBench:
        queue = LateQueue(shelf.database)
        kinds = {BatchJob.kind: Lane.LIGHT, IngestJob.kind: Lane.LIGHT}
        jobs = JobService(queue, kinds, authorise=authorise, record=record)
        uploads = UploadService(objects, max_upload_bytes=50_000_000)
        datasets = DatasetService(jobs, uploads, objects)
        batches = BatchService(shelf.registry, datasets, uploads, jobs, objects)
        job = BatchJob(objects, shelf.registry, datasets, uploads)
        queue.serve(job, IngestJob(datasets, uploads, objects))
        version = shelf.promote(shelf.register(shelf.stored()))
        return cls(shelf, context, objects, uploads, datasets, jobs, batches, job, version.id)

    def upload(self, content: bytes, filename: str = "rows.parquet") -> str:
        stream = io.BytesIO(content)
        units = self.shelf.database.bound(self.context)
        return self.uploads.receive(units, lambda: stream.read(1 << 16), filename).id

    def ingest(self, content: bytes, filename: str) -> str:
        with self.shelf.database.write(self.context) as unit:
            job, _ = self.datasets.start_ingest(
                unit, IngestRequest(upload_id=self.upload(content, filename), name="rows")
            )
        found: str = self.row(job.id).result["dataset_version_id"]  # type: ignore[index]
        return found

    def score(self, content: bytes = b"", filename: str = "rows.parquet", **wanted: Any) -> JobRow:
        """Score a file and return the job as it ended."""
        wanted.setdefault("model", "churn")
        if content:
            wanted["upload_id"] = self.upload(content, filename)
        with self.shelf.database.write(self.context) as unit:
            job = self.batches.submit(unit, BatchRequest(**wanted))
        return self.row(job.id)

    def row(self, job_id: str) -> JobRow:
        with self.shelf.database.read(self.context) as unit:
            return self.jobs.get(unit, job_id)

    def output(self, row: JobRow, output_format: str = "") -> bytes:
        assert row.status == "succeeded", row.error
        with self.shelf.database.read(self.context) as unit:
            return b"".join(self.batches.output(unit, row.id, output_format)[1])  # type: ignore[arg-type]

    def table(self, row: JobRow) -> pa.Table:
        return pq.read_table(io.BytesIO(self.output(row, "parquet")))

    def keys(self, prefix: str = "batches") -> list[str]:
        return self.objects.for_workspace(self.context.workspace_id).list(prefix)

    def expected(self, table: pa.Table) -> list[float]:
        """Score a table row by row, as a request would."""
        with self.shelf.database.read(self.context) as unit:
            digest = self.shelf.registry.version_by_id(unit, self.version_id).bundle_digest
        predictor = self.shelf.bundles.load(self.context.workspace_id, digest).predictor
        rows = table.select(["tenure", "contract"]).to_pylist()
        return [each["score"] for each in predictor.predict_rows(rows)]


def rows(n: int = 500) -> pa.Table:
    """Return a table of customers: the model's inputs between columns that it does not know."""
    return pa.table(
        {
            "customer": [f"c{number}" for number in range(n)],
            "tenure": pa.array([None if number % 7 == 0 else float(number % 60) for number in range(n)], pa.float64()),
            "tags": [["a"] if number % 2 else None for number in range(n)],
            "contract": [CONTRACTS[number % 4] for number in range(n)],
            "since": pa.array([number * 86_400_000 for number in range(n)], pa.timestamp("ms", "UTC")),
        }
    )


def parquet(table: pa.Table, **options: Any) -> bytes:
    """Return a table as a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()
