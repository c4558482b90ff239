"""Rows of deployments, and what the data planes were told and said."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKeyConstraint, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from arkwright.kit.db import Json, Scoped, Table, UtcDateTime


class DeploymentRow(Scoped, Table):
    """An endpoint that follows a model's production stage, or is pinned to a version."""

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
    canary_version_id: Mapped[str | None] = mapped_column(String(40))
    traffic_split: Mapped[dict[str, Any]] = mapped_column(Json)
    autoscale: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    slos: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    endpoint_url: Mapped[str] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(20))  # active | stopped
    created_by: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


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
    """What a data plane last acknowledged."""

    __tablename__ = "data_planes"

    replica: Mapped[str] = mapped_column(String(80), primary_key=True)
    generation: Mapped[int]
    endpoints: Mapped[dict[str, Any]] = mapped_column(Json)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
