"""One platform for the SDK's tests, and a client of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.sdk.served_platform import Served, served_platform

from arkwright.sdk import Client


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Served]:
    with served_platform(tmp_path_factory.mktemp("sdk") / "home", migrated_sqlite) as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.key) as opened:
        yield opened
