"""Wire shapes of monitors, reports, alerts and traffic."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from arkwright.core.errors import Invalid
from arkwright.monitoring.schedule import EVERY_SIX_HOURS, Schedule
from arkwright.monitoring.segments import LOG_RETENTION_DAYS

MAX_WINDOW_ROWS = 10_000
LOG_RETENTION_HOURS = LOG_RETENTION_DAYS * 24


class MonitorConfig(BaseModel):
    """When a monitor runs, and what it looks at: the last ``max_rows`` predictions of the last ``window_hours``."""

    model_config = ConfigDict(extra="forbid")

    schedule: str = Field(EVERY_SIX_HOURS, max_length=200, description="Five cron fields, UTC.")
    max_rows: int = Field(MAX_WINDOW_ROWS, ge=1, le=MAX_WINDOW_ROWS)
    window_hours: float = Field(LOG_RETENTION_HOURS, gt=0, le=LOG_RETENTION_HOURS)

    @field_validator("schedule")
    @classmethod
    def _readable(cls, schedule: str) -> str:
        try:
            Schedule.parse(schedule)
        except Invalid as error:
            raise ValueError(error.detail) from None
        return schedule


class CreateMonitor(BaseModel):
    """Set up a deployment's monitor, or change the one it has."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"type": "drift", "config": {"schedule": EVERY_SIX_HOURS, "max_rows": 5000}}]},
    )

    type: Literal["drift"] = "drift"
    config: MonitorConfig = Field(default_factory=MonitorConfig)
    enabled: bool = True
    reason: str = Field("", max_length=1000, description="Why it is switched off; required then.")


class RunMonitor(BaseModel):
    """Narrow the window of this one run; what is left out comes from the monitor."""

    model_config = ConfigDict(extra="forbid")

    max_rows: int | None = Field(None, ge=1, le=MAX_WINDOW_ROWS)
    window_hours: float | None = Field(None, gt=0, le=LOG_RETENTION_HOURS)


class CommentAlert(BaseModel):
    """What somebody has to say about an alert."""

    model_config = ConfigDict(extra="forbid")

    comment: str = Field("", max_length=1000)


class Monitor(BaseModel):
    """A monitor; ``status`` is active, disabled, or stopped with its deployment."""

    id: str
    deployment_id: str
    type: str
    config: MonitorConfig
    status: str
    status_reason: str
    last_report_id: str | None
    last_run_at: datetime | None
    created_at: datetime


class FeatureDrift(BaseModel):
    """One feature of a report, without its cells."""

    feature: str
    kind: str
    level: str
    psi: float
    kl: float
    expected_psi: float
    noise_bound: float
    test: str
    statistic: float
    p_value: float
    p_value_adjusted: float
    n: int
    enough_rows: bool
    missing_share_reference: float
    missing_share_current: float
    missing_share_change: float
    unexpected_share: float
    mean_reference: float | None
    mean_current: float | None


class CellShares(BaseModel):
    """A bin or category."""

    label: str
    reference_share: float
    current_share: float


class FeatureDriftWithCells(FeatureDrift):
    """One feature of a report, with the two distributions."""

    cells: list[CellShares]


class DriftReportSummary(BaseModel):
    """A report, without the features' cells."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    monitor_id: str
    deployment_id: str
    model_version_id: str
    model_name: str
    semver: str
    job_id: str
    created_at: datetime
    window_start: datetime | None
    window_end: datetime | None
    n_rows: int
    n_reference: int
    enough_rows: bool
    status: str
    recommended_action: str
    data_drift: str
    prediction_drift: str
    n_significant: int
    n_moderate: int
    top_features: list[str]
    drift_score: float
    trend: str | None
    summary: str
    confidence: dict[str, float] | None
    features: list[FeatureDrift]
    prediction: FeatureDrift


class DriftReportDetail(DriftReportSummary):
    """A whole report."""

    features: list[FeatureDriftWithCells]  # type: ignore[assignment]
    prediction: FeatureDriftWithCells


class Alert(BaseModel):
    """An alert; ``count`` says in how many reports it was seen, ``recovered_at`` since when it no longer is."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    monitor_id: str
    deployment_id: str
    model_version_id: str
    model_name: str
    semver: str
    kind: str
    severity: str
    action_required: str
    summary: str
    message: str
    status: str
    acknowledged: bool
    count: int
    first_seen: datetime
    last_seen: datetime
    recovered_at: datetime | None
    report_id: str
    drift_summary: dict[str, Any]
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    resolved_by: str | None
    resolved_at: datetime | None
    comment: str
    created_at: datetime


class LatencyMetrics(BaseModel):
    """Time from a request's arrival to its answer."""

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class VersionMetrics(BaseModel):
    """What one version answered."""

    model_config = ConfigDict(protected_namespaces=())

    model_version_id: str
    semver: str
    n_requests: int
    n_rows: int
    latency: LatencyMetrics | None


class QualityMetric(BaseModel):
    """A metric with its 95 % interval; the bounds are null where too few outcomes are known."""

    name: str
    value: float
    low: float | None
    high: float | None
    higher_is_better: bool


class ArmQuality(BaseModel):
    """How good the answers of one version at one arm were; empty ``metrics`` where no truth is known."""

    model_config = ConfigDict(protected_namespaces=())

    arm: str
    model_version_id: str
    semver: str
    n_predictions: int
    n_outcomes: int
    metrics: list[QualityMetric]


class DeploymentMetrics(BaseModel):
    """A deployment's traffic in the prediction log, up to the ``max_rows`` latest rows of the span.

    ``quality`` compares the predictions of the span with the outcomes that came in as feedback since its beginning;
    ``n_unmatched`` of the ``n_outcomes`` told have no prediction in the log.
    """

    deployment_id: str
    start: datetime | None
    end: datetime | None
    n_requests: int
    n_rows: int
    truncated: bool
    latency: LatencyMetrics | None
    versions: list[VersionMetrics]
    quality: list[ArmQuality]
    n_outcomes: int
    n_unmatched: int
