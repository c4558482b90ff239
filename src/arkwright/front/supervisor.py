"""Child processes that are started, watched, restarted and never left behind.

A child that ends is started again after a pause that doubles from a quarter of a second to ten; one that stayed up
for ten seconds starts from the beginning. Children die with this process even if it is killed: on Linux by a signal
the kernel sends, elsewhere through a guard that watches a pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from arkwright.core.errors import ArkwrightError, Unavailable
from arkwright.kit.logging import get_logger
from arkwright.kit.priority import BACKGROUND, give_way

_log = get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 10.0
SETTLED_SECONDS = 10.0
_PROBE_SECONDS = 0.05
_MAX_LOG_BYTES = 20_000_000
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

Probe = Callable[[], Awaitable[bool]]


@dataclass
class ChildSpec:
    """A process to keep alive.

    Parameters
    ----------
    command
        Program and arguments; no secrets, anyone can read them.
    environment
        The child's whole environment; secrets go here.
    probe
        Tells whether the child answers.
    niceness
        How far it stands back for this process, 1 to 19.
    after
        Name of a child that must have answered before this one is started for the first time.
    reason
        Returns why the child could not start, if it left word.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log_file: Path
    probe: Probe
    niceness: int = BACKGROUND
    after: str = ""
    reason: Callable[[], ArkwrightError | None] = lambda: None


@dataclass
class _Child:
    spec: ChildSpec
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    starts: int = 0
    problem: ArkwrightError | None = None
    state: str = "waiting"


class Supervisor:
    """Keeps children alive until told to stop."""

    def __init__(self, specs: Sequence[ChildSpec]) -> None:
        self._children = {spec.name: _Child(spec) for spec in specs}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False

    def start(self) -> None:
        """Start every child, each as soon as the one it waits for has answered."""
        self._tasks = [asyncio.create_task(self._keep(child)) for child in self._children.values()]

    async def wait_ready(self, name: str, timeout_seconds: float) -> None:
        """Wait until a child answers.

        Raises
        ------
        ArkwrightError
            The reason the child left, if it ended instead.
        Unavailable
            If it does neither in time.
        """
        child = self._children[name]
        deadline = time.monotonic() + timeout_seconds
        while not child.ready.is_set():
            if child.problem is not None:
                raise child.problem
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"The {name} process did not answer within {timeout_seconds:g} s.",
                    code="platform.slow_start",
                    hint=f"Its log is {child.spec.log_file}.",
                )
            await asyncio.sleep(_PROBE_SECONDS)

    def status(self) -> dict[str, str]:
        """Return each child's state: waiting, starting, ready or restarting."""
        return {name: child.state for name, child in self._children.items()}

    async def stop(self, grace_seconds: float = 10.0) -> None:
        """Ask every child to end, then make it."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self._end(child, grace_seconds) for child in self._children.values()))

    async def _keep(self, child: _Child) -> None:
        if child.spec.after:
            await self._children[child.spec.after].ready.wait()
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping:
            started = time.monotonic()
            child.state = "starting" if child.starts == 0 else "restarting"
            code = await self._live(child)
            if not child.ready.is_set() and child.starts == 1:
                child.problem = child.spec.reason()
            child.ready.clear()
            child.process = None
            child.state = "restarting"
            lived = time.monotonic() - started
            pause = FIRST_PAUSE_SECONDS if lived > SETTLED_SECONDS else min(pause * 2, LONGEST_PAUSE_SECONDS)
            _log.warning("child ended", child=child.spec.name, code=code, restart_in_seconds=pause)
            await asyncio.sleep(pause)

    async def _live(self, child: _Child) -> int | None:
        """Start a child and wait until it ends; None if it could not be started."""
        child.starts += 1
        try:
            child.process = await _spawn(child.spec)
        except OSError as error:
            # No memory, no process number, a full disk: all of them pass, and giving up would not.
            _log.warning("child could not be started", child=child.spec.name, reason=error.strerror or str(error))
            return None
        tasks = [asyncio.create_task(self._announce(child)), asyncio.create_task(_set_back(child))]
        try:
            return await child.process.wait()
        finally:
            for task in tasks:
                task.cancel()

    async def _announce(self, child: _Child) -> None:
        while not await child.spec.probe():  # noqa: ASYNC110 - another process has no event to wait for
            await asyncio.sleep(_PROBE_SECONDS)
        child.state = "ready"
        child.ready.set()

    async def _end(self, child: _Child, grace_seconds: float) -> None:
        process = child.process
        if process is None or process.returncode is not None:
            return
        _signal(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), grace_seconds)
        except TimeoutError:
            _log.warning("child killed", child=child.spec.name)
            _signal(process, signal.SIGKILL)
            await process.wait()


async def _set_back(child: _Child) -> None:
    """Let this process go first, which answers predictions."""
    while child.process is not None and not give_way(child.spec.niceness, child.process.pid):  # noqa: ASYNC110
        await asyncio.sleep(_PROBE_SECONDS)


async def _spawn(spec: ChildSpec) -> asyncio.subprocess.Process:
    command = list(spec.command)
    if _LIBC is None:
        command = [sys.executable, "-m", "arkwright.front.guard", *command]
    spec.log_file.parent.mkdir(parents=True, exist_ok=True)
    if spec.log_file.exists() and spec.log_file.stat().st_size > _MAX_LOG_BYTES:
        spec.log_file.replace(spec.log_file.with_suffix(".log.1"))
    with spec.log_file.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *command,
            env=dict(spec.environment),
            stdin=asyncio.subprocess.PIPE if _LIBC is None else asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_die_with(os.getpid()) if _LIBC is not None else None,
        )


def _die_with(parent: int) -> Callable[[], None]:
    """Return what a child does before it becomes its program: ask the kernel to end it with its parent."""

    def arrange() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died in between
            os._exit(1)

    return arrange


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
