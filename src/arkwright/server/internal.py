"""What the processes of one platform say to each other over the unix socket.

Guarded by the token that ``arkwright up`` makes for its children; the edge answers 404 for these paths.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from arkwright.contracts import PlanAcknowledgement, WindowReport
from arkwright.core.context import DEFAULT_WORKSPACE_ID, system_context
from arkwright.core.errors import Invalid, NotFound
from arkwright.deployments import PlanPublisher, WindowService
from arkwright.kit.db import Database
from arkwright.kit.http import service
from arkwright.tenancy import TenancyService

INTERNAL_HEADER = "x-arkwright-internal"
EPOCH_HEADER = "X-Arkwright-Epoch"


def _guard(request: Request) -> None:
    token: str = request.app.state.internal_token
    offered = request.headers.get(INTERNAL_HEADER, "")
    if not token or not hmac.compare_digest(token.encode(), offered.encode()):
        raise NotFound(f"There is nothing at {request.url.path}.", hint="See /docs.")


router = APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(_guard)])


@router.get("/health")
def health() -> dict[str, str]:
    """Answer once the database is migrated and requests can be served."""
    return {"status": "ok"}


@router.get("/plan")
def read_plan(
    after: Annotated[int, Query(description="The generation the data plane has.")] = 0,
    publisher: PlanPublisher = service(PlanPublisher),
) -> Response:
    """Return the current plan, or 204 if the data plane has it."""
    headers = {EPOCH_HEADER: publisher.epoch}
    plan = publisher.newer_than(after)
    if plan is None:
        return Response(status_code=204, headers=headers)
    return Response(msgspec.json.encode(plan), media_type="application/json", headers=headers)


@router.post("/plan/ack", status_code=204)
async def acknowledge_plan(request: Request, publisher: PlanPublisher = service(PlanPublisher)) -> None:
    """Take a data plane's word on a generation."""
    try:
        acknowledgement = msgspec.json.decode(await request.body(), type=PlanAcknowledgement)
    except msgspec.DecodeError as error:
        raise Invalid(
            f"The acknowledgement cannot be read: {error}.",
            code="plan.ack",
            hint="The data plane and the control plane must be of the same version.",
        ) from error
    publisher.acknowledge(acknowledgement)


@router.post("/windows", status_code=204)
async def take_windows(
    request: Request,
    windows: WindowService = service(WindowService),
    tenancy: TenancyService = service(TenancyService),
) -> None:
    """Add up what a data plane counted in its last seconds; a report that comes twice is added once."""
    try:
        report = msgspec.json.decode(await request.body(), type=WindowReport)
    except msgspec.DecodeError as error:
        raise Invalid(
            f"The windows cannot be read: {error}.",
            code="windows.report",
            hint="The data plane and the control plane must be of the same version.",
        ) from error
    await run_in_threadpool(_take, request.app.state.database, windows, tenancy, report)


def _take(database: Database, windows: WindowService, tenancy: TenancyService, report: WindowReport) -> None:
    with database.read_global() as unit:
        workspace_ids = [row.id for row in tenancy.workspaces(unit)]
    windows.take(report, workspace_ids)


@router.post("/login-links")
def create_login_link(request: Request, tenancy: TenancyService = service(TenancyService)) -> dict[str, Any]:
    """Return a one-time login link for the default workspace's owner."""
    database: Database = request.app.state.database
    with database.write(system_context(DEFAULT_WORKSPACE_ID)) as unit:
        return {"url_path": f"/login?token={tenancy.create_login_link(unit)}"}
