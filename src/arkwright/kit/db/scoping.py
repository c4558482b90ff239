"""The one place where a workspace decides which rows exist.

On both databases every ORM statement of a session gets the criterion ``workspace_id = <the session's>``, also inside
its subqueries, and new rows get the session's workspace. What the criterion cannot be added to is refused: statements
that are no ORM statements, SQL text and bare tables inside one that is, unions, bulk inserts and updates by key, and
an update that would move rows to another workspace. A session without a workspace may touch global tables only, and a
session that was opened to read refuses to write.
PostgreSQL checks the same again with row-level security (:mod:`arkwright.kit.db.policies`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Connection, Table, bindparam, event, func, inspect, select
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ColumnClause, TextClause
from sqlalchemy.sql.selectable import CompoundSelect, Join, Select

from arkwright.kit.db.tables import GLOBAL_TABLES, Scoped

# How SQLAlchemy marks what came from a mapped class, and so takes part in the criteria.
_MAPPED = frozenset({"parententity", "_orm_adapt"})


class WorkspaceViolation(RuntimeError):
    """Code tried to reach rows outside its workspace: a defect, never a user's mistake."""


class ReadOnlyViolation(RuntimeError):
    """Code tried to change something that would be lost, because nothing commits it: a defect."""


class ScopedSession(Session):
    """A session bound to one workspace by ``info["workspace_id"]``; ``info["read_only"]`` closes it to changes."""


@event.listens_for(ScopedSession, "do_orm_execute")
def _restrict(state: ORMExecuteState) -> None:
    if not state.is_orm_statement:
        raise WorkspaceViolation("rooms use the ORM only: a Core or text statement cannot be scoped to a workspace")
    if state.session.info.get("read_only") and not state.is_select:
        raise ReadOnlyViolation("this unit of work was opened to read; open one with write()")
    if not _touches_scoped(state.statement):
        return
    workspace_id = _workspace(state.session)
    if state.is_insert or (state.is_update and isinstance(state.parameters, list)):
        raise WorkspaceViolation("rows are added and changed one by one: a bulk statement names its own workspace")
    if state.is_update and _moves(state):
        raise WorkspaceViolation("a row stays in its workspace: workspace_id cannot be updated")
    state.statement = state.statement.options(
        with_loader_criteria(Scoped, lambda cls: cls.workspace_id == workspace_id, include_aliases=True)
    )


@event.listens_for(ScopedSession, "loaded_as_persistent")
def _loaded(session: Session, row: Any) -> None:
    if isinstance(row, Scoped):
        _check(session, row)


@event.listens_for(ScopedSession, "before_attach")
def _attached(session: Session, row: Any) -> None:
    if isinstance(row, Scoped):
        _check(session, row)


@event.listens_for(ScopedSession, "before_flush")
def _stamp(session: Session, _flush_context: Any, _instances: Any) -> None:
    changed = [row for row in session.dirty if session.is_modified(row)]
    if session.info.get("read_only") and (session.new or changed or session.deleted):
        raise ReadOnlyViolation("this unit of work was opened to read; open one with write()")
    for row in session.new:
        if isinstance(row, Scoped):
            if row.workspace_id is None:
                row.workspace_id = _workspace(session)
            _check(session, row)
    for row in [*changed, *session.deleted]:
        if isinstance(row, Scoped):
            _check(session, row)


@event.listens_for(ScopedSession, "after_begin")
def _announce(session: Session, _transaction: Any, connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        setting = func.set_config("app.workspace", bindparam("workspace"), True)
        connection.execute(select(setting), {"workspace": session.info.get("workspace_id", "")})


def _touches_scoped(statement: Any) -> bool:
    """Tell whether a statement reaches scoped tables, through mapped classes only; anything else raises."""
    touches = unites = False
    for element in visitors.iterate(statement):
        unites = unites or isinstance(element, CompoundSelect)
        touches = touches or (isinstance(element, Table) and _is_scoped(element))
        literal = isinstance(element, ColumnClause) and element.is_literal and element.name != "*"
        if literal or isinstance(element, TextClause):
            raise WorkspaceViolation("rooms use the ORM only: SQL text inside a statement cannot be scoped")
        for source in _sources(element):
            if _is_scoped(source):
                touches = True
                if _MAPPED.isdisjoint(source._annotations):  # noqa: SLF001
                    raise WorkspaceViolation("rooms use the ORM only: a bare table cannot be scoped to a workspace")
    if touches and unites:
        raise WorkspaceViolation("a union cannot be scoped to a workspace: run its parts one by one")
    return touches


def _sources(element: Any) -> Iterator[Any]:
    """Yield the columns and tables that a part of a statement names itself."""
    if isinstance(element, Column):
        yield element
    elif isinstance(element, Select):
        yield from (each for each in element._raw_columns if not isinstance(each, Column))  # noqa: SLF001
        yield from element._from_obj  # noqa: SLF001
        yield from (joined[0] for joined in element._setup_joins)  # noqa: SLF001
    elif isinstance(element, Join):
        yield element.left
        yield element.right
    elif getattr(element, "is_dml", False):
        yield element.table


def _is_scoped(part: Any) -> bool:
    source = part.table if isinstance(part, Column) else part
    while source is not None and not isinstance(source, Table):
        source = getattr(source, "element", None)
    # What is not listed as global is scoped, so that a table nobody thought of is closed.
    return source is not None and source.name not in GLOBAL_TABLES


def _moves(state: ORMExecuteState) -> bool:
    statement: Any = state.statement
    named = [*(statement._values or {}), *(key for key, _ in statement._ordered_values or ())]  # noqa: SLF001
    keys = {getattr(column, "key", column) for column in named}
    return "workspace_id" in keys or "workspace_id" in (state.parameters or {})


def _workspace(session: Session) -> str:
    workspace_id: str = session.info.get("workspace_id", "")
    if not workspace_id:
        raise WorkspaceViolation("no workspace is set on this session")
    return workspace_id


def _check(session: Session, row: Scoped) -> None:
    belongs = {row.__dict__.get("workspace_id")}
    state: Any = inspect(row)
    if state.identity is not None:
        # Where the row was loaded from, whatever its attribute has been set to since.
        belongs |= {
            value
            for column, value in zip(state.mapper.primary_key, state.identity, strict=True)
            if column.name == "workspace_id"
        }
    if belongs - {None, _workspace(session)}:
        raise WorkspaceViolation(f"a row of {type(row).__name__} belongs to another workspace")
