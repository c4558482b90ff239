"""Wire shapes of deployments."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, FailFast, Field, model_validator

from arkwright.deployments.batch_output import OutputFormat
from arkwright.deployments.batch_plan import OnError
from arkwright.deployments.resource import (
    DEFAULT_PAUSE_SECONDS,
    DEFAULT_STEPS,
    LATENCY_CLASSES,
    as_request,
    is_resource,
)

Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=30 * 86_400, allow_inf_nan=False)]
VersionId = Annotated[str, Field(max_length=40)]


class CanarySplit(BaseModel):
    """A second version that answers part of the requests: short for the strategy ``canary``."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_version_id: VersionId
    traffic_percent: float = Field(10.0, gt=0, lt=100)


class MetricRule(BaseModel):
    """How much worse than the stable arm a metric over outcomes may be, in its own unit."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=60)
    max_worse: float = Field(0.0, ge=0, allow_inf_nan=False)
    min_outcomes: int = Field(100, ge=2, le=10_000_000)
    higher_is_better: bool | None = None


class RolloutAnalysis(BaseModel):
    """What a candidate is held to; what is not given comes from the deployment's SLOs."""

    model_config = ConfigDict(extra="forbid")

    interval_seconds: float = Field(5.0, ge=1, le=3600)
    min_requests: int = Field(50, ge=1, le=10_000_000)
    max_error_rate_pct: Percent | None = None
    latency_ms_p95: float | None = Field(None, gt=0, allow_inf_nan=False)
    latency_ms_p99: float | None = Field(None, gt=0, allow_inf_nan=False)
    metrics: list[MetricRule] = Field(default_factory=list, max_length=20)
    min_agreement_pct: Percent = 0.0
    max_score_difference: float = Field(0.0, ge=0, allow_inf_nan=False)
    confidence: float = Field(0.95, ge=0.5, le=0.9999)


class ArmShare(BaseModel):
    """One arm of an A/B test; the arm ``stable`` names no version: it is what the deployment serves anyway."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    name: str = Field(max_length=40, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    percent: Percent
    model_version_id: VersionId = ""
    version: str = Field("", max_length=40)


class DeploymentStrategy(BaseModel):
    """How a candidate comes to answer.

    ``canary`` walks through ``steps``; ``blue_green`` loads it beside and switches at once; ``shadow`` gives it a copy
    of ``percent`` of the requests; ``ab`` keeps fixed ``arms``. A pause of null lasts until somebody resumes.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    type: Literal["canary", "shadow", "blue_green", "ab"]
    model_version_id: VersionId = ""
    version: str = Field("", max_length=40)
    steps: list[Percent] = Field(default_factory=lambda: list(DEFAULT_STEPS), min_length=1, max_length=50)
    pause_seconds: Seconds | Annotated[list[Seconds | None], Field(max_length=50)] | None = DEFAULT_PAUSE_SECONDS
    percent: float = Field(100.0, gt=0, le=100)
    arms: list[ArmShare] = Field(default_factory=list, max_length=20)
    unit: str = Field("request", min_length=1, max_length=120)
    salt: str = Field("", max_length=80)
    analysis: RolloutAnalysis = Field(default_factory=RolloutAnalysis)
    auto_promote: bool = True

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.type == "ab":
            self._check_arms()
        elif self.arms:
            raise ValueError("arms belong to the strategy ab")
        elif bool(self.model_version_id) == bool(self.version):
            raise ValueError("a candidate is named by either model_version_id or version")
        if self.type == "canary":
            pairs = zip(self.steps, self.steps[1:], strict=False)
            if self.steps[0] <= 0 or any(later <= sooner for sooner, later in pairs):
                raise ValueError("steps must be percentages above 0, each above the one before")
            if isinstance(self.pause_seconds, list) and len(self.pause_seconds) != len(self.steps):
                raise ValueError(f"pause_seconds must have one item for each of the {len(self.steps)} steps")
        elif isinstance(self.pause_seconds, list):
            raise ValueError("only a canary has a pause for each step")
        return self

    def spec(self) -> dict[str, Any]:
        """Return what is kept of it: nothing that another type of strategy would read."""
        only = {"canary": {"steps"}, "shadow": {"percent"}, "ab": {"arms"}, "blue_green": set[str]()}[self.type]
        return self.model_dump(exclude={"steps", "percent", "arms"} - only)

    def _check_arms(self) -> None:
        names = [arm.name for arm in self.arms]
        if len(names) < 2 or len(set(names)) != len(names) or "stable" not in names:
            raise ValueError("ab needs two arms or more with different names, one of them stable")
        if abs(sum(arm.percent for arm in self.arms) - 100) > 1e-6:
            raise ValueError("the arms' percents must add up to 100")
        for arm in self.arms:
            named = bool(arm.model_version_id) + bool(arm.version)
            if named != (arm.name != "stable"):
                raise ValueError("each arm but stable needs either model_version_id or version")


class Autoscale(BaseModel):
    """What a horizontal autoscaler is told; kept with the deployment."""

    model_config = ConfigDict(extra="forbid")

    min_replicas: int = Field(2, ge=1, le=10_000)
    max_replicas: int = Field(10, ge=1, le=10_000)
    target_cpu_utilization_percentage: int = Field(60, ge=1, le=100)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_replicas > self.max_replicas:
            raise ValueError("min_replicas is greater than max_replicas")
        return self


class Slos(BaseModel):
    """What the endpoint promises. A latency class stands for a p95: tabular-fast 120 ms, standard 500, vision 800."""

    model_config = ConfigDict(extra="forbid")

    latency_class: Literal["tabular-fast", "standard", "vision", "llm"] = "standard"
    latency_ms_p95: float | None = Field(None, gt=0, allow_inf_nan=False)
    latency_ms_p99: float = Field(0.0, ge=0, allow_inf_nan=False)
    error_rate_pct: Percent = 1.0

    @model_validator(mode="after")
    def _profile(self) -> Self:
        if self.latency_ms_p95 is None:
            self.latency_ms_p95 = LATENCY_CLASSES[self.latency_class]
        return self


class DeploymentLimits(BaseModel):
    """What the endpoint admits, per API key; 0 means the data plane's own limits."""

    model_config = ConfigDict(extra="forbid")

    requests_per_second: float = Field(0.0, ge=0, le=1e6)
    burst: int = Field(0, ge=0, le=1_000_000)
    timeout_ms: float = Field(0.0, ge=0, le=600_000)
    max_rows: int = Field(0, ge=0, le=1_000_000)


class PredictionLogPolicy(BaseModel):
    """What of a prediction is written down; the values of ``redact`` columns only as their SHA-256."""

    model_config = ConfigDict(extra="forbid")

    sample_percent: Percent = 100.0
    redact: list[Annotated[str, Field(max_length=200)]] = Field(default_factory=list, max_length=1000)


class DeploymentFallback(BaseModel):
    """Who answers when the model cannot: an earlier version, then a constant. Such an answer is marked."""

    model_config = ConfigDict(extra="forbid")

    previous: bool = False
    constant: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _is_an_answer(self) -> Self:
        if self.constant is not None and not set(self.constant) & {"label", "value"}:
            raise ValueError("constant must have a label (and score), or a value, as a prediction does")
        return self


class CreateDeployment(BaseModel):
    """Ask for an endpoint: a ``model`` to follow, or a version to pin (its id, or ``model`` and ``version``).

    The resource form (``apiVersion: arkwright/v1``, ``kind: Deployment``, ``metadata``, ``spec``) is accepted too.
    """

    model_config = ConfigDict(
        extra="forbid",
        protected_namespaces=(),
        json_schema_extra={"examples": [{"name": "churn", "model": "telco-churn"}, {"model_version_id": "mv_..."}]},
    )

    name: str = Field("", max_length=90, pattern=r"^([A-Za-z0-9][A-Za-z0-9._ -]*)?$")
    model: str = Field("", max_length=120)
    model_version_id: VersionId = ""
    version: str = Field("", max_length=40)
    canary: CanarySplit | None = None
    strategy: DeploymentStrategy | None = None
    autoscale: Autoscale | None = None
    slos: Slos | None = None
    limits: DeploymentLimits | None = None
    log: PredictionLogPolicy | None = None
    fallback: DeploymentFallback | None = None
    cache_seconds: float = Field(0.0, ge=0, le=86_400)
    project_id: str = Field("", max_length=40)

    @model_validator(mode="before")
    @classmethod
    def _resource(cls, body: Any) -> Any:
        return as_request(body) if is_resource(body) else body

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> Self:
        if self.canary is not None:
            if self.strategy is not None:
                raise ValueError("canary is short for a strategy: send one of the two")
            steps = [self.canary.traffic_percent, 100.0]
            self.strategy = DeploymentStrategy(
                type="canary", model_version_id=self.canary.model_version_id, steps=steps
            )
            self.canary = None
        return self


class Deployment(BaseModel):
    """An endpoint; ``status`` is pending, ready, failed or stopped. ``revision`` is its ETag."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    name: str
    status: str
    status_detail: str
    endpoint_url: str
    model_id: str
    model_name: str
    follows_production: bool
    model_version_id: str | None
    model_version: int | None
    semver: str | None
    traffic_split: dict[str, Any]
    strategy: dict[str, Any] | None
    rollout_id: str | None
    rollout_state: str | None
    autoscale: dict[str, Any]
    slos: dict[str, Any]
    limits: dict[str, Any]
    log: dict[str, Any]
    fallback: dict[str, Any]
    cache_seconds: float
    revision: int
    project_id: str
    created_by: str
    created_at: datetime


class AutoscaleSignals(BaseModel):
    """What an autoscaler looks at, over the data planes that serve the endpoint, and what its rule asks for."""

    deployment_id: str
    autoscale: dict[str, Any]
    replicas: int
    in_flight: int
    queue: int
    cpu_percent: float | None
    desired_replicas: int


class FieldChange(BaseModel):
    """One difference between what is and what was asked for."""

    field: str
    before: Any
    after: Any


class DeploymentDiff(BaseModel):
    """What applying a resource would change; ``deployment_id`` is None where it would create the deployment."""

    deployment_id: str | None
    name: str
    changes: list[FieldChange]
    starts_rollout: bool


class RolloutFinding(BaseModel):
    """One condition: ``status`` is met, breached or open (not enough is known)."""

    name: str
    arm: str
    status: str
    value: float | None
    threshold: float
    n: int
    needed: int
    detail: str
    low: float | None
    high: float | None


class ArmReport(BaseModel):
    """What the data planes counted for one arm since the rollout's present step began, or in its last step."""

    model_config = ConfigDict(protected_namespaces=())

    arm: str
    mode: str
    model_version_id: str
    semver: str
    traffic_percent: float
    requests: int
    failed: int
    fallbacks: int
    rows: int
    error_rate_pct: float | None
    latency_ms_p50: float | None
    latency_ms_p95: float | None
    latency_ms_p99: float | None
    mean_score: float | None
    score_shift: float | None
    score_shift_low: float | None
    score_shift_high: float | None
    compared: int
    agreement_pct: float | None
    mean_abs_difference: float | None
    fuse_blown: bool


class Rollout(BaseModel):
    """A rollout; ``state`` is progressing, paused, promoted, rolled_back, aborted or failed."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    deployment_id: str
    strategy: str
    state: str
    step: int
    steps: list[float]
    pause_seconds: list[float | None]
    traffic_split: dict[str, float]
    baseline_version_id: str
    baseline_semver: str
    candidate_version_id: str
    candidate_semver: str
    decision: str
    reason: str
    conditions: list[RolloutFinding]
    arms: list[ArmReport]
    evidence_id: str | None
    created_by: str
    started_at: datetime
    step_started_at: datetime
    assessed_at: datetime | None
    decided_at: datetime | None


class RolloutEvent(BaseModel):
    """One thing that happened to a deployment's rollouts."""

    id: str
    rollout_id: str
    action: str
    state: str
    step: int
    traffic_split: dict[str, float]
    reason: str
    actor_id: str
    created_at: datetime


class RolloutHistory(BaseModel):
    """A deployment's rollouts, newest first; ``current`` is the one that may still move, if any."""

    deployment_id: str
    current: Rollout | None
    rollouts: list[Rollout]


class RolloutAction(BaseModel):
    """Why somebody steps in; kept in the history and the audit log."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"comment": "Seen enough."}]})

    comment: str = Field("", max_length=800)


class PromoteRollout(RolloutAction):
    """Why, and in a test of several arms which one."""

    arm: str = Field("", max_length=40)


class BatchSource(BaseModel):
    """The rows to score: an upload, or a dataset version."""

    model_config = ConfigDict(extra="forbid")

    upload_id: str = Field("", max_length=40)
    dataset_version_id: str = Field("", max_length=40)


class CreateBatch(BaseModel):
    """Score rows with a model's production version, or with a version of your choice.

    ``on_error`` says what a cell does that is not what the model takes: ``fail`` ends the batch and names the column
    and the row, ``keep`` leaves the row without a prediction and says why in ``prediction_error``. ``with_scores`` adds
    the score of every class.
    """

    model_config = ConfigDict(
        extra="forbid",
        protected_namespaces=(),
        json_schema_extra={"examples": [{"model": "telco-churn", "source": {"upload_id": "up_..."}}]},
    )

    model: str = Field("", max_length=120)
    model_version_id: str = Field("", max_length=40)
    source: BatchSource
    output_format: OutputFormat = "parquet"
    with_scores: bool = False
    on_error: OnError = "fail"


class PlainBatch(BaseModel):
    """Score a few rows that stand in the body, or those of a ``source``, as a job."""

    model_config = ConfigDict(
        extra="forbid",
        populate_by_name=True,
        protected_namespaces=(),
        json_schema_extra={
            "examples": [{"model": "telco-churn", "inputs": [{"tenure": 12, "Contract": "Month-to-month"}]}]
        },
    )

    model: str = Field("", max_length=120)
    model_version_id: str = Field("", max_length=40)
    # The first row that is none is enough to hear of.
    inputs: Annotated[list[dict[str, Any]], FailFast()] = Field(
        default_factory=list, max_length=100_000, validation_alias=AliasChoices("inputs", "instances")
    )
    source: BatchSource | None = None
    output_format: OutputFormat = "parquet"
    with_scores: bool = False
    on_error: OnError = "fail"
