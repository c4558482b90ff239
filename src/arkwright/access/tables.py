"""The audit chain's rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from arkwright.kit.db import Json, Scoped, Table, UtcDateTime


class AuditRow(Scoped, Table):
    """One entry of a workspace's chain; never changed, never deleted."""

    __tablename__ = "audit_logs"
    __table_args__ = (
        UniqueConstraint("workspace_id", "seq"),
        Index(None, "workspace_id", "entity_type", "entity_id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    seq: Mapped[int]
    actor_id: Mapped[str] = mapped_column(String(60))
    action: Mapped[str] = mapped_column(String(80))
    entity_type: Mapped[str] = mapped_column(String(40))
    entity_id: Mapped[str] = mapped_column(String(120))
    request_id: Mapped[str] = mapped_column(String(80))
    metadata_json: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    hash: Mapped[str] = mapped_column(String(64))


class AuditHeadRow(Scoped, Table):
    """The last link of a workspace's chain; locked while an entry is added."""

    __tablename__ = "audit_heads"

    seq: Mapped[int]
    hash: Mapped[str] = mapped_column(String(64))
