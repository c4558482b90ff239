"""Rows of deployments, and what the data planes were told and said."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from arkwright.kit.db import Json, Scoped, Table, UtcDateTime


class DeploymentRow(Scoped, Table):
    """An endpoint that follows a model's production stage, or is pinned to a version.

    ``spec`` is the rest of the resource (:mod:`arkwright.deployments.payloads`); ``revision`` counts its changes and is
    the ETag.
    """

    __tablename__ = "deployments"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "model_id"], ["models.workspace_id", "models.id"]),
        UniqueConstraint("workspace_id", "name"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(120))
    model_id: Mapped[str] = mapped_column(String(40))
    model_version_id: Mapped[str | None] = mapped_column(String(40))  # None: follows production
    traffic_split: Mapped[dict[str, Any]] = mapped_column(Json)
    autoscale: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    slos: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    spec: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    revision: Mapped[int] = mapped_column(default=1)
    endpoint_url: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(20))  # active | stopped
    created_by: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RolloutRow(Scoped, Table):
    """One attempt to put a candidate in the place of what answers, and how it went.

    Parameters
    ----------
    arms
        The arms beside the stable one: name, mode, version, and the percent an A/B arm or shadow keeps.
    course, criteria
        The steps and what the candidate is held to, as :mod:`arkwright.deployments.strategy` reads them.
    released
        Whether somebody resumed the present step.
    conditions
        The findings of the last judgement.
    """

    __tablename__ = "rollouts"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "deployment_id"], ["deployments.workspace_id", "deployments.id"]),
        Index(None, "workspace_id", "deployment_id", "id"),
        Index(None, "workspace_id", "state"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    deployment_id: Mapped[str] = mapped_column(String(40))
    strategy: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20))
    step: Mapped[int] = mapped_column(default=0)
    released: Mapped[bool] = mapped_column(default=False)
    arms: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    course: Mapped[dict[str, Any]] = mapped_column(Json)
    criteria: Mapped[dict[str, Any]] = mapped_column(Json)
    baseline_version_id: Mapped[str] = mapped_column(String(40))
    candidate_version_id: Mapped[str] = mapped_column(String(40))
    conditions: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    decision: Mapped[str] = mapped_column(String(20), default="wait")
    reason: Mapped[str] = mapped_column(Text, default="")
    evidence_id: Mapped[str | None] = mapped_column(String(40))
    created_by: Mapped[str] = mapped_column(String(60))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    step_started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    assessed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


_ACTIVE = (RolloutRow.state == "progressing") | (RolloutRow.state == "paused")
Index(
    "uq_rollouts_active",
    RolloutRow.workspace_id,
    RolloutRow.deployment_id,
    unique=True,
    sqlite_where=_ACTIVE,
    postgresql_where=_ACTIVE,
)


class RolloutEventRow(Scoped, Table):
    """One thing that happened to a rollout: a step, a pause, a decision, and who or what made it."""

    __tablename__ = "rollout_events"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "rollout_id"], ["rollouts.workspace_id", "rollouts.id"]),
        Index(None, "workspace_id", "deployment_id", "id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    rollout_id: Mapped[str] = mapped_column(String(40))
    deployment_id: Mapped[str] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20))
    step: Mapped[int]
    traffic_split: Mapped[dict[str, Any]] = mapped_column(Json)
    reason: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ArmWindowRow(Scoped, Table):
    """What one data plane counted for one arm in a few seconds, added up.

    ``reports`` names the reports that were added, so that one that comes twice is added once.
    """

    __tablename__ = "arm_windows"
    __table_args__ = (Index(None, "workspace_id", "slot"),)

    deployment_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    slot: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    arm: Mapped[str] = mapped_column(String(60), primary_key=True)
    model_version_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    replica: Mapped[str] = mapped_column(String(80), primary_key=True)
    requests: Mapped[int]
    errors: Mapped[int]
    fallbacks: Mapped[int]
    rows: Mapped[int]
    latency_counts: Mapped[list[list[int]]] = mapped_column(Json)
    score_sum: Mapped[float]
    score_squares: Mapped[float]
    compared: Mapped[int]
    agreed: Mapped[int]
    difference_sum: Mapped[float]
    blown: Mapped[bool]
    reports: Mapped[list[str]] = mapped_column(Json)


class PublishedPlanRow(Table):
    """One generation of the route plan, as the data planes got it."""

    __tablename__ = "published_plans"

    generation: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    sha256: Mapped[str] = mapped_column(String(64))
    plan: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DataPlaneRow(Table):
    """What a data plane last acknowledged and reported.

    ``reported_at`` is None for one that acknowledges plans and reports no windows.
    """

    __tablename__ = "data_planes"

    replica: Mapped[str] = mapped_column(String(80), primary_key=True)
    generation: Mapped[int]
    endpoints: Mapped[dict[str, Any]] = mapped_column(Json)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    reported_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    in_flight: Mapped[int] = mapped_column(default=0)
    queue: Mapped[int] = mapped_column(default=0)
    cpu_percent: Mapped[float] = mapped_column(default=0.0)
