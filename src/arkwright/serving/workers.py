"""``arkwright serve``: one process for each core, which share a port and nothing else.

Every worker listens on the same address (``SO_REUSEPORT``), pulls its own plan, keeps its own log segments and counts
for itself. The parent answers nothing: it holds the port, starts workers again when they end, and tells them to stop.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from arkwright.kit.logging import configure_logging, get_logger
from arkwright.kit.settings import Settings
from arkwright.serving.process import GRACE_SECONDS, address_of, bind, serve

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
SETTLED_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_READY_SECONDS = 30.0

log = get_logger(__name__)

Announce = Callable[[str], None]


def run(settings: Settings, announce: Announce | None = None) -> None:
    """Serve with as many processes as the settings say, until SIGINT or SIGTERM.

    Parameters
    ----------
    announce
        Called with the address once predictions can be asked for.

    Raises
    ------
    Conflict
        If the port is taken.
    """
    if settings.serve_workers == 1:
        serve(settings, announce=announce)
        return
    with bind(settings.host, settings.port, shared=True) as reserved:
        configure_logging("serving", settings.log_level)
        # Bound and not listening: it keeps the port ours and is given no connection.
        settings = settings.model_copy(update={"port": reserved.getsockname()[1]})
        WorkerParent(settings).run(announce)


@dataclass
class _Worker:
    index: int
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause_seconds: float = FIRST_PAUSE_SECONDS
    start_at: float = 0.0


class WorkerParent:
    """Keeps workers alive until told to stop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._workers = [_Worker(index) for index in range(settings.serve_workers)]
        self._stopping = False

    def run(self, announce: Announce | None = None) -> None:
        """Start the workers, watch them, and stop them on a signal."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        try:
            for worker in self._workers:
                self._start(worker)
            deadline = time.monotonic() + _READY_SECONDS
            while not self._stopping:
                for worker in self._workers:
                    self._look_after(worker)
                if announce is not None and (self._answers() or time.monotonic() > deadline):
                    announce(address_of(self._settings))
                    announce = None
                time.sleep(_LOOK_SECONDS)
        finally:
            self._end()

    def _stop(self, _number: int, _frame: object) -> None:
        self._stopping = True

    def _start(self, worker: _Worker) -> None:
        worker.started_at = time.monotonic()
        command = [sys.executable, "-m", "arkwright.serving", "--worker", str(worker.index)]
        environment = {**os.environ, **self._settings.child_environment()}
        # A group of its own: Ctrl-C at the terminal reaches the parent only, which then drains the workers.
        worker.process = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603 - ourselves

    def _look_after(self, worker: _Worker) -> None:
        now = time.monotonic()
        if worker.process is None:
            if now >= worker.start_at:
                self._start(worker)
            return
        status = worker.process.poll()
        if status is None:
            return
        if now - worker.started_at >= SETTLED_SECONDS:
            worker.pause_seconds = FIRST_PAUSE_SECONDS
        log.warning("worker ended, starting it again", worker=worker.index, status=status)
        worker.process = None
        worker.start_at = now + worker.pause_seconds
        worker.pause_seconds = min(worker.pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def _answers(self) -> bool:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._settings.host, self._settings.host)  # noqa: S104
        try:
            with socket.create_connection((host, self._settings.port), timeout=1.0):
                return True
        except OSError:
            return False

    def _end(self) -> None:
        running = [worker.process for worker in self._workers if worker.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS + 5.0
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
