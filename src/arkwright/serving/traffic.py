"""Which arm answers a request."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

_SPAN = float(1 << 64)


def choose_arm(shares: Sequence[float], deployment_id: str, request_id: str) -> int:
    """Return the index of the arm for a request: the same id always goes to the same arm.

    The first 64 bits of SHA-256(``deployment_id`` + ``/`` + ``request_id``) are a point on [0, sum of the shares); the
    arm whose interval holds it answers. Over many ids each arm gets its share, and the choice at one deployment says
    nothing about the choice at another.

    Parameters
    ----------
    shares
        Traffic of each arm, not negative; scaled to their sum, so that they need not add up to 100.
    deployment_id, request_id
        What is hashed.

    Examples
    --------
    >>> choose_arm([100.0], "dep_1", "req_1")
    0
    >>> picks = [choose_arm([90.0, 10.0], "dep_1", f"req_{i}") for i in range(10_000)]
    >>> 900 < sum(picks) < 1_100
    True
    """
    total = sum(shares)
    if len(shares) == 1 or total <= 0.0:
        return 0
    digest = hashlib.sha256(f"{deployment_id}/{request_id}".encode()).digest()
    point = int.from_bytes(digest[:8], "big") / _SPAN * total
    for index, share in enumerate(shares):
        point -= share
        if point < 0.0:
            return index
    return max(index for index, share in enumerate(shares) if share > 0.0)
