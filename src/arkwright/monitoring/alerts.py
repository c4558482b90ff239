"""When a report becomes an alert, and what becomes of the alert afterwards.

The rules:

- ``RED`` is critical, ``YELLOW`` is a warning; ``GREEN`` and ``UNKNOWN`` raise nothing.
- A monitor has at most one alert of a kind that is not resolved. A further breach updates it (count, last seen,
  summary) instead of raising another.
- Its severity rises and never falls until it is resolved. An acknowledged alert that gets worse, or comes back
  after it had recovered, is open again: what was acknowledged was something less.
- ``GREEN`` marks it recovered and leaves it open. Only a person resolves it: a window that drifted has had an
  effect on answers already given, and somebody should have looked. A later breach continues the same alert.
- People are told (``notify``) when it is raised, gets worse, or comes back; not for each repeat.
- Once resolved it stays so; the next breach raises a new alert.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from arkwright.core.structs import prepared
from arkwright.monitoring.report import DriftReport, Status
from arkwright.monitoring.stability import Level

Severity = Literal["info", "warning", "critical"]
AlertStatus = Literal["open", "acknowledged", "resolved"]
Action = Literal["NO_ACTION", "MONITOR", "INVESTIGATE", "RETRAIN", "RETRAIN_URGENT"]
Outcome = Literal["nothing", "raised", "updated", "recovered"]

DATA_DRIFT = "data_drift"

_SEVERITY: dict[Status, Severity] = {"RED": "critical", "YELLOW": "warning"}
_RANK: dict[Severity, int] = {"info": 0, "warning": 1, "critical": 2}

# Requirements 002, section 4 "decision matrix"; where its rows overlap the most specific one wins (C-21).
_MATRIX: dict[tuple[Level, Level], Action] = {
    ("none", "none"): "NO_ACTION",
    ("moderate", "none"): "MONITOR",
    ("significant", "none"): "INVESTIGATE",
    ("none", "moderate"): "INVESTIGATE",
    ("moderate", "moderate"): "RETRAIN",
    ("significant", "moderate"): "RETRAIN_URGENT",
    ("none", "significant"): "RETRAIN_URGENT",
    ("moderate", "significant"): "RETRAIN_URGENT",
    ("significant", "significant"): "RETRAIN_URGENT",
}


class AlertState(msgspec.Struct, frozen=True, kw_only=True):
    """The part of an alert that the rules read and write.

    Parameters
    ----------
    severity
        The highest so far.
    action_required
        What the decision matrix recommends, at its most urgent so far.
    status
        ``open``, ``acknowledged`` or ``resolved``.
    count
        Breaching reports so far.
    first_seen, last_seen
        Times of the first and the latest breach.
    recovered_at
        When a report was first ``GREEN`` after the latest breach; None while it lasts.
    """

    severity: Severity
    action_required: Action
    status: AlertStatus
    count: int
    first_seen: datetime
    last_seen: datetime
    recovered_at: datetime | None = None


class AlertDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with the alert: its state afterwards, and whether to tell people."""

    outcome: Outcome
    state: AlertState | None = None
    notify: bool = False


def severity_of(status: Status) -> Severity | None:
    """Return the severity of a report's status, or None where it is no breach.

    Examples
    --------
    >>> severity_of("RED"), severity_of("YELLOW"), severity_of("GREEN"), severity_of("UNKNOWN")
    ('critical', 'warning', None, None)
    """
    return _SEVERITY.get(status)


def recommended_action(drift: Level, performance_drop: Level = "none") -> Action:
    """Return what to do about a level of drift and a level of performance loss.

    Examples
    --------
    >>> recommended_action("significant"), recommended_action("moderate", "moderate")
    ('INVESTIGATE', 'RETRAIN')
    """
    return _MATRIX[drift, performance_drop]


def decide_alert(report: DriftReport, current: AlertState | None, now: datetime) -> AlertDecision:
    """Decide what a report means for the monitor's alert.

    Parameters
    ----------
    report
        The newest report.
    current
        The monitor's alert of this kind, if there is one that is not resolved.
    now
        When the report was made.
    """
    severity = severity_of(report.status)
    if current is not None and current.status == "resolved":
        current = None
    if severity is None:
        return _no_breach(report.status, current, now)
    action = recommended_action(report.highest_level)
    if current is None:
        state = AlertState(
            severity=severity, action_required=action, status="open", count=1, first_seen=now, last_seen=now
        )
        return AlertDecision(outcome="raised", state=state, notify=True)
    worse = _RANK[severity] > _RANK[current.severity]
    back = current.recovered_at is not None
    state = AlertState(
        severity=severity if worse else current.severity,
        action_required=action if worse else current.action_required,
        status="open" if worse or back else current.status,
        count=current.count + 1,
        first_seen=current.first_seen,
        last_seen=now,
    )
    return AlertDecision(outcome="updated", state=state, notify=worse or back)


def alert_message(report: DriftReport, model: str) -> str:
    """Render the alert for a person: what drifted, and what to look at."""
    lines = [f"{model}: {report.summary}"]
    for result in report.features[:5]:
        if result.level == "none":
            continue
        detail = f"- {result.feature}: {result.level} (PSI {result.psi:.2f}, {result.test} p = {result.p_value:.2g})"
        if result.mean_reference is not None and result.mean_current is not None:
            detail += f", mean {result.mean_reference:.4g} -> {result.mean_current:.4g}"
        if abs(result.missing_share_change) >= 0.01:
            detail += f", missing {result.missing_share_reference:.1%} -> {result.missing_share_current:.1%}"
        if result.unexpected_share >= 0.01:
            detail += f", {result.unexpected_share:.1%} outside what training had"
        lines.append(detail)
    return "\n".join(lines)


def _no_breach(status: Status, current: AlertState | None, now: datetime) -> AlertDecision:
    if status != "GREEN" or current is None or current.recovered_at is not None:
        return AlertDecision(outcome="nothing", state=current)
    return AlertDecision(outcome="recovered", state=msgspec.structs.replace(current, recovered_at=now))


prepared(AlertState)
