"""Queries over jobs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from arkwright.kit.db import UnitOfWork
from arkwright.kit.jobs.status import OPEN
from arkwright.kit.jobs.tables import JobLogRow, JobRow


def find(unit: UnitOfWork, job_id: str) -> JobRow | None:
    """Return a job, or None."""
    return unit.session.get(JobRow, (unit.context.workspace_id, job_id))


def lock(unit: UnitOfWork, job_id: str) -> JobRow | None:
    """Return a job, which nobody else may change until this unit ends."""
    return unit.session.get(JobRow, (unit.context.workspace_id, job_id), with_for_update=True, populate_existing=True)


def held_attempt(unit: UnitOfWork, job_id: str) -> tuple[str, int] | None:
    """Return a job's status and attempt, which stay as they are until this unit ends."""
    found = unit.session.execute(
        select(JobRow.status, JobRow.attempt).where(JobRow.id == job_id).with_for_update(read=True)
    ).one_or_none()
    return (found[0], found[1]) if found else None


def page(
    unit: UnitOfWork, *, limit: int, before: str, status: str, kind: str, subject_type: str, subject_id: str
) -> Sequence[JobRow]:
    """Return jobs, newest first; empty criteria are no criteria."""
    query = select(JobRow).order_by(JobRow.id.desc()).limit(limit)
    if before:
        query = query.where(JobRow.id < before)
    if status:
        query = query.where(JobRow.status == status)
    if kind:
        query = query.where(JobRow.kind == kind)
    if subject_type:
        query = query.where(JobRow.subject_type == subject_type)
    if subject_id:
        query = query.where(JobRow.subject_id == subject_id)
    return unit.session.scalars(query).all()


def open_jobs(unit: UnitOfWork, *, after: str, limit: int) -> Sequence[JobRow]:
    """Return jobs that have not ended, oldest first."""
    return unit.session.scalars(
        select(JobRow).where(JobRow.status.in_(OPEN), JobRow.id > after).order_by(JobRow.id).limit(limit)
    ).all()


def open_about(unit: UnitOfWork, kind: str, subject_type: str, subject_id: str) -> JobRow | None:
    """Return the newest job of this kind about a thing that has not ended, or None."""
    return unit.session.scalars(
        select(JobRow)
        .where(
            JobRow.status.in_(OPEN),
            JobRow.kind == kind,
            JobRow.subject_type == subject_type,
            JobRow.subject_id == subject_id,
        )
        .order_by(JobRow.id.desc())
        .limit(1)
    ).first()


def log_lines(unit: UnitOfWork, job_id: str, *, after: int, limit: int | None) -> Sequence[JobLogRow]:
    """Return a job's log lines in order."""
    return unit.session.scalars(
        select(JobLogRow).where(JobLogRow.job_id == job_id, JobLogRow.seq > after).order_by(JobLogRow.seq).limit(limit)
    ).all()
