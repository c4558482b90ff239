"""Rows as they are shown, and requests as they are understood."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from arkwright.core.errors import Invalid
from arkwright.deployments import repository, rollouts
from arkwright.deployments.controller import RolloutController
from arkwright.deployments.evidence import score_shift, summary
from arkwright.deployments.payloads import (
    ArmReport,
    AutoscaleSignals,
    CreateDeployment,
    Deployment,
    Rollout,
    RolloutEvent,
    RolloutFinding,
)
from arkwright.deployments.routing import desired_replicas
from arkwright.deployments.service import DeploymentRequest, DeploymentService
from arkwright.deployments.strategy import split
from arkwright.deployments.tables import DeploymentRow, RolloutEventRow, RolloutRow
from arkwright.kit.db import UnitOfWork
from arkwright.registry import RegistryService


def request_from(body: CreateDeployment) -> DeploymentRequest:
    """Return what a body asks for."""

    def plain(part: Any) -> dict[str, Any] | None:
        return None if part is None else part.model_dump()

    return DeploymentRequest(
        name=body.name,
        model=body.model,
        model_version_id=body.model_version_id,
        version=body.version,
        strategy=body.strategy.spec() if body.strategy else None,
        autoscale=plain(body.autoscale),
        slos=plain(body.slos),
        limits=plain(body.limits),
        log=plain(body.log),
        fallback=plain(body.fallback),
        cache_seconds=body.cache_seconds,
        project_id=body.project_id,
    )


def merged(kept: DeploymentRequest, model_id: str, body: CreateDeployment) -> DeploymentRequest:
    """Return what there is with those members replaced that a body names; null takes one away."""
    given = body.model_fields_set
    wanted = request_from(body)
    changed: dict[str, Any] = {
        name: getattr(wanted, name)
        for name in ("strategy", "autoscale", "slos", "limits", "log", "fallback", "cache_seconds")
        if name in given
    }
    if given & {"model", "model_version_id", "version"} and (wanted.model or wanted.model_version_id or wanted.version):
        model = wanted.model or (model_id if wanted.version else "")
        changed |= {"model": model, "model_version_id": wanted.model_version_id, "version": wanted.version}
    return replace(kept, **changed)


def revision_of(if_match: str) -> int | None:
    """Read an ``If-Match`` header; None where any revision will do.

    Examples
    --------
    >>> revision_of('"3"'), revision_of('W/"3"'), revision_of("*"), revision_of("")
    (3, 3, None, None)

    Raises
    ------
    Invalid
        If it is no revision.
    """
    text = if_match.strip().removeprefix("W/").strip('"')
    if text in ("", "*"):
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise Invalid(
            f"If-Match {if_match!r} is no revision of a deployment.",
            code="deployment.etag",
            hint="Send the ETag that GET answered with, as it was.",
        )
    return int(text)


def deployment_view(
    unit: UnitOfWork, deployments: DeploymentService, registry: RegistryService, row: DeploymentRow
) -> Deployment:
    """Return a deployment with its state at the data planes and its rollout's."""
    state = deployments.state(unit, row)
    release = deployments.serving(unit, row)
    newest = next(iter(repository.rollouts(unit.session, row.id, limit=1)), None)
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
        strategy=row.spec.get("strategy"),
        rollout_id=newest.id if newest else None,
        rollout_state=newest.state if newest else None,
        autoscale=row.autoscale,
        slos=row.slos,
        limits=row.spec.get("limits") or {},
        log=row.spec.get("log") or {},
        fallback=row.spec.get("fallback") or {},
        cache_seconds=row.spec.get("cache_seconds") or 0.0,
        revision=row.revision,
        project_id=row.project_id,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def autoscale_view(unit: UnitOfWork, deployments: DeploymentService, row: DeploymentRow) -> AutoscaleSignals:
    """Return the load of the data planes that serve a deployment."""
    planes = [plane for plane in deployments.planes(unit) if row.id in plane.endpoints]
    cpu_percent = sum(plane.cpu_percent for plane in planes) / len(planes) if planes else None
    return AutoscaleSignals(
        deployment_id=row.id,
        autoscale=row.autoscale,
        replicas=len(planes),
        in_flight=sum(plane.in_flight for plane in planes),
        queue=sum(plane.queue for plane in planes),
        cpu_percent=cpu_percent,
        desired_replicas=desired_replicas(len(planes), cpu_percent or 0.0, row.autoscale),
    )


def rollout_view(
    unit: UnitOfWork, deployments: DeploymentService, controller: RolloutController, row: RolloutRow
) -> Rollout:
    """Return a rollout with what its arms did in the present step, or in its last."""
    look = controller.look(unit, row.id)
    baseline = deployments.release(unit, row.baseline_version_id)
    candidate = deployments.release(unit, row.candidate_version_id)
    shares = split(look.course, row.step, look.arms)
    known = {"stable": ("live", baseline), **{arm.name: (arm.mode, look.releases[arm.name]) for arm in look.arms}}
    return Rollout(
        id=row.id,
        deployment_id=row.deployment_id,
        strategy=row.strategy,
        state=row.state,
        step=row.step,
        steps=list(look.course.steps),
        pause_seconds=list(look.course.pauses),
        traffic_split=rollouts.split_of(row),
        baseline_version_id=baseline.version_id,
        baseline_semver=baseline.semver,
        candidate_version_id=candidate.version_id,
        candidate_semver=candidate.semver,
        decision=row.decision,
        reason=row.reason,
        conditions=[RolloutFinding.model_validate(finding) for finding in row.conditions],
        arms=[
            ArmReport(
                arm=name,
                mode=mode,
                model_version_id=release.version_id,
                semver=release.semver,
                traffic_percent=shares[name],
                **summary(look.counts[name]),
                **score_shift(look.counts[name], look.counts["stable"]),
            )
            for name, (mode, release) in known.items()
        ],
        evidence_id=row.evidence_id,
        created_by=row.created_by,
        started_at=row.started_at,
        step_started_at=row.step_started_at,
        assessed_at=row.assessed_at,
        decided_at=row.decided_at,
    )


def event_view(row: RolloutEventRow) -> RolloutEvent:
    """Return one thing that happened."""
    return RolloutEvent(
        id=row.id,
        rollout_id=row.rollout_id,
        action=row.action,
        state=row.state,
        step=row.step,
        traffic_split=row.traffic_split,
        reason=row.reason,
        actor_id=row.actor_id,
        created_at=row.created_at,
    )
