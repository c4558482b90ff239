"""Setting up monitors, keeping what they find, and looking after alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import msgspec

from arkwright.access import authorise, record
from arkwright.core.events import ALERT_RAISED
from arkwright.core.ids import new_id
from arkwright.kit.db import UnitOfWork
from arkwright.kit.jobs import JobRow, JobService
from arkwright.kit.objects import ObjectStore
from arkwright.monitoring import repository
from arkwright.monitoring.alerts import (
    DATA_DRIFT,
    AlertDecision,
    AlertState,
    alert_message,
    decide_alert,
    recommended_action,
)
from arkwright.monitoring.errors import (
    alert_is_resolved,
    alert_not_found,
    monitor_not_found,
    reason_missing,
    report_not_found,
)
from arkwright.monitoring.feedback import JOINED_FIELDS, positive_class
from arkwright.monitoring.outcomes import Joined, join_outcomes
from arkwright.monitoring.payloads import MonitorConfig
from arkwright.monitoring.ports import MonitoredDeployments, MonitoredModel, PredictionSource
from arkwright.monitoring.report import DriftReport
from arkwright.monitoring.schedule import MonitorTiming, due_monitors
from arkwright.monitoring.tables import AlertRow, DriftReportRow, MonitorRow
from arkwright.monitoring.traffic import Traffic, summarise_traffic
from arkwright.monitoring.window import read_log, read_outcomes

MONITOR_JOB = "monitoring.run.v1"
DRIFT = "drift"
REPORT_RETENTION = timedelta(days=30)
MAX_TRAFFIC_ROWS = 100_000


@dataclass(frozen=True)
class Kept:
    """A report that was kept, and what it meant for the monitor's alert."""

    report: DriftReportRow
    outcome: str
    alert_id: str | None


@dataclass(frozen=True)
class DeploymentTraffic:
    """What a deployment answered in a span; ``truncated`` says that there was more than was counted."""

    deployment_id: str
    traffic: Traffic
    truncated: bool
    joined: Joined


class MonitoringService:
    """Monitors, drift reports and alerts of a workspace.

    Parameters
    ----------
    deployments
        Resolves what people call a deployment.
    jobs
        Runs monitors.
    source, store
        Where logged predictions come from, and where they lie.
    """

    def __init__(
        self, deployments: MonitoredDeployments, jobs: JobService, source: PredictionSource, store: ObjectStore
    ) -> None:
        self._deployments = deployments
        self._jobs = jobs
        self._source = source
        self._store = store

    def create_for_deployment(self, unit: UnitOfWork, deployment_id: str) -> MonitorRow:
        """Give a new deployment its drift monitor; one that has it keeps it as it is."""
        authorise(unit, "monitor.create", "deployment", deployment_id)
        known = repository.monitor(unit.session, deployment_id, DRIFT)
        return known or self._add(unit, deployment_id, MonitorConfig())

    def configure(
        self, unit: UnitOfWork, deployment: str, config: MonitorConfig, *, enabled: bool = True, reason: str = ""
    ) -> tuple[MonitorRow, bool]:
        """Create a deployment's monitor or change the one it has; return it, and whether it is new.

        Raises
        ------
        Invalid
            If it is switched off without a reason.
        """
        authorise(unit, "monitor.configure", "deployment", deployment)
        deployment_id = self._deployments.resolve(unit, deployment)
        if not enabled and not reason.strip():
            raise reason_missing()
        row = repository.monitor(unit.session, deployment_id, DRIFT)
        created = row is None
        if row is None:
            row = self._add(unit, deployment_id, config)
        row.config = config.model_dump()
        row.status = "active" if enabled else "disabled"
        row.status_reason = reason.strip()
        changed = {"status": row.status, "reason": row.status_reason, "config": row.config}
        record(unit, "monitor.configure", "monitor", row.id, changed)
        return row, created

    def stop_for_deployment(self, unit: UnitOfWork, deployment_id: str) -> None:
        """Let the monitors of a deployment that answers no longer rest; their reports and alerts stay."""
        authorise(unit, "monitor.configure", "deployment", deployment_id)
        for row in repository.monitors(unit.session, deployment_id):
            if row.status == "active":
                row.status, row.status_reason = "stopped", "The deployment was stopped."
                record(unit, "monitor.stop", "monitor", row.id)

    def list(self, unit: UnitOfWork, deployment: str) -> Sequence[MonitorRow]:
        """Return a deployment's monitors."""
        authorise(unit, "monitor.list", "deployment", deployment)
        return repository.monitors(unit.session, self._deployments.resolve(unit, deployment))

    def run_now(self, unit: UnitOfWork, deployment: str, window: dict[str, Any] | None = None) -> JobRow:
        """Submit a run of a deployment's monitor.

        Parameters
        ----------
        window
            ``max_rows`` or ``window_hours`` for this run only.

        Raises
        ------
        NotFound
            If there is no such deployment.
        """
        authorise(unit, "monitor.run", "deployment", deployment)
        # A deployment made a moment ago has its monitor now rather than with its event.
        row = self.create_for_deployment(unit, self._deployments.resolve(unit, deployment))
        return self._submit(unit, row, window or {})

    def run_due(self, unit: UnitOfWork) -> Sequence[str]:
        """Submit the monitors whose schedule has come round; return the jobs' ids."""
        authorise(unit, "monitor.run", "workspace", unit.context.workspace_id)
        rows = {row.id: row for row in repository.active_monitors(unit.session)}
        timings = [
            MonitorTiming(row.id, row.config["schedule"], row.last_run_at or row.created_at) for row in rows.values()
        ]
        return [self._submit(unit, rows[monitor_id], {}).id for monitor_id in due_monitors(unit.clock.now(), timings)]

    def monitor(self, unit: UnitOfWork, monitor_id: str) -> MonitorRow:
        """Return a monitor by id."""
        authorise(unit, "monitor.read", "monitor", monitor_id)
        row = repository.monitor_by_id(unit.session, monitor_id)
        if row is None:
            raise monitor_not_found(monitor_id)
        return row

    def previous_score(self, unit: UnitOfWork, monitor_id: str, model_version_id: str) -> float | None:
        """Return the drift score that a new report's trend is measured from."""
        authorise(unit, "monitor.read", "monitor", monitor_id)
        return repository.previous_score(unit.session, monitor_id, model_version_id)

    def keep(self, unit: UnitOfWork, monitor_id: str, job_id: str, model: MonitoredModel, report: DriftReport) -> Kept:
        """Keep a report, and raise, update or mark recovered the monitor's alert, in one commit.

        A job that was interrupted after this commit comes here again: it gets the same report back and changes nothing.
        """
        authorise(unit, "monitor.report", "monitor", monitor_id)
        monitor = repository.monitor_by_id(unit.session, monitor_id, lock=True)
        if monitor is None:
            raise monitor_not_found(monitor_id)
        known = repository.report_of_job(unit.session, job_id)
        if known is not None:
            alert = repository.unresolved_alert(unit.session, monitor_id, DATA_DRIFT)
            return Kept(known, "nothing", alert.id if alert else None)
        now = unit.clock.now()
        row = DriftReportRow(
            id=new_id("drift_report"),
            monitor_id=monitor_id,
            deployment_id=monitor.deployment_id,
            model_version_id=model.model_version_id,
            model_name=model.model_name,
            semver=model.semver,
            job_id=job_id,
            status=report.status,
            n_rows=report.n_rows,
            enough_rows=report.enough_rows,
            drift_score=report.drift_score,
            recommended_action=recommended_action(report.highest_level),
            summary=report.summary,
            body=msgspec.to_builtins(report),
            created_at=now,
        )
        unit.session.add(row)
        monitor.last_report_id = row.id
        unit.session.flush()
        finding = {"report": row.id, "status": report.status, "n_rows": report.n_rows}
        record(unit, "monitor.report", "monitor", monitor_id, finding)
        outcome, alert_id = self._alert(unit, monitor, row, model, report)
        repository.delete_reports_before(unit.session, now - REPORT_RETENTION)
        return Kept(row, outcome, alert_id)

    def reports(self, unit: UnitOfWork, deployment: str, *, limit: int, before: str = "") -> Sequence[DriftReportRow]:
        """Return a deployment's reports, newest first."""
        authorise(unit, "monitor.read", "deployment", deployment)
        deployment_id = self._deployments.resolve(unit, deployment)
        return repository.reports(unit.session, deployment_id, limit=limit, before=before)

    def report(self, unit: UnitOfWork, deployment: str, report_id: str) -> DriftReportRow:
        """Return a report of a deployment; ``latest`` is the newest one's id."""
        authorise(unit, "monitor.read", "deployment", deployment)
        deployment_id = self._deployments.resolve(unit, deployment)
        if report_id == "latest":
            newest = repository.reports(unit.session, deployment_id, limit=1, before="")
            row = newest[0] if newest else None
        else:
            row = repository.report(unit.session, deployment_id, report_id)
        if row is None:
            raise report_not_found(report_id)
        return row

    def alerts(
        self,
        unit: UnitOfWork,
        *,
        limit: int,
        before: str = "",
        status: str = "",
        severity: str = "",
        deployment: str = "",
    ) -> Sequence[AlertRow]:
        """Return alerts, newest first; empty criteria are no criteria."""
        authorise(unit, "alert.list", "alert")
        deployment_id = self._deployments.resolve(unit, deployment) if deployment else ""
        return repository.alerts(
            unit.session, limit=limit, before=before, status=status, severity=severity, deployment_id=deployment_id
        )

    def alert(self, unit: UnitOfWork, alert_id: str) -> AlertRow:
        """Return an alert."""
        authorise(unit, "alert.read", "alert", alert_id)
        row = repository.alert(unit.session, alert_id)
        if row is None:
            raise alert_not_found(alert_id)
        return row

    def acknowledge(self, unit: UnitOfWork, alert_id: str, comment: str = "") -> AlertRow:
        """Say that somebody is looking at an alert; saying it twice changes nothing.

        Raises
        ------
        Conflict
            If it is resolved.
        """
        row = self._locked(unit, "alert.acknowledge", alert_id)
        if row.status == "resolved":
            raise alert_is_resolved(alert_id)
        if row.status == "open":
            row.status = "acknowledged"
            row.acknowledged_by, row.acknowledged_at = unit.context.actor.id, unit.clock.now()
            self._commented(unit, row, "alert.acknowledge", comment)
        return row

    def resolve(self, unit: UnitOfWork, alert_id: str, comment: str = "") -> AlertRow:
        """Close an alert; closing it twice changes nothing."""
        row = self._locked(unit, "alert.resolve", alert_id)
        if row.status != "resolved":
            row.status = "resolved"
            row.resolved_by, row.resolved_at = unit.context.actor.id, unit.clock.now()
            self._commented(unit, row, "alert.resolve", comment)
        return row

    def traffic(self, unit: UnitOfWork, deployment: str, hours: float) -> DeploymentTraffic:
        """Return a deployment's traffic of the last hours, and how good it was as far as the truth is known."""
        authorise(unit, "monitor.read", "deployment", deployment)
        deployment_id = self._deployments.resolve(unit, deployment)
        workspace_id = unit.context.workspace_id
        since = unit.clock.now() - timedelta(hours=hours)
        self._source.collect(workspace_id, deployment_id)
        objects = self._store.for_workspace(workspace_id)
        fields = ("latency_ms", *JOINED_FIELDS)
        table = read_log(objects, deployment_id, limit=MAX_TRAFFIC_ROWS, since=since, fields=fields)
        times = table.column("time").to_pylist()
        versions = zip(table.column("model_version_id").to_pylist(), table.column("semver").to_pylist(), strict=True)
        traffic = summarise_traffic(
            table.column("request_id").to_pylist(),
            table.column("latency_ms").to_pylist(),
            list(versions),
            start=times[0] if times else None,
            end=times[-1] if times else None,
        )
        signature = self._deployments.signature_of(unit, deployment_id)
        told = read_outcomes(objects, deployment_id, since=since)
        joined = Joined((), told.num_rows, told.num_rows)
        if signature is not None and told.num_rows:
            joined = join_outcomes(table, told, task=signature.task, positive=positive_class(signature))
        return DeploymentTraffic(deployment_id, traffic, len(times) == MAX_TRAFFIC_ROWS, joined)

    def _add(self, unit: UnitOfWork, deployment_id: str, config: MonitorConfig) -> MonitorRow:
        row = MonitorRow(
            id=new_id("monitor"),
            deployment_id=deployment_id,
            monitor_type=DRIFT,
            config=config.model_dump(),
            status="active",
            status_reason="",
            created_by=unit.context.actor.id,
            created_at=unit.clock.now(),
        )
        unit.session.add(row)
        unit.session.flush()
        record(unit, "monitor.create", "monitor", row.id, {"deployment": deployment_id, "type": DRIFT})
        return row

    def _submit(self, unit: UnitOfWork, row: MonitorRow, window: dict[str, Any]) -> JobRow:
        row.last_run_at = unit.clock.now()
        payload = {"monitor_id": row.id, "window": window}
        return self._jobs.submit(unit, MONITOR_JOB, payload, "deployment", row.deployment_id)

    def _alert(
        self, unit: UnitOfWork, monitor: MonitorRow, kept: DriftReportRow, model: MonitoredModel, report: DriftReport
    ) -> tuple[str, str | None]:
        """Apply the rules of :mod:`arkwright.monitoring.alerts`; return the outcome and the alert's id."""
        row = repository.unresolved_alert(unit.session, monitor.id, DATA_DRIFT)
        decision = decide_alert(report, _state(row) if row else None, unit.clock.now())
        if decision.outcome == "nothing" or decision.state is None:
            return "nothing", row.id if row else None
        if row is None:
            row = AlertRow(
                id=new_id("alert"),
                monitor_id=monitor.id,
                deployment_id=monitor.deployment_id,
                kind=DATA_DRIFT,
                comment="",
                created_at=unit.clock.now(),
            )
            unit.session.add(row)
        _apply(row, decision.state)
        if decision.outcome != "recovered":
            row.summary = report.summary
            row.message = alert_message(report, model.label)
            row.model_version_id, row.model_name, row.semver = model.model_version_id, model.model_name, model.semver
            row.report_id = kept.id
            row.drift_summary = {
                "data_drift_level": report.data_drift,
                "prediction_drift_level": report.prediction_drift,
                "top_drifted_features": [result.feature for result in report.features[:5] if result.level != "none"],
            }
        unit.session.flush()
        self._tell(unit, row, decision)
        return decision.outcome, row.id

    def _tell(self, unit: UnitOfWork, row: AlertRow, decision: AlertDecision) -> None:
        facts = {
            "alert_id": row.id,
            "monitor_id": row.monitor_id,
            "deployment_id": row.deployment_id,
            "severity": row.severity,
            "count": row.count,
        }
        record(unit, f"alert.{decision.outcome}", "alert", row.id, facts)
        if decision.notify:
            words = {"summary": row.summary, "message": row.message, "action_required": row.action_required}
            unit.emit(ALERT_RAISED, row.id, {**facts, **words})

    def _locked(self, unit: UnitOfWork, action: str, alert_id: str) -> AlertRow:
        authorise(unit, action, "alert", alert_id)
        row = repository.alert(unit.session, alert_id, lock=True)
        if row is None:
            raise alert_not_found(alert_id)
        return row

    def _commented(
        self, unit: UnitOfWork, row: AlertRow, action: Literal["alert.acknowledge", "alert.resolve"], comment: str
    ) -> None:
        row.comment = comment or row.comment
        record(unit, action, "alert", row.id, {"comment": comment} if comment else {})


def _state(row: AlertRow) -> AlertState:
    return msgspec.convert(
        {name: getattr(row, name) for name in AlertState.__struct_fields__}, AlertState, from_attributes=True
    )


def _apply(row: AlertRow, state: AlertState) -> None:
    if row.status == "acknowledged" and state.status == "open":
        row.acknowledged_by = row.acknowledged_at = None
    for name in AlertState.__struct_fields__:
        setattr(row, name, getattr(state, name))
