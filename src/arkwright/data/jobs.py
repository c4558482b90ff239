"""Ingestion: from a file to a dataset version.

The table is written to the object store first, whole or not at all; then one commit makes it a version, with its audit
entry and event. Running the job twice writes the same object and finds the commit done.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from arkwright.core.errors import ArkwrightError
from arkwright.data.fingerprint import Fingerprint
from arkwright.data.ingestion import StoredTable
from arkwright.data.profile import SAMPLE_ROWS, profile_table
from arkwright.data.reading import ReadOptions, TableReader
from arkwright.data.sampling import RowSampler
from arkwright.data.service import INGEST_KIND, DatasetService, UploadService, open_object
from arkwright.kit.jobs import JobRun
from arkwright.kit.objects import ObjectStore, WorkspaceObjects

_CHUNK_BYTES = 1 << 20
_ROW_GROUP_ROWS = 131_072
# A small gzip file can unpack to an enormous one; text compresses about tenfold.
_UNPACKED_FACTOR = 20


class IngestJob:
    """Read a file, infer its types, profile it, and keep it as a version of a dataset.

    Parameters
    ----------
    datasets, uploads
        The services.
    objects
        Where tables lie.
    """

    kind = INGEST_KIND

    def __init__(self, datasets: DatasetService, uploads: UploadService, objects: ObjectStore) -> None:
        self._datasets = datasets
        self._uploads = uploads
        self._objects = objects

    def run(self, job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
        """Do the work; the result says which version the content is, and whether it is new."""
        folder = f"datasets/{payload['dataset_id']}/{payload['dataset_version_id']}"
        objects = self._objects.for_workspace(job.context.workspace_id)
        job.step("store", lambda: self._store(job, payload, objects, folder))
        result: dict[str, Any] = job.write_once(
            "version",
            lambda unit: self._datasets.add_version(unit, payload, _stored(objects, folder), job.job_id),
        )
        if not result["created"]:
            job.step("tidy", lambda: objects.delete(folder))
        verb = "is" if result["created"] else "is known already as"
        job.progress(1.0, f"{result['n_rows']:,} rows: {payload['name']} {verb} version {result['number']}.")
        return result

    def _store(self, job: JobRun, payload: dict[str, Any], objects: WorkspaceObjects, folder: str) -> dict[str, Any]:
        try:
            return self._write_table(job, payload, objects, folder)
        except ArkwrightError:
            # Whichever of the two objects was written already: nothing half-done stays.
            objects.delete(folder)
            raise

    def _write_table(
        self, job: JobRun, payload: dict[str, Any], objects: WorkspaceObjects, folder: str
    ) -> dict[str, Any]:
        with self._open(job, payload) as (file, filename):
            source = {
                "filename": filename,
                "sha256": _sha256(file),
                "size_bytes": file.tell(),
                "upload_id": payload["upload_id"],
                "path": payload["path"],
            }
            reader = self._reader(job, payload, file, filename)
            columns = reader.columns
            fingerprint, sampler = Fingerprint(columns), RowSampler(reader.n_rows, SAMPLE_ROWS)
            key = f"{folder}/data.parquet"
            with objects.open_write(key) as stream:
                writer = pq.ParquetWriter(stream, reader.arrow_schema, compression="zstd")
                for batch in _even(reader.batches()):
                    fingerprint.update(batch)
                    sampler.update(batch)
                    writer.write_batch(batch, row_group_size=_ROW_GROUP_ROWS)
                writer.close()
        job.progress(0.95, "Profiling.")
        stored = StoredTable(
            object_key=key,
            fingerprint=fingerprint.digest(),
            n_rows=reader.n_rows,
            size_bytes=objects.size(key),
            schema=[msgspec.to_builtins(column) for column in columns],
            profile=profile_table(sampler.table(), columns, reader.n_rows).to_json(),
            warnings=[msgspec.to_builtins(warning) for warning in reader.warnings],
            source={**source, "format": reader.format},
        )
        for warning in reader.warnings:
            job.log(warning.message)
        # The step's own result is small; this lies beside the table.
        objects.put_bytes(_facts_key(folder), json.dumps(asdict(stored)).encode())
        return {"fingerprint": stored.fingerprint, "n_rows": stored.n_rows}

    def _reader(self, job: JobRun, payload: dict[str, Any], file: BinaryIO, filename: str) -> TableReader:
        size_bytes = max(1, file.seek(0, os.SEEK_END))
        farthest = 0.0

        def watch() -> None:
            nonlocal farthest
            job.raise_if_cancelled()
            # Two passes: the first finds the types. The table of contents of Parquet makes the position jump.
            share = min(1.0, file.tell() / size_bytes) if not file.closed else 1.0
            farthest = max(farthest, 0.45 * share + (0.45 if reading else 0.0))
            job.progress(farthest, "Converting the rows." if reading else "Finding the types.")

        reading = False
        job.progress(0.0, f"Reading {filename}.")
        reader = TableReader(
            file,
            ReadOptions(
                filename=filename,
                format=payload["format"],
                encoding=payload["encoding"],
                types=payload["types"] or {},
                na_values=payload["na_values"],
                limit_bytes=_UNPACKED_FACTOR * self._uploads.max_upload_bytes,
            ),
            watch=watch,
        )
        reading = True
        return reader

    @contextmanager
    def _open(self, job: JobRun, payload: dict[str, Any]) -> Iterator[tuple[BinaryIO, str]]:
        if payload["path"]:
            with self._datasets.open_path(payload["path"]) as file:
                yield file, os.path.basename(payload["path"])  # noqa: PTH119 - a name, not a path of ours
            return
        with job.read() as unit:
            upload = self._uploads.get(unit, payload["upload_id"])
        with open_object(self._objects, job.context.workspace_id, upload.object_key) as file:
            yield file, upload.filename


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _stored(objects: WorkspaceObjects, folder: str) -> StoredTable:
    return StoredTable(**json.loads(objects.get_bytes(_facts_key(folder))))


def _facts_key(folder: str) -> str:
    return f"{folder}/version.json"


def _even(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Gather small batches into ones that make good row groups."""
    held: list[pa.RecordBatch] = []
    n_rows = 0
    for batch in batches:
        held.append(batch)
        n_rows += batch.num_rows
        if n_rows >= _ROW_GROUP_ROWS:
            yield pa.concat_batches(held)
            held, n_rows = [], 0
    if held:
        yield pa.concat_batches(held)
