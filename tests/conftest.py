"""Fixtures for every test: a migrated database in a folder of its own, a clock that stands still."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import arkwright
from arkwright.core.clock import FixedClock
from arkwright.core.context import DEFAULT_WORKSPACE_ID, Actor, Context
from arkwright.kit.db import Database, Table
from arkwright.kit.objects import ObjectStore, WorkspaceObjects

EXAMPLES = Path(__file__).parent.parent / "examples"


def import_every_table() -> None:
    """Load each room's ``tables`` so that the metadata is whole."""
    for module in pkgutil.walk_packages(arkwright.__path__, "arkwright."):
        if module.name.endswith(".tables"):
            importlib.import_module(module.name)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the current schema, to be copied."""
    path = tmp_path_factory.mktemp("schema") / "arkwright.db"
    database = Database(f"sqlite:///{path}")
    import_every_table()
    Table.metadata.create_all(database.engine)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    database.dispose()
    return path


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path, clock: FixedClock) -> Iterator[Database]:
    """A database of the test's own."""
    path = tmp_path / "arkwright.db"
    shutil.copy(migrated_sqlite, path)
    opened = Database(f"sqlite:///{path}", clock)
    yield opened
    opened.dispose()


@pytest.fixture
def context() -> Context:
    """The admin of the default workspace."""
    return Context(actor=Actor(id="user_test", kind="user"), workspace_id=DEFAULT_WORKSPACE_ID, request_id="req_test")


@pytest.fixture
def object_store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(f"file://{tmp_path / 'objects'}")


@pytest.fixture
def objects(object_store: ObjectStore, context: Context) -> WorkspaceObjects:
    """The object store of the default workspace."""
    return object_store.for_workspace(context.workspace_id)


@pytest.fixture
def telco_csv() -> Path:
    return EXAMPLES / "telco_churn.csv"
