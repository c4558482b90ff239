"""Queries over datasets, versions and uploads."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from arkwright.data.tables import DatasetRow, DatasetVersionRow, UploadRow


def dataset(session: Session, id_or_name: str) -> DatasetRow | None:
    """Return a dataset by id or name; of several projects' datasets with the name, the oldest."""
    return session.scalar(
        select(DatasetRow)
        .where((DatasetRow.id == id_or_name) | (DatasetRow.name == id_or_name))
        .order_by(DatasetRow.id)
        .limit(1)
    )


def dataset_named(session: Session, project_id: str, name: str, *, lock: bool = False) -> DatasetRow | None:
    """Return a project's dataset by name; ``lock`` keeps others from adding versions until the commit."""
    query = select(DatasetRow).where(DatasetRow.project_id == project_id, DatasetRow.name == name)
    return session.scalar(query.with_for_update() if lock else query)


def datasets(session: Session, *, limit: int, after: str) -> Sequence[DatasetRow]:
    """Return datasets, oldest first."""
    return session.scalars(select(DatasetRow).where(DatasetRow.id > after).order_by(DatasetRow.id).limit(limit)).all()


def version(session: Session, dataset_id: str, number: int | None) -> DatasetVersionRow | None:
    """Return a version by number, or the latest."""
    query = select(DatasetVersionRow).where(DatasetVersionRow.dataset_id == dataset_id)
    if number is not None:
        return session.scalar(query.where(DatasetVersionRow.number == number))
    return session.scalar(query.order_by(DatasetVersionRow.number.desc()).limit(1))


def version_by_id(session: Session, version_id: str) -> DatasetVersionRow | None:
    """Return a version by its id."""
    return session.scalar(select(DatasetVersionRow).where(DatasetVersionRow.id == version_id))


def version_by_fingerprint(session: Session, dataset_id: str, fingerprint: str) -> DatasetVersionRow | None:
    """Return the dataset's version with this content."""
    return session.scalar(
        select(DatasetVersionRow).where(
            DatasetVersionRow.dataset_id == dataset_id, DatasetVersionRow.fingerprint == fingerprint
        )
    )


def versions(session: Session, dataset_id: str, *, limit: int, before: int | None) -> Sequence[DatasetVersionRow]:
    """Return a dataset's versions, newest first, without their profiles."""
    query = (
        select(DatasetVersionRow)
        .where(DatasetVersionRow.dataset_id == dataset_id)
        .order_by(DatasetVersionRow.number.desc())
        .limit(limit)
        .options(defer(DatasetVersionRow.profile))
    )
    if before is not None:
        query = query.where(DatasetVersionRow.number < before)
    return session.scalars(query).all()


def upload(session: Session, upload_id: str) -> UploadRow | None:
    """Return an upload."""
    return session.scalar(select(UploadRow).where(UploadRow.id == upload_id))
