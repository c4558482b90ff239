"""``arkwright serve``."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Arkwright

from arkwright.core.errors import Conflict
from arkwright.kit.settings import Settings
from arkwright.serving import workers


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Stand in for the processes: remember the settings, and announce an address."""
    seen: list[Settings] = []

    def run(settings, announce):
        seen.append(settings)
        announce(f"http://127.0.0.1:{settings.port}")

    monkeypatch.setattr(workers, "run", run)
    return seen


def test_it_serves_with_the_options_it_was_given(arkwright: Arkwright, asked: list[Settings], tmp_path: Path) -> None:
    typed = arkwright(
        "serve", "--home", str(tmp_path), "--port", "8586", "--workers", "3", "--grpc-port", "8587", "--json"
    )
    (settings,) = asked
    assert (settings.home, settings.port, settings.serve_workers, settings.grpc_port) == (tmp_path, 8586, 3, 8587)
    assert typed.document == {"url": "http://127.0.0.1:8586", "workers": 3, "home": str(tmp_path)}


def test_without_options_the_settings_count(
    arkwright: Arkwright, asked: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARKWRIGHT_SERVE_WORKERS", "2")
    typed = arkwright("serve")
    assert asked[0].serve_workers == 2
    assert "http://127.0.0.1:8585" in typed.out


def test_a_port_that_is_taken_is_said_so(arkwright: Arkwright, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        typed = arkwright("serve", "--home", str(tmp_path), "--port", str(taken.getsockname()[1]))
    assert typed.code == Conflict.exit_code
    assert "cannot be used" in typed.err
    assert "--port" in typed.err
