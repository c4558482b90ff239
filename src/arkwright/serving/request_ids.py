"""Names for requests: of the caller's choosing, or fresh ones, quickly made.

A fresh one is a UUIDv7 like every other id of the platform, made by RFC 9562's method 1: its last twenty bits count the
ids of a millisecond from a random start, so the ids of one process sort in the order they were made. Within a
millisecond one can be guessed from another: an id names a request and opens nothing.
"""

from __future__ import annotations

import random
import re
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_GIVEN = re.compile(rb"[A-Za-z0-9_.:\-]{1,128}").fullmatch
# The low 20 bits (two pairs of characters) count; what is above them is drawn once a millisecond.
_LOW_BITS = 20
_LOW_MASK = (1 << _LOW_BITS) - 1


class RequestIds:
    """Makes ids; one process has one."""

    def __init__(self) -> None:
        self._millisecond = -1
        self._head = ""
        self._low = _LOW_MASK
        self._random = random.Random()  # noqa: S311 - it names requests and keeps nothing secret

    def fresh(self) -> str:
        """Return a new id.

        Examples
        --------
        >>> from arkwright.core.ids import is_id
        >>> ids = RequestIds()
        >>> first, second = ids.fresh(), ids.fresh()
        >>> is_id("request", first), first < second
        (True, True)
        """
        now = time.time_ns() // 1_000_000
        low = self._low + 1
        if now > self._millisecond or low > _LOW_MASK:
            low = self._restart(max(now, self._millisecond + 1))
        self._low = low
        return self._head + _PAIRS[low >> 10] + _PAIRS[low & 1023]

    def _restart(self, millisecond: int) -> int:
        """Draw a new random part for a millisecond; return its low bits."""
        self._millisecond = millisecond
        # Not os.urandom: it lets go of the interpreter, and getting it back from a busy thread takes a while.
        rand = self._random.getrandbits(80)
        # The top bit of the part that counts is left clear, to grow into.
        rand_b = rand & ((1 << 62) - 1) & ~(1 << (_LOW_BITS - 1))
        value = (millisecond << 80) | (0x7 << 76) | ((rand >> 68) << 64) | (0b10 << 62) | rand_b
        high = value >> _LOW_BITS
        digits = [_PAIRS[(high >> shift) & 1023] for shift in range(100, -1, -10)]
        self._head = "req_" + "".join(digits)
        return value & _LOW_MASK


_ids = RequestIds()


def name_request(given: bytes | None) -> str:
    """Return the id a caller gave if it is 1-128 plain characters, else a fresh one."""
    if given is not None and _GIVEN(given):
        return given.decode("ascii")
    return _ids.fresh()
