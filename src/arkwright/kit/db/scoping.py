"""The one place where a workspace decides which rows exist.

On both databases every ORM statement of a session gets the criterion ``workspace_id = <the session's>``, new
rows get the session's workspace, and anything that is no ORM statement is refused, because the criterion cannot
be added to it. A session without a workspace may touch global tables only. PostgreSQL checks the same again with
row-level security (:mod:`arkwright.kit.db.policies`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, event, func, select
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from arkwright.kit.db.tables import Scoped


class WorkspaceViolation(RuntimeError):
    """Code tried to reach rows outside its workspace: a defect, never a user's mistake."""


class ScopedSession(Session):
    """A session bound to one workspace by ``info["workspace_id"]``."""


@event.listens_for(ScopedSession, "do_orm_execute")
def _restrict(state: ORMExecuteState) -> None:
    if not state.is_orm_statement:
        raise WorkspaceViolation("rooms use the ORM only: a Core or text statement cannot be scoped to a workspace")
    if not any(issubclass(mapper.class_, Scoped) for mapper in state.all_mappers):
        return
    workspace_id = _workspace(state.session)
    if not state.is_column_load and not state.is_relationship_load:
        state.statement = state.statement.options(
            with_loader_criteria(Scoped, lambda cls: cls.workspace_id == workspace_id, include_aliases=True)
        )


@event.listens_for(ScopedSession, "before_flush")
def _stamp(session: Session, _flush_context: Any, _instances: Any) -> None:
    for row in session.new:
        if isinstance(row, Scoped):
            if row.workspace_id is None:
                row.workspace_id = _workspace(session)
            _check(session, row)
    for row in [*session.dirty, *session.deleted]:
        if isinstance(row, Scoped):
            _check(session, row)


@event.listens_for(ScopedSession, "after_begin")
def _announce(session: Session, _transaction: Any, connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        setting = func.set_config("app.workspace", bindparam("workspace"), True)
        connection.execute(select(setting), {"workspace": session.info.get("workspace_id", "")})


def _workspace(session: Session) -> str:
    workspace_id: str = session.info.get("workspace_id", "")
    if not workspace_id:
        raise WorkspaceViolation("no workspace is set on this session")
    return workspace_id


def _check(session: Session, row: Scoped) -> None:
    if row.workspace_id != _workspace(session):
        raise WorkspaceViolation(f"a row of {type(row).__name__} belongs to another workspace")
