"""Events waiting to be delivered, written in the commit that made them true."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from arkwright.kit.db.tables import Json, Table, UtcDateTime


class OutboxRow(Table):
    """One event and how far its delivery has come.

    ``delivered`` names the subscribers that have it; ``next_attempt_at`` is when the others are tried again.
    """

    __tablename__ = "outbox_events"
    __table_args__ = (Index(None, "status", "next_attempt_at"),)

    position: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True
    )
    id: Mapped[str] = mapped_column(String(40), unique=True)
    type: Mapped[str] = mapped_column(String(100))
    subject: Mapped[str] = mapped_column(String(200))
    workspace_id: Mapped[str] = mapped_column(String(40))
    time: Mapped[datetime] = mapped_column(UtcDateTime)
    data: Mapped[dict[str, Any]] = mapped_column(Json)
    status: Mapped[str] = mapped_column(String(20), default="pending")
    delivered: Mapped[list[str]] = mapped_column(Json, default=list)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_error: Mapped[str] = mapped_column(Text, default="")
