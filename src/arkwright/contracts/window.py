"""What a data plane tells the control plane about its last seconds.

Every second a data plane posts one :class:`WindowReport` to ``/internal/windows``: for each arm that had traffic, how
many requests it answered or failed, how long they took, and what a shadow arm said. Latencies are counted in fixed
buckets that grow by a tenth, so windows of several data planes and of several seconds are added, not averaged.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

import msgspec

FIRST_BUCKET_MS = 0.001
BUCKET_GROWTH = 1.1
N_BUCKETS = 202  # the last one begins at about 190 s

# Of every bucket but the last, which has no end.
_ENDS_MS = [FIRST_BUCKET_MS * BUCKET_GROWTH**index for index in range(N_BUCKETS - 1)]


def latency_bucket(latency_ms: float) -> int:
    """Return the bucket of a latency; bucket i ends at ``FIRST_BUCKET_MS * BUCKET_GROWTH ** i``.

    Examples
    --------
    >>> latency_bucket(0.01), latency_bucket(1.0), latency_bucket(1e9)
    (25, 73, 201)
    """
    return bisect_left(_ENDS_MS, latency_ms)


def latency_percentile(counts: Sequence[int], percent: float) -> float:
    """Return a percentile in ms of bucketed latencies, at most a tenth too high; NaN where nothing was counted.

    Examples
    --------
    >>> counts = [0] * N_BUCKETS
    >>> counts[latency_bucket(1.0)] = 99
    >>> counts[latency_bucket(20.0)] = 1
    >>> round(latency_percentile(counts, 50), 2), round(latency_percentile(counts, 99.5), 1)
    (1.05, 20.2)
    """
    total = sum(counts)
    if total == 0:
        return math.nan
    wanted = max(1, math.ceil(total * percent / 100))
    seen = 0
    for index, count in enumerate(counts):
        seen += count
        if seen >= wanted:
            return FIRST_BUCKET_MS * BUCKET_GROWTH**index
    return FIRST_BUCKET_MS * BUCKET_GROWTH ** (N_BUCKETS - 1)


class ArmWindow(msgspec.Struct, frozen=True, kw_only=True):
    """One arm in one second.

    Parameters
    ----------
    second
        Seconds since the epoch at which the window begins.
    requests, errors, fallbacks
        Requests given to the arm; those it failed (the model's fault, not the caller's); those a fallback answered.
    latency_counts
        Pairs of (bucket, count), only buckets that are not empty.
    score_sum, score_squares
        Sum and sum of squares of the scores or values it gave, for comparing arms; ``rows`` of them.
    compared, agreed, difference_sum
        Shadow arms: rows compared with the live answer, rows with the same label, sum of absolute differences of score.
    blown
        Whether the data plane's fuse has taken the arm's traffic.
    """

    deployment_id: str
    workspace_id: str
    arm: str
    model_version_id: str
    second: int
    requests: int = 0
    errors: int = 0
    fallbacks: int = 0
    rows: int = 0
    latency_counts: tuple[tuple[int, int], ...] = ()
    score_sum: float = 0.0
    score_squares: float = 0.0
    compared: int = 0
    agreed: int = 0
    difference_sum: float = 0.0
    blown: bool = False


class WindowReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a data plane has to say since its last report; ``sequence`` counts up, so a repeat is recognised."""

    replica: str
    sequence: int
    windows: tuple[ArmWindow, ...]
    in_flight: int = 0
    queue: int = 0
    cpu_percent: float = 0.0
