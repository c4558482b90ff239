"""What can go wrong with monitors and alerts."""

from __future__ import annotations

from arkwright.core.errors import Conflict, Invalid, NotFound


def monitor_not_found(deployment_id: str) -> NotFound:
    """Return the error for a deployment without a monitor."""
    return NotFound(
        f"The deployment {deployment_id} has no monitor.",
        code="monitoring.monitor_not_found",
        hint=f"Create one: POST /v1/monitoring/{deployment_id}/monitors.",
    )


def report_not_found(report_id: str) -> NotFound:
    """Return the error for a report that does not exist, or has expired."""
    return NotFound(
        f"There is no drift report {report_id!r} of this deployment.",
        code="monitoring.report_not_found",
        hint="Reports are kept for 30 days; GET /v1/monitoring/{deployment}/reports lists those there are.",
    )


def alert_not_found(alert_id: str) -> NotFound:
    """Return the error for an alert that does not exist."""
    return NotFound(
        f"There is no alert {alert_id!r} in this workspace.",
        code="monitoring.alert_not_found",
        hint="`arkwright alert ls` lists the alerts.",
    )


def alert_is_resolved(alert_id: str) -> Conflict:
    """Return the error for acknowledging what is over."""
    return Conflict(
        f"The alert {alert_id} is resolved.",
        code="monitoring.alert_resolved",
        hint="Nothing is left to acknowledge; a new breach raises a new alert.",
    )


def reason_missing() -> Invalid:
    """Return the error for switching a monitor off without saying why."""
    return Invalid(
        "Switching a monitor off needs a reason.",
        code="monitoring.reason_missing",
        hint='Send "reason" with a sentence; it is kept in the audit log.',
    )
