"""What the doctor finds, and advises."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import Arkwright

from arkwright.cli.doctor import examine
from arkwright.kit.settings import load_settings


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def failed(**settings: Any) -> dict[str, str]:
    return {
        check.name: f"{check.detail} {check.hint}" for check in examine(load_settings(**settings)) if not check.passed
    }


def test_a_fresh_machine_is_healthy_and_is_left_as_it_was(tmp_path: Path, free_port: int) -> None:
    assert failed(home=tmp_path / "home", port=free_port) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        problems = failed(home=tmp_path / "home", port=port)
    assert list(problems) == ["port"]
    assert f"127.0.0.1:{port}" in problems["port"]
    assert "--port" in problems["port"]


def test_an_unreachable_database_is_named_without_its_password(tmp_path: Path, free_port: int) -> None:
    url = f"postgresql://someone:hunter2@127.0.0.1:{free_port}/none"
    problems = failed(home=tmp_path / "home", port=0, database_url=url)
    assert "ARKWRIGHT_DATABASE_URL" in problems["database"]
    assert "hunter2" not in str(problems)


def test_a_damaged_database_file_is_found(tmp_path: Path, free_port: int) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "arkwright.db").write_bytes(b"this is no database" * 100)
    assert "database" in failed(home=home, port=free_port)


def test_an_open_key_file_is_found_with_the_command_that_closes_it(tmp_path: Path, free_port: int) -> None:
    key = tmp_path / "home" / "credentials" / "admin.key"
    key.parent.mkdir(parents=True)
    key.write_text("secret")
    key.chmod(0o644)
    problems = failed(home=tmp_path / "home", port=free_port)
    assert f"chmod 600 {key}" in problems["admin key"]
    assert "secret" not in str(problems)


def test_a_home_that_is_a_file_is_found(tmp_path: Path, free_port: int) -> None:
    (tmp_path / "home").write_text("")
    assert "is a file" in failed(home=tmp_path / "home", port=free_port)["data folder"]


def test_an_unreachable_mlflow_server_is_found(tmp_path: Path, free_port: int) -> None:
    problems = failed(home=tmp_path / "home", port=0, tracking_url=f"http://127.0.0.1:{free_port}")
    assert "ARKWRIGHT_TRACKING_URL" in problems["MLflow server"]


def test_the_command_shows_settings_without_secrets_and_fails_when_something_is_wrong(
    arkwright: Arkwright, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARKWRIGHT_INTERNAL_TOKEN", "very-secret")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("ARKWRIGHT_PORT", str(taken.getsockname()[1]))
        found = arkwright("doctor", "--home", str(tmp_path / "home"))
    assert found.code == 1
    assert "✗ port" in found.out
    assert "✓ disk space" in found.out
    assert "very-secret" not in found.out + found.err
