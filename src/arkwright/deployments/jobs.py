"""Scoring a whole file or dataset version with one model version."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from arkwright.data import DatasetService, ReadOptions, TableReader, UploadService
from arkwright.deployments.scoring import BATCH_KIND, output_key, scored
from arkwright.kit.jobs import JobRun, Lane
from arkwright.kit.objects import ObjectStore
from arkwright.registry import RegistryService


class BatchJob:
    """Reads rows a chunk at a time, scores them, and writes every input column with the predictions beside it.

    Exactly one output row for each input row, in the same order. The output appears whole or not at all.
    """

    kind = BATCH_KIND
    lane = Lane.LIGHT

    def __init__(
        self, objects: ObjectStore, registry: RegistryService, datasets: DatasetService, uploads: UploadService
    ) -> None:
        self._objects = objects
        self._registry = registry
        self._datasets = datasets
        self._uploads = uploads

    def run(self, job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
        """Score and return where the output lies and how many rows it has."""
        result: dict[str, Any] = job.step("score", lambda: self._score(job, payload))
        return result

    def _score(self, job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
        workspace_id = job.context.workspace_id
        with job.read() as unit:
            version = self._registry.version_by_id(unit, payload["model_version_id"])
        predictor = self._registry.bundles.load(workspace_id, version.bundle_digest).predictor
        job.progress(0.05, "Reading the rows.")
        output = output_key(job.job_id)
        n_scored = 0
        with (
            self._rows(job, payload) as (n_rows, batches),
            self._objects.for_workspace(workspace_id).open_write(output) as sink,
            _writer(sink) as write,
        ):
            for batch in batches:
                job.raise_if_cancelled()
                write(scored(pa.Table.from_batches([batch]), predictor))
                n_scored += batch.num_rows
                job.progress(n_scored / max(n_rows, 1), f"{n_scored:,} of {n_rows:,} rows scored.")
        return {"output": output, "n_rows": n_scored, "model_version_id": version.id, "semver": version.semver}

    @contextmanager
    def _rows(self, job: JobRun, payload: dict[str, Any]) -> Iterator[tuple[int, Iterator[pa.RecordBatch]]]:
        """Give the number of rows and the rows: an upload's types are inferred, a version's are its own."""
        with job.read() as unit:
            if payload.get("upload_id"):
                upload = self._uploads.get(unit, payload["upload_id"])
                with self._uploads.open(unit, upload.id) as stream:
                    reader = TableReader(stream, ReadOptions(filename=upload.filename))
                    yield reader.n_rows, reader.batches()
            else:
                version = self._datasets.version_by_id(unit, payload["dataset_version_id"])
                yield version.n_rows, self._datasets.iter_batches(unit, version.id)


@contextmanager
def _writer(sink: IO[bytes]) -> Iterator[Callable[[pa.Table], None]]:
    """Yield a function that appends tables; the first one's schema is the file's."""
    writer: pq.ParquetWriter | None = None

    def write(table: pa.Table) -> None:
        nonlocal writer
        if writer is None:
            writer = pq.ParquetWriter(sink, table.schema, compression="zstd")
        writer.write_table(table)

    yield write
    if writer is not None:
        writer.close()
