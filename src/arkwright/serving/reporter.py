"""Tells the control plane, every second, what the arms did.

A report has a number that counts up, also from one start of the process to the next, so the control plane recognises
one that it has already taken. While it is away, the reports of the last two minutes wait and are sent in order once it
is back; older ones are lost and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable

from arkwright.contracts import ArmWindow, WindowReport
from arkwright.core.errors import Unavailable
from arkwright.kit.logging import get_logger
from arkwright.serving import metrics
from arkwright.serving.ports import PlanSource

REPORT_SECONDS = 1.0
KEEP_REPORTS = 120
_IDLE_REPORT_SECONDS = 10.0
_POST_TIMEOUT_SECONDS = 2.0

log = get_logger(__name__)


class Reporter:
    """Collects windows and sends them.

    Parameters
    ----------
    source
        Where reports go.
    collect
        Returns the windows that are over since the last call.
    replica
        Name of this data plane.
    signals
        Returns the requests in flight and those that wait for a model: what an autoscaler looks at.
    """

    def __init__(
        self,
        source: PlanSource,
        collect: Callable[[], list[ArmWindow]],
        *,
        replica: str,
        signals: Callable[[], tuple[int, int]] = lambda: (0, 0),
        report_seconds: float = REPORT_SECONDS,
    ) -> None:
        self.signals = signals
        self._source = source
        self._collect = collect
        self._replica = replica
        self._report_seconds = report_seconds
        self._sequence = time.time_ns() // 1_000
        self._waiting: deque[WindowReport] = deque()
        self._last_sent = float("-inf")
        self._cpu = (time.monotonic(), time.process_time())
        self._away = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to report."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Send what waits, if the control plane takes it, and stop."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        self.gather()
        await self.send()

    def gather(self) -> None:
        """Put together the next report."""
        windows = self._collect()
        in_flight, queue = self.signals()
        cpu_percent = self._cpu_percent()
        metrics.QUEUED.set(queue)
        metrics.CPU_PERCENT.set(cpu_percent)
        idle = not windows and not in_flight and not queue
        if idle and time.monotonic() - self._last_sent < _IDLE_REPORT_SECONDS:
            return
        self._last_sent = time.monotonic()
        self._sequence += 1
        self._waiting.append(
            WindowReport(
                replica=self._replica,
                sequence=self._sequence,
                windows=tuple(windows),
                in_flight=in_flight,
                queue=queue,
                cpu_percent=cpu_percent,
            )
        )
        while len(self._waiting) > KEEP_REPORTS:
            self._waiting.popleft()
            metrics.REPORTS_LOST.inc()

    async def send(self) -> None:
        """Send what waits, oldest first, until something goes wrong."""
        try:
            while self._waiting:
                async with asyncio.timeout(_POST_TIMEOUT_SECONDS):
                    await self._source.report(self._waiting[0])
                self._waiting.popleft()
        except (Unavailable, TimeoutError) as error:
            if not self._away:
                log.info("window reports wait, the control plane does not take them", reason=str(error))
            self._away = True
        else:
            self._away = False

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._report_seconds)
            try:
                self.gather()
                await self.send()
            except Exception as error:
                log.exception("windows could not be reported", reason=str(error))

    def _cpu_percent(self) -> float:
        before_wall, before_cpu = self._cpu
        self._cpu = (time.monotonic(), time.process_time())
        wall_seconds = self._cpu[0] - before_wall
        return round(100.0 * (self._cpu[1] - before_cpu) / wall_seconds, 1) if wall_seconds > 0 else 0.0
