"""How often a credential may call an endpoint: a token bucket for each pair, in this process.

A bucket holds at most ``burst`` tokens (without one: a second's worth, at least one) and gains
``requests_per_second`` of them each second; a request takes one. Where several processes share a port, each gives out
its part of the rate. At most ``max_buckets`` pairs are remembered: the one that was quiet longest is forgotten, which
at worst gives it a fresh burst.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from arkwright.contracts import Endpoint
from arkwright.serving import metrics
from arkwright.serving.errors import TooManyRequests

MAX_BUCKETS = 10_000


class _Bucket:
    __slots__ = ("filled_at", "tokens")

    def __init__(self, tokens: float, filled_at: float) -> None:
        self.tokens = tokens
        self.filled_at = filled_at


class RateLimiter:
    """Refuses requests beyond an endpoint's limits.

    Parameters
    ----------
    processes
        How many processes share the traffic.
    max_buckets
        How many pairs of credential and endpoint are remembered.
    monotonic
        A clock in seconds.
    """

    def __init__(
        self, *, processes: int = 1, max_buckets: int = MAX_BUCKETS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._processes = max(1, processes)
        self._max_buckets = max_buckets
        self._monotonic = monotonic
        self._buckets: OrderedDict[tuple[str, str], _Bucket] = OrderedDict()
        self._newest: tuple[str, str] = ("", "")

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, actor_id: str, endpoint: Endpoint) -> None:
        """Let one request pass.

        Raises
        ------
        TooManyRequests
            If the credential has used up its share for the moment (429); it says when the next one passes.
        """
        limits = endpoint.limits
        if limits.requests_per_second <= 0.0:
            return
        rate = limits.requests_per_second / self._processes
        burst = max(1.0, (limits.burst or limits.requests_per_second) / self._processes)
        now = self._monotonic()
        key = (actor_id, endpoint.deployment_id)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(burst, now)
            if len(self._buckets) > self._max_buckets:
                self._buckets.popitem(last=False)
        else:
            if key != self._newest:
                self._buckets.move_to_end(key)
            bucket.tokens = min(burst, bucket.tokens + (now - bucket.filled_at) * rate)
            bucket.filled_at = now
        self._newest = key
        if bucket.tokens < 1.0:
            metrics.RATE_LIMITED.labels(endpoint.deployment_id).inc()
            raise TooManyRequests(
                f"This credential may send {limits.requests_per_second:g} requests per second to "
                f"{endpoint.deployment_id!r}, and sent more.",
                code="inference.rate_limited",
                retry_after_seconds=max(1, math.ceil((1.0 - bucket.tokens) / rate)),
                hint="Wait for the time in Retry-After, send several rows in each request, or have the limit raised.",
            )
        bucket.tokens -= 1.0
