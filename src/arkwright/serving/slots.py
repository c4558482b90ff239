"""How many requests may be in flight: all told, and for one caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from arkwright.core.errors import Unavailable
from arkwright.serving import metrics
from arkwright.serving.errors import TooManyRequests


class Slots:
    """Admits a request at once or refuses it at once; nothing queues.

    One caller may hold three quarters of the slots, so that it cannot keep everyone else out.

    Parameters
    ----------
    limit
        Requests in flight, all callers together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._share = max(1, limit * 3 // 4)
        self._taken = 0
        self._by_caller: Counter[str] = Counter()

    @contextmanager
    def take(self, caller: str) -> Iterator[None]:
        """Hold a slot for the length of the block.

        Raises
        ------
        Unavailable
            If all slots are taken (503).
        TooManyRequests
            If this caller's share is taken (429).
        """
        if self._taken >= self._limit:
            raise Unavailable(
                f"All {self._limit} prediction slots are taken.",
                code="inference.overloaded",
                retry_after_seconds=1,
                hint="Try again in a second, or raise ARKWRIGHT_PREDICT_MAX_IN_FLIGHT.",
            )
        if self._by_caller[caller] >= self._share:
            raise TooManyRequests(
                f"This credential already has {self._share} requests in flight, which is its share.",
                retry_after_seconds=1,
                hint="Send fewer requests at once, or several rows in each.",
            )
        self._taken += 1
        self._by_caller[caller] += 1
        metrics.IN_FLIGHT.set(self._taken)
        try:
            yield
        finally:
            self._taken -= 1
            self._by_caller[caller] -= 1
            if not self._by_caller[caller]:
                del self._by_caller[caller]
            metrics.IN_FLIGHT.set(self._taken)
