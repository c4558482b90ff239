"""Monitors, reports, alerts and traffic over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Response

from arkwright.kit.http import Accepted, Limit, Page, PageCursor, Read, Write, accepted, page_of, read_cursor, service
from arkwright.monitoring.outcomes import quality_of
from arkwright.monitoring.payloads import (
    LOG_RETENTION_HOURS,
    Alert,
    CommentAlert,
    CreateMonitor,
    DeploymentMetrics,
    DriftReportDetail,
    DriftReportSummary,
    Monitor,
    MonitorConfig,
    RunMonitor,
)
from arkwright.monitoring.service import MonitoringService
from arkwright.monitoring.tables import AlertRow, DriftReportRow, MonitorRow

router = APIRouter(prefix="/v1", tags=["monitoring"])


@router.post("/monitoring/{deployment}/monitors", status_code=201)
def create_monitor(
    unit: Write,
    response: Response,
    deployment: str,
    body: CreateMonitor,
    monitoring: MonitoringService = service(MonitoringService),
) -> Monitor:
    """Set up the deployment's drift monitor (201), or change the one it got when it was created (200)."""
    row, created = monitoring.configure(unit, deployment, body.config, enabled=body.enabled, reason=body.reason)
    response.status_code = 201 if created else 200
    return _monitor(row)


@router.get("/monitoring/{deployment}/monitors")
def list_monitors(
    unit: Read, deployment: str, monitoring: MonitoringService = service(MonitoringService)
) -> Page[Monitor]:
    """Return the deployment's monitors; there are never more than fit on one page."""
    return Page(items=[_monitor(row) for row in monitoring.list(unit, deployment)])


@router.post("/monitoring/{deployment}/run", status_code=202)
def run_monitor(
    unit: Write,
    response: Response,
    deployment: str,
    body: RunMonitor | None = None,
    monitoring: MonitoringService = service(MonitoringService),
) -> Accepted:
    """Compare the latest predictions with the training data now; the report is in the job's result."""
    window = body.model_dump(exclude_none=True) if body else {}
    job = monitoring.run_now(unit, deployment, window)
    accepted(response, job.id)
    return Accepted(job_id=job.id)


@router.get("/monitoring/{deployment}/reports")
def list_reports(
    unit: Read,
    deployment: str,
    limit: Limit = 20,
    cursor: PageCursor = "",
    monitoring: MonitoringService = service(MonitoringService),
) -> Page[DriftReportSummary]:
    """Return the deployment's drift reports of the last 30 days, newest first."""
    rows = monitoring.reports(unit, deployment, limit=limit + 1, before=read_cursor(cursor))
    return page_of(rows, limit, lambda row: row.id, lambda row: DriftReportSummary.model_validate(_report(row)))


@router.get("/monitoring/{deployment}/reports/{report_id}")
def get_report(
    unit: Read, deployment: str, report_id: str, monitoring: MonitoringService = service(MonitoringService)
) -> DriftReportDetail:
    """Return a whole report with each feature's two distributions; ``latest`` is the newest."""
    return DriftReportDetail.model_validate(_report(monitoring.report(unit, deployment, report_id)))


@router.get("/alerts")
def list_alerts(
    unit: Read,
    limit: Limit = 50,
    cursor: PageCursor = "",
    status: Annotated[Literal["open", "acknowledged", "resolved", ""], Query(description="Only in this state.")] = "",
    severity: Annotated[Literal["info", "warning", "critical", ""], Query(description="Only of this severity.")] = "",
    deployment: Annotated[str, Query(description="Only of this deployment, by id or name.")] = "",
    monitoring: MonitoringService = service(MonitoringService),
) -> Page[Alert]:
    """Return the workspace's alerts, newest first."""
    rows = monitoring.alerts(
        unit,
        limit=limit + 1,
        before=read_cursor(cursor),
        status=status,
        severity=severity,
        deployment=deployment,
    )
    return page_of(rows, limit, lambda row: row.id, _alert)


@router.get("/alerts/{alert_id}")
def get_alert(unit: Read, alert_id: str, monitoring: MonitoringService = service(MonitoringService)) -> Alert:
    """Return an alert."""
    return _alert(monitoring.alert(unit, alert_id))


@router.post("/alerts/{alert_id}/acknowledge")
def acknowledge_alert(
    unit: Write,
    alert_id: str,
    body: CommentAlert | None = None,
    monitoring: MonitoringService = service(MonitoringService),
) -> Alert:
    """Say that somebody is looking at it; it is open again should it get worse."""
    return _alert(monitoring.acknowledge(unit, alert_id, body.comment if body else ""))


@router.post("/alerts/{alert_id}/resolve")
def resolve_alert(
    unit: Write,
    alert_id: str,
    body: CommentAlert | None = None,
    monitoring: MonitoringService = service(MonitoringService),
) -> Alert:
    """Close it; the next breach raises a new one."""
    return _alert(monitoring.resolve(unit, alert_id, body.comment if body else ""))


@router.get("/deployments/{deployment}/metrics")
def deployment_metrics(
    unit: Read,
    deployment: str,
    hours: Annotated[float, Query(gt=0, le=LOG_RETENTION_HOURS, description="How far to look back.")] = 24,
    monitoring: MonitoringService = service(MonitoringService),
) -> DeploymentMetrics:
    """Return what the deployment answered, how fast and, where feedback came in, how well, from the prediction log."""
    found = monitoring.traffic(unit, deployment, hours)
    joined = found.joined
    return DeploymentMetrics(
        deployment_id=found.deployment_id,
        truncated=found.truncated,
        quality=msgspec.to_builtins([quality_of(arm) for arm in joined.arms]),
        n_outcomes=joined.n_outcomes,
        n_unmatched=joined.n_unmatched,
        **msgspec.to_builtins(found.traffic),
    )


def _monitor(row: MonitorRow) -> Monitor:
    return Monitor(
        id=row.id,
        deployment_id=row.deployment_id,
        type=row.monitor_type,
        config=MonitorConfig.model_validate(row.config),
        status=row.status,
        status_reason=row.status_reason,
        last_report_id=row.last_report_id,
        last_run_at=row.last_run_at,
        created_at=row.created_at,
    )


def _report(row: DriftReportRow) -> dict[str, Any]:
    return {
        **row.body,
        "id": row.id,
        "monitor_id": row.monitor_id,
        "deployment_id": row.deployment_id,
        "model_version_id": row.model_version_id,
        "model_name": row.model_name,
        "semver": row.semver,
        "job_id": row.job_id,
        "created_at": row.created_at,
        "recommended_action": row.recommended_action,
    }


def _alert(row: AlertRow) -> Alert:
    names = set(Alert.model_fields) - {"acknowledged"}
    return Alert(acknowledged=row.status == "acknowledged", **{name: getattr(row, name) for name in names})
