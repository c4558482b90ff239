"""Wire shapes of evaluations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    model_validator,
)

from arkwright.evaluation.attestation import Kind
from arkwright.evaluation.definition_of_done import ItemStatus, Scope
from arkwright.evaluation.personal_columns import Semantics
from arkwright.evaluation.regulation import Purpose

# As text in the interface's description, which lists their values: a column's meaning is one of twenty.
UseOf = Annotated[Purpose, WithJsonSchema({"type": "string", "description": ", ".join(get_args(Purpose))})]
Meaning = Annotated[Semantics, WithJsonSchema({"type": "string", "description": ", ".join(get_args(Semantics))})]
ColumnName = Annotated[str, Field(min_length=1, max_length=500)]
Statement = Annotated[str, Field(min_length=1, max_length=1_000)]
_MOST_COLUMNS = 50
_MOST_STATEMENTS = 20
_MOST_LEVELS = 200
_LONGEST_YAML = 200_000
_MOST_REPORTS = 50
_MOST_KINDS = 50


class EvaluationSource(BaseModel):
    """Rows with the true outcome: an upload or a dataset version."""

    model_config = ConfigDict(extra="forbid")

    dataset_version_id: str = Field("", max_length=40)
    upload_id: str = Field("", max_length=40)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if bool(self.upload_id) == bool(self.dataset_version_id):
            raise ValueError("give either upload_id or dataset_version_id")
        return self


class DecisionCosts(BaseModel):
    """What each outcome of a decision costs for one row, all in one unit."""

    model_config = ConfigDict(extra="forbid")

    false_positive: float = Field(1.0, ge=0, le=1e12)
    false_negative: float = Field(1.0, ge=0, le=1e12)
    true_positive_benefit: float = Field(0.0, ge=0, le=1e12)
    true_negative_benefit: float = Field(0.0, ge=0, le=1e12)


class GuardrailMetric(BaseModel):
    """A metric that must not get worse than the other version's by more than ``tolerance``, in its own unit."""

    model_config = ConfigDict(extra="forbid")

    metric: str = Field(min_length=1, max_length=60)
    tolerance: float = Field(0.0, ge=0, le=1e12)


class SuccessCriterion(BaseModel):
    """What the version's metric must be: at least so much, at most so much, or both."""

    model_config = ConfigDict(extra="forbid")

    metric: str = Field(min_length=1, max_length=60)
    at_least: float | None = Field(None, ge=-1e12, le=1e12)
    at_most: float | None = Field(None, ge=-1e12, le=1e12)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least or at_most")
        return self


class CounterfactualLimit(BaseModel):
    """How a counterfactual may change a column: not at all, in one direction, between bounds, to some levels.

    A moment's bounds are in microseconds since 1970 (UTC). The row's own value is always allowed.
    """

    model_config = ConfigDict(extra="forbid")

    name: ColumnName
    fixed: bool = False
    direction: Literal["any", "up", "down"] = "any"
    low: float | None = Field(None, ge=-1e18, le=1e18)
    high: float | None = Field(None, ge=-1e18, le=1e18)
    levels: list[str] = Field([], max_length=_MOST_LEVELS)


class ForecastOptions(BaseModel):
    """Score the rows as a forecast, for a model that answers a number over time-ordered rows.

    ``history`` holds earlier values of the series; left out, the dataset version that the model was trained on.
    """

    model_config = ConfigDict(extra="forbid")

    time: ColumnName = Field(description="The column that says when a row is.")
    series: str = Field("", max_length=500, description="The column that tells series apart; empty for one series.")
    season: int = Field(1, le=1_000_000, description="Steps in a season: 12 for months with a yearly one, 1 for none.")
    horizon: int = Field(1, le=1_000_000, description="How many steps ahead the answers are made.")
    history: EvaluationSource | None = None


class NumberBounds(BaseModel):
    """A number from ``low`` on and below ``high``; one of the two may be left out."""

    model_config = ConfigDict(extra="forbid")

    low: float | None = Field(None, ge=-1e18, le=1e18)
    high: float | None = Field(None, ge=-1e18, le=1e18)


SliceValue = StrictBool | StrictInt | StrictFloat | StrictStr | None


class SliceDefinition(BaseModel):
    """Rows to be measured by themselves: by column a value, any of several values, or bounds; null is missing."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    where: dict[ColumnName, SliceValue | list[SliceValue] | NumberBounds] = Field(min_length=1, max_length=20)


class CardDetails(BaseModel):
    """What only people can say of a model; what is left out is "Not stated." on the card."""

    model_config = ConfigDict(extra="forbid")

    primary_uses: list[Statement] = Field([], max_length=_MOST_STATEMENTS)
    primary_users: list[Statement] = Field([], max_length=_MOST_STATEMENTS)
    out_of_scope: list[Statement] = Field([], max_length=_MOST_STATEMENTS)
    developers: list[Statement] = Field([], max_length=_MOST_STATEMENTS)
    license: str = Field("", max_length=120)
    contact: str = Field("", max_length=200)


class CreateEvaluation(BaseModel):
    """Ask for the evaluation of a model version.

    The version is named by ``model_version_id``, or by ``model`` and ``version``: a number, a semantic version, an id
    or a stage; left out, the newest. Without ``data``, the rows that were kept out of its training are taken.
    ``baseline`` is the id of the version to compare with; left out, the model's version in production, if that is
    another one.
    """

    model_config = ConfigDict(
        extra="forbid",
        protected_namespaces=(),
        json_schema_extra={
            "examples": [
                {
                    "model": "adult-income",
                    "version": "1",
                    "data": {"upload_id": "up_01jn0000000000000000000000"},
                    "sensitive": ["sex", "race", "age"],
                    "sensitive_bins": {"age": [25, 40, 60]},
                    "profile": "quick",
                }
            ]
        },
    )

    model_version_id: str = Field("", max_length=40)
    model: str = Field("", max_length=120)
    version: str = Field("", max_length=40)
    data: EvaluationSource | None = None
    sensitive: list[ColumnName] = Field([], max_length=_MOST_COLUMNS, description="Columns to compare groups by.")
    sensitive_bins: dict[ColumnName, list[float] | StrictInt] = Field(
        {}, max_length=_MOST_COLUMNS, description="For a number: rising edges, or how many groups of equal size."
    )
    profile: Literal["quick", "full"] = Field(
        "full", description="quick takes fewer rows and resamples, and leaves out what takes long."
    )
    baseline: str = Field("", max_length=40)
    behaviour: str = Field("", max_length=_LONGEST_YAML, description="Behaviour tests, as YAML.")
    costs: DecisionCosts | None = None
    favourable: StrictBool | StrictInt | StrictStr | None = Field(None, description="The class that people want.")
    primary_metric: str = Field("", max_length=60)
    latency_limit_ms: float | None = Field(None, gt=0, le=3_600_000, description="Most time for one row, p95.")
    wanted_per_second: float = Field(10.0, gt=0, le=1e9, description="Predictions a second in operation.")
    purpose: UseOf = "unknown"
    solely_automated: bool | None = Field(None, description="Whether it decides without a person.")
    gives_reasons: bool | None = Field(None, description="Whether people are told why.")
    semantics: dict[ColumnName, Meaning] = Field({}, max_length=_MOST_COLUMNS, description="What columns mean.")
    immutable: list[ColumnName] = Field(
        [], max_length=_MOST_COLUMNS, description="Columns that a counterfactual may not change."
    )
    limits: list[CounterfactualLimit] = Field(
        [], max_length=_MOST_COLUMNS, description="How a counterfactual may change the others."
    )
    slices: list[SliceDefinition] = Field(
        [], max_length=_MOST_COLUMNS, description="Rows that are measured by themselves, beside all others."
    )
    forecast: ForecastOptions | None = None
    no_people: str = Field(
        "",
        max_length=500,
        description="Why no groups of people need to be compared, where no row is about a person; it is printed.",
    )
    hypothesis: str = Field("", max_length=2_000, description="What the new version is meant to show.")
    guardrails: list[GuardrailMetric] = Field([], max_length=_MOST_STATEMENTS)
    success_criteria: list[SuccessCriterion] = Field([], max_length=_MOST_STATEMENTS)
    margin: float = Field(
        0.0,
        ge=0,
        le=1e12,
        description="A loss of the primary metric that does not matter, in its unit.",
    )
    minimum_improvement: float = Field(
        0.0, ge=0, le=1e12, description="The least improvement of the primary metric worth having, in its unit."
    )
    card: CardDetails = Field(default_factory=CardDetails)
    seed: int = Field(0, ge=0, le=2**31 - 1)

    @model_validator(mode="after")
    def _one_version(self) -> Self:
        if bool(self.model_version_id) == bool(self.model):
            raise ValueError("give either model_version_id or model")
        if self.version and not self.model:
            raise ValueError("version belongs to model")
        return self


class EvaluationFile(BaseModel):
    """One of an evaluation's files: its size and the SHA-256 of its bytes."""

    sha256: str
    size_bytes: int


class Evaluation(BaseModel):
    """What was found, in short; the document, the report and the card have it all."""

    model_config = ConfigDict(protected_namespaces=())

    id: str
    bundle_digest: str
    model_version_id: str
    model_name: str
    version: str
    profile: str
    decision: str
    confidence: str
    reasons: list[str]
    primary_metric: str
    metrics: dict[str, Any]
    beats_baseline: bool
    fairness: str | None
    disparities: list[dict[str, Any]]
    forecast: dict[str, Any] | None = None
    audited: list[dict[str, Any]] = []
    regulation: dict[str, Any] | None = None
    robustness: dict[str, Any] | None
    robustness_rating: str
    latency_p95_ms: float | None
    done_percent: int | None
    behaviour_passed: bool | None
    compared_with: str
    recommendation: str
    version_decision: str = ""
    canary_traffic_percent: int | None = None
    no_people: str = ""
    data: str
    basis: str
    n_rows_used: int
    seed: int
    not_done: dict[str, str]
    files: dict[str, EvaluationFile]
    kept_until: datetime | None = Field(None, description="Until when the report is kept; null: for ever.")
    removed_at: datetime | None = Field(None, description="When the report was removed; null: it is there.")
    created_by: str
    created_at: datetime


class JunitReports(BaseModel):
    """Tests of one scope: the JUnit XML files that their runner wrote."""

    model_config = ConfigDict(extra="forbid")

    scope: Scope
    junit: list[Annotated[str, Field(min_length=1)]] = Field(
        min_length=1, max_length=_MOST_REPORTS, description="The files' contents; 3.5 million characters each."
    )


class LoadTestResult(BaseModel):
    """What a load test measured, as ``arkwright load-test --json`` answers; the platform judges it itself."""

    model_config = ConfigDict(extra="forbid")

    deployment_id: str = Field(min_length=1, max_length=40)
    deployment: str = Field(max_length=200)
    rate_per_second: float = Field(gt=0, le=1e6)
    seconds: float = Field(gt=0, le=1e6)
    p95_limit_ms: float = Field(gt=0, le=3_600_000)
    max_error_share: float = Field(0.0, ge=0, lt=1)
    n_requests: int = Field(ge=1, le=10**9)
    statuses: dict[Annotated[str, Field(max_length=40)], Annotated[int, Field(ge=0, le=10**9)]] = Field(
        max_length=_MOST_KINDS, description="Requests by status; 200 only where the model itself answered."
    )
    achieved_per_second: float = Field(ge=0, le=1e9)
    p50_ms: float = Field(ge=0, le=1e12)
    p95_ms: float = Field(ge=0, le=1e12)
    p99_ms: float = Field(ge=0, le=1e12)
    max_ms: float = Field(ge=0, le=1e12)
    client_late_share: float = Field(0.0, ge=0, le=1)
    client_cpu_share: float = Field(0.0, ge=0, le=1e6)
    versions: dict[Annotated[str, Field(max_length=40)], Annotated[int, Field(ge=0, le=10**9)]] = Field(
        max_length=_MOST_KINDS, description="Answers of the model by the version that gave them."
    )
    rows: str = Field("", max_length=1_000)
    n_rows: int = Field(0, ge=0, le=10**9)


class DashboardPage(BaseModel):
    """A page on which people watch the model in operation."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=1, max_length=2_000)
    title: str = Field("", max_length=200)


class CreateAttestation(BaseModel):
    """State one thing about a model version: exactly one of the four."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"dashboard": {"url": "https://grafana.example.org/d/churn", "title": "Churn in operation"}}]
        },
    )

    tests: JunitReports | None = None
    load_test: LoadTestResult | None = None
    dashboard: DashboardPage | None = None
    rollback_procedure: str | None = Field(
        None, min_length=1, max_length=2_000, description="Where it is written down, or what to do."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = (self.tests, self.load_test, self.dashboard, self.rollback_procedure)
        if sum(part is not None for part in given) != 1:
            raise ValueError("give one of tests, load_test, dashboard and rollback_procedure")
        return self


class Attestation(BaseModel):
    """What was stated, by whom and when; ``counts`` tells if it is the newest of its kind (of tests: of its scope).

    ``passed`` is null where there is nothing to pass, or no test was run.
    """

    id: str
    kind: Kind
    scope: str
    summary: str
    passed: bool | None
    counts: bool
    content: dict[str, Any]
    bundle_digest: str
    created_by: str
    created_at: datetime


class DefinitionOfDoneItem(BaseModel):
    """One of the eleven items; ``remedy`` says what to do where it is not met."""

    key: str
    title: str
    status: ItemStatus
    evidence: list[str]
    reason: str
    remedy: str


class VersionDefinitionOfDone(BaseModel):
    """How far a version is from done, by what is known now; ``decision`` is the newest evaluation's verdict."""

    model_config = ConfigDict(protected_namespaces=())

    model_version_id: str
    model_name: str
    version: str
    evaluation_id: str | None
    decision: str | None
    items: list[DefinitionOfDoneItem]
    n_met: int
    n_not_met: int
    n_unknown: int
    percent_complete: int
    done: bool
    summary: str


class KeptRows(BaseModel):
    """Rows that were kept out of a version's training, as a request carries them."""

    instances: list[dict[str, Any]]
