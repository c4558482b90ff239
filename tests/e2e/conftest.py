"""One running platform for all tests that only use it (they share an xdist group)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.platform import running_platform

from arkwright.front import RunningPlatform
from arkwright.kit.settings import Settings


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningPlatform, Settings]]:
    with running_platform(tmp_path_factory.mktemp("platform") / "home") as running:
        yield running
