"""Background work: a monitor's run, the clock that starts runs, and what a deployment's events mean for monitors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from arkwright.core.context import system_context
from arkwright.core.events import DEPLOYMENT_CHANGED, DEPLOYMENT_CREATED, Event
from arkwright.kit.db import Database, UnitOfWork
from arkwright.kit.jobs import JobRun
from arkwright.kit.objects import ObjectStore
from arkwright.monitoring.payloads import MonitorConfig
from arkwright.monitoring.ports import MonitoredDeployments, MonitoredModel, PredictionSource
from arkwright.monitoring.report import DriftReport, drift_report
from arkwright.monitoring.service import MONITOR_JOB, MonitoringService
from arkwright.monitoring.window import read_window


class MonitorJob:
    """One run of a monitor: take over what was logged, compare, keep the report, alert.

    Parameters
    ----------
    monitoring
        Keeps what is found.
    deployments
        Knows the baseline.
    source
        Brings the latest predictions into the store, so that a run sees what was just predicted.
    store
        Where predictions lie.
    """

    kind = MONITOR_JOB

    def __init__(
        self,
        monitoring: MonitoringService,
        deployments: MonitoredDeployments,
        source: PredictionSource,
        store: ObjectStore,
    ) -> None:
        self._monitoring = monitoring
        self._deployments = deployments
        self._source = source
        self._store = store

    def run(self, job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the report's id, its status and summary, and what became of the alert."""
        monitor_id: str = payload["monitor_id"]
        # One step: reading again after a crash costs a second, and only `keep` leaves anything behind, once for a job.
        result: dict[str, Any] = job.step("compare", lambda: self._compare(job, monitor_id, payload.get("window", {})))
        job.progress(1.0, result["summary"])
        return result

    def _compare(self, job: JobRun, monitor_id: str, window: dict[str, Any]) -> dict[str, Any]:
        with job.read() as unit:
            monitor = self._monitoring.monitor(unit, monitor_id)
            deployment_id = monitor.deployment_id
            model = self._deployments.baseline_of(unit, deployment_id)
            previous = self._monitoring.previous_score(unit, monitor_id, model.model_version_id)
            wanted = {name: value for name, value in window.items() if value is not None}
            config = MonitorConfig.model_validate({**monitor.config, **wanted})
            since = unit.clock.now() - timedelta(hours=config.window_hours)
        job.progress(0.1, "Taking over the prediction log.")
        self._source.collect(job.context.workspace_id, deployment_id)
        job.progress(0.3, "Comparing with the training data.")
        seen = read_window(
            self._store.for_workspace(job.context.workspace_id),
            deployment_id,
            model.signature,
            limit=config.max_rows,
            since=since,
            model_version_id=model.model_version_id,
        )
        report = drift_report(
            seen.comparable(model.baseline),
            seen.columns,
            seen.predictions,
            task=model.signature.task,
            window_start=seen.start,
            window_end=seen.end,
            previous_score=previous,
        )
        with job.write() as unit:
            return self._keep(unit, monitor_id, job.job_id, model, report)

    def _keep(
        self, unit: UnitOfWork, monitor_id: str, job_id: str, model: MonitoredModel, report: DriftReport
    ) -> dict[str, Any]:
        kept = self._monitoring.keep(unit, monitor_id, job_id, model, report)
        # What was kept counts, not what was just computed: after a crash the window may have moved on.
        body = msgspec.convert(kept.report.body, DriftReport, strict=False)
        return {
            "report_id": kept.report.id,
            "status": body.status,
            "n_rows": body.n_rows,
            "summary": body.summary,
            "top_features": list(body.top_features),
            "recommended_action": kept.report.recommended_action,
            "alert": kept.outcome,
            "alert_id": kept.alert_id,
        }


class MonitorClock:
    """Starts the monitors that are due; the worker calls :meth:`tick` each minute.

    Parameters
    ----------
    workspaces
        Returns the ids of all workspaces.
    """

    def __init__(
        self, database: Database, monitoring: MonitoringService, workspaces: Callable[[], Sequence[str]]
    ) -> None:
        self._database = database
        self._monitoring = monitoring
        self._workspaces = workspaces

    def tick(self) -> list[str]:
        """Submit every due monitor of every workspace; return the jobs' ids."""
        job_ids: list[str] = []
        for workspace_id in self._workspaces():
            with self._database.write(system_context(workspace_id)) as unit:
                job_ids += self._monitoring.run_due(unit)
        return job_ids


class DeploymentWatch:
    """Follows deployments by their events: each new one gets a monitor, a stopped one's monitor rests."""

    name = "monitoring.deployments"
    types = frozenset({DEPLOYMENT_CREATED, DEPLOYMENT_CHANGED})

    def __init__(self, database: Database, monitoring: MonitoringService) -> None:
        self._database = database
        self._monitoring = monitoring

    def handle(self, event: Event) -> None:
        """Bring the deployment's monitor in line; the same event twice is the same as once."""
        with self._database.write(system_context(event.workspace_id, event.id)) as unit:
            if event.type == DEPLOYMENT_CREATED:
                self._monitoring.create_for_deployment(unit, event.subject)
            elif event.data.get("status") == "stopped":
                self._monitoring.stop_for_deployment(unit, event.subject)
