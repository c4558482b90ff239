"""When a data plane takes an arm's traffic by itself.

The control plane decides rollbacks; the fuse is for the minutes in which it is away. It looks at an arm's last
``window_seconds`` and, if they hold ``min_requests``, compares them with the endpoint's objectives:

=============  =====================================================================
error rate     errors / requests > ``error_rate_pct`` / 100
p95 latency    more than 5 % of the requests took longer than ``latency_ms_p95``
p99 latency    more than 1 % of the requests took longer than ``latency_ms_p99``
=============  =====================================================================

Each needs at least :data:`MIN_OFFENDERS` requests that failed or were slow, so that no single outlier blows a fuse.
"""

from __future__ import annotations

from arkwright.contracts import Fuse, Objectives
from arkwright.serving.windows import WindowSums

MIN_OFFENDERS = 3


def blown_because(sums: WindowSums, objectives: Objectives, fuse: Fuse) -> str:
    """Return why an arm must lose its traffic, or an empty string if it may keep it.

    Parameters
    ----------
    sums
        The arm's last ``fuse.window_seconds``.
    objectives
        What the endpoint promises; 0 promises nothing, except for the error rate, where 0 admits no error.
    fuse
        Whether and from how many requests on the fuse decides.

    Examples
    --------
    >>> counts = [0] * 160
    >>> blown_because(WindowSums(100, 7, counts), Objectives(error_rate_pct=1.0), Fuse())
    '7 of 100 requests failed (7.00 %), more than the 1 % allowed'
    >>> blown_because(WindowSums(100, 1, counts), Objectives(error_rate_pct=0.5), Fuse())
    ''
    """
    if not fuse.enabled or sums.requests < max(1, fuse.min_requests):
        return ""
    if sums.errors >= MIN_OFFENDERS and sums.error_rate_pct > objectives.error_rate_pct:
        return (
            f"{sums.errors} of {sums.requests} requests failed ({sums.error_rate_pct:.2f} %), "
            f"more than the {objectives.error_rate_pct:g} % allowed"
        )
    for percent, limit_ms in ((95, objectives.latency_ms_p95), (99, objectives.latency_ms_p99)):
        if limit_ms <= 0.0:
            continue
        slow = sums.slower_than(limit_ms)
        if slow >= MIN_OFFENDERS and slow * 100 > (100 - percent) * sum(sums.latency_counts):
            return (
                f"the {percent}th percentile of the latency over {sums.requests} requests is "
                f"{sums.percentile(percent):.1f} ms, more than the {limit_ms:g} ms allowed"
            )
    return ""
