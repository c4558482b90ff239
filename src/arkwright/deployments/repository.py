"""Queries over deployments, plans and acknowledgements."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from arkwright.deployments.tables import DataPlaneRow, DeploymentRow, PublishedPlanRow


def deployment(session: Session, id_or_name: str) -> DeploymentRow | None:
    """Return a deployment by id or name."""
    return session.scalar(
        select(DeploymentRow).where((DeploymentRow.id == id_or_name) | (DeploymentRow.name == id_or_name))
    )


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
