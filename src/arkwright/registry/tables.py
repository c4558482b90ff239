"""Rows of models, versions and their stage changes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKeyConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from arkwright.kit.db import Json, Scoped, Table, UtcDateTime


class ModelRow(Scoped, Table):
    """A named model; REG-05's index is this row plus its versions."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(40))
    experiment_id: Mapped[str | None] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(20), default="ml")
    description: Mapped[str] = mapped_column(String(2000), default="")
    latest_number: Mapped[int] = mapped_column(default=0)
    production_version_id: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ModelVersionRow(Scoped, Table):
    """An immutable bundle under a number and a semantic version, in a stage."""

    __tablename__ = "model_versions"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "model_id"], ["models.workspace_id", "models.id"]),
        UniqueConstraint("workspace_id", "model_id", "number"),
        UniqueConstraint("workspace_id", "model_id", "bundle_digest"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    model_id: Mapped[str] = mapped_column(String(40))
    number: Mapped[int]
    semver: Mapped[str] = mapped_column(String(40))
    stage: Mapped[str] = mapped_column(String(20))
    stage_comment: Mapped[str] = mapped_column(String(1000), default="")
    description: Mapped[str] = mapped_column(String(2000), default="")
    bundle_digest: Mapped[str] = mapped_column(String(80))
    bundle_uri: Mapped[str] = mapped_column(String(1000))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    task: Mapped[str] = mapped_column(String(20))
    learner: Mapped[str] = mapped_column(String(60))
    signature: Mapped[dict[str, Any]] = mapped_column(Json)
    metrics: Mapped[dict[str, Any]] = mapped_column(Json)
    evaluation_id: Mapped[str | None] = mapped_column(String(40))
    experiment_id: Mapped[str | None] = mapped_column(String(40))
    dataset_version_id: Mapped[str | None] = mapped_column(String(40))
    run_id: Mapped[str | None] = mapped_column(String(60))
    parent_version_id: Mapped[str | None] = mapped_column(String(40))
    mlflow_version: Mapped[str] = mapped_column(String(20))
    mlflow_model_id: Mapped[str] = mapped_column(String(60), default="")
    environment: Mapped[dict[str, Any]] = mapped_column(Json)
    tags: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    explainability_uri: Mapped[str | None] = mapped_column(String(1000))
    fairness_report_uri: Mapped[str | None] = mapped_column(String(1000))
    model_card_uri: Mapped[str | None] = mapped_column(String(1000))
    approved_by: Mapped[str | None] = mapped_column(String(60))
    created_by: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class StageChangeRow(Scoped, Table):
    """One step of a version through the stages: who, when, why, and what it replaced."""

    __tablename__ = "stage_changes"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "model_id"], ["models.workspace_id", "models.id"]),
        ForeignKeyConstraint(
            ["workspace_id", "model_version_id"], ["model_versions.workspace_id", "model_versions.id"]
        ),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    model_id: Mapped[str] = mapped_column(String(40))
    model_version_id: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(20))  # registration | promotion | rollback | superseded
    from_stage: Mapped[str] = mapped_column(String(20))
    to_stage: Mapped[str] = mapped_column(String(20))
    replaced_version_id: Mapped[str | None] = mapped_column(String(40))
    comment: Mapped[str] = mapped_column(String(1000), default="")
    actor_id: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
