"""One run of one job, from its claim to its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from arkwright.core.context import system_context
from arkwright.core.errors import ArkwrightError, Unavailable
from arkwright.core.problems import problem_document
from arkwright.kit.db import Database
from arkwright.kit.jobs import repository
from arkwright.kit.jobs.errors import JobCancelled, WorkerStopping
from arkwright.kit.jobs.ports import Checkpoint, Job
from arkwright.kit.jobs.pulse import Pulse
from arkwright.kit.jobs.run import RETRY_DELAYS_SECONDS, JobRun, unexpected
from arkwright.kit.jobs.status import CANCELLED, FAILED, FINAL, RUNNING, SUCCEEDED
from arkwright.kit.jobs.tables import JobLogRow
from arkwright.kit.jobs.values import json_value
from arkwright.kit.logging import get_logger
from arkwright.kit.telemetry import counter

_log = get_logger(__name__)
_ENDED = counter("arkwright_jobs_ended_total", "Jobs that ended, by kind and how.", ("kind", "status"))
_T = TypeVar("_T")

_LONGEST_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class _End:
    status: str
    result: dict[str, Any] | None = None
    error: ArkwrightError | None = None


@dataclass
class Execution:
    """Runs jobs in the calling thread.

    Parameters
    ----------
    stopping
        Set when the process is about to end: jobs are left as they are.
    """

    database: Database
    retry_delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS
    pulse: Pulse = field(default_factory=Pulse)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, job: Job, workspace_id: str, job_id: str, checkpoint: Checkpoint) -> None:
        """Run a job to its end and write down how it ended; one that ended already is left alone.

        Raises
        ------
        WorkerStopping, Superseded
            If the job was taken off this process; its row stays as it is.
        """
        if self.stopping.is_set():
            raise WorkerStopping
        run = self._insist(lambda: self._claim(workspace_id, job_id, checkpoint))
        if run is None:
            return
        with structlog.contextvars.bound_contextvars(
            job_id=job_id, kind=run.kind, workspace_id=workspace_id, request_id=run.context.request_id
        ):
            _log.info("job started", attempt=run.attempt)
            with self.pulse.following(run):
                # Between the claim and here the pulse did not know this run yet.
                if self.stopping.is_set():
                    run.interrupt(WorkerStopping())
                try:
                    end = self._work(job, run)
                except WorkerStopping:
                    self._save_for_next_time(run)
                    raise
                self._insist(lambda: self._finish(run, end))
            _ENDED.labels(run.kind, end.status).inc()
            _log.info("job ended", status=end.status, code=end.error.code if end.error else None)

    def _claim(self, workspace_id: str, job_id: str, checkpoint: Checkpoint) -> JobRun | None:
        with self.database.write(system_context(workspace_id)) as unit:
            row = repository.lock(unit, job_id)
            if row is None or row.status in FINAL:
                return None
            row.status = RUNNING
            row.attempt += 1
            row.started_at = row.started_at or unit.clock.now()
            lines: list[JobLogRow] = []
            if row.attempt == 1:
                row.message = "Started."
            else:
                lines = list(repository.log_lines(unit, job_id, after=0, limit=None))
                message = f"Going on after an interruption (attempt {row.attempt})."
                seq = lines[-1].seq + 1 if lines else 1
                lines.append(JobLogRow(job_id=job_id, seq=seq, time=unit.clock.now(), message=message))
                unit.session.add(lines[-1])
            return JobRun(self.database, row, checkpoint, lines=lines, retry_delays_seconds=self.retry_delays_seconds)

    def _work(self, job: Job, run: JobRun) -> _End:
        try:
            result = json_value(job.run(run, run.payload))
        except JobCancelled:
            return _End(CANCELLED)
        except ArkwrightError as error:
            return _End(FAILED, error=error)
        except (Exception, SystemExit) as error:  # noqa: BLE001
            # The edge of a job: whatever it raises ends it, and is told to its owner without its traceback.
            return _End(FAILED, error=unexpected(error, "outside of its steps"))
        return _End(CANCELLED if run.cancel_noticed else SUCCEEDED, result=result)

    def _save_for_next_time(self, run: JobRun) -> None:
        try:
            run.tick(now=True)
        except ArkwrightError as error:
            # The process is about to end; what was not written is what a crash would have lost.
            _log.warning("job progress could not be written", error=error.detail)

    def _finish(self, run: JobRun, end: _End) -> None:
        with run.save_lock, self.database.write(run.context) as unit:
            row = repository.lock(unit, run.job_id)
            if row is None or not run.owns(row):
                _log.warning("job was ended by another hand; this run's outcome is dropped")
                return
            run.save_into(unit, row)
            row.status = end.status
            row.result = end.result
            row.error = problem_document(end.error, run.context.request_id) if end.error else None
            row.finished_at = unit.clock.now()
            if end.status == SUCCEEDED:
                row.progress = 1.0

    def _insist(self, action: Callable[[], _T]) -> _T:
        """Wait for a database that is away: how a job ended must not get lost."""
        delay = 0.5
        while True:
            try:
                return action()
            except Unavailable as error:
                if self.stopping.is_set():
                    raise WorkerStopping from error
                _log.warning("job waits for the database", error=error.detail)
                self.stopping.wait(delay)
                delay = min(2 * delay, _LONGEST_PATIENCE_SECONDS)
