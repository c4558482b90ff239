"""A few training processes, and a hard end for what they do.

One thread per process (LightGBM with two OpenMP threads was measured 16 to 23 times slower than with one beside
other work), folds in parallel, OpenMP waiting passively. A task past its end is asked to stop, then killed.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any, Self

import msgspec

from arkwright.automl.worker import READY, Answer, Task
from arkwright.kit.offspring import PARENT_PID

POLL_SECONDS = 0.1
KILL_GRACE_SECONDS = 0.5
CANCEL_GRACE_SECONDS = 2.0

_ENVIRONMENT = {
    # LightGBM and BLAS read these when they are loaded.
    "OMP_WAIT_POLICY": "PASSIVE",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class Outcome:
    """What came of a task: ``result``, or ``error``; neither where it was not started or not finished in time."""

    task: Task
    result: dict[str, Any] | None = None
    error: str = ""

    @property
    def unfinished(self) -> bool:
        """Whether time ran out, or somebody cancelled."""
        return self.result is None and not self.error


def default_workers() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


class WorkerPool:
    """Training processes, started when first needed and replaced when one dies.

    To be used, and closed, in the thread that made it.

    Parameters
    ----------
    n_workers
        How many; by default one per processor.
    """

    def __init__(self, n_workers: int | None = None) -> None:
        self.n_workers = n_workers or default_workers()
        self._workers: list[_Worker] = []
        self._serial = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the processes that are not there; they load their libraries while the caller goes on."""
        self._workers = [worker for worker in self._workers if worker.alive()]
        while len(self._workers) < self.n_workers:
            self._workers.append(_Worker())

    def wait_until_ready(self, *, ends_at: float = float("inf"), cancelled: Callable[[], bool] | None = None) -> None:
        """Wait until every process has loaded its libraries; one that dies meanwhile is found out when it is used."""
        self.start()
        while time.monotonic() < ends_at and not (cancelled is not None and cancelled()):
            loading = [worker for worker in self._workers if worker.alive() and not worker.ready]
            if not loading:
                return
            self._listen(loading)

    def close(self) -> None:
        """End every process."""
        for worker in self._workers:
            worker.kill()
        self._workers = []

    def run(
        self,
        tasks: Sequence[Task],
        *,
        ends_at: float = float("inf"),
        cancelled: Callable[[], bool] | None = None,
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> list[Outcome]:
        """Do the tasks and return an outcome for each, in their order.

        Parameters
        ----------
        ends_at
            When the last of them must be over, on the monotonic clock. Those that have not started then never do;
            those under way are asked to stop, and killed half a second later.
        cancelled
            Polled ten times a second; has the same effect, two seconds of grace included.
        on_outcome
            Called with each outcome as it comes.
        """
        self.start()
        numbered = []
        for task in tasks:
            self._serial += 1
            numbered.append(msgspec.structs.replace(task, id=self._serial))
        batch = _Batch(waiting=list(numbered), kill_at=ends_at + KILL_GRACE_SECONDS, on_outcome=on_outcome)
        try:
            while batch.waiting or any(worker.task for worker in self._workers):
                now = time.monotonic()
                if not batch.ending and (now >= ends_at or (cancelled is not None and cancelled())):
                    self._wind_down(batch, min(batch.kill_at, now + CANCEL_GRACE_SECONDS))
                if batch.ending and now >= batch.kill_at:
                    self._kill_busy(batch)
                self._feed(batch)
                self._collect(batch)
        except BaseException:
            # Whoever interrupts must not find half a batch still training behind its back.
            for worker in self._workers:
                if worker.task is not None:
                    worker.kill()
            raise
        finally:
            self._workers = [worker for worker in self._workers if worker.alive()]
        return [batch.outcomes.get(task.id, Outcome(task)) for task in numbered]

    def _feed(self, batch: _Batch) -> None:
        for worker in self._workers:
            if batch.waiting and worker.task is None and worker.alive():
                worker.give(batch.waiting.pop(0))
        if batch.waiting and not any(worker.alive() for worker in self._workers):
            self.start()

    def _collect(self, batch: _Batch) -> None:
        busy = [worker for worker in self._workers if worker.task is not None]
        if not busy:
            return
        for outcome in self._listen(busy):
            batch.add(outcome)
        dead = [worker for worker in self._workers if not worker.alive()]
        if dead and batch.waiting:
            self.start()

    def _listen(self, workers: Sequence[_Worker]) -> list[Outcome]:
        """Wait a moment for answers, and return those that are whole."""
        with selectors.DefaultSelector() as selector:
            for worker in workers:
                selector.register(worker.output, selectors.EVENT_READ, worker)
            heard = [key.data.take() for key, _ in selector.select(POLL_SECONDS)]
        return [outcome for outcome in heard if outcome is not None]

    def _wind_down(self, batch: _Batch, kill_at: float) -> None:
        batch.ending, batch.kill_at = True, kill_at
        batch.waiting.clear()
        for worker in self._workers:
            worker.ask_to_stop()

    def _kill_busy(self, batch: _Batch) -> None:
        for worker in self._workers:
            if worker.task is not None:
                batch.add(Outcome(worker.task))
                worker.kill()


@dataclass
class _Batch:
    waiting: list[Task]
    kill_at: float
    on_outcome: Callable[[Outcome], None] | None
    ending: bool = False
    outcomes: dict[int, Outcome] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        self.outcomes[outcome.task.id] = outcome
        if self.on_outcome is not None:
            self.on_outcome(outcome)


class _Worker:
    """One process, and the task it is at."""

    def __init__(self) -> None:
        self.task: Task | None = None
        self.ready = False
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            # -P keeps the working directory, which may hold anything, off the import path.
            [sys.executable, "-P", "-m", "arkwright.automl.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **_ENVIRONMENT, PARENT_PID: str(os.getpid())},
            # Ctrl-C in a terminal reaches the whole group: the parent decides what becomes of a search.
            start_new_session=True,
        )
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        assert self._process.stdout is not None  # noqa: S101
        self._input, self.output = self._process.stdin, self._process.stdout
        self._buffer = b""

    def alive(self) -> bool:
        return self._process.poll() is None

    def give(self, task: Task) -> None:
        self.task = task
        self._send(task)

    def ask_to_stop(self) -> None:
        if self.task is not None:
            self._send({"stop": self.task.id})

    def take(self) -> Outcome | None:
        """Read what has arrived; None while there is no whole answer to the task."""
        data = os.read(self.output.fileno(), 1 << 16)
        if not data:
            return self._death()
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        outcome = None
        for line in lines:
            answer = msgspec.json.decode(line, type=Answer)
            if answer.id == READY:
                self.ready = True
            elif self.task is not None:
                outcome, self.task = Outcome(self.task, answer.result, answer.error), None
        return outcome

    def _death(self) -> Outcome | None:
        self._process.wait()
        code, task = self._process.returncode, self.task
        reason = f"signal {-code}" if code < 0 else f"exit status {code}"
        words = self._last_words()
        self.kill()
        return Outcome(task, error=f"the training process died ({reason}){words}") if task is not None else None

    def kill(self) -> None:
        self.task = None
        self._process.kill()
        self._process.wait()
        for stream in (self._input, self.output, self._errors):
            stream.close()

    def _send(self, message: Any) -> None:
        try:
            self._input.write(msgspec.json.encode(message) + b"\n")
            self._input.flush()
        except BrokenPipeError:
            return  # it died: reading its output finds that out

    def _last_words(self) -> str:
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 2000))
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""
