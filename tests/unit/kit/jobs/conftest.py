"""A service on a real job store, kinds of jobs to submit, and a worker that runs them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from arkwright.access import authorise, record
from arkwright.core.context import Context
from arkwright.kit.db import Database
from arkwright.kit.jobs import JobQueue, JobRow, JobRun, JobRunner, JobService, Lane


class Recipe:
    """A kind of job made of a function."""

    def __init__(self, kind: str, work: Callable[[JobRun, dict[str, Any]], dict[str, Any]]) -> None:
        self.kind = kind
        self._work = work

    def run(self, job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
        return self._work(job, payload)


class Bench:
    """What a test needs to submit jobs and to see how they end."""

    def __init__(self, database: Database, context: Context, url: str, cleanup: ExitStack) -> None:
        self.database = database
        self.context = context
        self.url = url
        self._cleanup = cleanup
        self.queue = JobQueue(url, poll_seconds=0.05)
        cleanup.callback(self.queue.close)

    def service(self, *jobs: Recipe, lane: Lane = Lane.LIGHT) -> JobService:
        return JobService(self.queue, {job.kind: lane for job in jobs}, authorise=authorise, record=record)

    def worker(self, service: JobService, *jobs: Recipe) -> JobRunner:
        runner = JobRunner(
            self.database,
            service,
            jobs,
            workspaces=lambda: [self.context.workspace_id],
            retry_delays_seconds=(0.01, 0.01),
            reconcile_seconds=0.1,
        )
        runner.start()
        self._cleanup.callback(runner.stop)
        return runner

    def submit(self, service: JobService, kind: str, payload: dict[str, Any] | None = None) -> str:
        with self.database.write(self.context) as unit:
            return service.submit(unit, kind, payload or {}, "thing", "thing_1").id

    def row(self, job_id: str) -> JobRow:
        with self.database.read(self.context) as unit:
            row = unit.session.get(JobRow, (self.context.workspace_id, job_id))
            assert row is not None
            return row

    def until(self, condition: Callable[[], bool], seconds: float = 15.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.01)

    def ended(self, job_id: str) -> JobRow:
        self.until(lambda: self.row(job_id).finished_at is not None)
        return self.row(job_id)

    def cancel(self, service: JobService, job_id: str) -> JobRow:
        with self.database.write(self.context) as unit:
            return service.cancel(unit, job_id)

    def messages(self, service: JobService, job_id: str) -> list[str]:
        with self.database.read(self.context) as unit:
            return [line.message for line in service.logs(unit, job_id, limit=100)]


@pytest.fixture
def bench(database: Database, context: Context, tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as cleanup:
        yield Bench(database, context, f"sqlite:///{tmp_path / 'jobs.db'}", cleanup)


@pytest.fixture
def recipe() -> type[Recipe]:
    return Recipe
