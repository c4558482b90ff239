from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from arkwright.kit.priority import ask_for_short_slices, give_way

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other kernels have other queues")
WAIT = [sys.executable, "-c", "input()"]


@pytest.fixture
def leader() -> Iterator[int]:
    with subprocess.Popen(WAIT, stdin=subprocess.PIPE, start_new_session=True) as process:
        yield process.pid
        process.kill()


def asked(niceness: int, pid: int) -> None:
    while not give_way(niceness, pid):
        pass


def test_a_process_and_its_session_stand_back(leader: int) -> None:
    asked(7, leader)
    assert os.getpriority(os.PRIO_PROCESS, leader) == 7
    group = Path(f"/proc/{leader}/autogroup")
    if group.exists():
        assert group.read_text().split()[-1] == "7"


def test_nobody_is_brought_forward(leader: int) -> None:
    asked(9, leader)
    asked(3, leader)
    assert os.getpriority(os.PRIO_PROCESS, leader) == 9


def test_the_session_of_somebody_else_is_left_alone() -> None:
    with subprocess.Popen(WAIT, stdin=subprocess.PIPE) as process:
        before = Path("/proc/self/autogroup").read_text() if Path("/proc/self/autogroup").exists() else ""
        assert give_way(4, process.pid)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 4
        assert not before or Path("/proc/self/autogroup").read_text() == before
        process.kill()


def test_a_process_that_is_gone_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert give_way(5, process.pid)


def test_asking_for_short_slices_changes_no_priority() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)
    ask_for_short_slices()
    assert (os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)) == before
