"""Deployments over HTTP."""

from __future__ import annotations

import io
import json
from typing import Annotated, Literal

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from fastapi import APIRouter, Query, Request, Response

from arkwright.deployments.payloads import CreateBatch, CreateDeployment, Deployment
from arkwright.deployments.publishing import PlanPublisher
from arkwright.deployments.service import BatchService, DeploymentRequest, DeploymentService
from arkwright.deployments.tables import DeploymentRow
from arkwright.kit.db import UnitOfWork
from arkwright.kit.http import (
    Accepted,
    Caller,
    Limit,
    Page,
    PageCursor,
    Read,
    Write,
    accepted,
    page_of,
    read_cursor,
    service,
)
from arkwright.registry import RegistryService

router = APIRouter(prefix="/v1/deployments", tags=["deployments"])
batch_router = APIRouter(prefix="/v1/batches", tags=["batches"])
_TYPES = {"parquet": "application/vnd.apache.parquet", "csv": "text/csv", "jsonl": "application/jsonl"}


@router.post("", status_code=201)
def create_deployment(
    request: Request,
    context: Caller,
    body: CreateDeployment,
    deployments: DeploymentService = service(DeploymentService),
    registry: RegistryService = service(RegistryService),
    publisher: PlanPublisher = service(PlanPublisher),
) -> Deployment:
    """Create an endpoint; it answers within about a second, when its status is ``ready``."""
    units = request.app.state.database.bound(context)
    row = deployments.create(
        units,
        DeploymentRequest(
            name=body.name,
            model=body.model,
            model_version_id=body.model_version_id,
            canary_version_id=body.canary.model_version_id if body.canary else "",
            canary_percent=body.canary.traffic_percent if body.canary else 0.0,
            autoscale=body.autoscale.model_dump() if body.autoscale else {},
            slos=body.slos.model_dump() if body.slos else {},
            project_id=body.project_id,
        ),
    )
    # Now rather than by the event: a caller may predict as soon as it has this answer.
    publisher.publish()
    with units.read() as unit:
        return _deployment(unit, deployments, registry, row)


@router.get("")
def list_deployments(
    unit: Read,
    limit: Limit = 50,
    cursor: PageCursor = "",
    deployments: DeploymentService = service(DeploymentService),
    registry: RegistryService = service(RegistryService),
) -> Page[Deployment]:
    """Return the workspace's deployments, oldest first."""
    rows = deployments.list(unit, limit=limit + 1, after=read_cursor(cursor))
    return page_of(rows, limit, lambda row: row.id, lambda row: _deployment(unit, deployments, registry, row))


@router.get("/{deployment}")
def get_deployment(
    unit: Read,
    deployment: str,
    deployments: DeploymentService = service(DeploymentService),
    registry: RegistryService = service(RegistryService),
) -> Deployment:
    """Return a deployment by id or name, with its state at the data planes."""
    return _deployment(unit, deployments, registry, deployments.get(unit, deployment))


@router.delete("/{deployment}")
def stop_deployment(
    unit: Write,
    deployment: str,
    deployments: DeploymentService = service(DeploymentService),
    registry: RegistryService = service(RegistryService),
) -> Deployment:
    """Stop answering; records, logs and reports stay."""
    return _deployment(unit, deployments, registry, deployments.stop(unit, deployment))


@batch_router.post("", status_code=202)
def create_batch(
    unit: Write, response: Response, body: CreateBatch, batches: BatchService = service(BatchService)
) -> Accepted:
    """Score a file or a dataset version as a job, without deploying anything."""
    job = batches.submit(
        unit,
        model=body.model,
        model_version_id=body.model_version_id,
        upload_id=body.source.upload_id,
        dataset_version_id=body.source.dataset_version_id,
    )
    accepted(response, job.id)
    return Accepted(job_id=job.id)


@batch_router.get("/{job_id}/output", response_class=Response)
def read_batch_output(
    unit: Read,
    job_id: str,
    output_format: Annotated[Literal["csv", "parquet", "jsonl"], Query(alias="format")] = "csv",
    batches: BatchService = service(BatchService),
) -> Response:
    """Return a finished batch: every input row, in order, with its prediction beside it."""
    content = batches.output(unit, job_id)
    if output_format != "parquet":
        table = pq.read_table(io.BytesIO(content))
        if output_format == "csv":
            sink = io.BytesIO()
            pa_csv.write_csv(table, sink)
            content = sink.getvalue()
        else:
            content = "".join(json.dumps(row, default=str) + "\n" for row in table.to_pylist()).encode()
    return Response(content, media_type=_TYPES[output_format])


def _deployment(
    unit: UnitOfWork, deployments: DeploymentService, registry: RegistryService, row: DeploymentRow
) -> Deployment:
    state = deployments.state(unit, row)
    release = deployments.serving(unit, row)
    return Deployment(
        id=row.id,
        name=row.name,
        status=state.state if row.status == "active" else row.status,
        status_detail=state.detail,
        endpoint_url=row.endpoint_url,
        model_id=row.model_id,
        model_name=registry.get(unit, row.model_id).name,
        follows_production=row.model_version_id is None,
        model_version_id=release.version_id if release else None,
        model_version=release.number if release else None,
        semver=release.semver if release else None,
        traffic_split=row.traffic_split,
        autoscale=row.autoscale,
        slos=row.slos,
        project_id=row.project_id,
        created_by=row.created_by,
        created_at=row.created_at,
    )
