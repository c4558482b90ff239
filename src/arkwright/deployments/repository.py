"""Queries over deployments, plans and acknowledgements."""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from arkwright.deployments.tables import (
    ArmWindowRow,
    DataPlaneRow,
    DeploymentRow,
    PublishedPlanRow,
    RolloutEventRow,
    RolloutRow,
)

_ACTIVE = ("progressing", "paused")


def deployment(session: Session, id_or_name: str, *, lock: bool = False) -> DeploymentRow | None:
    """Return a deployment by id or name; ``lock`` keeps others from changing it until the commit."""
    query = select(DeploymentRow).where((DeploymentRow.id == id_or_name) | (DeploymentRow.name == id_or_name))
    return session.scalar(query.with_for_update() if lock else query)


def deployments(session: Session, *, limit: int, after: str) -> list[DeploymentRow]:
    """Return deployments, oldest first."""
    query = select(DeploymentRow).where(DeploymentRow.id > after).order_by(DeploymentRow.id).limit(limit)
    return list(session.scalars(query))


def active(session: Session) -> list[DeploymentRow]:
    """Return the deployments that should answer."""
    return list(
        session.scalars(select(DeploymentRow).where(DeploymentRow.status == "active").order_by(DeploymentRow.id))
    )


def newest_plan(session: Session) -> PublishedPlanRow | None:
    """Return the latest generation."""
    return session.scalar(select(PublishedPlanRow).order_by(PublishedPlanRow.generation.desc()).limit(1))


def newest_generation(session: Session) -> int | None:
    """Return the number of the latest generation."""
    return session.scalar(select(func.max(PublishedPlanRow.generation)))


def forget_plans_before(session: Session, generation: int) -> None:
    """Delete old generations."""
    session.execute(
        delete(PublishedPlanRow)
        .where(PublishedPlanRow.generation < generation)
        .execution_options(synchronize_session=False)
    )


def data_planes(session: Session) -> list[DataPlaneRow]:
    """Return what each data plane last acknowledged."""
    return list(session.scalars(select(DataPlaneRow).order_by(DataPlaneRow.replica)))


def rollout(session: Session, rollout_id: str, *, lock: bool = False) -> RolloutRow | None:
    """Return a rollout by its id; ``lock`` keeps others from moving it until the commit."""
    query = select(RolloutRow).where(RolloutRow.id == rollout_id)
    return session.scalar(query.with_for_update() if lock else query)


def active_rollout(session: Session, deployment_id: str, *, lock: bool = False) -> RolloutRow | None:
    """Return the rollout of a deployment that may still move; ``lock`` keeps it from moving until the commit."""
    query = select(RolloutRow).where(RolloutRow.deployment_id == deployment_id, RolloutRow.state.in_(_ACTIVE))
    return session.scalar(query.with_for_update() if lock else query)


def active_rollouts(session: Session) -> list[RolloutRow]:
    """Return every rollout of the workspace that may still move."""
    return list(session.scalars(select(RolloutRow).where(RolloutRow.state.in_(_ACTIVE)).order_by(RolloutRow.id)))


def rollouts(session: Session, deployment_id: str, *, limit: int = 50) -> list[RolloutRow]:
    """Return a deployment's rollouts, newest first."""
    query = select(RolloutRow).where(RolloutRow.deployment_id == deployment_id)
    return list(session.scalars(query.order_by(RolloutRow.id.desc()).limit(limit)))


def rollout_events(session: Session, deployment_id: str, *, limit: int, before: str = "") -> list[RolloutEventRow]:
    """Return what happened to a deployment's rollouts, newest first."""
    query = select(RolloutEventRow).where(RolloutEventRow.deployment_id == deployment_id)
    if before:
        query = query.where(RolloutEventRow.id < before)
    return list(session.scalars(query.order_by(RolloutEventRow.id.desc()).limit(limit)))


def windows(session: Session, deployment_id: str, *, since_slot: int, until_slot: int | None) -> list[ArmWindowRow]:
    """Return a deployment's windows of the slots from one on, and before another."""
    query = select(ArmWindowRow).where(ArmWindowRow.deployment_id == deployment_id, ArmWindowRow.slot >= since_slot)
    if until_slot is not None:
        query = query.where(ArmWindowRow.slot < until_slot)
    return list(session.scalars(query))


def forget_windows_before(session: Session, slot: int) -> None:
    """Delete old windows of the workspace."""
    session.execute(delete(ArmWindowRow).where(ArmWindowRow.slot < slot).execution_options(synchronize_session=False))
