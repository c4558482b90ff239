"""The platform that the tests of jobs and routes look at, one for each of their files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.evaluation.evaluated_platform import Evaluated, evaluated_platform


@pytest.fixture(scope="module")
def adult(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluated]:
    with evaluated_platform(migrated_sqlite, tmp_path_factory.mktemp("evaluated") / "home") as running:
        yield running
