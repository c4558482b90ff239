"""Wire shapes of evaluations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, WithJsonSchema, model_validator

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
    created_by: str
    created_at: datetime
