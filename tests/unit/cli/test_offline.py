"""What the command line says when it is misused, or when nobody answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Arkwright

from arkwright import __version__

GROUPS = {
    "dataset": ("ls", "show", "profile", "ingest"),
    "experiment": ("ls", "show", "trials", "cancel"),
    "model": ("ls", "show", "import", "versions", "history"),
    "deployment": ("ls", "show", "rm", "metrics"),
    "monitor": ("run", "ls", "reports", "show"),
    "alert": ("ls", "ack", "resolve"),
    "job": ("ls", "show", "wait", "cancel", "logs"),
    "audit": ("ls", "verify"),
    "card": ("verify", "show"),
    "evaluation": ("ls", "show"),
    "apikey": ("ls", "create", "revoke"),
}
COMMANDS = (
    "up", "down", "status", "doctor", "reset", "login-link", "serve", "train", "evaluate", "promote", "rollback",
    "deploy", "predict", "batch", "lineage", "attest", "done", "load-test",
)  # fmt: skip
NOWHERE = {"ARKWRIGHT_URL": "http://127.0.0.1:1", "ARKWRIGHT_API_KEY": "key"}


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a platform that does not run."""
    for name, value in NOWHERE.items():
        monkeypatch.setenv(name, value)


def shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "arkwright.cli", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_the_version_is_printed(arkwright: Arkwright) -> None:
    assert arkwright("--version").out == f"arkwright {__version__}\n"


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_lists_its_verbs(arkwright: Arkwright, group: str) -> None:
    shown = arkwright(group, "--help")
    assert shown.code == 0
    assert [verb for verb in GROUPS[group] if verb not in shown.out] == []


@pytest.mark.parametrize("command", [(name,) for name in COMMANDS] + [(g, v) for g, vs in GROUPS.items() for v in vs])
def test_every_command_explains_itself_and_speaks_json(arkwright: Arkwright, command: tuple[str, ...]) -> None:
    shown = arkwright(*command, "--help")
    assert shown.code == 0
    assert "--json" in shown.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-command",),
        ("train", "a.csv"),
        ("promote", "churn"),
        ("job", "ls", "--limit", "0"),
        ("batch", "m"),
        ("up", "--port", "99999"),
    ],
)
def test_a_misused_command_line_leaves_with_two(arkwright: Arkwright, arguments: tuple[str, ...]) -> None:
    refused = arkwright(*arguments)
    assert refused.code == 2
    assert "Usage" in refused.err
    assert refused.out == ""


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "a.csv", "-t", "y", "--budget", "soon"), ("'soon' is not a duration", "60s")),
        (("train", "a.csv", "-t", "y", "--type", "tenure"), ("--type 'tenure'", "COLUMN=TYPE")),
        (("predict", "d"), ("nothing to predict", "--row")),
        (("predict", "d", "--row", "{}", "-f", "a.json"), ("twice",)),
        (("predict", "d", "--row", "{tenure: 1}"), ("--row is not JSON", "shell")),
        (("apikey", "create", "k", "--expires", "tomorrow"), ("'tomorrow' is not a moment", "2027-01-01")),
        (("job", "wait", "j", "--timeout", "-1s"), ("'-1s' is not a duration",)),
    ],
)
def test_a_wrong_value_is_named_with_what_to_write_instead(
    arkwright: Arkwright, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused = arkwright(*arguments)
    assert refused.code == 2
    assert [word for word in words if word not in refused.err] == []


@pytest.mark.usefixtures("nobody")
def test_a_missing_file_is_named_before_anything_is_sent(arkwright: Arkwright) -> None:
    refused = arkwright("dataset", "ingest", "nowhere.csv")
    assert refused.code == 4
    assert "nowhere.csv" in refused.err


@pytest.mark.usefixtures("nobody")
def test_when_nobody_answers_it_says_where_and_how_to_start_it(arkwright: Arkwright) -> None:
    refused = arkwright("dataset", "ls")
    assert refused.code == 7
    assert "Nothing answers at http://127.0.0.1:1" in refused.err
    assert "arkwright up" in refused.err
    assert refused.out == ""


@pytest.mark.usefixtures("nobody")
def test_with_json_a_problem_is_a_document_on_standard_output(arkwright: Arkwright) -> None:
    refused = arkwright("model", "ls", "--json")
    assert refused.code == 7
    assert refused.document["code"] == "platform.unreachable"
    assert refused.document["hint"]
    assert refused.err == ""


def test_a_problem_comes_without_a_stack_trace_and_without_colours_when_piped() -> None:
    done = shell("dataset", "ls", **NOWHERE)
    assert done.returncode == 7
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr + done.stdout


@pytest.mark.parametrize("arguments", [("--help",), ("train", "--help"), ("dataset", "ls", "--help")])
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code = (
        "import sys, io, contextlib\n"
        "from arkwright.cli import main\n"
        f"sys.argv = ['arkwright', *{list(arguments)!r}]\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    main()\n"
        "print(' '.join({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"httpx", "pandas", "numpy", "sqlalchemy", "sklearn", "mlflow", "fastapi", "pyarrow", "scipy"}
    assert heavy & set(done.stdout.split()) == set()


def test_it_leaves_quietly_when_its_reader_is_gone() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "arkwright.cli", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    process.wait(timeout=30)
    assert "Traceback" not in errors


def test_a_folder_that_is_not_ours_is_never_emptied(arkwright: Arkwright, tmp_path: Path) -> None:
    home = tmp_path / "photos"
    (home / "logs").mkdir(parents=True)
    refused = arkwright("reset", "--home", str(home), "--yes")
    assert refused.code == 2
    assert "does not look like" in refused.err
    assert (home / "logs").exists()


def test_reset_deletes_what_is_ours_and_nothing_else(arkwright: Arkwright, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "objects" / "workspaces").mkdir(parents=True)
    for name in ("version", "arkwright.db", "arkwright.db-wal", "notes.txt"):
        (home / name).write_text("1")
    done = arkwright("reset", "--home", str(home), "--yes", "--json")
    assert done.code == 0
    assert done.document["deleted"] == ["arkwright.db", "arkwright.db-wal", "objects", "version"]
    assert [path.name for path in home.iterdir()] == ["notes.txt"]


def test_reset_without_a_terminal_needs_a_yes(arkwright: Arkwright, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "version").write_text("1")
    refused = arkwright("reset", "--home", str(home))
    assert refused.code == 2
    assert "--yes" in refused.err
    assert (home / "version").exists()


def test_reset_of_nothing_is_no_error(arkwright: Arkwright, tmp_path: Path) -> None:
    assert arkwright("reset", "--home", str(tmp_path / "none")).code == 0


def test_status_of_a_platform_that_does_not_run(arkwright: Arkwright, tmp_path: Path) -> None:
    found = arkwright("status", "--home", str(tmp_path / "home"), "--json")
    assert (found.code, found.document["running"]) == (7, False)


def test_down_without_a_platform_is_no_error(arkwright: Arkwright, tmp_path: Path) -> None:
    done = arkwright("down", "--home", str(tmp_path / "home"))
    assert done.code == 0
    assert "was not running" in done.out
