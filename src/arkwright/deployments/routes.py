"""Deployments over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from arkwright.deployments import repository
from arkwright.deployments.batch_routes import batch_router
from arkwright.deployments.controller import RolloutController
from arkwright.deployments.images import ImageService
from arkwright.deployments.payloads import (
    AutoscaleSignals,
    CreateDeployment,
    Deployment,
    DeploymentDiff,
    FieldChange,
    PromoteRollout,
    RolloutAction,
    RolloutEvent,
    RolloutHistory,
)
from arkwright.deployments.publishing import PlanPublisher
from arkwright.deployments.service import DeploymentService
from arkwright.deployments.views import (
    autoscale_view,
    deployment_view,
    event_view,
    merged,
    request_from,
    revision_of,
    rollout_view,
)
from arkwright.kit.db import UnitOfWork
from arkwright.kit.http import Caller, Limit, Page, PageCursor, Read, Write, page_of, read_cursor, service
from arkwright.registry import RegistryService
from arkwright.tenancy import TenancyService

__all__ = ["batch_router", "rollout_router", "router"]

router = APIRouter(prefix="/v1/deployments", tags=["deployments"])
rollout_router = APIRouter(prefix="/v1/deployments", tags=["rollouts"])
_SHOWN = 20
IfMatch = Annotated[str, Header(description="The ETag of the revision that is changed; 412 if it is another by now.")]


@router.post("", status_code=201)
def create_deployment(
    request: Request,
    response: Response,
    context: Caller,
    body: CreateDeployment,
    deployments: DeploymentService = service(DeploymentService),
    registry: RegistryService = service(RegistryService),
    publisher: PlanPublisher = service(PlanPublisher),
) -> Deployment:
    """Create an endpoint; it answers within about a second, when its status is ``ready``."""
    units = request.app.state.database.bound(context)
    row = deployments.create(units, request_from(body))
    # Now rather than by the event: a caller may predict as soon as it has this answer.
    publisher.publish()
    with units.read() as unit:
        response.headers["ETag"] = f'"{row.revision}"'
        return deployment_view(unit, deployments, registry, row)


@router.post(":diff")
def compare_deployment(
    unit: Read, body: CreateDeployment, deployments: DeploymentService = service(DeploymentService)
) -> DeploymentDiff:
    """Return what applying a resource would change, and change nothing."""
    row, changes, starts = deployments.difference(unit, request_from(body))
    return DeploymentDiff(
        deployment_id=row.id if row else None,
        name=row.name if row else body.name,
        changes=[FieldChange(field=each.field, before=each.before, after=each.after) for each in changes],
        starts_rollout=starts,
    )


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
    return page_of(rows, limit, lambda row: row.id, lambda row: deployment_view(unit, deployments, registry, row))


@router.get("/{deployment}")
def get_deployment(
    unit: Read,
    response: Response,
    deployment: str,
    deployments: DeploymentService = service(DeploymentService),
    registry: RegistryService = service(RegistryService),
) -> Deployment:
    """Return a deployment by id or name, with its state at the data planes."""
    row = deployments.get(unit, deployment)
    response.headers["ETag"] = f'"{row.revision}"'
    return deployment_view(unit, deployments, registry, row)


@router.get("/{deployment}/autoscale")
def read_autoscale_signals(
    unit: Read, deployment: str, deployments: DeploymentService = service(DeploymentService)
) -> AutoscaleSignals:
    """Return how busy the data planes are that serve a deployment, and how many an autoscaler would want."""
    return autoscale_view(unit, deployments, deployments.get(unit, deployment))


@router.get("/{deployment}/image", response_class=Response)
def export_image(
    request: Request,
    context: Caller,
    deployment: str,
    images: ImageService = service(ImageService),
    tenancy: TenancyService = service(TenancyService),
) -> Response:
    """Return the build context of a container image that serves this endpoint alone, as a ``.tar.gz``."""
    database = request.app.state.database
    with database.read_global() as everything:
        credentials = tenancy.credentials(everything)
    with database.bound(context).write() as unit:
        return Response(images.build(unit, deployment, credentials), media_type="application/gzip")


@router.put("/{deployment}")
def replace_deployment(
    request: Request,
    response: Response,
    context: Caller,
    deployment: str,
    body: CreateDeployment,
    if_match: IfMatch = "",
    deployments: DeploymentService = service(DeploymentService),
    registry: RegistryService = service(RegistryService),
    publisher: PlanPublisher = service(PlanPublisher),
) -> Deployment:
    """Make a deployment what the body says; the same body again changes nothing. A new strategy starts a rollout."""
    units = request.app.state.database.bound(context)
    row = deployments.update(units, deployment, request_from(body), expected_revision=revision_of(if_match))
    publisher.publish()
    with units.read() as unit:
        response.headers["ETag"] = f'"{row.revision}"'
        return deployment_view(unit, deployments, registry, row)


@router.patch("/{deployment}")
def change_deployment(
    request: Request,
    response: Response,
    context: Caller,
    deployment: str,
    body: CreateDeployment,
    if_match: IfMatch = "",
    deployments: DeploymentService = service(DeploymentService),
    registry: RegistryService = service(RegistryService),
    publisher: PlanPublisher = service(PlanPublisher),
) -> Deployment:
    """Change the members that the body names, null to take one away; a strategy starts its rollout (again)."""
    units = request.app.state.database.bound(context)
    with units.read() as unit:
        kept = deployments.get(unit, deployment)
        wanted = merged(deployments.request_of(kept), kept.model_id, body)
    row = deployments.update(
        units,
        deployment,
        wanted,
        expected_revision=revision_of(if_match),
        again="strategy" in body.model_fields_set,
    )
    publisher.publish()
    with units.read() as unit:
        response.headers["ETag"] = f'"{row.revision}"'
        return deployment_view(unit, deployments, registry, row)


@router.delete("/{deployment}")
def stop_deployment(
    unit: Write,
    deployment: str,
    deployments: DeploymentService = service(DeploymentService),
    registry: RegistryService = service(RegistryService),
) -> Deployment:
    """Stop answering; records, logs and reports stay."""
    return deployment_view(unit, deployments, registry, deployments.stop(unit, deployment))


@rollout_router.get("/{deployment}/rollout")
def read_rollout(
    unit: Read,
    deployment: str,
    deployments: DeploymentService = service(DeploymentService),
    controller: RolloutController = service(RolloutController),
) -> RolloutHistory:
    """Return a deployment's rollouts, newest first, with their conditions, counts and evidence."""
    return _history(unit, deployments, controller, deployment)


@rollout_router.get("/{deployment}/events")
def list_rollout_events(
    unit: Read,
    deployment: str,
    limit: Limit = 50,
    cursor: PageCursor = "",
    deployments: DeploymentService = service(DeploymentService),
) -> Page[RolloutEvent]:
    """Return every step, pause and decision of a deployment's rollouts, newest first."""
    row = deployments.get(unit, deployment)
    found = repository.rollout_events(unit.session, row.id, limit=limit + 1, before=read_cursor(cursor))
    return page_of(found, limit, lambda event: event.id, event_view)


@rollout_router.post("/{deployment}:promote")
def promote_rollout(
    request: Request,
    context: Caller,
    deployment: str,
    body: PromoteRollout,
    deployments: DeploymentService = service(DeploymentService),
    controller: RolloutController = service(RolloutController),
) -> RolloutHistory:
    """Give the candidate all of the traffic now, if the registry's gate agrees; the remaining steps are left out."""
    units = request.app.state.database.bound(context)
    controller.promote(units, deployment, arm=body.arm, comment=body.comment)
    with units.read() as unit:
        return _history(unit, deployments, controller, deployment)


@rollout_router.post("/{deployment}:pause")
def pause_rollout(
    request: Request,
    context: Caller,
    deployment: str,
    body: RolloutAction,
    deployments: DeploymentService = service(DeploymentService),
    controller: RolloutController = service(RolloutController),
) -> RolloutHistory:
    """Hold the rollout at its step; a breach still takes it back."""
    units = request.app.state.database.bound(context)
    controller.pause(units, deployment, comment=body.comment)
    with units.read() as unit:
        return _history(unit, deployments, controller, deployment)


@rollout_router.post("/{deployment}:resume")
def resume_rollout(
    request: Request,
    context: Caller,
    deployment: str,
    body: RolloutAction,
    deployments: DeploymentService = service(DeploymentService),
    controller: RolloutController = service(RolloutController),
) -> RolloutHistory:
    """Let the rollout go on: its pause is over, and a promotion that was refused is tried again."""
    units = request.app.state.database.bound(context)
    controller.resume(units, deployment, comment=body.comment)
    with units.read() as unit:
        return _history(unit, deployments, controller, deployment)


@rollout_router.post("/{deployment}:rollback")
def roll_back_deployment(
    request: Request,
    context: Caller,
    deployment: str,
    body: RolloutAction,
    deployments: DeploymentService = service(DeploymentService),
    controller: RolloutController = service(RolloutController),
) -> RolloutHistory:
    """Go back: out of the active rollout, or to the version that answered before the present one."""
    units = request.app.state.database.bound(context)
    controller.roll_back(units, deployment, comment=body.comment)
    with units.read() as unit:
        return _history(unit, deployments, controller, deployment)


@rollout_router.post("/{deployment}:abort")
def abort_rollout(
    request: Request,
    context: Caller,
    deployment: str,
    body: RolloutAction,
    deployments: DeploymentService = service(DeploymentService),
    controller: RolloutController = service(RolloutController),
) -> RolloutHistory:
    """Stop the rollout without a judgement: the candidate loses its traffic and keeps its stage."""
    units = request.app.state.database.bound(context)
    controller.abort(units, deployment, comment=body.comment)
    with units.read() as unit:
        return _history(unit, deployments, controller, deployment)


def _history(
    unit: UnitOfWork, deployments: DeploymentService, controller: RolloutController, deployment: str
) -> RolloutHistory:
    row = deployments.get(unit, deployment)
    found = repository.rollouts(unit.session, row.id, limit=_SHOWN)
    shown = [rollout_view(unit, deployments, controller, rollout) for rollout in found]
    active = repository.active_rollout(unit.session, row.id)
    return RolloutHistory(
        deployment_id=row.id,
        current=next((each for each in shown if active is not None and each.id == active.id), None),
        rollouts=shown,
    )
