"""The platform that the tests of jobs and routes look at, one for each of their files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.evaluation.evaluated_platform import Evaluated, evaluated_platform


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file that share this platform on one worker: two would train it twice."""
    for item in items:
        if isinstance(item, pytest.Function) and "adult" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))


@pytest.fixture(scope="module")
def adult(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluated]:
    with evaluated_platform(migrated_sqlite, tmp_path_factory.mktemp("evaluated") / "home") as running:
        yield running
