"""Databases of the test's own on a real PostgreSQL."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import psycopg
import pytest

DEFAULT_SERVER = "postgresql://127.0.0.1:5432/postgres"


def postgres_server() -> str:
    return os.environ.get("ARKWRIGHT_TEST_POSTGRES", DEFAULT_SERVER)


@pytest.fixture(scope="session")
def postgres() -> str:
    """The URL of a PostgreSQL server on which databases may be created."""
    try:
        psycopg.connect(postgres_server(), connect_timeout=3).close()
    except psycopg.OperationalError as error:
        if os.environ.get("ARKWRIGHT_REQUIRE_POSTGRES"):
            pytest.fail(f"a PostgreSQL server is required and cannot be used: {error}")
        pytest.skip(f"no PostgreSQL at {postgres_server()}; set ARKWRIGHT_TEST_POSTGRES to use another")
    return postgres_server()


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """The URL of an empty database, dropped afterwards."""
    name = f"arkwright_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
    yield postgres.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[call-overload]
