"""When a data plane takes an arm's traffic by itself.

The control plane decides rollbacks. The fuse is for the minutes in which it is away, and for a candidate that fails so
plainly that waiting helps nobody. Each second it looks at an arm's last ``window_seconds`` and, if they hold
``min_requests``, compares three shares with what the endpoint's objectives allow:

=============  ======================================  ==============================
objective      share of the requests                   allowed
=============  ======================================  ==============================
error rate     that failed                             ``error_rate_pct`` / 100
p95 latency    that took longer than                   5 %
               ``latency_ms_p95``
p99 latency    that took longer than                   1 %
               ``latency_ms_p99``
=============  ======================================  ==============================

A share is too high when an arm that keeps its promise would show it with a chance below :data:`ALPHA`: by Chernoff's
bound, ``n * KL(share, allowed) > ln(1 / ALPHA)``, which is the lower confidence bound of the share lying above what is
allowed. It holds for every number of requests, and ``ALPHA`` is so small because the fuse looks each second: an hour of
looks at an arm that is exactly at its limit blows it with a chance below 0.4 %. The bound takes requests to fail
independently of each other.

While the control plane answers, only one thing blows a fuse: at least :data:`PLAIN_SHARE` of the requests failed, and
the error rate is, in the same sense, above :data:`PLAIN_TIMES` times what is allowed.
"""

from __future__ import annotations

import math

from arkwright.contracts import Fuse, Objectives
from arkwright.serving.windows import WindowSums

MIN_OFFENDERS = 3
ALPHA = 1e-6
PLAIN_SHARE = 0.2
PLAIN_TIMES = 3.0

_ENOUGH = math.log(1.0 / ALPHA)


def blown_because(sums: WindowSums, objectives: Objectives, fuse: Fuse, *, alone: bool) -> str:
    """Return why an arm must lose its traffic, or an empty string if it may keep it.

    Parameters
    ----------
    sums
        The arm's last ``fuse.window_seconds``.
    objectives
        What the endpoint promises; 0 promises nothing, except for the error rate, where 0 admits no error.
    fuse
        Whether and from how many requests on the fuse decides.
    alone
        Whether the control plane is away, and cannot decide.

    Examples
    --------
    >>> counts = [0] * 160
    >>> blown_because(WindowSums(100, 60, counts), Objectives(error_rate_pct=1.0), Fuse(), alone=False)
    '60 of 100 requests failed (60.00 %), more than the 1 % allowed'
    >>> blown_because(WindowSums(100, 15, counts), Objectives(error_rate_pct=1.0), Fuse(), alone=False)
    ''
    >>> blown_because(WindowSums(100, 15, counts), Objectives(error_rate_pct=1.0), Fuse(), alone=True)
    '15 of 100 requests failed (15.00 %), more than the 1 % allowed'
    """
    if not fuse.enabled or sums.requests < max(1, fuse.min_requests):
        return ""
    allowed = objectives.error_rate_pct / 100.0
    if not alone:
        # Half of the way to every request failing is plain as well, where three times what is allowed is no share.
        allowed = min(PLAIN_TIMES * allowed, (1.0 + allowed) / 2.0)
    if exceeds(sums.errors, sums.requests, allowed) and (alone or sums.errors >= PLAIN_SHARE * sums.requests):
        return (
            f"{sums.errors} of {sums.requests} requests failed ({sums.error_rate_pct:.2f} %), "
            f"more than the {objectives.error_rate_pct:g} % allowed"
        )
    if not alone:
        return ""
    for percent, limit_ms in ((95, objectives.latency_ms_p95), (99, objectives.latency_ms_p99)):
        if limit_ms > 0.0 and exceeds(sums.slower_than(limit_ms), sum(sums.latency_counts), (100 - percent) / 100.0):
            return (
                f"the {percent}th percentile of the latency over {sums.requests} requests is "
                f"{sums.percentile(percent):.1f} ms, more than the {limit_ms:g} ms allowed"
            )
    return ""


def exceeds(offenders: int, total: int, allowed: float) -> bool:
    """Tell whether so many offenders are beyond doubt more than a share that is allowed.

    Examples
    --------
    >>> exceeds(7, 50, allowed=0.01), exceeds(8, 50, allowed=0.01)
    (False, True)
    """
    if offenders < MIN_OFFENDERS or offenders <= allowed * total:
        return False
    if allowed <= 0.0:
        return True
    share = offenders / total
    divergence = share * math.log(share / allowed)
    if share < 1.0:
        divergence += (1.0 - share) * math.log((1.0 - share) / (1.0 - allowed))
    return total * divergence > _ENOUGH
