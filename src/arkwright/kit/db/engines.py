"""Engines for the two databases, with the settings each needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from arkwright.core.errors import Invalid
from arkwright.kit.db.failures import name_unstorable_values
from arkwright.kit.db.policies import APP_ROLE


def open_engine(url: str, *, step_down: bool = True) -> Engine:
    """Return an engine for a SQLite or PostgreSQL URL.

    Parameters
    ----------
    url
        ``sqlite:///path`` or ``postgresql://user@host/database``.
    step_down
        Whether a PostgreSQL superuser's connections work as ``arkwright_app``; migrations do not.

    Raises
    ------
    Invalid
        If the URL names another database or cannot be read.
    """
    parsed = _parse(url)
    engine = _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgres(parsed, step_down=step_down)
    name_unstorable_values(engine)
    return engine


def _parse(url: str) -> URL:
    hint = "Use sqlite:///a/file.db or postgresql://user:password@host:5432/database."
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise Invalid("The database URL cannot be read.", code="database.url", hint=hint) from None
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise Invalid(f"The database {backend!r} is not supported.", code="database.url", hint=hint)
    return parsed


def _sqlite(url: URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we emit BEGIN ourselves, below
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A deferred transaction that reads and then writes fails under concurrency with SQLITE_BUSY at once,
        # whatever the timeout; taking the write lock first makes writers wait their turn instead.
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _postgres(url: URL, *, step_down: bool) -> Engine:
    url = url.set(drivername="postgresql+psycopg")
    engine = create_engine(url, pool_pre_ping=True, pool_size=5, max_overflow=15, connect_args={"connect_timeout": 5})
    if step_down:

        @event.listens_for(engine, "connect")
        def _configure(connection: Any, _record: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
                if cursor.fetchone()[0]:
                    cursor.execute(f"SET ROLE {APP_ROLE}")
            connection.commit()

    return engine
