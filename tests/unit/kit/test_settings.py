"""Settings say what is wrong with them, keep secrets to themselves, and reach a child process unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from arkwright.core.errors import Invalid
from arkwright.kit.settings import load_settings


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_environment_stands_above_dotenv_and_dotenv_above_toml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "arkwright.toml").write_text('port = 1\nhost = "from-toml"\nlog_level = "error"\n')
    (tmp_path / ".env").write_text("ARKWRIGHT_PORT=2\nARKWRIGHT_HOST=from-dotenv\n")
    monkeypatch.setenv("ARKWRIGHT_PORT", "3")
    settings = load_settings()
    assert (settings.port, settings.host, settings.log_level) == (3, "from-dotenv", "error")
    assert load_settings(port=4).port == 4


def test_variables_of_other_programs_are_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "HOST", "PORT", "ENV", "DATABASE_URL", "LOG_LEVEL"):
        monkeypatch.setenv(name, "7")
    settings = load_settings()
    assert (settings.home, settings.port, settings.host) == (tmp_path / "arkwright-data", 8585, "127.0.0.1")


def test_older_names_are_read_and_ours_go_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_MAX_BATCH_SIZE", "5")
    assert load_settings().micro_batch_max_rows == 5
    monkeypatch.setenv("ARKWRIGHT_MICRO_BATCH_MAX_ROWS", "6")
    assert load_settings().micro_batch_max_rows == 6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ARKWRIGHT_PORT", "s3cr3t"),
        ("ARKWRIGHT_PORT", "70000"),
        ("ARKWRIGHT_LOG_LEVEL", "s3cr3t"),
        ("ARKWRIGHT_ALLOWED_ROOTS", "/s3cr3t"),
        ("ARKWRIGHT_ALLOWED_ROOTS", '{"s3cr3t": 1}'),
        ("ARKWRIGHT_HOME", "~nosuchuser/s3cr3t"),
        ("ARKWRIGHT_HOME", "/tmp/what?s3cr3t"),
        ("ARKWRIGHT_PREDICT_MAX_ROWS", "0"),
        ("ARKWRIGHT_EVALUATION_RETENTION_DAYS", "179"),
        ("ARKWRIGHT_COMPARISON_RETENTION_DAYS", "89"),
        ("ARKWRIGHT_COMPARISON_RETENTION_DAYS", "-1"),
    ],
)
def test_a_bad_value_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(Invalid) as problem:
        load_settings()
    assert name in problem.value.detail
    assert problem.value.hint
    assert "s3cr3t" not in f"{problem.value.detail} {problem.value.hint} {problem.value.__cause__}"


@pytest.mark.parametrize(
    ("file", "content"),
    [("arkwright.toml", b"port = = 1"), (".env", b"ARKWRIGHT_ENV=\xff\xfe"), ("arkwright.toml", b"\xff")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, file: str, content: bytes) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises(Invalid) as problem:
        load_settings()
    assert file in problem.value.detail


def test_a_child_process_gets_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = [tmp_path / 'say "hi"', tmp_path / "back\\slash", tmp_path / "new\nline", tmp_path / "ümlaut"]
    settings = load_settings(
        home=tmp_path / "a home", allowed_roots=odd, internal_token='to"ken\n', tracking_token="t", env="$HOME #x 'y'"
    )
    child = settings.child_environment()
    for name, value in child.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_settings() == settings


def test_what_is_shown_of_the_settings_holds_no_secret() -> None:
    settings = load_settings(
        database_url="postgresql://me:s3cr3t@db:5432/ark?password=s3cr3t",
        objects_url="s3://key:s3cr3t@bucket/prefix",
        internal_token="s3cr3t",
    )
    shown = settings.redacted()
    assert "s3cr3t" not in str(shown)
    assert shown["database_url"] == "postgresql://***@db:5432/ark?***"
    assert (shown["internal_token"], shown["tracking_token"]) == ("(set)", "(not set)")


def test_a_long_home_has_its_sockets_elsewhere(tmp_path: Path) -> None:
    near = load_settings(home="/srv/ark")
    far = load_settings(home=tmp_path / ("x" * 100))
    assert near.server_socket == Path("/srv/ark/run/server.sock")
    assert far.home not in far.server_socket.parents
    assert len(str(far.server_socket)) < 104


def test_reports_are_kept_as_long_as_is_asked_for_or_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    assert (settings.evaluation_retention_days, settings.comparison_retention_days) == (180, 90)
    assert load_settings(evaluation_retention_days=0, comparison_retention_days=365).evaluation_retention_days == 0
    monkeypatch.setenv("ARKWRIGHT_EVALUATION_RETENTION_DAYS", "30")
    with pytest.raises(Invalid, match="cannot be used: reports have to be kept for 180 days or longer; 0 keeps them"):
        load_settings()
