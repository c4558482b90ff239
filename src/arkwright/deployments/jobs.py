"""Scoring a whole file or dataset version with one model version."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from arkwright.contracts import Signature
from arkwright.core.errors import ArkwrightError
from arkwright.data import ColumnPlan, DatasetService, ReadOptions, RowRanges, TableReader, UploadService
from arkwright.deployments.batch_plan import (
    BATCH_KIND,
    CHUNK_ROWS,
    Assignment,
    Source,
    batch_prefix,
    input_key,
    n_chunks,
    number_of,
    output_key,
    part_key,
    parts_prefix,
    plan_runs,
)
from arkwright.deployments.batch_pool import available_cores, score_in_processes
from arkwright.deployments.batch_worker import PartWriter
from arkwright.deployments.parquet_parts import join_parquet
from arkwright.deployments.scoring import (
    ERROR_COLUMN,
    bad_cells,
    check_inputs,
    doubtful_inputs,
    n_values,
    read_input,
)
from arkwright.kit.jobs import JobRun, Lane
from arkwright.kit.objects import ObjectStore, WorkspaceObjects
from arkwright.registry import RegistryService

_PREPARED, _SCORED = 0.05, 0.95  # of the progress bar
_MAX_GENERAL_PROCESSES = 4  # each loads the model's own libraries
_PARQUET = b"PAR1"
# A small gzip file can unpack to an enormous one; text compresses about tenfold.
_UNPACKED_FACTOR = 20


class BatchJob:
    """Scores the rows chunk by chunk, several at once, and writes every input column with the predictions beside it.

    Exactly one output row for each input row, in the same order. Each chunk is an object of its own that appears whole
    or not at all, so after a crash those that are there are not scored again. In the end they are joined; the output
    appears whole or not at all, too.
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
        try:
            source = msgspec.convert(job.step("prepare", lambda: self._prepare(job, payload)), Source)
            job.step("score", lambda: self._score(job, payload, source))
            result: dict[str, Any] = job.step("join", lambda: self._join(job, payload, source))
        except ArkwrightError:
            # It failed or was cancelled for good: nobody comes back for the parts.
            self._of(job).delete(batch_prefix(job.job_id))
            raise
        return result

    def _prepare(self, job: JobRun, payload: dict[str, Any]) -> Any:
        """Find out how many rows there are, and whether they are what the model takes."""
        job.progress(0.0, "Looking at the rows.")
        with job.read() as unit:
            version = self._registry.version_by_id(unit, payload["model_version_id"])
            if payload.get("upload_id"):
                upload = self._uploads.get(unit, payload["upload_id"])
                key, filename, ingested = upload.object_key, upload.filename, False
            else:
                table = self._datasets.version_by_id(unit, payload["dataset_version_id"])
                key, filename, ingested = table.object_key, "", True
        signature = self._registry.bundles.load(job.context.workspace_id, version.bundle_digest).signature
        objects = self._of(job)
        with local_file(objects, key) as path:
            if not ingested and not _is_parquet(path):
                self._convert(job, path, filename, objects)
                key, ingested = input_key(job.job_id), True
        with local_file(objects, key) as path:
            names = [column.name for column in signature.columns]
            rows = RowRanges(path, names)
            check_inputs(signature, rows.schema.names)
            plans = {} if ingested else rows.plans(names)
            if payload.get("on_error", "fail") == "fail":
                _check_cells(job, rows, signature, plans)
        return msgspec.to_builtins(Source(key=key, n_rows=rows.n_rows, plans=plans, chunk_rows=CHUNK_ROWS))

    def _convert(self, job: JobRun, path: Path, filename: str, objects: WorkspaceObjects) -> None:
        """Write text as Parquet, which can be read in ranges; types are those that an ingestion would find."""
        limit = _UNPACKED_FACTOR * self._uploads.max_upload_bytes
        with path.open("rb") as stream, objects.open_write(input_key(job.job_id)) as sink:
            reader = TableReader(
                stream, ReadOptions(filename=filename, limit_bytes=limit), watch=job.raise_if_cancelled
            )
            for warning in reader.warnings:
                job.log(warning.message)
            repeating = [field.name for field in reader.arrow_schema if not pa.types.is_floating(field.type)]
            with pq.ParquetWriter(
                sink, reader.arrow_schema, compression="zstd", compression_level=1, use_dictionary=repeating
            ) as writer:
                for batch in reader.batches():
                    writer.write_batch(batch)

    def _score(self, job: JobRun, payload: dict[str, Any], source: Source) -> int:
        """Score the chunks that are not there yet; return how many there were."""
        objects = self._of(job)
        done = {number_of(key) for key in objects.list(parts_prefix(job.job_id))}
        total = n_chunks(source.n_rows, source.chunk_rows)
        n_scored = sum(min(source.chunk_rows, source.n_rows - number * source.chunk_rows) for number in done)

        def on_part(_number: int, n_rows: int) -> None:
            nonlocal n_scored
            n_scored += n_rows
            said = f"{n_scored:,} of {source.n_rows:,} rows scored."
            fraction = _PREPARED + (_SCORED - _PREPARED) * n_scored / source.n_rows
            job.progress(fraction, said, n_rows=source.n_rows, n_scored=n_scored)

        if done:
            job.log(f"Going on: {n_scored:,} of {source.n_rows:,} rows were scored before.")
        with job.read() as unit:
            version = self._registry.version_by_id(unit, payload["model_version_id"])
        bundles, workspace_id = self._registry.bundles, job.context.workspace_id
        bundle = bundles.load(workspace_id, version.bundle_digest)
        n_workers = available_cores() if bundle.compiled is not None else _MAX_GENERAL_PROCESSES
        n_workers = min(n_workers, available_cores())
        runs = plan_runs(source, done, n_workers)
        with (
            bundles.folder(workspace_id, version.bundle_digest) as folder,
            local_file(objects, source.key) as path,
        ):
            assignment = Assignment(
                objects_url=self._objects.url,
                workspace_id=workspace_id,
                job_id=job.job_id,
                bundle_folder=str(folder),
                bundle_digest=version.bundle_digest,
                source_path=str(path),
                plans=source.plans,
                inputs=bundle.signature.columns,
                with_scores=bool(payload.get("with_scores")),
                on_error=payload.get("on_error", "fail"),
            )
            if min(len(runs), n_workers) > 1:
                score_in_processes(assignment, runs, n_workers, on_part=on_part, watch=job.raise_if_cancelled)
            elif runs:
                # One process would be no quicker than this one.
                with PartWriter(assignment) as writer:
                    for number, n_rows in itertools.chain.from_iterable(map(writer.write, runs)):
                        job.raise_if_cancelled()
                        on_part(number, n_rows)
        return total - len(done)

    def _join(self, job: JobRun, payload: dict[str, Any], source: Source) -> dict[str, Any]:
        """Make one table of the parts, and remove them."""
        job.progress(_SCORED, "Joining the parts.")
        objects, output = self._of(job), output_key(job.job_id)
        if not objects.exists(output):
            keys = [part_key(job.job_id, number) for number in range(n_chunks(source.n_rows, source.chunk_rows))]
            with objects.open_write(output) as sink:
                n_rows = join_parquet((_opener(objects, key) for key in keys), sink)
                if n_rows != source.n_rows:
                    raise ArkwrightError(f"{source.n_rows:,} rows came in and {n_rows:,} would go out.")
        objects.delete(parts_prefix(job.job_id))
        objects.delete(input_key(job.job_id))
        with objects.open_read(output) as stream:
            n_failed = n_values(pq.read_metadata(stream), ERROR_COLUMN)
        with job.read() as unit:
            version = self._registry.version_by_id(unit, payload["model_version_id"])
        job.progress(1.0, f"{source.n_rows:,} rows scored.", n_rows=source.n_rows, n_scored=source.n_rows)
        return {
            "output": output,
            "format": payload.get("output_format", "parquet"),
            "n_rows": source.n_rows,
            "n_failed": n_failed,
            "model_version_id": version.id,
            "semver": version.semver,
        }

    def _of(self, job: JobRun) -> WorkspaceObjects:
        return self._objects.for_workspace(job.context.workspace_id)


@contextmanager
def local_file(objects: WorkspaceObjects, key: str) -> Iterator[Path]:
    """Give an object as a file of this machine; a remote one is copied first."""
    local = objects.local_path(key)
    if local is not None:
        with objects.open_read(key):  # it is there
            yield local
        return
    with tempfile.TemporaryDirectory(prefix="arkwright-") as folder:
        copy = Path(folder) / "object"
        objects.get_file(key, copy)
        yield copy


def _check_cells(job: JobRun, rows: RowRanges, signature: Signature, plans: dict[str, ColumnPlan]) -> None:
    """Look for cells that are not what the model takes before anything is scored."""
    doubtful = doubtful_inputs(signature, rows.schema, plans)
    if not doubtful:
        return
    names = [column.name for column in doubtful]
    sizes = [CHUNK_ROWS] * (rows.n_rows // CHUNK_ROWS) + [rows.n_rows % CHUNK_ROWS]
    first_row = 0
    for table in rows.tables(0, [size for size in sizes if size], names):
        job.raise_if_cancelled()
        bad = [cell for column in doubtful for cell in read_input(table, column, plans.get(column.name))[1]]
        if bad:
            raise bad_cells(bad, first_row)
        first_row += table.num_rows


def _opener(objects: WorkspaceObjects, key: str) -> Callable[[], IO[bytes]]:
    return lambda: objects.open_read(key)


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_PARQUET)) == _PARQUET
