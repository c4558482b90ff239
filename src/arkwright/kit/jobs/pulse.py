"""The thread that writes what running jobs report, and tells them when to end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from arkwright.core.errors import ArkwrightError
from arkwright.kit.jobs.run import JobRun
from arkwright.kit.logging import get_logger

_log = get_logger(__name__)

INTERVAL_SECONDS = 0.2


class Pulse:
    """Ticks every run in progress five times a second; the thread lives as long as there are any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: set[JobRun] = set()
        self._beating = False

    @contextmanager
    def following(self, run: JobRun) -> Iterator[None]:
        """Tick a run while the block lasts."""
        with self._lock:
            self._runs.add(run)
            if not self._beating:
                self._beating = True
                threading.Thread(target=self._beat, name="jobs-pulse", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                self._runs.discard(run)

    def interrupt_all(self, reason: BaseException) -> None:
        """Make every run in progress raise at its next call."""
        with self._lock:
            for run in self._runs:
                run.interrupt(reason)

    def count(self) -> int:
        """Return how many runs are in progress."""
        with self._lock:
            return len(self._runs)

    def _beat(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(INTERVAL_SECONDS)
            with self._lock:
                runs = list(self._runs)
                if not runs:
                    self._beating = False
                    return
            for run in runs:
                try:
                    run.tick()
                except ArkwrightError as error:
                    _log.warning("job progress could not be written", job_id=run.job_id, error=error.detail)
