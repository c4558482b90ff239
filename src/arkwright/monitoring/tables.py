"""Rows of monitors, drift reports and alerts.

``deployment_id`` has no foreign key: monitors are made by an event and reports outlive what they are about.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from arkwright.kit.db import Json, Scoped, Table, UtcDateTime


class MonitorRow(Scoped, Table):
    """What is watched about a deployment, and when.

    ``last_run_at`` is when it was last asked to run: the scheduler compares it with the schedule.
    """

    __tablename__ = "monitors"
    __table_args__ = (UniqueConstraint("workspace_id", "deployment_id", "monitor_type"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    deployment_id: Mapped[str] = mapped_column(String(40))
    monitor_type: Mapped[str] = mapped_column(String(40))
    config: Mapped[dict[str, Any]] = mapped_column(Json)
    status: Mapped[str] = mapped_column(String(20), default="active")  # active | disabled | stopped
    status_reason: Mapped[str] = mapped_column(String(1000), default="")
    last_report_id: Mapped[str | None] = mapped_column(String(40))
    last_run_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_by: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DriftReportRow(Scoped, Table):
    """One run's findings: what lists and rules need in columns, the whole report in ``body``."""

    __tablename__ = "drift_reports"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "monitor_id"], ["monitors.workspace_id", "monitors.id"]),
        UniqueConstraint("workspace_id", "job_id"),
        Index(None, "workspace_id", "deployment_id", "id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    monitor_id: Mapped[str] = mapped_column(String(40))
    deployment_id: Mapped[str] = mapped_column(String(40))
    model_version_id: Mapped[str] = mapped_column(String(40))
    model_name: Mapped[str] = mapped_column(String(200), default="")
    semver: Mapped[str] = mapped_column(String(40), default="")
    job_id: Mapped[str] = mapped_column(String(40))
    status: Mapped[str] = mapped_column(String(10))
    n_rows: Mapped[int]
    enough_rows: Mapped[bool]
    drift_score: Mapped[float]
    recommended_action: Mapped[str] = mapped_column(String(20))
    summary: Mapped[str] = mapped_column(Text)
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AlertRow(Scoped, Table):
    """Something a person should look at; at most one of a monitor and kind is not resolved."""

    __tablename__ = "alerts"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "monitor_id"], ["monitors.workspace_id", "monitors.id"]),
        Index(None, "workspace_id", "status", "id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    monitor_id: Mapped[str] = mapped_column(String(40))
    deployment_id: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(40))
    severity: Mapped[str] = mapped_column(String(20))
    action_required: Mapped[str] = mapped_column(String(20))
    summary: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(20))  # open | acknowledged | resolved
    count: Mapped[int]
    first_seen: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen: Mapped[datetime] = mapped_column(UtcDateTime)
    recovered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    model_version_id: Mapped[str] = mapped_column(String(40))
    model_name: Mapped[str] = mapped_column(String(200), default="")
    semver: Mapped[str] = mapped_column(String(40), default="")
    report_id: Mapped[str] = mapped_column(String(40))
    drift_summary: Mapped[dict[str, Any]] = mapped_column(Json)
    acknowledged_by: Mapped[str | None] = mapped_column(String(60))
    acknowledged_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resolved_by: Mapped[str | None] = mapped_column(String(60))
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    comment: Mapped[str] = mapped_column(String(1000), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


_UNRESOLVED = AlertRow.status != "resolved"
Index(
    "uq_alerts_unresolved",
    AlertRow.workspace_id,
    AlertRow.monitor_id,
    AlertRow.kind,
    unique=True,
    sqlite_where=_UNRESOLVED,
    postgresql_where=_UNRESOLVED,
)
