"""Jobs as the platform's users see them; the engine's own bookkeeping is in a database of its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from arkwright.kit.db import Json, Scoped, Table, UtcDateTime
from arkwright.kit.jobs.status import QUEUED


class JobRow(Scoped, Table):
    """One job.

    ``attempt`` counts its starts and is the fencing token of the run that may write; ``spent_seconds`` is how long it
    has worked, over all of them. ``cancel_noticed_at`` is when the job itself saw that it should end: what makes a
    job that returns a result ``cancelled`` instead of ``succeeded``.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index(None, "workspace_id", "status"),
        Index(None, "workspace_id", "subject_type", "subject_id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(80))
    lane: Mapped[str] = mapped_column(String(10))
    status: Mapped[str] = mapped_column(String(20), default=QUEUED)
    progress: Mapped[float] = mapped_column(default=0.0)
    message: Mapped[str] = mapped_column(Text, default="")
    data: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    payload: Mapped[dict[str, Any]] = mapped_column(Json)
    result: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    error: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    subject_type: Mapped[str] = mapped_column(String(40), default="")
    subject_id: Mapped[str] = mapped_column(String(120), default="")
    created_by: Mapped[str] = mapped_column(String(60))
    created_by_kind: Mapped[str] = mapped_column(String(20))
    created_by_role: Mapped[str] = mapped_column(String(40))
    request_id: Mapped[str] = mapped_column(String(80), default="")
    attempt: Mapped[int] = mapped_column(default=0)
    spent_seconds: Mapped[float] = mapped_column(default=0.0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_noticed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def cancel_requested(self) -> bool:
        """Whether somebody asked for the job to end."""
        return self.cancel_requested_at is not None


class JobLogRow(Scoped, Table):
    """One line a job wrote for its reader; ``seq`` counts from 1."""

    __tablename__ = "job_logs"
    __table_args__ = (ForeignKeyConstraint(["workspace_id", "job_id"], ["jobs.workspace_id", "jobs.id"]),)

    job_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(UtcDateTime)
    message: Mapped[str] = mapped_column(Text)


class JobStepRow(Scoped, Table):
    """Proof that a step's writes were committed, and what the step returned: written in that same commit."""

    __tablename__ = "job_steps"
    __table_args__ = (ForeignKeyConstraint(["workspace_id", "job_id"], ["jobs.workspace_id", "jobs.id"]),)

    job_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    value: Mapped[Any] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
