"""A worker process for the crash tests: ``crash_worker.py DATABASE_URL JOBS_URL SOURCE``.

It runs the one kind of job that SOURCE defines, and exits with 0 when no job is open any more.
"""

from __future__ import annotations

import runpy
import sys
import time

from sqlalchemy import select

from arkwright.core.context import DEFAULT_WORKSPACE_ID, system_context
from arkwright.kit.db import Database
from arkwright.kit.jobs import JobQueue, JobRow, JobRunner, JobService, Lane
from arkwright.kit.logging import configure_logging


def main() -> None:
    database_url, jobs_url, source = sys.argv[1:]
    configure_logging("worker", "warning")
    job = runpy.run_path(source)["Job"]()
    database = Database(database_url)
    queue = JobQueue(jobs_url, poll_seconds=0.05)
    service = JobService(
        queue, {job.kind: Lane.HEAVY}, authorise=lambda *_: None, record=lambda *_args, **_kwargs: None
    )
    runner = JobRunner(database, service, [job], workspaces=lambda: [DEFAULT_WORKSPACE_ID])
    runner.start()
    while True:
        with database.read(system_context(DEFAULT_WORKSPACE_ID)) as unit:
            rows = unit.session.scalars(select(JobRow)).all()
        if all(row.finished_at for row in rows):
            break
        time.sleep(0.02)
    runner.stop()


if __name__ == "__main__":
    main()
