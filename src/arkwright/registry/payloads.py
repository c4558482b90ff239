"""Wire shapes of models and versions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from arkwright.registry.names import MAX_NAME, MODEL_NAME

# What MLflow takes as a tag of a model version.
TagName = Annotated[str, Field(min_length=1, max_length=250, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. :-]*$")]
TagValue = Annotated[str, Field(max_length=5000, pattern=r"^[^\x00]*$")]


class CreateModel(BaseModel):
    """Ask for a model."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "telco-churn", "description": "Who will leave"}]}
    )

    name: str = Field(min_length=1, max_length=MAX_NAME, pattern=MODEL_NAME)
    description: str = Field("", max_length=2000)
    project_id: str = Field("", max_length=40)


class CreateVersion(BaseModel):
    """Make a stored bundle the next version of a model."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"bundle_digest": "sha256:" + "9f86d081" * 8, "description": ""}]},
    )

    bundle_digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")
    description: str = Field("", max_length=2000)
    tags: dict[TagName, TagValue] = Field({}, max_length=100)


class PromoteVersion(BaseModel):
    """Move a version to a stage."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"stage": "production", "comment": "better recall"}]}
    )

    stage: str = Field("production", max_length=40)
    comment: str = Field("", max_length=1000)


class RollBack(BaseModel):
    """Go back to the previous production version."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"comment": "errors since noon"}]})

    comment: str = Field("", max_length=1000)


class Model(BaseModel):
    """A model and where its versions stand."""

    id: str
    name: str
    kind: str
    description: str
    project_id: str
    experiment_id: str | None
    latest_version: int
    production_version: int | None
    created_at: datetime
    updated_at: datetime


class ModelVersion(BaseModel):
    """A version: its bundle, its numbers, its stage and where it came from."""

    id: str
    model_id: str
    model_name: str
    version: int
    semver: str
    stage: str
    current_stage: str
    stage_comment: str
    description: str
    bundle_digest: str
    bundle_uri: str
    size_bytes: int
    task: str
    learner: str
    signature: dict[str, Any]
    feature_names: list[str]
    metrics: dict[str, Any]
    evaluation_id: str | None
    experiment_id: str | None
    dataset_version_id: str | None
    run_id: str | None
    parent_version_id: str | None
    mlflow_version: str
    dependencies: dict[str, Any]
    tags: dict[str, Any]
    explainability_uri: str | None
    fairness_report_uri: str | None
    model_card_uri: str | None
    approved_by: str | None
    created_by: str
    created_at: datetime


class StageChange(BaseModel):
    """One step of a version through the stages."""

    model_version_id: str
    kind: str
    from_stage: str
    to_stage: str
    replaced_version_id: str | None
    comment: str
    actor_id: str
    created_at: datetime
