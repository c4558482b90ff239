"""Queries over monitors, reports and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from arkwright.monitoring.tables import AlertRow, DriftReportRow, MonitorRow


def monitor(session: Session, deployment_id: str, monitor_type: str) -> MonitorRow | None:
    """Return a deployment's monitor of a type."""
    return session.scalar(
        select(MonitorRow).where(MonitorRow.deployment_id == deployment_id, MonitorRow.monitor_type == monitor_type)
    )


def monitor_by_id(session: Session, monitor_id: str, *, lock: bool = False) -> MonitorRow | None:
    """Return a monitor, which nobody else may change until the unit ends if ``lock``."""
    query = select(MonitorRow).where(MonitorRow.id == monitor_id)
    return session.scalar(query.with_for_update() if lock else query)


def monitors(session: Session, deployment_id: str) -> Sequence[MonitorRow]:
    """Return a deployment's monitors, oldest first."""
    query = select(MonitorRow).where(MonitorRow.deployment_id == deployment_id).order_by(MonitorRow.id)
    return session.scalars(query).all()


def active_monitors(session: Session) -> Sequence[MonitorRow]:
    """Return the monitors that run by schedule; nobody else may change them until the unit ends."""
    return session.scalars(
        select(MonitorRow).where(MonitorRow.status == "active").order_by(MonitorRow.id).with_for_update()
    ).all()


def report_of_job(session: Session, job_id: str) -> DriftReportRow | None:
    """Return the report a job made, if it has made one."""
    return session.scalar(select(DriftReportRow).where(DriftReportRow.job_id == job_id))


def report(session: Session, deployment_id: str, report_id: str) -> DriftReportRow | None:
    """Return a report of a deployment."""
    return session.scalar(
        select(DriftReportRow).where(DriftReportRow.id == report_id, DriftReportRow.deployment_id == deployment_id)
    )


def reports(session: Session, deployment_id: str, *, limit: int, before: str) -> Sequence[DriftReportRow]:
    """Return a deployment's reports, newest first."""
    query = select(DriftReportRow).where(DriftReportRow.deployment_id == deployment_id)
    if before:
        query = query.where(DriftReportRow.id < before)
    return session.scalars(query.order_by(DriftReportRow.id.desc()).limit(limit)).all()


def previous_score(session: Session, monitor_id: str, model_version_id: str) -> float | None:
    """Return the drift score of the monitor's latest report on the same version that had enough rows."""
    return session.scalar(
        select(DriftReportRow.drift_score)
        .where(
            DriftReportRow.monitor_id == monitor_id,
            DriftReportRow.model_version_id == model_version_id,
            DriftReportRow.enough_rows.is_(True),
        )
        .order_by(DriftReportRow.id.desc())
        .limit(1)
    )


def delete_reports_before(session: Session, moment: datetime) -> None:
    """Delete old reports, save those an alert cites and each monitor's last one."""
    session.execute(
        delete(DriftReportRow)
        .where(
            DriftReportRow.created_at < moment,
            DriftReportRow.id.not_in(select(AlertRow.report_id)),
            DriftReportRow.id.not_in(select(MonitorRow.last_report_id).where(MonitorRow.last_report_id.is_not(None))),
        )
        .execution_options(synchronize_session=False)
    )


def unresolved_alert(session: Session, monitor_id: str, kind: str) -> AlertRow | None:
    """Return the monitor's alert of a kind that is not resolved; nobody else may change it until the unit ends."""
    return session.scalar(
        select(AlertRow)
        .where(AlertRow.monitor_id == monitor_id, AlertRow.kind == kind, AlertRow.status != "resolved")
        .with_for_update()
    )


def alert(session: Session, alert_id: str, *, lock: bool = False) -> AlertRow | None:
    """Return an alert."""
    query = select(AlertRow).where(AlertRow.id == alert_id)
    return session.scalar(query.with_for_update() if lock else query)


def alerts(
    session: Session, *, limit: int, before: str, status: str, severity: str, deployment_id: str
) -> Sequence[AlertRow]:
    """Return alerts, newest first; empty criteria are no criteria."""
    query = select(AlertRow).order_by(AlertRow.id.desc()).limit(limit)
    if before:
        query = query.where(AlertRow.id < before)
    if status:
        query = query.where(AlertRow.status == status)
    if severity:
        query = query.where(AlertRow.severity == severity)
    if deployment_id:
        query = query.where(AlertRow.deployment_id == deployment_id)
    return session.scalars(query).all()
