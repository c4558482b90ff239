"""Telling a caller's mistake from a defect when the database refuses a statement."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from arkwright.core.errors import ArkwrightError, Conflict, Invalid, Unavailable

_UNIQUE_VIOLATION = "23505"  # PostgreSQL, appendix A: error codes
_SQLITE_DUPLICATES = frozenset({"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"})


def database_problem(error: SQLAlchemyError) -> ArkwrightError | None:
    """Return what a caller can be told about a refused statement, or None if the platform itself is at fault."""
    if isinstance(error, DataError):
        return Invalid(
            "A value in the request cannot be stored: a text is too long or holds a NUL character, or a number is out "
            "of range.",
            code="value.unstorable",
            hint="Shorten it, or leave the unusual characters out.",
        )
    if isinstance(error, IntegrityError) and _is_duplicate(error.orig):
        return Conflict(
            "Another request has just created the same thing.",
            code="database.duplicate",
            hint="Read it and go on, or choose another name.",
        )
    if isinstance(error, PoolTimeout):
        return Unavailable(
            "All connections to the database are in use.",
            code="database.busy",
            hint="Try again in a moment; if this lasts, send fewer requests at once.",
        )
    return None


def name_unstorable_values(engine: Engine) -> None:
    """Raise what SQLite's driver refuses to bind as the ``DataError`` that PostgreSQL raises for the same values."""

    @event.listens_for(engine, "handle_error")
    def _rename(context: Any) -> None:
        original = context.original_exception
        if isinstance(original, OverflowError | UnicodeError):
            raise DataError(context.statement, None, original, hide_parameters=True) from original


def _is_duplicate(cause: BaseException | None) -> bool:
    sqlstate = getattr(cause, "sqlstate", None)
    return sqlstate == _UNIQUE_VIOLATION or getattr(cause, "sqlite_errorname", None) in _SQLITE_DUPLICATES
