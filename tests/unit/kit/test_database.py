"""Workspaces are kept apart by the session itself."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select, text, update

from arkwright.access import record
from arkwright.access.tables import AuditRow
from arkwright.core.context import Context, system_context
from arkwright.core.errors import Invalid, Unavailable
from arkwright.kit.db import Database, OutboxRow
from arkwright.kit.db.scoping import WorkspaceViolation

ACME = system_context("ws_acme")
OTHER = system_context("ws_other")


def actions(database: Database, context: Context) -> list[str]:
    with database.read(context) as unit:
        return sorted(unit.session.scalars(select(AuditRow.action)))


@pytest.fixture
def two_tenants(database: Database) -> Database:
    for context in (ACME, OTHER):
        with database.write(context) as unit:
            record(unit, f"{context.workspace_id}.act", "thing", "1")
    return database


def test_a_query_sees_its_own_workspace_only(two_tenants: Database) -> None:
    assert actions(two_tenants, ACME) == ["ws_acme.act"]
    assert actions(two_tenants, OTHER) == ["ws_other.act"]


def test_updates_and_deletes_reach_their_own_workspace_only(two_tenants: Database) -> None:
    with two_tenants.write(ACME) as unit:
        unit.session.execute(update(AuditRow).values(action="changed"))
    with two_tenants.write(OTHER) as unit:
        unit.session.execute(delete(AuditRow))
    assert actions(two_tenants, ACME) == ["changed"]
    assert actions(two_tenants, OTHER) == []


def test_getting_another_workspace_s_row_by_its_key_finds_nothing(two_tenants: Database) -> None:
    with two_tenants.read(OTHER) as unit:
        row_id = unit.session.scalars(select(AuditRow.id)).one()
    with two_tenants.read(ACME) as unit:
        assert unit.session.get(AuditRow, ("ws_other", row_id)) is None


def test_a_row_for_another_workspace_is_refused(database: Database) -> None:
    with pytest.raises(WorkspaceViolation), database.write(ACME) as unit:
        row = record(unit, "a.b", "thing", "1")
        row.workspace_id = "ws_other"


@pytest.mark.parametrize("statement", [text("SELECT 1"), select(AuditRow.__table__)])
def test_statements_that_cannot_be_scoped_are_refused(database: Database, statement: object) -> None:
    with pytest.raises(WorkspaceViolation), database.read(ACME) as unit:
        unit.session.execute(statement)  # type: ignore[call-overload]


def test_without_a_workspace_scoped_tables_cannot_be_read(database: Database) -> None:
    with pytest.raises(WorkspaceViolation), database.read_global() as unit:
        unit.session.scalars(select(AuditRow)).all()


def test_nothing_of_a_failed_unit_of_work_is_kept(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write(ACME) as unit:
        record(unit, "a.b", "thing", "1")
        unit.emit("ml.model.promoted.v1", "model_1", {})
        raise RuntimeError
    assert actions(database, ACME) == []
    with database.read_global() as unit:
        assert unit.session.scalars(select(OutboxRow)).all() == []


def test_what_waits_for_the_commit_runs_after_it_and_only_then(database: Database) -> None:
    seen: list[str] = []
    with database.write(ACME) as unit:
        unit.after_commit(lambda: seen.append("done"))
        assert seen == []
    assert seen == ["done"]
    with pytest.raises(RuntimeError), database.write(ACME) as unit:
        unit.after_commit(lambda: seen.append("never"))
        raise RuntimeError
    assert seen == ["done"]


def test_an_unreachable_postgres_says_so_without_its_password() -> None:
    database = Database("postgresql://someone:hunter2@127.0.0.1:1/none")
    with pytest.raises(Unavailable) as problem, database.read(ACME) as unit:
        unit.session.scalars(select(AuditRow)).all()
    assert "127.0.0.1" in problem.value.detail
    assert "hunter2" not in problem.value.detail
    assert problem.value.hint is not None
    assert "ARKWRIGHT_DATABASE_URL" in problem.value.hint


@pytest.mark.parametrize("url", ["mysql://localhost/x", "not a url"])
def test_an_unknown_database_is_refused_with_what_is_supported(url: str) -> None:
    with pytest.raises(Invalid) as problem:
        Database(url)
    assert "postgresql://" in (problem.value.hint or "")
