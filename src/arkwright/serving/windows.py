"""What an arm did in each of its last seconds."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from arkwright.contracts import latency_bucket, latency_percentile
from arkwright.contracts.window import N_BUCKETS

KEEP_SECONDS = 120


class Second:
    """The counts of one second; see :class:`~arkwright.contracts.ArmWindow` for what they mean."""

    __slots__ = (
        "agreed",
        "compared",
        "difference_sum",
        "errors",
        "fallbacks",
        "latencies",
        "requests",
        "rows",
        "score_squares",
        "score_sum",
        "second",
    )

    def __init__(self, second: int) -> None:
        self.second = second
        self.requests = self.errors = self.fallbacks = self.rows = self.compared = self.agreed = 0
        self.score_sum = self.score_squares = self.difference_sum = 0.0
        self.latencies: dict[int, int] = {}

    def add(self, latency_ms: float, n_rows: int) -> None:
        """Count one request."""
        self.requests += 1
        self.rows += n_rows
        bucket = latency_bucket(latency_ms)
        latencies = self.latencies
        latencies[bucket] = latencies.get(bucket, 0) + 1


@dataclass(frozen=True, slots=True)
class WindowSums:
    """Several seconds together.

    ``latency_counts`` has one entry for each bucket of :func:`~arkwright.contracts.latency_bucket`.
    """

    requests: int
    errors: int
    latency_counts: Sequence[int]

    @property
    def error_rate_pct(self) -> float:
        """Share of the requests that failed, in percent; NaN without requests."""
        return 100.0 * self.errors / self.requests if self.requests else math.nan

    def percentile(self, percent: float) -> float:
        """Return a percentile of the latency in ms, at most a tenth too high; NaN without requests."""
        return latency_percentile(self.latency_counts, percent)

    def slower_than(self, latency_ms: float) -> int:
        """Return how many requests took longer; up to a tenth above the limit counts as within it."""
        return sum(self.latency_counts[latency_bucket(latency_ms) + 1 :])


class ArmWindows:
    """The last seconds of one arm; a second without traffic takes no room.

    Parameters
    ----------
    keep_seconds
        How long a second is kept.

    Examples
    --------
    >>> windows = ArmWindows()
    >>> for second in range(100, 110):
    ...     windows.at(second).add(latency_ms=2.0, n_rows=1)
    >>> windows.sums(105, 110).requests
    5
    """

    def __init__(self, keep_seconds: int = KEEP_SECONDS) -> None:
        self._keep_seconds = keep_seconds
        self._seconds: deque[Second] = deque()
        self._reported = -1
        self.current = Second(-1)

    def at(self, second: int) -> Second:
        """Return the counts of a second, which becomes the current one; a clock that went back stays where it was."""
        if second <= self.current.second:
            return self.current
        self.current = Second(second)
        self._seconds.append(self.current)
        while self._seconds[0].second <= second - self._keep_seconds:
            self._seconds.popleft()
        return self.current

    def sums(self, first: int, end: int) -> WindowSums:
        """Return the seconds ``first <= second < end`` together."""
        requests = errors = 0
        counts = [0] * N_BUCKETS
        for one in self._seconds:
            if first <= one.second < end:
                requests += one.requests
                errors += one.errors
                for bucket, count in one.latencies.items():
                    counts[bucket] += count
        return WindowSums(requests, errors, counts)

    def take_finished(self, end: int) -> list[Second]:
        """Return each second before ``end`` that was not returned before, oldest first."""
        taken = []
        for one in reversed(self._seconds):
            if one.second <= self._reported:
                break
            if one.second < end:
                taken.append(one)
        if taken:
            self._reported = taken[0].second
        return taken[::-1]
