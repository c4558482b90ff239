"""Copies of requests for shadow arms: scored later, by one task, compared with what the callers were told.

A live request pays for putting a reference into a queue and nothing else. Compiled models score in a thread of their
own, some rows at a time with a pause between, and general ones in their child processes. When the queue is full the
copy is dropped and counted; what a shadow arm does wrong is counted as its error and seen by no caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from arkwright.kit.logging import get_logger
from arkwright.serving.state import LiveArm
from arkwright.serving.traffic import unit_point

MAX_QUEUED_REQUESTS = 2_000
MAX_QUEUED_ROWS = 20_000
# Copies are gathered this long, so that a busy loop is not woken for each of them.
_GATHER_SECONDS = 0.02
_SLICE_ROWS = 50
_TIMEOUT_SECONDS = 30.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ShadowResult:
    """What a shadow arm said to one request, next to the live answer.

    ``agreed`` counts rows with the same label (for regression: the same value); ``difference_sum`` adds the absolute
    differences of score or value.
    """

    latency_ms: float
    n_rows: int
    failed: bool = False
    predictions: list[dict[str, Any]] = field(default_factory=list)
    compared: int = 0
    agreed: int = 0
    difference_sum: float = 0.0


class ShadowCounter(Protocol):
    """Takes what a shadow arm said."""

    def shadowed(self, arm: LiveArm, result: ShadowResult) -> None:
        """Count it."""
        ...


@dataclass(frozen=True, slots=True)
class _Copy:
    arm: LiveArm
    rows: list[dict[str, Any]]
    predictions: list[dict[str, Any]]
    counter: ShadowCounter


def compare(live: list[dict[str, Any]], shadow: list[dict[str, Any]]) -> tuple[int, int, float]:
    """Return the rows compared, those that agree, and the sum of the absolute differences of score or value.

    Examples
    --------
    >>> compare([{"label": "Yes", "score": 0.75}], [{"label": "No", "score": 0.25}])
    (1, 0, 0.5)
    >>> compare([{"value": 2.0}], [{"value": 2.0}])
    (1, 1, 0.0)
    """
    compared = agreed = 0
    difference_sum = 0.0
    for one, other in zip(live, shadow, strict=False):
        name = "value" if "value" in one else "score"
        first, second = one.get(name), other.get(name)
        if first is None or second is None:
            continue
        compared += 1
        agreed += one.get("label") == other.get("label") if name == "score" else first == second
        difference_sum += abs(first - second)
    return compared, agreed, difference_sum


class ShadowQueue:
    """Scores copies of requests: compiled models in one lane, general ones in another.

    Parameters
    ----------
    max_requests, max_rows
        What may wait in each lane; beyond it copies are dropped.
    """

    def __init__(self, *, max_requests: int = MAX_QUEUED_REQUESTS, max_rows: int = MAX_QUEUED_ROWS) -> None:
        self._inline = _Lane(max_requests, max_rows)
        self._general = _Lane(max_requests, max_rows)
        self._tasks: list[asyncio.Task[None]] = []
        self._thread: ThreadPoolExecutor | None = None

    def __len__(self) -> int:
        return len(self._inline.waiting) + len(self._general.waiting)

    def start(self) -> None:
        """Begin to score."""
        self._tasks = [asyncio.create_task(self._run_inline()), asyncio.create_task(self._run_general())]

    async def stop(self) -> None:
        """Forget what waits, and stop."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []
        if self._thread is not None:
            self._thread.shutdown(wait=True)
            self._thread = None
        self._inline.clear()
        self._general.clear()

    def put(
        self,
        arm: LiveArm,
        request_id: str,
        rows: list[dict[str, Any]],
        predictions: list[dict[str, Any]],
        counter: ShadowCounter,
    ) -> bool:
        """Queue a copy, if the request is among the arm's share; return False where it was dropped."""
        share = arm.arm.traffic_percent
        if share < 100.0 and unit_point("shadow", arm.arm.name, request_id) * 100.0 >= share:
            return True
        lane = self._inline if arm.model.inline else self._general
        return lane.put(_Copy(arm, rows, predictions, counter))

    async def _run_inline(self) -> None:
        lane = self._inline
        while True:
            await lane.gather()
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "arkwright-shadow")
            copies = lane.take(_SLICE_ROWS)
            results = await asyncio.get_running_loop().run_in_executor(self._thread, _score_inline, copies)
            for copy, result in zip(copies, results, strict=True):
                copy.counter.shadowed(copy.arm, result)

    async def _run_general(self) -> None:
        lane = self._general
        while True:
            await lane.gather()
            for copy in lane.take(1):
                copy.counter.shadowed(copy.arm, await _score_general(copy))


class _Lane:
    """Copies that wait."""

    def __init__(self, max_requests: int, max_rows: int) -> None:
        self.waiting: deque[_Copy] = deque()
        self._max_requests = max_requests
        self._max_rows = max_rows
        self._rows = 0
        self._wake = asyncio.Event()

    def put(self, copy: _Copy) -> bool:
        if len(self.waiting) >= self._max_requests or self._rows + len(copy.rows) > self._max_rows:
            return False
        self.waiting.append(copy)
        self._rows += len(copy.rows)
        self._wake.set()
        return True

    async def gather(self) -> None:
        """Wait until something waits; after a pause, so that a busy loop is not woken for each request."""
        if not self.waiting:
            self._wake.clear()
            await self._wake.wait()
            await asyncio.sleep(_GATHER_SECONDS)

    def take(self, n_rows: int) -> list[_Copy]:
        """Return the next copies, of about that many rows together."""
        taken: list[_Copy] = []
        while self.waiting and n_rows > 0:
            copy = self.waiting.popleft()
            n_rows -= len(copy.rows)
            self._rows -= len(copy.rows)
            taken.append(copy)
        return taken

    def clear(self) -> None:
        self.waiting.clear()
        self._rows = 0


def _score_inline(copies: list[_Copy]) -> list[ShadowResult]:
    """Score with compiled models; runs in the shadow thread."""
    results = []
    for copy in copies:
        started = time.perf_counter()
        predictions: list[dict[str, Any]] = []
        failed = False
        try:
            for first in range(0, len(copy.rows), _SLICE_ROWS):
                predictions += copy.arm.model.predict_rows(copy.rows[first : first + _SLICE_ROWS])
                # Hand the interpreter over: the event loop has callers who wait.
                time.sleep(0)
        except Exception as error:  # noqa: BLE001 - a shadow's failure is a figure, nobody's problem
            log.debug("shadow failed", version=copy.arm.arm.semver, reason=str(error))
            failed = True
        results.append(_result(copy, None if failed else predictions, started))
    return results


async def _score_general(copy: _Copy) -> ShadowResult:
    started = time.perf_counter()
    predictions: list[dict[str, Any]] | None = None
    try:
        predictions = await copy.arm.model.predict_rows_async(copy.rows, timeout_seconds=_TIMEOUT_SECONDS)
    except Exception as error:  # noqa: BLE001 - as above
        log.debug("shadow failed", version=copy.arm.arm.semver, reason=str(error))
    return _result(copy, predictions, started)


def _result(copy: _Copy, predictions: list[dict[str, Any]] | None, started: float) -> ShadowResult:
    latency_ms = (time.perf_counter() - started) * 1000
    if predictions is None:
        return ShadowResult(latency_ms, len(copy.rows), failed=True)
    compared, agreed, difference_sum = compare(copy.predictions, predictions)
    return ShadowResult(
        latency_ms,
        len(copy.rows),
        predictions=predictions,
        compared=compared,
        agreed=agreed,
        difference_sum=difference_sum,
    )
