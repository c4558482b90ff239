"""``kill -9`` of a worker process, and what its successor does."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from arkwright.kit.jobs import JobService, Lane

HERE = Path(__file__).parent


def start(bench: Any, source: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(HERE / "crash_worker.py"), bench.database.url, bench.url, str(source)],
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("changed", [False, True], ids=["same source", "changed source"])
def test_a_killed_job_goes_on_from_its_last_finished_step(bench: Any, tmp_path: Path, changed: bool) -> None:
    source = tmp_path / "job.py"
    source.write_text((HERE / "crashing_job.py").read_text())
    service = JobService(
        bench.queue, {"test.crash.v1": Lane.HEAVY}, authorise=lambda *_: None, record=lambda *_args: None
    )
    job_id = bench.submit(service, "test.crash.v1", {"folder": str(tmp_path)})

    killed = start(bench, source)
    assert killed.wait(30) == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "trace").read_text().split() == ["one", "two"]
    assert bench.row(job_id).status == "running"

    if changed:
        source.write_text(source.read_text().replace("before the change", "after the change"))
    assert start(bench, source).wait(30) == -signal.SIGKILL
    assert (tmp_path / "trace").read_text().split() == ["one", "two", "two", "three"]

    last = start(bench, source)
    _, errors = last.communicate(timeout=30)
    assert last.returncode == 0, errors.decode()
    # Step three's writes were committed before its worker died: they are not made a second time.
    assert (tmp_path / "trace").read_text().split() == ["one", "two", "two", "three"]
    row = bench.row(job_id)
    source_now = "after the change" if changed else "before the change"
    assert (row.status, row.attempt) == ("succeeded", 3)
    assert row.result == {"rows": 7, "written": True, "source": source_now}
    assert bench.messages(service, job_id).count("written once") == 1


def test_a_job_that_takes_its_worker_down_each_time_is_given_up(
    bench: Any, recipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arkwright.kit.jobs import runner

    monkeypatch.setattr(runner, "MAX_RESTARTS", 1)

    def work(job: Any, _payload: dict[str, Any]) -> dict[str, Any]:
        while True:
            job.progress(0.1)

    kind = recipe("test.poison.v1", work)
    service = bench.service(kind)
    job_id = bench.submit(service, "test.poison.v1")
    for attempt in (1, 2):
        worker = bench.worker(service, kind)
        bench.until(lambda attempt=attempt: bench.row(job_id).attempt == attempt)
        assert worker.stop()
    bench.worker(service, kind)
    row = bench.ended(job_id)
    assert (row.status, row.error["code"]) == ("failed", "job.kills_worker")


def test_two_processes_cannot_sit_in_one_seat(bench: Any, tmp_path: Path) -> None:
    from arkwright.core.errors import Conflict
    from arkwright.kit.jobs.seat import Seat

    hold = "import sys, time; from arkwright.kit.jobs.seat import Seat; seat = Seat(sys.argv[1], 'worker-1'); "
    other = subprocess.Popen(
        [sys.executable, "-c", hold + "seat.take(); print('seated', flush=True); time.sleep(60)", bench.url],
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"seated\n"
        with pytest.raises(Conflict, match="Another worker already runs as 'worker-1'"):
            Seat(bench.url, "worker-1").take(patience_seconds=0.1)
        beside = Seat(bench.url, "worker-2")
        beside.take(patience_seconds=0.1)
        beside.leave()
    finally:
        other.kill()
        other.wait()
    successor = Seat(bench.url, "worker-1")
    successor.take()
    successor.leave()
