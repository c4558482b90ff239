"""Which arm answers a unit: sticky, the same at every data plane, and disturbed as little as possible by a new split.

A *unit* is what stays with its arm: a user, an account, or a single request. The first 64 bits of
SHA-256(``salt`` + ``/`` + ``deployment_id`` + ``/`` + ``unit``) are its *point* on [0, 1). Nothing else enters, so data
planes that have the same plan agree, and the choice at one deployment says nothing about the choice at another.

The arms lie on [0, 1) like this: the second arm grows from the left end, the third from the right end, and the first
arm has what is between them. A canary that grows from 10 % to 50 % therefore keeps its first 10 %, and only units that
must move do: those of the arm that shrinks. With four and more arms the fourth lies beside the second, the fifth
beside the third, and so on: when the second arm grows, the fourth moves along.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

_SPAN = 1 << 64


def unit_point(salt: str, deployment_id: str, unit: str, stratum: str = "") -> float:
    """Return a unit's point on [0, 1).

    Parameters
    ----------
    salt
        A new salt is a new draw of all units.
    deployment_id, unit
        What is assigned, and who.
    stratum
        For stratified assignment: the units of each stratum are drawn by themselves.

    Examples
    --------
    >>> unit_point("", "dep_1", "user_1") == unit_point("", "dep_1", "user_1")
    True
    >>> unit_point("", "dep_1", "user_1") == unit_point("spring", "dep_1", "user_1")
    False
    """
    return _point(_prefix(salt, deployment_id, stratum), unit) / _SPAN


class Split:
    """Assigns units to arms.

    Parameters
    ----------
    shares
        Traffic of each arm, not negative; scaled to their sum, so that they need not add up to 100.
    deployment_id, salt
        What is hashed together with a unit.

    Examples
    --------
    >>> split = Split([90.0, 10.0], "dep_1")
    >>> picks = [split.index(f"user_{i}") for i in range(10_000)]
    >>> 900 < sum(picks) < 1_100
    True
    >>> wider = Split([50.0, 50.0], "dep_1")
    >>> all(wider.index(f"user_{i}") == 1 for i, arm in enumerate(picks) if arm == 1)
    True
    """

    __slots__ = ("_lower", "_prefix", "_upper")

    def __init__(self, shares: Sequence[float], deployment_id: str, salt: str = "") -> None:
        total = sum(shares)
        self._prefix = _prefix(salt, deployment_id, "")
        # Both lists hold (bound, arm); an arm without a share has no interval.
        self._lower: list[tuple[int, int]] = []
        self._upper: list[tuple[int, int]] = []
        if total <= 0.0:
            return
        left = right = 0.0
        for index in range(1, len(shares)):
            if shares[index] <= 0.0:
                continue
            if index % 2:
                left += shares[index]
                self._lower.append((round(left / total * _SPAN), index))
            else:
                right += shares[index]
                self._upper.append((_SPAN - round(right / total * _SPAN), index))
        if shares[0] <= 0.0:
            self._close_the_gap()

    def index(self, unit: str) -> int:
        """Return the index of a unit's arm."""
        point = _point(self._prefix, unit)
        for bound, index in self._lower:
            if point < bound:
                return index
        for bound, index in self._upper:
            if point >= bound:
                return index
        return 0

    def _close_the_gap(self) -> None:
        """Leave nothing between the ends to an arm without a share: rounding must not either."""
        if self._lower:
            bound = self._upper[-1][0] if self._upper else _SPAN
            self._lower[-1] = (bound, self._lower[-1][1])
        else:
            self._upper[-1] = (0, self._upper[-1][1])


def _prefix(salt: str, deployment_id: str, stratum: str) -> bytes:
    parts = [salt, deployment_id, stratum] if stratum else [salt, deployment_id]
    return "".join(f"{part}/" for part in parts).encode()


def _point(prefix: bytes, unit: str) -> int:
    # A lone surrogate, which JSON can carry, must not fail a request.
    digest = hashlib.sha256(prefix + unit.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")
