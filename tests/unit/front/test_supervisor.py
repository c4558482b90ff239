"""Children are started again, for as long as it takes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from arkwright.front import supervisor
from arkwright.front.supervisor import ChildSpec, Supervisor


async def _true() -> bool:
    return True


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.005)
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE_SECONDS", 0.02)


def run_until(spec: ChildSpec, wanted: Callable[[], bool], *, timeout_seconds: float = 20) -> dict[str, str]:
    async def scene() -> dict[str, str]:
        keeper = Supervisor([spec])
        keeper.start()
        try:
            async with asyncio.timeout(timeout_seconds):
                while not wanted():
                    await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)
            return keeper.status()
        finally:
            await keeper.stop()

    return asyncio.run(scene())


def test_a_child_that_dies_at_once_is_started_again_for_ever(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    spec = ChildSpec("child", ["/bin/sh", "-c", "echo started; exit 3"], {}, log, _true)
    run_until(spec, lambda: log.exists() and log.read_text().count("started") >= 12)
    assert log.read_text().count("started") >= 12


def test_a_child_that_cannot_be_started_is_tried_until_it_can(tmp_path: Path) -> None:
    program, tries = tmp_path / "program", 0

    def exists_later() -> bool:
        nonlocal tries
        tries += 1
        if tries == 20:
            program.write_text(f"#!{sys.executable}\nimport time\nprint('up', flush=True)\ntime.sleep(30)\n")
            program.chmod(0o700)
        return log.exists() and "up" in log.read_text()

    log = tmp_path / "child.log"
    status = run_until(ChildSpec("child", [str(program)], {}, log, _true), exists_later)
    assert status == {"child": "ready"}
