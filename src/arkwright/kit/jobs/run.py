"""A job while it runs: its steps, its progress, its log, and whether it should end."""

from __future__ import annotations

import errno
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arkwright.core.context import Actor, Context
from arkwright.core.errors import AdapterError, ArkwrightError, Unavailable
from arkwright.core.problems import error_from_document, problem_document
from arkwright.kit.db import Database, UnitOfWork
from arkwright.kit.jobs import repository
from arkwright.kit.jobs.errors import JobCancelled, Superseded
from arkwright.kit.jobs.ports import Checkpoint
from arkwright.kit.jobs.status import RUNNING
from arkwright.kit.jobs.tables import JobLogRow, JobRow, JobStepRow
from arkwright.kit.jobs.values import json_value
from arkwright.kit.logging import get_logger
from arkwright.kit.objects import disk_problem

_log = get_logger(__name__)

# MLflow needs up to half a minute to warm up on a cold machine; jobs wait for it.
RETRY_DELAYS_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0)
_LOOK_SECONDS = 0.5
_SAVE_TIME_SECONDS = 2.0


@dataclass
class _Progress:
    fraction: float
    message: str
    data: dict[str, Any]
    changed: bool = False


class JobRun:
    """What a job works with.

    Progress and log lines are kept here and written by a thread of the worker at most five times a second, so a
    training loop may report as often as it likes; the last of them are written when the job ends. Every method may
    raise :class:`WorkerStopping` or :class:`Superseded`, which a job lets pass.

    Attributes
    ----------
    job_id
        The job's id, also a good key for what it creates.
    context
        The workspace and the actor the job was submitted by.
    payload
        What the job was submitted with.
    attempt
        How often the job was started, this time included.
    save_lock
        Held by who writes what the run reported: the pulse, or the end of the job.
    """

    def __init__(
        self,
        database: Database,
        row: JobRow,
        checkpoint: Checkpoint,
        *,
        lines: Sequence[JobLogRow] = (),
        retry_delays_seconds: Sequence[float] = RETRY_DELAYS_SECONDS,
    ) -> None:
        self.job_id = row.id
        self.kind = row.kind
        self.payload: dict[str, Any] = row.payload
        self.attempt = row.attempt
        actor = Actor(id=row.created_by, kind=row.created_by_kind, role=row.created_by_role)
        self.context = Context(actor=actor, workspace_id=row.workspace_id, request_id=row.request_id or row.id)
        self._database = database
        self._checkpoint = checkpoint
        self._delays = tuple(retry_delays_seconds)
        self._progress = _Progress(row.progress, row.message, dict(row.data))
        self._lines: list[JobLogRow] = []
        self._seq = lines[-1].seq if lines else 0
        self._said = Counter(line.message for line in lines)
        self._state_lock = threading.Lock()
        self.save_lock = threading.Lock()
        self._units = threading.local()
        self._cancel = threading.Event()
        self._noticed = False
        self._noticed_saved = row.cancel_noticed_at is not None
        self._interruption: BaseException | None = None
        self._wake = threading.Event()
        self._spent_before = row.spent_seconds
        self._started = self._looked = self._saved = time.monotonic()
        if row.cancel_requested_at is not None:
            self._cancel.set()

    @property
    def cancel_noticed(self) -> bool:
        """Whether the job saw, in this attempt or an earlier one, that it should end."""
        return self._noticed or self._noticed_saved

    def step(self, name: str, work: Callable[[], Any]) -> Any:
        """Run a part of the job durably, and return its result.

        A step that finished is not run again after a crash: its recorded result is returned. One that was under way
        is run again. ``Unavailable`` and ``AdapterError`` are tried again a few times with back-off. Steps are taken
        on the job's own thread, one after the other, in the same order each time, and their results are small.

        Parameters
        ----------
        name
            What the step is called in this kind of job.
        work
            Returns JSON; numbers that are not finite come back as None.

        Raises
        ------
        ArkwrightError
            What ``work`` raised; any other exception becomes one with code ``internal``, and its traceback is logged.
        """
        self._go_on()
        outcome = self._checkpoint(name, lambda: self._attempt(name, work))
        problem = outcome.get("problem")
        if problem is None:
            return outcome["value"]
        if problem.get("code") == JobCancelled.code:
            raise JobCancelled
        raise error_from_document(problem)

    def write_once(self, name: str, work: Callable[[UnitOfWork], Any]) -> Any:
        """Run a step that writes to the database exactly once, also if the process dies right after the commit.

        Parameters
        ----------
        work
            Gets the unit of work that is committed after it, and returns JSON. It opens no other.
        """

        def apply() -> Any:
            with self.write() as unit:
                key = (unit.context.workspace_id, self.job_id, name)
                done = unit.session.get(JobStepRow, key)
                if done is not None:
                    return done.value
                value = json_value(work(unit))
                unit.session.add(JobStepRow(job_id=self.job_id, name=name, value=value, created_at=unit.clock.now()))
                return value

        return self.step(name, apply)

    def progress(self, fraction: float, message: str = "", **data: Any) -> None:
        """Say how far the job is.

        Parameters
        ----------
        fraction
            0 to 1.
        message
            One line for a person; empty keeps the last one.
        data
            Numbers for a progress bar, merged into those said before.
        """
        self._go_on()
        values = json_value(data)
        with self._state_lock:
            now = self._progress
            self._progress = _Progress(
                min(1.0, max(0.0, float(fraction))), message or now.message, {**now.data, **values}, changed=True
            )

    def log(self, message: str) -> None:
        """Add a line to the job's log.

        After a restart the job comes past the same places again until it reaches its first unfinished step; what it
        says on that way was said before and is not added again.
        """
        self._go_on()
        if self._said[message] > 0:
            self._said[message] -= 1
        else:
            self._say(message)

    def cancel_requested(self) -> bool:
        """Tell whether the job should end; it costs nothing to ask, and the answer is at most a second old.

        A job that has asked, was told yes and returns a result is ``cancelled`` with that result; one that never asks
        is not cancelled once it runs.
        """
        self._go_on()
        if self._cancel.is_set() and not self._noticed:
            self._noticed = True
            if not self._noticed_saved:
                self._say("Cancelling.")
        return self._noticed

    def raise_if_cancelled(self) -> None:
        """End the job here if somebody asked for it.

        Raises
        ------
        JobCancelled
            If so.
        """
        if self.cancel_requested():
            raise JobCancelled

    def elapsed_seconds(self) -> float:
        """Return how long the job has worked, over all its attempts: what a time budget is measured by.

        The time a worker was down does not count; a crash loses at most the last two seconds.
        """
        return self._spent_before + time.monotonic() - self._started

    def read(self) -> AbstractContextManager[UnitOfWork]:
        """Open a unit of work that only reads, as the actor the job was submitted by."""
        self._go_on()
        return self._database.read(self.context)

    @contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        """Open a unit of work that commits when the block ends, unless this run was superseded."""
        self._go_on()
        if getattr(self._units, "open", False):
            raise RuntimeError("a job's units of work do not nest: the inner one would wait for the outer for ever")
        self._units.open = True
        try:
            with self._database.write(self.context) as unit:
                if repository.held_attempt(unit, self.job_id) != (RUNNING, self.attempt):
                    raise self.interrupt(Superseded())
                yield unit
        finally:
            self._units.open = False

    def interrupt(self, reason: BaseException) -> BaseException:
        """Make the job's next call raise; the first reason stays."""
        if self._interruption is None:
            self._interruption = reason
        self._wake.set()
        return self._interruption

    def tick(self, *, now: bool = False) -> None:
        """Write what is new, and see whether the job should end: called by the worker's pulse.

        Parameters
        ----------
        now
            Write even if nothing is new, for the time spent.

        Raises
        ------
        ArkwrightError
            If the database cannot be used; nothing is lost, the next tick writes it.
        """
        moment = time.monotonic()
        with self.save_lock:
            if now or self._is_news() or moment - self._saved >= _SAVE_TIME_SECONDS:
                with self._database.write(self.context) as unit:
                    row = repository.lock(unit, self.job_id)
                    save = self.save_into(unit, row) if row is not None and self.owns(row) else None
                if save is None:
                    self.interrupt(Superseded())
                    return
                save()
                self._see(row)
            elif moment - self._looked >= _LOOK_SECONDS:
                with self._database.read(self.context) as unit:
                    row = repository.find(unit, self.job_id)
                if row is None or not self.owns(row):
                    self.interrupt(Superseded())
                    return
                self._see(row)

    def owns(self, row: JobRow) -> bool:
        """Tell whether this run is the one that may write to the job."""
        return row.status == RUNNING and row.attempt == self.attempt

    def save_into(self, unit: UnitOfWork, row: JobRow) -> Callable[[], None]:
        """Put what is new into the job's row; call what is returned once that was committed.

        The caller holds ``save_lock`` from before the unit of work until after its commit: otherwise the pulse and the
        end of the job would both write the same lines.
        """
        with self._state_lock:
            progress, lines = self._progress, list(self._lines)
        row.spent_seconds = self.elapsed_seconds()
        if progress.changed:
            row.progress, row.message, row.data = progress.fraction, progress.message, progress.data
        if self._noticed and row.cancel_noticed_at is None:
            row.cancel_noticed_at = unit.clock.now()
        noticed = row.cancel_noticed_at is not None
        unit.session.add_all(
            JobLogRow(job_id=self.job_id, seq=line.seq, time=line.time, message=line.message) for line in lines
        )

        def saved() -> None:
            with self._state_lock:
                progress.changed = False
                del self._lines[: len(lines)]
            self._noticed_saved = noticed
            self._saved = time.monotonic()

        return saved

    def _say(self, message: str) -> None:
        with self._state_lock:
            self._seq += 1
            self._lines.append(JobLogRow(seq=self._seq, time=self._database.clock.now(), message=message))

    def _is_news(self) -> bool:
        with self._state_lock:
            return self._progress.changed or bool(self._lines) or (self._noticed and not self._noticed_saved)

    def _see(self, row: JobRow | None) -> None:
        self._looked = time.monotonic()
        if row is not None and row.cancel_requested_at is not None:
            self._cancel.set()
            self._wake.set()

    def _go_on(self) -> None:
        if self._interruption is not None:
            raise self._interruption

    def _attempt(self, name: str, work: Callable[[], Any]) -> dict[str, Any]:
        """Return the outcome of a step as JSON, so that a replay raises what the first run raised."""
        self._said.clear()
        for delay in (*self._delays, None):
            try:
                return {"value": json_value(work())}
            except (Unavailable, AdapterError) as error:
                if delay is None:
                    return {"problem": problem_document(error)}
                self._wait(name, error, delay)
                if self._cancel.is_set() and self.cancel_requested():
                    return {"problem": problem_document(JobCancelled())}
            except ArkwrightError as error:
                return {"problem": problem_document(error)}
            except (Exception, SystemExit) as error:  # noqa: BLE001
                # The edge of a step: whatever a library raises becomes a recorded outcome, its traceback a log line.
                return {"problem": problem_document(unexpected(error, f"in the step {name!r}"))}
        raise AssertionError("the last delay is None")

    def _wait(self, name: str, error: ArkwrightError, delay: float) -> None:
        self.log(f"{name}: {error.detail} Trying again in {delay:g} s.")
        self._wake.clear()
        if not self._cancel.is_set() and self._interruption is None:
            self._wake.wait(delay)
        self._go_on()


def unexpected(error: BaseException, where: str) -> ArkwrightError:
    """Log an exception nobody foresaw, and return what its job's owner is told: no traceback, no text of its own."""
    _log.error("job stopped on an unexpected error", where=where, exc_info=error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_problem(error, Path(error.filename or tempfile.gettempdir()))
    return ArkwrightError(
        f"The job stopped on an unexpected {type(error).__name__} {where}; it is a defect, not your mistake.",
        hint="The worker's log has the traceback under this job's id.",
    )
