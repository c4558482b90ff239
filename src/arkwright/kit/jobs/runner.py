"""The worker's side: running jobs on DBOS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import psycopg
from dbos import DBOS, DBOSPortableJSONSerializer

from arkwright.core.errors import Unavailable
from arkwright.kit.db import Database
from arkwright.kit.jobs.errors import WorkerStopping
from arkwright.kit.jobs.execution import Execution
from arkwright.kit.jobs.ports import Job
from arkwright.kit.jobs.queue import APPLICATION, ENGINE_VERSION, JobQueue
from arkwright.kit.jobs.run import RETRY_DELAYS_SECONDS
from arkwright.kit.jobs.seat import Seat
from arkwright.kit.jobs.service import JobService
from arkwright.kit.logging import get_logger

_log = get_logger(__name__)

# A job that takes its worker down each time (out of memory, a crash in native code) must not do so for ever.
MAX_RESTARTS = 20
RECONCILE_SECONDS = 5.0
_KEEP_CHECKPOINTS = timedelta(days=1)
_FORGET_SECONDS = 3600.0


class JobRunner:
    """Takes jobs from the queue and runs them, one runner to a process.

    Parameters
    ----------
    service
        The control plane's service on the same queue, for its reconciler.
    jobs
        One object for each kind that the service accepts.
    workspaces
        Returns the ids of all workspaces, in which lost jobs are looked for.
    executor_id
        The worker's seat, the same after each restart: that is how it finds the jobs it left behind.
    """

    def __init__(
        self,
        database: Database,
        service: JobService,
        jobs: Iterable[Job],
        *,
        workspaces: Callable[[], Sequence[str]],
        executor_id: str = "worker-1",
        retry_delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS,
        reconcile_seconds: float = RECONCILE_SECONDS,
    ) -> None:
        self._jobs = {job.kind: job for job in jobs}
        if set(self._jobs) != set(service.kinds):
            odd = sorted(set(self._jobs) ^ set(service.kinds))
            raise ValueError(f"the worker's jobs and the kinds that can be submitted differ: {odd}")
        if not isinstance(service.queue, JobQueue):
            raise TypeError("a runner needs a JobQueue: jobs of other queues are run elsewhere")
        self._database = database
        self._service = service
        self._queue = service.queue
        self._workspaces = workspaces
        self._executor_id = executor_id
        self._reconcile_seconds = reconcile_seconds
        self._seat = Seat(self._queue.url, executor_id)
        self._execution = Execution(database, retry_delays_seconds)
        self._reconciler = threading.Thread(target=self._reconcile, name="jobs-reconciler", daemon=True)

    def start(self) -> None:
        """Take the seat, resume what was left behind, and begin to take jobs.

        Raises
        ------
        Conflict
            If another worker sits in this seat.
        Unavailable
            If the job store cannot be reached.
        """
        self._queue.open()
        try:
            self._seat.take()
        except psycopg.OperationalError as error:
            raise Unavailable(
                f"The job store {self._queue.shown_url} cannot be reached.", code="jobs.store_unavailable"
            ) from error
        try:
            with self._queue.translated():
                self._launch()
        except BaseException:
            DBOS.destroy(destroy_registry=True)
            self._seat.leave()
            raise
        self._reconciler.start()
        _log.info("worker started", executor_id=self._executor_id, kinds=sorted(self._jobs))

    def stop(self, grace_seconds: float = 10.0) -> bool:
        """Take no more jobs, take the running ones off at their next call, and leave the seat.

        They go on from their last finished step when a worker starts again.

        Returns
        -------
        bool
            Whether all of them let go in time. If not, their threads still run: end the process with ``os._exit``,
            which harms nothing, because it is what a crash would do.
        """
        self._execution.stopping.set()
        self._execution.pulse.interrupt_all(WorkerStopping())
        deadline = time.monotonic() + grace_seconds
        while self._execution.pulse.count() and time.monotonic() < deadline:
            time.sleep(0.02)
        drained = self._execution.pulse.count() == 0
        self._reconciler.join(timeout=max(0.1, deadline - time.monotonic()))
        DBOS.destroy(destroy_registry=True)
        self._seat.leave()
        _log.info("worker stopped", drained=drained)
        return drained

    def running(self) -> int:
        """Return how many jobs run right now."""
        return self._execution.pulse.count()

    def _launch(self) -> None:
        DBOS(
            config={
                "name": APPLICATION,
                "system_database_url": self._queue.url,
                "application_version": ENGINE_VERSION,
                "executor_id": self._executor_id,
                "serializer": DBOSPortableJSONSerializer(),
                "log_level": "WARNING",
                "notification_listener_polling_interval_sec": 0.5,
            }
        )
        for kind, job in self._jobs.items():
            DBOS.workflow(name=kind, max_recovery_attempts=MAX_RESTARTS)(self._workflow(job))
        DBOS.launch()

    def _workflow(self, job: Job) -> Callable[[str, str], None]:
        def workflow(workspace_id: str, job_id: str) -> None:
            self._execution.run(job, workspace_id, job_id, _durable)

        return workflow

    def _reconcile(self) -> None:
        next_forget = 0.0
        while True:
            try:
                for workspace_id in self._workspaces():
                    self._service.reconcile(self._database, workspace_id)
                if time.monotonic() >= next_forget:
                    self._queue.forget(self._database.clock.now() - _KEEP_CHECKPOINTS)
                    next_forget = time.monotonic() + _FORGET_SECONDS
            except Exception:  # noqa: BLE001
                # The process edge of this thread: a database that is away for a while must not end it.
                _log.exception("jobs could not be reconciled")
            if self._execution.stopping.wait(self._reconcile_seconds):
                return


def _durable(name: str, work: Callable[[], Any]) -> Any:
    return DBOS.run_step({"name": name}, work)
