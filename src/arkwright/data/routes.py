"""Uploads and datasets over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated
from urllib.parse import unquote

from anyio import from_thread
from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Path, Query, Request, Response

from arkwright.data.ingestion import IngestRequest as Ingestion
from arkwright.data.payloads import (
    Dataset,
    DatasetColumn,
    DatasetPreview,
    DatasetProfile,
    DatasetSource,
    DatasetVersion,
    DatasetWarning,
    IngestAccepted,
    IngestRequest,
    Upload,
)
from arkwright.data.service import MAX_VERSION_NUMBER, DatasetService, UploadService
from arkwright.data.tables import DatasetRow, DatasetVersionRow
from arkwright.kit.http import (
    Caller,
    Limit,
    Page,
    PageCursor,
    Read,
    Write,
    accepted,
    page_of,
    read_cursor,
    read_number_cursor,
    service,
)

router = APIRouter(prefix="/v1", tags=["datasets"])

Number = Annotated[int, Path(ge=1, le=MAX_VERSION_NUMBER, description="Number of the version, from 1.")]
_DatasetPath = Annotated[str, Path(description="Id or name of the dataset.")]
_CHUNK_BYTES = 1 << 20
_RAW_BODY = {
    "requestBody": {
        "required": True,
        "description": "The file's bytes: CSV, Parquet or JSON lines, plain or compressed with gzip.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/uploads", status_code=201, openapi_extra=_RAW_BODY)
async def upload_file(
    request: Request,
    context: Caller,
    x_filename: Annotated[
        str, Header(description="The file's name, percent-encoded where it is not ASCII.", examples=["telco_churn.csv"])
    ] = "",
    content_length: Annotated[int | None, Header(ge=0, include_in_schema=False)] = None,
    uploads: UploadService = service(UploadService),
) -> Upload:
    """Receive a file, to be ingested or scored next; it is streamed to the store and never held in memory."""
    units = request.app.state.database.bound(context)
    chunks = _gather(request.stream())

    async def next_chunk() -> bytes:
        return await anext(chunks, b"")

    row = await run_sync(
        partial(uploads.receive, units, partial(from_thread.run, next_chunk), unquote(x_filename), content_length)
    )
    return Upload(upload_id=row.id, filename=row.filename, size_bytes=row.size_bytes, sha256=row.sha256)


@router.post("/datasets/ingest", status_code=202)
def ingest_dataset(
    unit: Write,
    response: Response,
    body: IngestRequest,
    datasets: DatasetService = service(DatasetService),
) -> IngestAccepted:
    """Read a table, infer its types, and keep it as a version of a dataset.

    The same content is the same version: the job's result says ``created: false`` and names it. The dataset in the
    result is the authoritative one; ``dataset_id`` in this answer can differ from it only if the same new name was
    ingested twice at once.
    """
    job, dataset_id = datasets.start_ingest(
        unit,
        Ingestion(
            upload_id=body.source.upload_id,
            path=body.source.path,
            name=body.name,
            project_id=body.project_id,
            format=body.format,
            encoding=body.encoding,
            types=dict(body.types),
            na_values=body.na_values,
        ),
    )
    accepted(response, job.id)
    return IngestAccepted(job_id=job.id, dataset_id=dataset_id)


@router.get("/datasets")
def list_datasets(
    unit: Read, limit: Limit = 50, cursor: PageCursor = "", datasets: DatasetService = service(DatasetService)
) -> Page[Dataset]:
    """Return the workspace's datasets, oldest first."""
    rows = datasets.list(unit, limit=limit + 1, after=read_cursor(cursor))
    return page_of(rows, limit, lambda row: row.id, _dataset)


@router.get("/datasets/{dataset}")
def get_dataset(unit: Read, dataset: _DatasetPath, datasets: DatasetService = service(DatasetService)) -> Dataset:
    """Return a dataset."""
    return _dataset(datasets.get(unit, dataset))


@router.get("/datasets/{dataset}/versions")
def list_dataset_versions(
    unit: Read,
    dataset: _DatasetPath,
    limit: Limit = 50,
    cursor: PageCursor = "",
    datasets: DatasetService = service(DatasetService),
) -> Page[DatasetVersion]:
    """Return a dataset's versions, newest first."""
    rows = datasets.versions(unit, dataset, limit=limit + 1, before=read_number_cursor(cursor))
    return page_of(rows, limit, lambda row: str(row.number), _version)


@router.get("/datasets/{dataset}/versions/{number}")
def get_dataset_version(
    unit: Read, dataset: _DatasetPath, number: Number, datasets: DatasetService = service(DatasetService)
) -> DatasetVersion:
    """Return a version: its columns, what was odd in the file, where it came from."""
    return _version(datasets.version(unit, dataset, number))


@router.get("/datasets/{dataset}/versions/{number}/profile")
def get_dataset_profile(
    unit: Read, dataset: _DatasetPath, number: Number, datasets: DatasetService = service(DatasetService)
) -> DatasetProfile:
    """Return what a version's columns look like, and what deserves a second look."""
    return DatasetProfile.model_validate(datasets.version(unit, dataset, number).profile)


@router.get("/datasets/{dataset}/versions/{number}/preview")
def preview_dataset_version(
    unit: Read,
    dataset: _DatasetPath,
    number: Number,
    limit: Annotated[int, Query(ge=1, le=200, description="How many rows.")] = 20,
    datasets: DatasetService = service(DatasetService),
) -> DatasetPreview:
    """Return a version's first rows."""
    row = datasets.version(unit, dataset, number)
    return DatasetPreview(
        n_rows=row.n_rows, columns=_columns(row.schema), rows=list(datasets.preview(unit, row.id, limit=limit))
    )


async def _gather(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join a request's small pieces, so that fewer of them cross to the thread that writes."""
    held = bytearray()
    async for piece in stream:
        held += piece
        if len(held) >= _CHUNK_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def _columns(schema: list[dict[str, object]]) -> list[DatasetColumn]:
    return [DatasetColumn.model_validate(column) for column in schema]


def _dataset(row: DatasetRow) -> Dataset:
    return Dataset(
        id=row.id,
        name=row.name,
        project_id=row.project_id,
        latest_version=row.latest_number,
        columns=_columns(row.schema),
        created_by=row.created_by,
        created_at=row.created_at,
    )


def _version(row: DatasetVersionRow) -> DatasetVersion:
    return DatasetVersion(
        id=row.id,
        dataset_id=row.dataset_id,
        number=row.number,
        fingerprint=row.fingerprint,
        n_rows=row.n_rows,
        size_bytes=row.size_bytes,
        columns=_columns(row.schema),
        warnings=[DatasetWarning.model_validate(warning) for warning in row.warnings],
        source=DatasetSource.model_validate(row.source),
        job_id=row.job_id,
        created_by=row.created_by,
        created_at=row.created_at,
    )
