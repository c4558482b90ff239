"""Starting and stopping, also when something is in the way."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest
from tests.e2e.platform import running_platform

from arkwright.core.errors import ArkwrightError, Conflict, Unavailable
from arkwright.front import start_background, status, stop
from arkwright.kit.settings import load_settings

pytestmark = [pytest.mark.platform, pytest.mark.slow, pytest.mark.xdist_group("up")]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z" if Path("/proc").exists() else True


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(") ", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found.append(int(entry.parent.name))
    return found


def until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in pids if alive(pid)] == []


def test_up_answers_says_where_it_is_and_leaves_nothing_behind(tmp_path: Path) -> None:
    started = time.monotonic()
    with running_platform(tmp_path / "home") as (state, settings):
        assert time.monotonic() - started < 60
        assert httpx.get(f"{state.url}/health/ready").status_code == 200
        key = Path(state.key_file).read_text().strip()
        me = httpx.get(f"{state.url}/v1/whoami", headers={"Authorization": f"Bearer {key}"})
        assert me.json()["role"] == "admin"
        pointer = json.loads((tmp_path / "config" / "arkwright" / "current.json").read_text())
        assert pointer["url"] == state.url
        assert status(settings) == state
        # A second one on the same home is the same one; on the same port it is refused.
        assert start_background(settings) == state
        other = load_settings(home=tmp_path / "other", port=int(state.url.rsplit(":", 1)[1]))
        with pytest.raises(Conflict) as taken:
            start_background(other)
        assert "--port" in (taken.value.hint or "")
        processes = children_of(state.pid)
        assert len(processes) >= 3
    assert status(settings) is None
    until_gone([state.pid, *processes])
    assert not (tmp_path / "config" / "arkwright" / "current.json").exists()
    assert stop(settings) is False


def test_no_child_outlives_a_killed_parent(tmp_path: Path) -> None:
    with running_platform(tmp_path / "home") as (state, settings):
        processes = children_of(state.pid)
        os.kill(state.pid, signal.SIGKILL)
        until_gone(processes)
        # What it left behind is in nobody's way.
        again = start_background(settings)
        assert httpx.get(f"{again.url}/health/ready").status_code == 200


def test_an_unreachable_database_says_so_at_start(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://someone:hunter2@127.0.0.1:{unused.getsockname()[1]}/none"
        with pytest.raises(Unavailable) as problem:
            start_background(load_settings(home=tmp_path / "home", port=0, database_url=url))
    assert "ARKWRIGHT_DATABASE_URL" in (problem.value.hint or "")
    assert "hunter2" not in str(problem.value.detail) + str(problem.value.hint)


def test_a_home_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "version").write_text("99\n")
    with pytest.raises(ArkwrightError, match="format 99"):
        start_background(load_settings(home=home, port=0))


def test_a_login_link_opens_the_start_page_once(tmp_path: Path) -> None:
    with running_platform(tmp_path / "home") as (state, _settings):
        key = Path(state.key_file).read_text().strip()
        with httpx.Client(base_url=state.url, follow_redirects=True) as browser:
            assert browser.get("/ui").status_code == 401
            link = httpx.post(f"{state.url}/v1/auth/login-links", headers={"Authorization": f"Bearer {key}"}).json()[
                "url_path"
            ]
            page = browser.get(link)
            assert page.status_code == 200
            assert "Recent experiments" in page.text
            assert browser.get("/v1/projects").json()["items"][0]["name"] == "default"
        with httpx.Client(base_url=state.url, follow_redirects=True) as stranger:
            assert stranger.get(link).status_code == 401
        assert httpx.get(f"{state.url}/internal/plan").status_code == 404
