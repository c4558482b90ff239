"""A few scoring processes, one for each core, that work through the runs of one batch.

They are programs of their own, and no forks of a worker with threads and no ``multiprocessing`` children, which would
import its ``__main__`` again. A native library that crashes takes one of them down and not the worker.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import IO

import msgspec

from arkwright.core.errors import ArkwrightError, Unavailable
from arkwright.core.problems import error_from_document
from arkwright.deployments.batch_plan import Assignment, Run, Told
from arkwright.kit.offspring import PARENT_PID

_POLL_SECONDS = 0.2
_LAST_WORDS_BYTES = 2000
_ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


def available_cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def score_in_processes(
    assignment: Assignment,
    runs: Sequence[Run],
    n_workers: int,
    *,
    on_part: Callable[[int, int], None],
    watch: Callable[[], None] = lambda: None,
) -> None:
    """Score runs in processes of their own.

    Parameters
    ----------
    on_part
        Called with the number and the rows of each chunk that was stored.
    watch
        Called several times a second; what it raises ends the processes.

    Raises
    ------
    ArkwrightError
        What the first process to fail said, or that it died.
    """
    waiting = list(runs)
    workers: list[_Worker] = []
    try:
        workers.extend(_Worker(assignment) for _ in range(max(1, min(n_workers, len(waiting)))))
        for worker in workers:
            worker.give(waiting.pop(0))
        while busy := [worker for worker in workers if worker.busy]:
            watch()
            for worker in _ready(busy):
                for told in worker.hear():
                    if told.problem is not None:
                        raise error_from_document(told.problem)
                    if told.part >= 0:
                        on_part(told.part, told.n_rows)
                    if told.done:
                        worker.busy = False
                        if waiting:
                            worker.give(waiting.pop(0))
    finally:
        for worker in workers:
            worker.end()


def _ready(workers: Sequence[_Worker]) -> list[_Worker]:
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            selector.register(worker.output, selectors.EVENT_READ, worker)
        return [key.data for key, _ in selector.select(_POLL_SECONDS)]


class _Worker:
    def __init__(self, assignment: Assignment) -> None:
        self.busy = False
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            # -P keeps the working directory, which may hold anything, off the import path.
            [sys.executable, "-P", "-m", "arkwright.deployments.batch_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **_ENVIRONMENT, PARENT_PID: str(os.getpid())},
            start_new_session=True,
        )
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        assert self._process.stdout is not None  # noqa: S101
        self._input, self.output = self._process.stdin, self._process.stdout
        self._buffer = b""
        self._send(assignment)

    def give(self, run: Run) -> None:
        self.busy = True
        self._send(run)

    def hear(self) -> list[Told]:
        """Read what has arrived."""
        data = os.read(self.output.fileno(), 1 << 16)
        if not data:
            raise self._death()
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [msgspec.json.decode(line, type=Told) for line in lines]

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._input, self.output, self._errors):
            stream.close()

    def _send(self, message: msgspec.Struct) -> None:
        try:
            self._input.write(msgspec.json.encode(message) + b"\n")
            self._input.flush()
        except BrokenPipeError:
            return  # it died: reading its output finds that out

    def _death(self) -> ArkwrightError:
        code = self._process.wait()
        reason = f"signal {-code}" if code < 0 else f"exit status {code}"
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _LAST_WORDS_BYTES))
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return Unavailable(
            f"A scoring process died ({reason}){': ' + lines[-1] if lines else ''}.",
            code="batch.process_died",
            hint="It may have run out of memory: try again, or score a smaller file.",
        )
