"""The migrations make the schema that the code expects, and can be undone."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from tests.conftest import import_every_table

import arkwright
from arkwright.core.errors import Conflict
from arkwright.kit.db import Database, Scoped, Table

MIGRATIONS = Path(arkwright.__file__).parent / "kit" / "db" / "migrations"


def test_the_migrated_schema_is_the_one_in_the_code(database: Database) -> None:
    import_every_table()
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, Table.metadata) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    def schema() -> list[str]:
        with database.engine.connect() as connection:
            return list(connection.exec_driver_sql("SELECT sql FROM sqlite_master ORDER BY name").scalars())

    before = schema()
    database.migrate()
    assert schema() == before


def test_every_migration_can_be_undone(database: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        tables = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
    assert set(tables) <= {"alembic_version", "sqlite_sequence"}


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Conflict, match="newer version"):
        database.migrate()


def test_the_migrations_close_every_scoped_table_on_postgres() -> None:
    import_every_table()
    scoped = {mapper.local_table.name for mapper in Table.registry.mappers if issubclass(mapper.class_, Scoped)}
    text = "".join(path.read_text(encoding="utf-8") for path in (MIGRATIONS / "versions").glob("*.py"))
    assert {name for name in scoped if f'    "{name}",' not in text} == set()
