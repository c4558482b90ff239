"""Scoring files without deploying: what a caller asks for, and the output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pyarrow.parquet as pq

from arkwright.access import authorise, record
from arkwright.core.errors import Conflict, Invalid
from arkwright.data import DatasetService, UploadService
from arkwright.deployments.batch_output import OutputFormat, csv_pieces, json_pieces, plain_pieces
from arkwright.deployments.batch_plan import BATCH_KIND, OnError, output_key
from arkwright.kit.db import UnitOfWork
from arkwright.kit.jobs import JobRow, JobService
from arkwright.kit.objects import ObjectStore
from arkwright.registry import RegistryService

_BATCH_ROWS = 16_384


@dataclass(frozen=True)
class BatchRequest:
    """What is scored, and how.

    Parameters
    ----------
    model, model_version_id
        Exactly one: a model, whose production version scores (its newest if none is in production), or a version.
    upload_id, dataset_version_id
        Exactly one: what is scored.
    output_format
        What the output is handed out as, unless a reader asks for another format.
    with_scores
        Add a column with every class's score.
    on_error
        Whether a cell that is not what the model takes ends the batch, or leaves its row without a prediction.
    """

    model: str = ""
    model_version_id: str = ""
    upload_id: str = ""
    dataset_version_id: str = ""
    output_format: OutputFormat = "parquet"
    with_scores: bool = False
    on_error: OnError = "fail"


class BatchService:
    """Scoring files without deploying."""

    def __init__(
        self,
        registry: RegistryService,
        datasets: DatasetService,
        uploads: UploadService,
        jobs: JobService,
        objects: ObjectStore,
    ) -> None:
        self._registry = registry
        self._datasets = datasets
        self._uploads = uploads
        self._jobs = jobs
        self._objects = objects

    def submit(self, unit: UnitOfWork, request: BatchRequest) -> JobRow:
        """Start scoring an upload or a dataset version.

        Raises
        ------
        Invalid
            If not exactly one model and one source of rows are named.
        NotFound
            If one of them does not exist.
        """
        authorise(unit, "batch.create", "batch")
        if bool(request.upload_id) == bool(request.dataset_version_id) or bool(request.model) == bool(
            request.model_version_id
        ):
            raise Invalid(
                "A batch needs one model and one source of rows.",
                code="batch.subject",
                hint='Send "model" or "model_version_id", and as source an "upload_id" or a "dataset_version_id".',
            )
        if request.upload_id:
            self._uploads.get(unit, request.upload_id)
        else:
            self._datasets.version_by_id(unit, request.dataset_version_id)
        version_id = request.model_version_id or self._version_of(unit, request.model)
        version = self._registry.version_by_id(unit, version_id)
        payload = {**asdict(request), "model": "", "model_version_id": version.id}
        job = self._jobs.submit(unit, BATCH_KIND, payload, subject_type="model_version", subject_id=version.id)
        source = request.upload_id or request.dataset_version_id
        record(unit, "batch.create", "model_version", version.id, {"job": job.id, "source": source})
        return job

    def output(
        self, unit: UnitOfWork, job_id: str, output_format: OutputFormat | Literal[""] = ""
    ) -> tuple[OutputFormat, Iterator[bytes]]:
        """Return a finished batch's output piece by piece, and its format.

        Parameters
        ----------
        output_format
            The format; by default the one that was asked for when the batch was started.

        Raises
        ------
        Conflict
            If the job has not succeeded.
        """
        authorise(unit, "batch.read", "batch", job_id)
        job = self._jobs.get(unit, job_id)
        if job.kind != BATCH_KIND:
            raise Invalid(f"The job {job_id} is no batch.", code="batch.kind", hint="It is a job of another kind.")
        if job.status != "succeeded":
            raise Conflict(
                f"The batch {job_id} is {job.status}; it has no output.",
                code="batch.not_finished",
                hint=f"Follow it at /v1/jobs/{job_id}.",
            )
        asked: Any = output_format or job.payload.get("output_format", "parquet")
        stream = self._objects.for_workspace(unit.context.workspace_id).open_read(output_key(job_id))
        if asked == "parquet":
            return asked, plain_pieces(stream)
        batches = pq.ParquetFile(stream).iter_batches(batch_size=_BATCH_ROWS)
        return asked, csv_pieces(batches) if asked == "csv" else json_pieces(batches)

    def _version_of(self, unit: UnitOfWork, model: str) -> str:
        production = self._registry.production_of(unit, model)
        if production is not None:
            return production.id
        newest = self._registry.versions(unit, model, limit=1)
        if not newest:
            raise Conflict(f"The model {model!r} has no version yet.", code="batch.no_version", hint="Train one first.")
        return newest[0].id
