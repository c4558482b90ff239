"""Batches over HTTP."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from arkwright.core.errors import Invalid
from arkwright.data import UploadService
from arkwright.deployments.batch_output import OutputFormat
from arkwright.deployments.batches import BatchRequest, BatchService
from arkwright.deployments.payloads import BatchSource, CreateBatch, PlainBatch
from arkwright.kit.http import Accepted, Caller, Read, Write, accepted, service

batch_router = APIRouter(tags=["batches"])
_TYPES: dict[OutputFormat, str] = {
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
}
_INLINE_NAME = "rows.jsonl"


@batch_router.post("/v1/batches", status_code=202)
def create_batch(
    unit: Write, response: Response, body: CreateBatch, batches: BatchService = service(BatchService)
) -> Accepted:
    """Score a file or a dataset version as a job, without deploying anything."""
    job = batches.submit(unit, _request(body, body.source))
    accepted(response, job.id)
    return Accepted(job_id=job.id)


@batch_router.post("/batch", status_code=202)
def create_plain_batch(
    request: Request,
    context: Caller,
    response: Response,
    body: PlainBatch,
    batches: BatchService = service(BatchService),
    uploads: UploadService = service(UploadService),
) -> Accepted:
    """Score rows as a job: as ``POST /v1/batches``, or a few ``inputs`` in the body itself."""
    units = request.app.state.database.bound(context)
    if bool(body.inputs) == (body.source is not None):
        raise Invalid(
            "A batch needs rows: either inputs or a source.",
            code="batch.subject",
            hint='Send "inputs": [{"column": value, ...}], or "source": {"upload_id": "up_..."}.',
        )
    source = body.source
    if source is None:
        # Kept as an upload: the job reads it again after a crash, and the record says what was scored.
        pieces = iter([msgspec.json.Encoder().encode_lines(body.inputs)])
        source = BatchSource(upload_id=uploads.receive(units, lambda: next(pieces, b""), _INLINE_NAME).id)
    with units.write() as unit:
        job = batches.submit(unit, _request(body, source))
    accepted(response, job.id)
    return Accepted(job_id=job.id)


@batch_router.get("/v1/batches/{job_id}/output", response_class=StreamingResponse)
def read_batch_output(
    unit: Read,
    job_id: str,
    output_format: Annotated[
        OutputFormat | None, Query(alias="format", description="By default what was asked for at the start.")
    ] = None,
    batches: BatchService = service(BatchService),
) -> StreamingResponse:
    """Return a finished batch: every input row, in order, with its prediction beside it."""
    kind, pieces = batches.output(unit, job_id, output_format or "")
    return StreamingResponse(
        pieces,
        media_type=_TYPES[kind],
        headers={"content-disposition": f'attachment; filename="{job_id}.{kind}"'},
    )


def _request(body: CreateBatch | PlainBatch, source: BatchSource) -> BatchRequest:
    return BatchRequest(
        model=body.model,
        model_version_id=body.model_version_id,
        upload_id=source.upload_id,
        dataset_version_id=source.dataset_version_id,
        output_format=body.output_format,
        with_scores=body.with_scores,
        on_error=body.on_error,
    )
