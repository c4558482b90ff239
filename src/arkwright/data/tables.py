"""Rows of datasets, their versions, and uploaded files."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKeyConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from arkwright.kit.db import Json, Scoped, Table, UtcDateTime


class DatasetRow(Scoped, Table):
    """A named dataset; its content is in its versions. ``schema`` is the latest version's."""

    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("workspace_id", "project_id", "name"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(40))
    name: Mapped[str] = mapped_column(String(120))
    schema: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    latest_number: Mapped[int] = mapped_column(default=0)
    pii_report: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    expectations: Mapped[dict[str, Any] | None] = mapped_column(Json(none_as_null=True))
    created_by: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DatasetVersionRow(Scoped, Table):
    """An immutable table: the same content under a dataset is one version."""

    __tablename__ = "dataset_versions"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "dataset_id"], ["datasets.workspace_id", "datasets.id"]),
        UniqueConstraint("workspace_id", "dataset_id", "number"),
        UniqueConstraint("workspace_id", "dataset_id", "fingerprint"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(String(40))
    number: Mapped[int]
    fingerprint: Mapped[str] = mapped_column(String(80))
    object_key: Mapped[str] = mapped_column(String(300))
    n_rows: Mapped[int] = mapped_column(BigInteger)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    schema: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    profile: Mapped[dict[str, Any]] = mapped_column(Json)
    warnings: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    source: Mapped[dict[str, Any]] = mapped_column(Json)
    job_id: Mapped[str] = mapped_column(String(40))
    created_by: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class UploadRow(Scoped, Table):
    """A file as it was sent."""

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    filename: Mapped[str] = mapped_column(String(255))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    object_key: Mapped[str] = mapped_column(String(300))
    created_by: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
