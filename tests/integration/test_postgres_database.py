"""On PostgreSQL the session's rules hold, and the database repeats them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from arkwright.access import AuditTrail, record
from arkwright.access.tables import AuditRow
from arkwright.core.context import system_context
from arkwright.kit.db import Database, database_problem
from arkwright.kit.db.scoping import WorkspaceViolation
from arkwright.tenancy.tables import ProjectRow

pytestmark = [pytest.mark.postgres, pytest.mark.xdist_group("postgres")]
ACME = system_context("ws_acme")
OTHER = system_context("ws_other")


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    opened = Database(postgres_url)
    opened.migrate()
    yield opened
    opened.dispose()


def audited(database: Database, n: int = 1) -> None:
    for context in (ACME, OTHER):
        for i in range(n):
            with database.write(context) as unit:
                record(unit, "thing.change", "thing", str(i))


def test_sessions_are_scoped_as_on_sqlite(database: Database) -> None:
    audited(database, 2)
    with database.read(ACME) as unit:
        assert {row.workspace_id for row in unit.session.scalars(select(AuditRow))} == {"ws_acme"}
    with pytest.raises(WorkspaceViolation), database.read_global() as unit:
        unit.session.scalars(select(AuditRow)).all()


def test_even_raw_sql_sees_no_other_workspace(database: Database) -> None:
    audited(database)
    with database.read(ACME) as unit:
        unit.session.scalars(select(AuditRow)).all()
        found = unit.session.connection().execute(text("SELECT DISTINCT workspace_id FROM audit_logs")).scalars().all()
    assert found == ["ws_acme"]
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM audit_logs")).scalar() == 0


def test_raw_sql_cannot_write_into_another_workspace(database: Database) -> None:
    audited(database)
    statement = text("UPDATE projects SET workspace_id = 'ws_other'")
    insert = text(
        "INSERT INTO projects (workspace_id, id, name, description, created_at) "
        "VALUES ('ws_other', 'p', 'n', '', now())"
    )
    with pytest.raises(DBAPIError, match="row-level security"), database.write(ACME) as unit:
        unit.session.scalars(select(AuditRow)).all()
        unit.session.connection().execute(insert)
    with database.write(ACME) as unit:
        unit.session.scalars(select(AuditRow)).all()
        assert unit.session.connection().execute(statement).rowcount == 0


def test_audit_entries_cannot_be_changed_or_deleted(database: Database) -> None:
    audited(database)
    with pytest.raises(DBAPIError, match="permission denied"), database.write(ACME) as unit:
        unit.session.execute(update(AuditRow).values(action="harmless"))


def test_concurrent_writers_keep_one_unbroken_chain(database: Database) -> None:
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for i in range(5):
                with database.write(ACME) as unit:
                    record(unit, "thing.change", "thing", str(i))
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    audited(database)
    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.read(ACME) as unit:
        verdict = AuditTrail().verify(unit)
    assert (verdict.intact, verdict.n_entries) == (True, 21)


def test_pooled_connections_do_not_remember_a_workspace(database: Database) -> None:
    audited(database)
    for context in (ACME, OTHER, ACME, OTHER):
        with database.read(context) as unit:
            rows = unit.session.scalars(select(AuditRow)).all()
            assert [row.workspace_id for row in rows] == [context.workspace_id]


def test_a_workspace_s_first_entries_may_come_at_the_same_time(database: Database) -> None:
    begun = threading.Barrier(4)
    failures: list[BaseException] = []

    def write(n: int) -> None:
        try:
            with database.write(ACME) as unit:
                unit.session.scalars(select(AuditRow)).all()
                begun.wait(10)
                record(unit, "thing.change", "thing", str(n))
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.read(ACME) as unit:
        verdict = AuditTrail().verify(unit)
    assert (verdict.intact, verdict.n_entries) == (True, 4)


@pytest.mark.parametrize("name", ["x" * 101, "nul \0 byte", "half \ud800 a character"])
def test_a_value_no_column_holds_is_the_caller_s_mistake(database: Database, name: str) -> None:
    with pytest.raises(DataError) as problem, database.write(ACME) as unit:
        unit.session.add(ProjectRow(id="p", name=name, created_at=unit.clock.now()))
    told = database_problem(problem.value)
    assert told is not None
    assert told.code == "value.unstorable"


def test_what_another_transaction_has_just_created_is_a_conflict(database: Database) -> None:
    with pytest.raises(IntegrityError) as problem, database.write(ACME) as unit:
        for project_id in ("p1", "p2"):
            unit.session.add(ProjectRow(id=project_id, name="same", created_at=unit.clock.now()))
    told = database_problem(problem.value)
    assert told is not None
    assert told.code == "database.duplicate"


@pytest.mark.parametrize("comment", ["nul \0 byte", "half \ud800", float("nan"), 2**80])
def test_nothing_somebody_writes_breaks_the_chain(database: Database, comment: object) -> None:
    with database.write(ACME) as unit:
        record(unit, "thing.change", "thing", str(comment) * 50, {"comment": comment})
    with database.read(ACME) as unit:
        assert AuditTrail().verify(unit).intact
