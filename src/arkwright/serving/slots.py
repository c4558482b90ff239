"""How many requests may be in flight: all told, and for one caller."""

from __future__ import annotations

from arkwright.core.errors import Unavailable
from arkwright.serving.errors import TooManyRequests


class Slots:
    """Admits a request at once or refuses it at once; nothing queues.

    One caller may hold three quarters of the slots, so that it cannot keep everyone else out.

    Parameters
    ----------
    limit
        Requests in flight, all callers together.

    Attributes
    ----------
    taken
        How many are in flight now.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._share = max(1, limit * 3 // 4)
        self.taken = 0
        self._by_caller: dict[str, int] = {}

    def acquire(self, caller: str) -> None:
        """Take a slot; ``release`` must follow. Raises as :meth:`check` does."""
        self.check(caller)
        self._by_caller[caller] = self._by_caller.get(caller, 0) + 1
        self.taken += 1

    def check(self, caller: str) -> None:
        """Refuse a request for which there is no slot.

        Raises
        ------
        Unavailable
            If all slots are taken (503).
        TooManyRequests
            If this caller's share is taken (429).
        """
        if self.taken >= self._limit:
            raise Unavailable(
                f"All {self._limit} prediction slots are taken.",
                code="inference.overloaded",
                retry_after_seconds=1,
                hint="Try again in a second, or raise ARKWRIGHT_PREDICT_MAX_IN_FLIGHT.",
            )
        if self._by_caller.get(caller, 0) >= self._share:
            raise TooManyRequests(
                f"This credential already has {self._share} requests in flight, which is its share.",
                retry_after_seconds=1,
                hint="Send fewer requests at once, or several rows in each.",
            )

    def release(self, caller: str) -> None:
        """Give a slot back."""
        self.taken -= 1
        held = self._by_caller[caller] - 1
        if held:
            self._by_caller[caller] = held
        else:
            del self._by_caller[caller]
