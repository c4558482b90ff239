"""Jobs on PostgreSQL: rows and engine in one scratch database, which is dropped afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from arkwright.core.context import DEFAULT_WORKSPACE_ID, Actor, Context
from arkwright.core.errors import Conflict
from arkwright.kit.db import Database
from arkwright.kit.jobs import JobLogRow, JobQueue, JobRow, JobRun, JobRunner, JobService, Lane, Superseded
from arkwright.kit.jobs.seat import Seat

pytestmark = [pytest.mark.postgres, pytest.mark.xdist_group("postgres")]

CRASH = Path(__file__).parents[1] / "unit" / "kit" / "jobs"
CONTEXT = Context(Actor("user_test", "user"), DEFAULT_WORKSPACE_ID, "req_test")


@pytest.fixture
def url(postgres_url: str) -> str:
    """A scratch database with the platform's tables, closed to other workspaces."""
    database = Database(postgres_url)
    database.migrate()
    database.dispose()
    return postgres_url


class Recipe:
    def __init__(self, kind: str, work: Callable[[JobRun, dict[str, Any]], dict[str, Any]]) -> None:
        self.kind = kind
        self._work = work

    def run(self, job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
        return self._work(job, payload)


class Bench:
    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url)
        self.queue = JobQueue(url, poll_seconds=0.05)
        self.runners: list[JobRunner] = []

    def service(self, *kinds: str) -> JobService:
        lanes = dict.fromkeys(kinds, Lane.HEAVY)
        return JobService(self.queue, lanes, authorise=lambda *_: None, record=lambda *_args: None)

    def start(self, job: Recipe) -> JobService:
        service = self.service(job.kind)
        runner = JobRunner(
            self.database, service, [job], workspaces=lambda: [DEFAULT_WORKSPACE_ID], reconcile_seconds=0.1
        )
        runner.start()
        self.runners.append(runner)
        return service

    def submit(self, service: JobService, kind: str, payload: dict[str, Any] | None = None) -> str:
        with self.database.write(CONTEXT) as unit:
            return service.submit(unit, kind, payload or {}).id

    def row(self, job_id: str) -> JobRow:
        with self.database.read(CONTEXT) as unit:
            row = unit.session.get(JobRow, (DEFAULT_WORKSPACE_ID, job_id))
            assert row is not None
            return row

    def ended(self, job_id: str) -> JobRow:
        deadline = time.monotonic() + 15
        while self.row(job_id).finished_at is None:
            assert time.monotonic() < deadline, "the job did not end in time"
            time.sleep(0.01)
        return self.row(job_id)


@pytest.fixture
def bench(url: str) -> Iterator[Bench]:
    opened = Bench(url)
    yield opened
    for runner in opened.runners:
        runner.stop()
    opened.queue.close()
    opened.database.dispose()


def test_a_job_runs_its_steps_and_ends_with_its_result(bench: Bench) -> None:
    def work(job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
        job.log("counting")
        job.progress(0.5, "half way")
        saved = job.write_once("save", lambda unit: {"workspace": unit.context.workspace_id})
        return {"n": job.step("count", lambda: payload["n"] + 1), **saved}

    service = bench.start(Recipe("test.count.v1", work))
    job_id = bench.submit(service, "test.count.v1", {"n": 41})
    row = bench.ended(job_id)
    assert (row.status, row.result, row.error) == ("succeeded", {"n": 42, "workspace": DEFAULT_WORKSPACE_ID}, None)
    with bench.database.read(CONTEXT) as unit:
        assert [line.message for line in service.logs(unit, job_id, limit=10)] == ["counting"]


def test_a_running_job_is_cancelled_and_keeps_what_it_has(bench: Bench) -> None:
    started = threading.Event()

    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        started.set()
        while not job.cancel_requested():
            time.sleep(0.01)
        return {"best": 1}

    service = bench.start(Recipe("test.search.v1", work))
    job_id = bench.submit(service, "test.search.v1")
    assert started.wait(10)
    with bench.database.write(CONTEXT) as unit:
        service.cancel(unit, job_id)
    row = bench.ended(job_id)
    assert (row.status, row.result) == ("cancelled", {"best": 1})


def test_reporting_inside_a_unit_of_work_does_not_wait_for_it(bench: Bench) -> None:
    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        with job.write():
            job.progress(0.3, "writing")
            time.sleep(0.5)  # several pulses meet the locked row
            job.log("in the middle")
        return {}

    service = bench.start(Recipe("test.nest.v1", work))
    row = bench.ended(bench.submit(service, "test.nest.v1"))
    assert (row.status, row.message) == ("succeeded", "writing")


def test_a_run_that_was_superseded_commits_nothing(bench: Bench) -> None:
    caught: list[str] = []

    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        with bench.database.write(CONTEXT) as unit:
            row = unit.session.get(JobRow, (DEFAULT_WORKSPACE_ID, job.job_id))
            assert row is not None
            row.attempt += 1
        try:
            with job.write() as unit:
                unit.session.add(JobLogRow(job_id=job.job_id, seq=9, time=unit.clock.now(), message="stale"))
        except Superseded:
            caught.append(job.job_id)
            raise
        return {}

    service = bench.start(Recipe("test.stale.v1", work))
    job_id = bench.submit(service, "test.stale.v1")
    deadline = time.monotonic() + 10
    while not caught:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with bench.database.read(CONTEXT) as unit:
        assert not service.logs(unit, job_id, limit=10)
    assert bench.row(job_id).status == "running"
    with bench.database.write(CONTEXT) as unit:
        row = unit.session.get(JobRow, (DEFAULT_WORKSPACE_ID, job_id))
        assert row is not None
        row.status = "failed"


def test_a_seat_has_one_occupant_and_is_free_when_its_process_is_killed(url: str) -> None:
    hold = "import sys, time; from arkwright.kit.jobs.seat import Seat; seat = Seat(sys.argv[1], 'worker-9'); "
    other = subprocess.Popen(
        [sys.executable, "-c", hold + "seat.take(); print('seated', flush=True); time.sleep(60)", url],
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"seated\n"
        seat = Seat(url, "worker-9")
        with pytest.raises(Conflict, match="'worker-9'"):
            seat.take(patience_seconds=0.1)
    finally:
        other.kill()
        other.wait()
    seat.take()
    seat.leave()


def test_a_killed_job_goes_on_from_its_last_finished_step(bench: Bench, tmp_path: Path) -> None:
    service = bench.service("test.crash.v1")
    job_id = bench.submit(service, "test.crash.v1", {"folder": str(tmp_path)})
    command = [sys.executable, str(CRASH / "crash_worker.py"), bench.url, bench.url, str(CRASH / "crashing_job.py")]
    codes = []
    while not codes or codes[-1] == -signal.SIGKILL:
        assert len(codes) < 4
        codes.append(subprocess.run(command, timeout=60, check=False).returncode)
    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert (tmp_path / "trace").read_text().split() == ["one", "two", "two", "three"]
    row = bench.row(job_id)
    assert (row.status, row.attempt) == ("succeeded", 3)
    with bench.database.read(CONTEXT) as unit:
        lines = [line.message for line in service.logs(unit, job_id, limit=10)]
    assert lines.count("written once") == 1
