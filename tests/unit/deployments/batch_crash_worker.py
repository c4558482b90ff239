"""A worker process for the crash test: ``batch_crash_worker.py DATABASE_URL JOBS_URL OBJECTS_URL PARTS``.

It runs batches in chunks of 100 rows and kills itself when it has written so many parts; -1 for never.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from sqlalchemy import select

from arkwright.core.context import DEFAULT_WORKSPACE_ID, system_context
from arkwright.data import DatasetService, UploadService
from arkwright.deployments import batch_worker, jobs
from arkwright.governance import GovernanceService
from arkwright.kit.db import Database
from arkwright.kit.jobs import JobQueue, JobRow, JobRunner, JobService, Lane
from arkwright.kit.logging import configure_logging
from arkwright.kit.objects import ObjectStore
from arkwright.registry import BundleStore, RegistryService
from arkwright.testing import InMemoryTracking


def main() -> None:
    database_url, jobs_url, objects_url, parts = sys.argv[1:]
    configure_logging("worker", "warning")
    left = int(parts)
    write_part = batch_worker.write_part

    def write(*arguments: Any) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        write_part(*arguments)

    batch_worker.write_part = write
    jobs.CHUNK_ROWS = 100
    jobs.available_cores = lambda: 1
    database, objects = Database(database_url), ObjectStore(objects_url)
    queue = JobQueue(jobs_url, poll_seconds=0.05)
    service = JobService(
        queue, {jobs.BatchJob.kind: Lane.LIGHT}, authorise=lambda *_: None, record=lambda *_args, **_kwargs: None
    )
    uploads = UploadService(objects, max_upload_bytes=50_000_000)
    datasets = DatasetService(service, uploads, objects)
    registry = RegistryService(BundleStore(objects), GovernanceService(), InMemoryTracking())
    job = jobs.BatchJob(objects, registry, datasets, uploads)
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
