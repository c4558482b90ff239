"""Rows of evidence, gate decisions and lineage."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from arkwright.kit.db import Json, Scoped, Table, UtcDateTime


class EvidenceRow(Scoped, Table):
    """Something learned about a bundle; ``sha256`` is over the canonical JSON of ``body``."""

    __tablename__ = "evidence"
    __table_args__ = (Index(None, "workspace_id", "subject_digest", "kind"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    subject_digest: Mapped[str] = mapped_column(String(80))
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    sha256: Mapped[str] = mapped_column(String(64))
    created_by: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class GateDecisionRow(Scoped, Table):
    """What a gate decided, and on what grounds."""

    __tablename__ = "gate_decisions"
    __table_args__ = (Index(None, "workspace_id", "entity_id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    gate: Mapped[str] = mapped_column(String(60))
    entity_type: Mapped[str] = mapped_column(String(40))
    entity_id: Mapped[str] = mapped_column(String(60))
    allowed: Mapped[bool]
    conditions: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    inputs: Mapped[dict[str, Any]] = mapped_column(Json)
    actor_id: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LineageRow(Scoped, Table):
    """One edge of the lineage graph: ``to`` was made from, or with, ``from``."""

    __tablename__ = "lineage"
    __table_args__ = (
        UniqueConstraint("workspace_id", "from_entity_type", "from_id", "to_entity_type", "to_id"),
        Index(None, "workspace_id", "to_entity_type", "to_id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    from_entity_type: Mapped[str] = mapped_column(String(40))
    from_id: Mapped[str] = mapped_column(String(120))
    to_entity_type: Mapped[str] = mapped_column(String(40))
    to_id: Mapped[str] = mapped_column(String(120))
    metadata_json: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
