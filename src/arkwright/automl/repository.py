"""Queries over experiments."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from arkwright.automl.tables import ExperimentRow


def experiment(session: Session, experiment_id: str) -> ExperimentRow | None:
    """Return an experiment."""
    return session.scalar(select(ExperimentRow).where(ExperimentRow.id == experiment_id))


def experiments(session: Session, *, limit: int, after: str) -> list[ExperimentRow]:
    """Return experiments, oldest first."""
    query = select(ExperimentRow).where(ExperimentRow.id > after).order_by(ExperimentRow.id).limit(limit)
    return list(session.scalars(query))


def newest(session: Session, *, limit: int) -> list[ExperimentRow]:
    """Return the latest experiments, newest first."""
    return list(session.scalars(select(ExperimentRow).order_by(ExperimentRow.id.desc()).limit(limit)))
