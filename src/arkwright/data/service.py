"""Receiving files, keeping datasets and their versions, reading them back."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy.exc import IntegrityError

from arkwright.access import authorise, record
from arkwright.core.errors import Invalid, NotFound, PayloadTooLarge
from arkwright.core.events import DATASET_VERSION_CREATED
from arkwright.core.ids import is_id, new_id
from arkwright.core.units import format_bytes
from arkwright.data import repository
from arkwright.data.errors import (
    dataset_not_found,
    path_refused,
    stored_table_damaged,
    upload_not_found,
    version_not_found,
)
from arkwright.data.ingestion import IngestRequest, StoredTable
from arkwright.data.profile import Profile
from arkwright.data.tables import DatasetRow, DatasetVersionRow, UploadRow
from arkwright.kit.db import UnitOfWork, Units
from arkwright.kit.jobs import JobRow, JobService
from arkwright.kit.objects import ObjectStore
from arkwright.tenancy import require_project

INGEST_KIND = "data.ingest.v1"
MAX_VERSION_NUMBER = 2**31 - 1

_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,120}")
_LONGEST_FILENAME = 200


class UploadService:
    """Files as they were sent: immutable, kept for the record of where a version came from.

    Parameters
    ----------
    objects
        Where they lie.
    max_upload_bytes
        The largest file that is taken.
    """

    def __init__(self, objects: ObjectStore, *, max_upload_bytes: int) -> None:
        self._objects = objects
        self.max_upload_bytes = max_upload_bytes

    def receive(
        self,
        units: Units,
        next_chunk: Callable[[], bytes],
        filename: str,
        expected_bytes: int | None = None,
    ) -> UploadRow:
        """Store a file chunk by chunk; it is there, whole, or not at all.

        Parameters
        ----------
        next_chunk
            Returns the next bytes, and no bytes at the end.
        filename
            What the sender calls it; folders in it are dropped.
        expected_bytes
            How much the sender announced, if it did.

        Raises
        ------
        PayloadTooLarge
            If it is, or announces to be, larger than allowed.
        Invalid
            If it is empty.
        Unavailable
            If the disk is full.
        """
        with units.read() as unit:
            authorise(unit, "upload.create", "upload")
            workspace_id = unit.context.workspace_id
        if expected_bytes is not None and expected_bytes > self.max_upload_bytes:
            raise self._too_large()
        upload_id = new_id("upload")
        key = f"uploads/{upload_id}"
        objects = self._objects.for_workspace(workspace_id)
        digest, size_bytes = hashlib.sha256(), 0
        with objects.open_write(key) as stream:
            while chunk := next_chunk():
                size_bytes += len(chunk)
                if size_bytes > self.max_upload_bytes:
                    raise self._too_large()
                digest.update(chunk)
                stream.write(chunk)
            if not size_bytes:
                raise Invalid(
                    "The upload is empty.",
                    code="upload.empty",
                    hint="Send the file's bytes as the request body: curl --data-binary @file.csv ...",
                )
        try:
            with units.write() as unit:
                row = UploadRow(
                    id=upload_id,
                    filename=_clean_filename(filename),
                    size_bytes=size_bytes,
                    sha256=digest.hexdigest(),
                    object_key=key,
                    created_by=unit.context.actor.id,
                    created_at=unit.clock.now(),
                )
                unit.session.add(row)
                record(unit, "upload.create", "upload", row.id, {"sha256": row.sha256, "size_bytes": size_bytes})
        except BaseException:
            objects.delete(key)
            raise
        return row

    def get(self, unit: UnitOfWork, upload_id: str) -> UploadRow:
        """Return an upload."""
        authorise(unit, "upload.read", "upload", upload_id)
        row = repository.upload(unit.session, upload_id)
        if row is None:
            raise upload_not_found(upload_id)
        return row

    @contextmanager
    def open(self, unit: UnitOfWork, upload_id: str) -> Iterator[BinaryIO]:
        """Open an upload's content as a seekable file, for :class:`arkwright.data.TableReader`."""
        row = self.get(unit, upload_id)
        with open_object(self._objects, unit.context.workspace_id, row.object_key) as stream:
            yield stream

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"The file is larger than {format_bytes(self.max_upload_bytes)}, the most that is taken.",
            code="upload.too_large",
            hint="Compress it with gzip, write it as Parquet, or raise ARKWRIGHT_MAX_UPLOAD_BYTES.",
        )


class DatasetService:
    """Datasets and their immutable versions.

    Parameters
    ----------
    jobs
        Ingestion is a job.
    uploads
        Where most files come from.
    objects
        Where the tables lie.
    allowed_roots
        Folders of this machine below which a request may name a file; none by default.
    """

    def __init__(
        self, jobs: JobService, uploads: UploadService, objects: ObjectStore, *, allowed_roots: Sequence[Path] = ()
    ) -> None:
        self._jobs = jobs
        self._uploads = uploads
        self._objects = objects
        self._allowed_roots = tuple(root.expanduser().resolve() for root in allowed_roots)

    def start_ingest(self, unit: UnitOfWork, request: IngestRequest) -> tuple[JobRow, str]:
        """Queue the reading of a file as a version of a dataset.

        Returns
        -------
        tuple
            The job and the dataset's id; a new dataset comes to be when the job succeeds.

        Raises
        ------
        NotFound
            If there is no such upload or file.
        Invalid
            If the path may not be read, or the name cannot be used.
        """
        authorise(unit, "dataset.ingest", "dataset", request.name)
        if request.path:
            filename = self.resolve_path(request.path).name
        else:
            filename = self._uploads.get(unit, request.upload_id).filename
        name = _check_name(request.name.strip() or default_name(filename))
        project_id = require_project(unit, request.project_id)
        known = repository.dataset_named(unit.session, project_id, name)
        dataset_id = known.id if known is not None else new_id("dataset")
        payload = {
            **asdict(request),
            "name": name,
            "project_id": project_id,
            "dataset_id": dataset_id,
            "dataset_version_id": new_id("dataset_version"),
        }
        job = self._jobs.submit(unit, INGEST_KIND, payload, subject_type="dataset", subject_id=dataset_id)
        record(unit, "dataset.ingest", "dataset", dataset_id, {"job": job.id, "upload": request.upload_id})
        return job, dataset_id

    def add_version(
        self, unit: UnitOfWork, payload: dict[str, Any], stored: StoredTable, job_id: str
    ) -> dict[str, Any]:
        """Make a stored table the dataset's next version, or find the version that it is already.

        Parameters
        ----------
        payload
            What :meth:`start_ingest` submitted.

        Returns
        -------
        dict
            The job's result.
        """
        authorise(unit, "dataset.ingest", "dataset", payload["dataset_id"])
        dataset = self._dataset_for(unit, payload)
        version = repository.version_by_fingerprint(unit.session, dataset.id, stored.fingerprint)
        created = version is None
        if version is None:
            version = DatasetVersionRow(
                id=payload["dataset_version_id"],
                dataset_id=dataset.id,
                number=dataset.latest_number + 1,
                job_id=job_id,
                created_by=unit.context.actor.id,
                created_at=unit.clock.now(),
                **asdict(stored),
            )
            dataset.latest_number, dataset.schema = version.number, stored.schema
            unit.session.add(version)
            facts = {"dataset": dataset.id, "number": version.number, "fingerprint": version.fingerprint}
            record(unit, "dataset.version_create", "dataset_version", version.id, facts)
            unit.emit(
                DATASET_VERSION_CREATED,
                version.id,
                {
                    "dataset_id": dataset.id,
                    "dataset_version_id": version.id,
                    "number": version.number,
                    "fingerprint": version.fingerprint,
                    "n_rows": version.n_rows,
                },
            )
        return {
            "dataset_id": dataset.id,
            "dataset_version_id": version.id,
            "number": version.number,
            "created": created,
            "n_rows": version.n_rows,
            "fingerprint": version.fingerprint,
            "warnings": stored.warnings,
        }

    def get(self, unit: UnitOfWork, id_or_name: str) -> DatasetRow:
        """Return a dataset by id or name."""
        authorise(unit, "dataset.read", "dataset", id_or_name)
        row = repository.dataset(unit.session, id_or_name)
        if row is None:
            raise dataset_not_found(id_or_name)
        return row

    def list(self, unit: UnitOfWork, *, limit: int, after: str = "") -> Sequence[DatasetRow]:
        """Return datasets, oldest first."""
        authorise(unit, "dataset.list", "dataset")
        return repository.datasets(unit.session, limit=limit, after=after)

    def version(self, unit: UnitOfWork, dataset: str, number: int | None = None) -> DatasetVersionRow:
        """Return a dataset's version by number, the latest by default; the dataset by id or name."""
        found = self.get(unit, dataset)
        row = repository.version(unit.session, found.id, number)
        if row is None:
            raise version_not_found(found.name, str(number or 1))
        return row

    def version_by_id(self, unit: UnitOfWork, version_id: str) -> DatasetVersionRow:
        """Return a version by its own id."""
        authorise(unit, "dataset.read", "dataset_version", version_id)
        row = repository.version_by_id(unit.session, version_id)
        if row is None:
            raise NotFound(
                f"There is no dataset version {version_id!r} in this workspace.",
                code="dataset.version_not_found",
                hint="GET /v1/datasets/{id}/versions lists a dataset's versions with their ids.",
            )
        return row

    def versions(
        self, unit: UnitOfWork, dataset: str, *, limit: int, before: int | None = None
    ) -> Sequence[DatasetVersionRow]:
        """Return a dataset's versions, newest first."""
        found = self.get(unit, dataset)
        return repository.versions(unit.session, found.id, limit=limit, before=before)

    def profile(self, unit: UnitOfWork, version_id: str) -> Profile:
        """Return a version's profile."""
        return Profile.from_json(self.version_by_id(unit, version_id).profile)

    def load_table(self, unit: UnitOfWork, version_id: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a version's rows in canonical types.

        Parameters
        ----------
        columns
            The columns to read; all by default.

        Raises
        ------
        Unavailable
            If the stored table is damaged or gone.
        """
        batches = list(self.iter_batches(unit, version_id, columns=columns))
        return pa.Table.from_batches(batches)

    def iter_batches(
        self,
        unit: UnitOfWork,
        version_id: str,
        *,
        columns: Sequence[str] | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[pa.RecordBatch]:
        """Yield a version's rows in canonical types, some at a time."""
        row = self.version_by_id(unit, version_id)
        try:
            with (
                open_object(self._objects, unit.context.workspace_id, row.object_key) as stream,
                pq.ParquetFile(stream) as file,
            ):
                yield from file.iter_batches(batch_size=batch_rows, columns=list(columns) if columns else None)
        except (pa.ArrowException, NotFound, OSError) as error:
            raise stored_table_damaged(version_id, error) from error

    def preview(self, unit: UnitOfWork, version_id: str, *, limit: int) -> Sequence[dict[str, Any]]:
        """Return the first rows as JSON values."""
        first = next(iter(self.iter_batches(unit, version_id, batch_rows=limit)))
        return cast("list[dict[str, Any]]", first.slice(0, limit).to_pylist())

    def resolve_path(self, path: str) -> Path:
        """Return the real path of a file that a request named, symbolic links followed.

        Raises
        ------
        Invalid
            If it does not lie below an allowed root.
        NotFound
            If it does, and there is no such file.
        """
        try:
            real = Path(path).resolve()
        except (OSError, ValueError, RuntimeError):
            raise path_refused(path) from None
        if not Path(path).is_absolute() or not any(real.is_relative_to(root) for root in self._allowed_roots):
            raise path_refused(path)
        if not real.is_file():
            raise NotFound(
                f"There is no file {path!r} on the platform's machine.",
                code="dataset.path_not_found",
                hint="Check the path; folders and special files cannot be ingested.",
            )
        return real

    @contextmanager
    def open_path(self, path: str) -> Iterator[BinaryIO]:
        """Open a file below an allowed root for reading."""
        real = self.resolve_path(path)
        # The last part may have become a link, or a pipe that would block, since it was looked at.
        try:
            descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise path_refused(path) from error
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise path_refused(path)
            yield stream

    def _dataset_for(self, unit: UnitOfWork, payload: dict[str, Any]) -> DatasetRow:
        """Return the dataset of an ingestion, locked; it is created where there is none."""
        project_id, name = payload["project_id"], payload["name"]
        known = repository.dataset_named(unit.session, project_id, name, lock=True)
        if known is not None:
            return known
        row = DatasetRow(
            id=payload["dataset_id"],
            project_id=project_id,
            name=name,
            schema=[],
            latest_number=0,
            created_by=unit.context.actor.id,
            created_at=unit.clock.now(),
        )
        try:
            with unit.session.begin_nested():
                unit.session.add(row)
                unit.session.flush()
        except IntegrityError:
            # Another job has created it at this very moment.
            other = repository.dataset_named(unit.session, project_id, name, lock=True)
            if other is None:
                raise
            return other
        record(unit, "dataset.create", "dataset", row.id, {"name": name})
        return row


@contextmanager
def open_object(store: ObjectStore, workspace_id: str, key: str) -> Iterator[BinaryIO]:
    """Open an object as a seekable local file; a remote one is copied to a temporary file first."""
    objects = store.for_workspace(workspace_id)
    local = objects.local_path(key)
    if local is not None:
        with objects.open_read(key), local.open("rb") as stream:
            yield stream
        return
    with tempfile.TemporaryDirectory(prefix="arkwright-") as folder:
        copy = Path(folder) / "object"
        objects.get_file(key, copy)
        with copy.open("rb") as stream:
            yield stream


def default_name(filename: str) -> str:
    """Return the name of the dataset that a file becomes: its own, without endings.

    Examples
    --------
    >>> default_name("telco_churn.csv.gz"), default_name("")
    ('telco_churn', 'dataset')
    """
    return Path(filename).name.split(".", 1)[0].strip()[:120] or "dataset"


def _check_name(name: str) -> str:
    if _NAME.fullmatch(name) is None or is_id("dataset", name):
        raise Invalid(
            f"{name[:140]!r} cannot be the name of a dataset.",
            code="dataset.name",
            hint="Use 1 to 120 characters without slashes and line breaks, and nothing that looks like an id.",
        )
    return name


def _clean_filename(filename: str) -> str:
    last = re.split(r"[/\\]", filename)[-1]
    return "".join(character for character in last if character.isprintable())[-_LONGEST_FILENAME:].strip() or "upload"
