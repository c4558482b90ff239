"""One platform for the command line's tests, and a way to type at it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.unit.sdk.served_platform import Served, served_platform

from arkwright.cli.app import run
from arkwright.cli.console import OUTPUT


@dataclass(frozen=True)
class Typed:
    """What came of a command line."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Arkwright = Callable[..., Typed]


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Served]:
    with served_platform(tmp_path_factory.mktemp("cli") / "home", migrated_sqlite) as running:
        yield running


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the machine's own platform out of the tests."""
    for name in ("ARKWRIGHT_URL", "ARKWRIGHT_API_KEY", "ARKWRIGHT_HOME", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def arkwright(capsys: pytest.CaptureFixture[str]) -> Arkwright:
    """Run a command line in this process."""

    def typed(*arguments: str) -> Typed:
        capsys.readouterr()
        OUTPUT.json = False
        with pytest.raises(SystemExit) as left:
            run(list(arguments))
        captured = capsys.readouterr()
        return Typed(int(left.value.code or 0), captured.out, captured.err)

    return typed


@pytest.fixture
def online(served: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """Point the command line at the platform."""
    monkeypatch.setenv("ARKWRIGHT_URL", served.url)
    monkeypatch.setenv("ARKWRIGHT_API_KEY", served.key)
    return served
