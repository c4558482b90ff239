"""What every table has in common.

A table either mixes in :class:`Scoped`, and then each of its rows belongs to one workspace, or it stands in
``GLOBAL_TABLES``, the one list of tables that are looked up before a workspace is known.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, MetaData, String
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

GLOBAL_TABLES = frozenset(
    {
        "workspaces",
        "users",
        "api_keys",
        "sessions",
        "login_links",
        "outbox_events",
        "published_plans",
        "data_planes",
        "alembic_version",
    }
)

Json = JSON


class Table(DeclarativeBase):
    """Base of every ORM row."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Scoped:
    """Rows of one workspace: the primary key is ``(workspace_id, id)``, and so is every foreign key."""

    workspace_id: Mapped[str] = mapped_column(String(40), primary_key=True, sort_order=-10)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, always timezone-aware and in UTC, on both databases."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive values and store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored: attach a timezone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if dialect.name == "sqlite" else moment.astimezone(UTC)
