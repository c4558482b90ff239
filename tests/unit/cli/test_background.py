"""The platform that a command starts by itself, and Ctrl-C while it trains."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.platform, pytest.mark.slow, pytest.mark.xdist_group("up")]
TELCO = Path(__file__).parents[3] / "examples" / "telco_churn.csv"


class Shell:
    """A user's shell with a home of its own and no platform running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ARKWRIGHT_")},
            "XDG_CONFIG_HOME": str(folder / "config"),
            "ARKWRIGHT_HOME": str(folder / "home"),
            "ARKWRIGHT_PORT": "0",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "arkwright.cli", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=200)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    opened = Shell(tmp_path_factory.mktemp("shell"))
    yield opened
    opened("down")


def test_the_first_training_starts_a_platform_says_so_and_ends_with_a_model(shell: Shell, tmp_path: Path) -> None:
    small = tmp_path / "small.csv"
    small.write_text("".join(TELCO.read_text().splitlines(keepends=True)[:1201]))
    done = shell("train", str(small), "--target", "Churn", "--budget", "2m", "--name", "churn")
    assert done.returncode == 0, done.stderr
    assert "starting one in the background" in done.stderr
    assert "arkwright down" in done.stderr
    assert "churn version 1 (1.0.0) is registered, and in production." in done.stdout
    status = shell("status", "--json")
    assert status.returncode == 0
    document = json.loads(status.stdout)
    assert document["running"] is True
    assert set(document["health"]["processes"]) == {"server", "worker", "mlflow"}


def test_ctrl_c_stops_the_search_and_keeps_the_best_so_far(shell: Shell) -> None:
    process = shell.start("train", str(TELCO), "--target", "Churn", "--budget", "4m", "--name", "stopped", "--json")
    with process:
        assert process.stderr is not None
        for line in process.stderr:
            # The trivial model has been scored by then, so there is something to keep.
            if line.startswith("Training:") and "best:" in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "the best candidate so far is kept" in err
    document = json.loads(out)
    assert document["version"]["model_name"] == "stopped"
    statuses = {entry["name"]: entry["status"] for entry in document["leaderboard"]["entries"]}
    assert statuses["baseline"] == "succeeded"


def test_down_stops_it_and_the_next_command_says_what_to_do(shell: Shell) -> None:
    shell("up", "--background")
    assert "has stopped" in shell("down").stdout
    refused = shell("model", "ls")
    assert refused.returncode == 7
    assert "arkwright up" in refused.stderr


def test_up_says_where_it_is_and_ctrl_c_ends_it_cleanly(shell: Shell) -> None:
    shell("down")
    process = shell.start("up")
    with process:
        assert process.stdout is not None
        started = time.monotonic()
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        assert time.monotonic() - started < 60
        told = "".join(lines)
        assert "Arkwright is up at http://127.0.0.1:" in told
        assert "/login?token=" in told
        second = shell("up")
        assert second.returncode == 5
        assert "already running" in second.stderr
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
