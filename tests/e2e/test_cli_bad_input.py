"""Mistakes at the command line against a real platform: what, what to do, the exit code; never a stack trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from arkwright.core.errors import Conflict, Invalid, NotAuthenticated, NotFound
from arkwright.front import RunningPlatform
from arkwright.kit.settings import Settings

pytestmark = [pytest.mark.platform, pytest.mark.slow, pytest.mark.xdist_group("journey")]
ARKWRIGHT = str(Path(sys.executable).with_name("arkwright"))

FILES = {
    "page.csv": b"<!DOCTYPE html><html><body>Sign in</body></html>",
    "twice.csv": b"a,b,a\n1,2,3\n",
    "empty.csv": b"",
    "constant.csv": b"a,y\n" + b"".join(b"%d,1\n" % (row % 7) for row in range(40)),
    "good.csv": b"a,y\n" + b"".join(b"%d,%d\n" % (row % 7, row % 2) for row in range(40)),
}
CASES = {
    "an HTML page": (["dataset", "ingest", "page.csv"], Invalid, ["HTML"]),
    "duplicate columns": (["dataset", "ingest", "twice.csv"], Invalid, ["'a'", "2 times"]),
    "an empty file": (["dataset", "ingest", "empty.csv"], Invalid, ["empty"]),
    "no such file": (["dataset", "ingest", "nowhere.csv"], NotFound, ["nowhere.csv"]),
    "a constant target": (["train", "constant.csv", "--target", "y"], Invalid, ["'y'", "same value"]),
    "a missing target": (["train", "good.csv", "--target", "Y"], Invalid, ["'Y'"]),
    "a budget too small": (["train", "good.csv", "--target", "y", "--budget", "1s"], Invalid, ["budget"]),
    "an unknown dataset": (["dataset", "show", "nothing"], NotFound, ["'nothing'"]),
    "an unknown model": (["promote", "nothing", "1"], NotFound, ["'nothing'"]),
    "an unknown deployment": (["predict", "nothing", "--row", "{}"], NotFound, ["'nothing'"]),
    "a row that is no JSON": (["predict", "nothing", "--row", "{a: 1}"], Invalid, ["JSON"]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    for name, content in FILES.items():
        (path / name).write_bytes(content)
    return path


def arkwright(
    platform: tuple[RunningPlatform, Settings], folder: Path, *arguments: str, **changes: str
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ARKWRIGHT_HOME": str(platform[1].home), "NO_COLOR": "1", **changes}
    return subprocess.run(
        [ARKWRIGHT, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_ends_in_a_reason_a_hint_and_its_exit_code(
    platform: tuple[RunningPlatform, Settings], folder: Path, name: str
) -> None:
    arguments, kind, words = CASES[name]
    done = arkwright(platform, folder, *arguments)
    said = done.stdout + done.stderr
    assert done.returncode == kind.exit_code, said
    assert "What to do:" in said
    assert "Traceback" not in said
    assert "\x1b" not in said
    for word in words:
        assert word in said


def test_a_program_gets_the_problem_as_json(platform: tuple[RunningPlatform, Settings], folder: Path) -> None:
    done = arkwright(platform, folder, "dataset", "ingest", "twice.csv", "--json")
    problem = json.loads(done.stdout)
    assert done.returncode == Invalid.exit_code
    assert problem["code"] == "dataset.duplicate_columns"
    assert problem["hint"]


def test_a_wrong_key_and_a_taken_name_have_their_own_exit_codes(
    platform: tuple[RunningPlatform, Settings], folder: Path
) -> None:
    state, _settings = platform
    stranger = arkwright(platform, folder, "model", "ls", ARKWRIGHT_URL=state.url, ARKWRIGHT_API_KEY="ak_wrong")
    assert stranger.returncode == NotAuthenticated.exit_code, stranger.stdout + stranger.stderr
    job = arkwright(platform, folder, "dataset", "ingest", "good.csv", "--json")
    assert job.returncode == 0, job.stderr
    ended = arkwright(platform, folder, "job", "ls", "--json")
    job_id = json.loads(ended.stdout)[0]["id"]
    again = arkwright(platform, folder, "job", "cancel", job_id)
    assert again.returncode == Conflict.exit_code, again.stdout + again.stderr
    assert "What to do:" in again.stdout + again.stderr
