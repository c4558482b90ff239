"""Wire shapes of experiments and trials."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from arkwright.evaluation import GuardrailMetric, SuccessCriterion

MAX_INTEGER = 2**31 - 1


class CrossValidation(BaseModel):
    """How candidates are compared."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["stratified_kfold", "kfold"] | None = Field(None, description="Stratified for classes by default.")
    folds: int | None = Field(None, ge=2, le=20, description="5 by default, 3 above 100,000 rows.")
    seed: int = Field(42, ge=0, le=MAX_INTEGER)


class Search(BaseModel):
    """How many candidates, and how they are drawn; other names of the same settings are accepted (C-27)."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    sampler: str = Field("portfolio", max_length=60, validation_alias=AliasChoices("sampler", "algorithm"))
    max_trials: int = Field(200, ge=1, le=10_000, validation_alias=AliasChoices("max_trials", "trials"))
    early_stopping: str | None = Field(None, max_length=60)


class ExperimentConfig(BaseModel):
    """What the engine is told; everything has a default."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    budget_seconds: float = Field(60.0, ge=5, le=86_400, description="A hard limit, the final fit included.")
    cv: CrossValidation = Field(default_factory=CrossValidation)
    hpo: Search = Field(default_factory=Search)
    feature_types: dict[str, str] = Field(default_factory=dict, description="Overrides: column to kind.")
    ignore_columns: list[str] = Field(default_factory=list)
    model_name: str = Field("", max_length=120, description="Register under this name; empty: the experiment's.")
    positive_class: bool | int | str | None = Field(None, description="Of two classes; by default the affirmative one.")
    imbalance: dict[str, Any] = Field(default_factory=dict, description="{'method': 'class_weight'} weighs classes.")
    constraints: dict[str, Any] = Field(default_factory=dict)


class ExperimentDefinition(BaseModel):
    """What the model is to show, stated before it is trained; its evaluations go by it.

    The primary metric is the experiment's objective.
    """

    model_config = ConfigDict(extra="forbid")

    hypothesis: str = Field("", max_length=2_000, description="What the model is meant to show.")
    baseline_model: str = Field(
        "",
        max_length=200,
        description="What it is compared with: MODEL@VERSION, MODEL (its version in production, or its newest), or a "
        "version's id; left out, the version in production under the name of the model to be trained.",
    )
    guardrails: list[GuardrailMetric] = Field([], max_length=20, description="Metrics that must not get worse.")
    success_criteria: list[SuccessCriterion] = Field([], max_length=20)
    margin: float = Field(
        0.0, ge=0, le=1e12, description="A loss of the primary metric that does not matter, in its unit."
    )
    minimum_improvement: float = Field(
        0.0, ge=0, le=1e12, description="The least improvement of the primary metric worth having, in its unit."
    )


class CreateExperiment(BaseModel):
    """Ask for a model that predicts a column."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "task_type": "classification",
                    "objective": "maximize_roc_auc",
                    "dataset_id": "ds_...",
                    "target": "Churn",
                    "config": {"budget_seconds": 60, "cv": {"type": "stratified_kfold", "folds": 5, "seed": 42}},
                    "definition": {
                        "hypothesis": "Fewer false alarms at the same recall.",
                        "guardrails": [{"metric": "recall", "tolerance": 0.01}],
                        "success_criteria": [{"metric": "precision", "at_least": 0.6}],
                        "minimum_improvement": 0.01,
                    },
                }
            ]
        },
    )

    project_id: str = Field("", max_length=40)
    name: str = Field("", max_length=120)
    task_type: Literal["auto", "classification", "binary", "multiclass", "regression"] = "auto"
    objective: str = Field("", max_length=60, description="maximize_roc_auc, minimize_rmse, ...; empty: by task.")
    dataset_id: str = Field(min_length=1, max_length=120, description="Id or name of the dataset.")
    dataset_version: int | None = Field(
        None, ge=1, le=MAX_INTEGER, description="Number of the version; the newest by default."
    )
    target: str = Field(min_length=1, max_length=200)
    config: ExperimentConfig = Field(default_factory=ExperimentConfig)
    definition: ExperimentDefinition = Field(default_factory=ExperimentDefinition)


class CreatedExperiment(BaseModel):
    """The new experiment; run it with ``POST /v1/experiments/{id}/run``."""

    experiment_id: str
    status: str
    leaderboard_url: str
    notes: list[str] = []


class DefinedExperiment(BaseModel):
    """What the experiment is to show, on which data, compared with what.

    ``baseline_stated`` tells whether somebody named the baseline. If not, it is the version that was in production when
    the experiment was created. ``primary_metric`` is empty until the task is known.
    """

    hypothesis: str
    baseline_model: str
    baseline_version_id: str
    baseline_stated: bool
    primary_metric: str
    guardrails: list[dict[str, Any]]
    success_criteria: list[dict[str, Any]]
    margin: float
    minimum_improvement: float
    dataset: str
    dataset_version: int | None
    dataset_version_id: str


class ExperimentOutcome(BaseModel):
    """What the newest evaluation that compared the experiment's version with another one came to.

    ``status`` is ``promoted``, ``iterate`` or ``rejected``; ``statistical_significance`` the primary metric's p-value,
    adjusted for the number of metrics.
    """

    model_config = ConfigDict(protected_namespaces=())

    status: str
    recommendation: str
    rule: str
    primary_metric: str
    comparison_summary: str
    statistical_significance: float | None
    recommendation_rationale: str
    baseline_model: str
    baseline_version_id: str
    model_version_id: str
    evaluation_id: str
    completed_at: datetime


class Experiment(BaseModel):
    """An experiment and what came of it; where there is no outcome, ``outcome_note`` says why."""

    id: str
    name: str
    project_id: str
    task_type: str
    objective: str
    dataset_id: str
    dataset_version_id: str
    target: str
    config: dict[str, Any]
    definition: DefinedExperiment
    status: str
    job_id: str | None
    summary: dict[str, Any]
    outcome: ExperimentOutcome | None
    outcome_note: str = ""
    leaderboard_url: str
    created_by: str
    created_at: datetime
    finished_at: datetime | None


class Trial(BaseModel):
    """A candidate's run, as MLflow has it."""

    run_id: str
    name: str
    status: str
    params: dict[str, str]
    metrics: dict[str, float]
    start_time: datetime
    end_time: datetime | None


class Leaderboard(BaseModel):
    """The candidates, best first, and what is recommended."""

    experiment_id: str
    status: str
    metric: str
    direction: str
    entries: list[dict[str, Any]]
    chosen: str | None
    recommendation: str
