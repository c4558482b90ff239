"""Queries over models and versions."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from arkwright.registry.tables import ModelRow, ModelVersionRow, StageChangeRow


def model(session: Session, id_or_name: str, *, lock: bool = False) -> ModelRow | None:
    """Return a model by id or name; ``lock`` keeps others from changing it until the commit."""
    query = select(ModelRow).where((ModelRow.id == id_or_name) | (ModelRow.name == id_or_name))
    return session.scalar(query.with_for_update() if lock else query)


def models(session: Session, *, limit: int, after: str) -> list[ModelRow]:
    """Return models, oldest first."""
    return list(session.scalars(select(ModelRow).where(ModelRow.id > after).order_by(ModelRow.id).limit(limit)))


def version_by_id(session: Session, version_id: str) -> ModelVersionRow | None:
    """Return a version by its id."""
    return session.scalar(select(ModelVersionRow).where(ModelVersionRow.id == version_id))


def version(session: Session, model_id: str, address: str) -> ModelVersionRow | None:
    """Return a version by number, semantic version or id."""
    query = select(ModelVersionRow).where(ModelVersionRow.model_id == model_id)
    if re.fullmatch(r"[0-9]{1,9}", address):
        return session.scalar(query.where(ModelVersionRow.number == int(address)))
    return session.scalar(
        query.where((ModelVersionRow.semver == address.removeprefix("v")) | (ModelVersionRow.id == address))
    )


def version_by_digest(session: Session, model_id: str, digest: str) -> ModelVersionRow | None:
    """Return the version of a model that is this bundle."""
    return session.scalar(
        select(ModelVersionRow).where(ModelVersionRow.model_id == model_id, ModelVersionRow.bundle_digest == digest)
    )


def versions(session: Session, model_id: str, *, limit: int, before: int | None = None) -> list[ModelVersionRow]:
    """Return a model's versions, newest first."""
    query = select(ModelVersionRow).where(ModelVersionRow.model_id == model_id)
    if before is not None:
        query = query.where(ModelVersionRow.number < before)
    return list(session.scalars(query.order_by(ModelVersionRow.number.desc()).limit(limit)))


def every_version(session: Session) -> list[ModelVersionRow]:
    """Return every version of the workspace."""
    return list(session.scalars(select(ModelVersionRow).order_by(ModelVersionRow.id)))


def in_stage(session: Session, model_id: str, stage: str) -> list[ModelVersionRow]:
    """Return a model's versions in a stage, newest first."""
    query = select(ModelVersionRow).where(ModelVersionRow.model_id == model_id, ModelVersionRow.stage == stage)
    return list(session.scalars(query.order_by(ModelVersionRow.number.desc())))


def history(session: Session, model_id: str, until: datetime | None = None) -> list[StageChangeRow]:
    """Return a model's stage changes, oldest first."""
    query = select(StageChangeRow).where(StageChangeRow.model_id == model_id)
    if until is not None:
        query = query.where(StageChangeRow.created_at <= until)
    return list(session.scalars(query.order_by(StageChangeRow.id)))
