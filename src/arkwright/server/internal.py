"""What the processes of one platform say to each other over the unix socket.

Guarded by the token that ``arkwright up`` makes for its children; the edge answers 404 for these paths.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from arkwright.contracts import PlanAcknowledgement
from arkwright.core.context import DEFAULT_WORKSPACE_ID, system_context
from arkwright.core.errors import Invalid, NotFound
from arkwright.deployments import PlanPublisher
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
    plan = publisher.current()
    if plan.generation == after:
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


@router.post("/login-links")
def create_login_link(request: Request, tenancy: TenancyService = service(TenancyService)) -> dict[str, Any]:
    """Return a one-time login link for the default workspace's owner."""
    database: Database = request.app.state.database
    with database.write(system_context(DEFAULT_WORKSPACE_ID)) as unit:
        return {"url_path": f"/login?token={tenancy.create_login_link(unit)}"}
