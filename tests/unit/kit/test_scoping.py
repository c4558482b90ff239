"""No statement of a session reaches another workspace's rows, whatever its form."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete, exists, func, insert, literal, literal_column, select, text, union, union_all, update
from sqlalchemy.orm import aliased, make_transient, make_transient_to_detached

from arkwright.access import record
from arkwright.access.tables import AuditHeadRow, AuditRow
from arkwright.core.context import system_context
from arkwright.kit.db import Database, OutboxRow, UnitOfWork
from arkwright.kit.db.scoping import ReadOnlyViolation, WorkspaceViolation
from arkwright.tenancy.tables import ProjectRow

ACME = system_context("ws_acme")
OTHER = system_context("ws_other")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OTHERS = AuditRow.action == "ws_other.act"
ALIAS = aliased(AuditRow)
TABLE = AuditRow.__table__

SCOPED: dict[str, Callable[[], Any]] = {
    "an alias": lambda: select(ALIAS.action),
    "a count": lambda: select(func.count()).select_from(AuditRow),
    "a function": lambda: select(func.group_concat(AuditRow.action)),
    "a subquery": lambda: select(select(AuditRow.action.label("found")).subquery().c.found),
    "a common table expression": lambda: select(select(AuditRow.action.label("found")).cte().c.found),
    "an aliased subquery": lambda: select(aliased(AuditRow, select(AuditRow).subquery()).action),
    "a scalar subquery": lambda: select(select(AuditRow.action).where(OTHERS).scalar_subquery()),
    "a scalar subquery beside a global table": lambda: select(
        OutboxRow.subject, select(func.group_concat(AuditRow.action)).scalar_subquery()
    ),
    "an exists": lambda: select(OutboxRow.type).where(exists(select(AuditRow.id).where(OTHERS))),
    "a join": lambda: select(AuditHeadRow.seq, AuditRow.action).join(AuditRow, AuditRow.seq >= AuditHeadRow.seq),
    "a join to a global table": lambda: select(OutboxRow.subject, AuditRow.action).join(AuditRow, literal(True)),
    "an outer join": lambda: select(OutboxRow.subject, AuditRow.action).outerjoin(AuditRow, literal(True)),
}
REFUSED: dict[str, Callable[[], Any]] = {
    "a union": lambda: union(select(AuditRow.action), select(AuditRow.action)),
    "a subquery that is a union": lambda: select(
        union_all(select(AuditRow.action), select(AuditRow.entity_id)).subquery().c.action
    ),
    "entities from a union": lambda: select(AuditRow).from_statement(union(select(AuditRow), select(AuditRow))),
    "entities from a bare table": lambda: select(AuditRow).from_statement(select(TABLE)),
    "a bare column": lambda: select(OutboxRow.id, TABLE.c.action).join(AuditRow, literal(True)),
    "a bare alias": lambda: select(OutboxRow.id).where(OutboxRow.id == TABLE.alias().c.id),
    "a bare table to select from": lambda: select(OutboxRow.id, func.count()).select_from(OutboxRow, TABLE),
    "a bare table to join": lambda: select(OutboxRow.id).join(TABLE, literal(True)),
    "a bare subquery": lambda: select(OutboxRow.id).where(OutboxRow.id.in_(select(TABLE.c.id))),
    "text": lambda: select(OutboxRow.id, text("(SELECT max(action) FROM audit_logs)")),
    "a literal column": lambda: select(OutboxRow.id, literal_column("(SELECT max(action) FROM audit_logs)")),
}


@pytest.fixture
def two_tenants(database: Database) -> Database:
    for context in (ACME, OTHER):
        with database.write(context) as unit:
            record(unit, f"{context.workspace_id}.act", "thing", "1")
            unit.session.add(ProjectRow(id="p", name=context.workspace_id, created_at=NOW))
            unit.emit("thing.changed.v1", "1", {})
    return database


def name_of(database: Database, context: Any, project_id: str = "p") -> str | None:
    with database.read(context) as unit:
        row = unit.session.get(ProjectRow, (context.workspace_id, project_id))
        return row.name if row else None


@pytest.mark.parametrize("form", SCOPED)
def test_a_query_of_any_form_sees_its_own_workspace_only(two_tenants: Database, form: str) -> None:
    with two_tenants.read(ACME) as unit:
        found = unit.session.execute(SCOPED[form]()).all()
    assert "ws_other" not in str(found)
    if form == "a count":
        assert [tuple(row) for row in found] == [(1,)]
    if form == "an exists":
        assert found == []


@pytest.mark.parametrize("form", REFUSED)
def test_a_query_that_cannot_be_scoped_is_refused(two_tenants: Database, form: str) -> None:
    with pytest.raises(WorkspaceViolation), two_tenants.read(ACME) as unit:
        unit.session.execute(REFUSED[form]())


@pytest.mark.parametrize("form", [*SCOPED, *REFUSED])
def test_without_a_workspace_no_form_of_query_reaches_a_scoped_table(two_tenants: Database, form: str) -> None:
    with pytest.raises(WorkspaceViolation), two_tenants.read_global() as unit:
        unit.session.execute({**SCOPED, **REFUSED}[form]())


def test_a_legacy_query_counts_its_own_workspace_only(two_tenants: Database) -> None:
    with two_tenants.read(ACME) as unit:
        assert unit.session.query(AuditRow).count() == 1


@pytest.mark.parametrize("many", [False, True])
def test_an_insert_statement_is_refused(two_tenants: Database, many: bool) -> None:
    values = {"workspace_id": "ws_other", "id": "q", "name": "n", "description": "", "created_at": NOW}
    statement, parameters = (insert(ProjectRow), [values]) if many else (insert(ProjectRow).values(**values), None)
    with pytest.raises(WorkspaceViolation), two_tenants.write(ACME) as unit:
        unit.session.execute(statement, parameters)
    assert name_of(two_tenants, OTHER, "q") is None


def test_an_update_by_key_is_refused(two_tenants: Database) -> None:
    with pytest.raises(WorkspaceViolation), two_tenants.write(ACME) as unit:
        unit.session.execute(update(ProjectRow), [{"workspace_id": "ws_other", "id": "p", "name": "hacked"}])
    assert name_of(two_tenants, OTHER) == "ws_other"


@pytest.mark.parametrize("as_parameter", [False, True])
def test_an_update_cannot_move_rows_to_another_workspace(two_tenants: Database, as_parameter: bool) -> None:
    values = {"workspace_id": "ws_other", "id": "moved"}
    statement, parameters = (
        (update(ProjectRow), values) if as_parameter else (update(ProjectRow).values(**values), None)
    )
    with pytest.raises(WorkspaceViolation), two_tenants.write(ACME) as unit:
        unit.session.execute(statement, parameters)
    assert name_of(two_tenants, OTHER, "moved") is None


def test_a_subquery_of_an_update_sees_its_own_workspace_only(two_tenants: Database) -> None:
    every_action = select(func.group_concat(AuditRow.action)).scalar_subquery()
    with two_tenants.write(ACME) as unit:
        for statement in (update(ProjectRow).values(name=every_action), update(OutboxRow).values(subject=every_action)):
            unit.session.execute(statement.execution_options(synchronize_session=False))
        victim = select(AuditRow.id).where(OTHERS).scalar_subquery()
        gone = delete(OutboxRow).where(victim.is_not(None)).execution_options(synchronize_session=False)
        assert unit.session.execute(gone).rowcount == 0  # type: ignore[attr-defined]
    assert name_of(two_tenants, ACME) == "ws_acme.act"
    with two_tenants.read_global() as unit:
        assert "ws_other.act" not in unit.session.scalars(select(OutboxRow.subject)).all()


def test_another_workspace_s_row_cannot_be_merged(two_tenants: Database) -> None:
    with pytest.raises(WorkspaceViolation), two_tenants.write(ACME) as unit:
        unit.session.merge(ProjectRow(workspace_id="ws_other", id="p", name="hacked", created_at=NOW))
    assert name_of(two_tenants, OTHER) == "ws_other"


def foreign_row(database: Database) -> ProjectRow:
    with database.read(OTHER) as unit:
        row = unit.session.get(ProjectRow, ("ws_other", "p"))
        assert row is not None
        unit.session.expunge(row)
    return row


def test_another_workspace_s_row_cannot_be_attached(two_tenants: Database) -> None:
    with pytest.raises(WorkspaceViolation), two_tenants.read(ACME) as unit:
        unit.session.add(foreign_row(two_tenants))


def test_another_workspace_s_row_cannot_be_attached_under_a_false_name(two_tenants: Database) -> None:
    row = foreign_row(two_tenants)
    row.workspace_id, row.id = "ws_acme", "stolen"
    with pytest.raises(WorkspaceViolation), two_tenants.write(ACME) as unit:
        unit.session.add(row)
    assert name_of(two_tenants, OTHER) == "ws_other"


def test_another_workspace_s_row_cannot_be_loaded_again(two_tenants: Database) -> None:
    row = foreign_row(two_tenants)
    make_transient(row)
    make_transient_to_detached(row)  # its attributes are expired, and would be loaded at first use
    with pytest.raises(WorkspaceViolation), two_tenants.read(ACME) as unit:
        unit.session.add(row)


def test_an_own_row_can_be_refreshed(two_tenants: Database) -> None:
    with two_tenants.write(ACME) as unit:
        row = unit.session.get(ProjectRow, ("ws_acme", "p"))
        assert row is not None
        unit.session.refresh(row)
        unit.session.expire(row)
        assert row.name == "ws_acme"
        assert unit.session.get(ProjectRow, ("ws_acme", "p"), populate_existing=True) is row


def test_a_row_that_was_loaded_cannot_change_its_workspace(two_tenants: Database) -> None:
    def move(unit: UnitOfWork) -> None:
        unit.session.get_one(ProjectRow, ("ws_acme", "p")).workspace_id = "ws_other"

    with pytest.raises(WorkspaceViolation), two_tenants.write(ACME) as unit:
        move(unit)


def test_a_unit_of_work_that_reads_refuses_to_write(two_tenants: Database) -> None:
    with pytest.raises(ReadOnlyViolation), two_tenants.read(ACME) as unit:
        record(unit, "thing.change", "thing", "1")
    with pytest.raises(ReadOnlyViolation), two_tenants.read(ACME) as unit:
        unit.session.execute(update(ProjectRow).values(name="changed"))
    with pytest.raises(ReadOnlyViolation), two_tenants.read_global() as unit:
        unit.session.execute(delete(OutboxRow))
    assert name_of(two_tenants, ACME) == "ws_acme"
