"""Monitors, reports, alerts and traffic over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from arkwright.kit.http import Accepted, Limit, Page, PageCursor, Read, Write, accepted, page_of, read_cursor, service
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
