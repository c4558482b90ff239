"""Watching deployments: monitors, drift reports and alerts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arkwright.sdk.transport import Items, Transport, segment
from arkwright.sdk.types import Accepted, Alert, DriftReportDetail, DriftReportSummary, Monitor


class Monitors:
    """``client.monitors``. A deployment is named by id or name."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        deployment: str,
        *,
        config: Mapping[str, Any] | None = None,
        enabled: bool = True,
        reason: str = "",
    ) -> Monitor:
        """Set up a deployment's drift monitor, or change the one it got when it was created.

        Parameters
        ----------
        config
            ``schedule`` (five cron fields, UTC), ``max_rows``, ``window_hours``; each has a default.
        reason
            Why it is switched off; required then.
        """
        body = {"type": "drift", "config": dict(config or {}), "enabled": enabled, "reason": reason}
        created: Monitor = self._transport.post(f"{_path(deployment)}/monitors", body)
        return created

    def list(self, deployment: str) -> Items[Monitor]:
        """Return a deployment's monitors."""
        return self._transport.pages(f"{_path(deployment)}/monitors")

    def run(self, deployment: str, *, max_rows: int | None = None, window_hours: float | None = None) -> Accepted:
        """Compare the latest predictions with the training data now, as a job."""
        window = {"max_rows": max_rows, "window_hours": window_hours}
        body = {name: value for name, value in window.items() if value is not None}
        accepted: Accepted = self._transport.post(f"{_path(deployment)}/run", body)
        return accepted

    def reports(self, deployment: str, *, limit: int | None = 20) -> Items[DriftReportSummary]:
        """Return a deployment's drift reports, newest first."""
        return self._transport.pages(f"{_path(deployment)}/reports", limit=limit)

    def report(self, deployment: str, report_id: str = "latest") -> DriftReportDetail:
        """Return a whole report with each feature's two distributions."""
        found: DriftReportDetail = self._transport.get(f"{_path(deployment)}/reports/{segment(report_id)}")
        return found


class Alerts:
    """``client.alerts``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self, *, status: str = "", severity: str = "", deployment: str = "", limit: int | None = None
    ) -> Items[Alert]:
        """Return alerts, newest first."""
        return self._transport.pages("/v1/alerts", limit=limit, status=status, severity=severity, deployment=deployment)

    def get(self, alert_id: str) -> Alert:
        """Return an alert."""
        found: Alert = self._transport.get(f"/v1/alerts/{segment(alert_id)}")
        return found

    def acknowledge(self, alert_id: str, *, comment: str = "") -> Alert:
        """Say that somebody is looking at it."""
        changed: Alert = self._transport.post(f"/v1/alerts/{segment(alert_id)}/acknowledge", {"comment": comment})
        return changed

    def resolve(self, alert_id: str, *, comment: str = "") -> Alert:
        """Close it; the next breach raises a new one."""
        changed: Alert = self._transport.post(f"/v1/alerts/{segment(alert_id)}/resolve", {"comment": comment})
        return changed


def _path(deployment: str) -> str:
    return f"/v1/monitoring/{segment(deployment)}"
