"""Wire shapes of models and versions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from arkwright.contracts.signature import TaskType
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


class ImportSource(BaseModel):
    """A model of one's own: a logged model's address, or an upload.

    An address is ``runs:/<run id>/<name>``, ``models:/<name>/<version>``, ``models:/<name>@<alias>`` or
    ``models:/m-<id>``, and may stand alone in place of the object. An upload is a zip of an MLflow model's folder, or
    one ``.skops`` or ``.joblib`` file.
    """

    model_config = ConfigDict(extra="forbid")

    uri: str = Field("", max_length=800)
    upload_id: str = Field("", max_length=40)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if bool(self.uri) == bool(self.upload_id):
            raise ValueError("give either the address of a logged model or upload_id")
        return self


def _read_address(value: Any) -> Any:
    return {"uri": value} if isinstance(value, str) else value


class ImportSample(BaseModel):
    """Rows as the model takes them, with or without the target: an upload or a dataset version."""

    model_config = ConfigDict(extra="forbid")

    upload_id: str = Field("", max_length=40)
    dataset_version_id: str = Field("", max_length=40)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if bool(self.upload_id) == bool(self.dataset_version_id):
            raise ValueError("give either upload_id or dataset_version_id")
        return self


class CreateVersion(BaseModel):
    """Make a stored bundle, or a model of one's own, the next version of a model.

    Of a model of one's own, ``sample`` is rows as the model takes them (left out: the input example of the ``MLmodel``
    file), ``target`` names the sample's column with the truth, by which the model is evaluated, and ``task`` and
    ``classes`` are for models that do not know them.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"bundle_digest": "sha256:" + "9f86d081" * 8, "description": ""},
                {
                    "source": "runs:/4f2a91c07d5e4c6f8a3b/model",
                    "sample": {"upload_id": "up_01jn0000000000000000000000"},
                    "target": "Churn",
                },
            ]
        },
    )

    bundle_digest: str = Field("", pattern=r"^(sha256:[0-9a-f]{64})?$")
    source: Annotated[
        ImportSource | None, BeforeValidator(_read_address, json_schema_input_type=str | ImportSource | None)
    ] = None
    sample: ImportSample | None = None
    target: str = Field("", max_length=500)
    task: TaskType | None = None
    classes: list[StrictBool | StrictInt | StrictStr] = Field([], max_length=1000)
    description: str = Field("", max_length=2000)
    tags: dict[TagName, TagValue] = Field({}, max_length=100)

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if bool(self.bundle_digest) == (self.source is not None):
            raise ValueError("give either bundle_digest or source")
        if self.bundle_digest and (self.sample or self.target or self.task or self.classes):
            raise ValueError("sample, target, task and classes belong to a source")
        return self


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
