"""Prefixed, time-sortable identifiers.

An id is ``<prefix>_<26 characters>``: a UUIDv7 (RFC 9562, section 5.7) in Crockford base 32, so that
ids of one kind sort by creation time as plain text and say what they name. Those that one process makes sort in the
order they were made, also within a millisecond (section 6.2, a counter in ``rand_a``) and when the clock is set back.
"""

from __future__ import annotations

import os
import re
import threading
import time

PREFIXES = {
    "workspace": "ws",
    "project": "proj",
    "user": "user",
    "api_key": "key",
    "session": "ses",
    "upload": "up",
    "dataset": "ds",
    "dataset_version": "dsv",
    "feature_set": "fs",
    "experiment": "exp",
    "trial": "trial",
    "model": "model",
    "model_version": "mv",
    "deployment": "dep",
    "rollout": "roll",
    "rollout_event": "rev",
    "monitor": "mon",
    "drift_report": "drift",
    "alert": "alert",
    "evidence": "ev",
    "policy": "pol",
    "gate_decision": "gate",
    "stage_change": "stg",
    "audit": "aud",
    "event": "evt",
    "job": "job",
    "request": "req",
    "lineage": "lin",
}

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PATTERN = re.compile(r"[a-z]+_[0-9a-hjkmnp-tv-z]{26}")


def uuid7(unix_ms: int, random: bytes) -> int:
    """Return the 128-bit UUIDv7 for a millisecond timestamp and ten random bytes.

    Examples
    --------
    >>> hex(uuid7(0, bytes(10)))
    '0x70008000000000000000'
    """
    rand = int.from_bytes(random, "big")
    rand_a = (rand >> 68) & 0xFFF
    rand_b = rand & ((1 << 62) - 1)
    return (unix_ms << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b


def new_id(kind: str) -> str:
    """Return a fresh id for a kind of thing named in ``PREFIXES``.

    Raises
    ------
    KeyError
        If the kind has no prefix.
    """
    prefix = PREFIXES[kind]
    tick = _ticks.next(time.time_ns() // 1_000_000)
    rand_b = int.from_bytes(os.urandom(8), "big") >> 2
    value = uuid7(tick >> 12, (((tick & 0xFFF) << 68) | rand_b).to_bytes(10, "big"))
    return f"{prefix}_{_base32(value)}"


def is_id(kind: str, text: str) -> bool:
    """Tell whether ``text`` is shaped like an id of that kind.

    Examples
    --------
    >>> is_id("dataset", new_id("dataset")), is_id("dataset", "churn")
    (True, False)
    """
    return text.startswith(PREFIXES[kind] + "_") and _PATTERN.fullmatch(text) is not None


class _Ticks:
    """Milliseconds and a 12-bit counter, as one number that only grows."""

    def __init__(self) -> None:
        self._last = 0
        self._one_at_a_time = threading.Lock()

    def next(self, unix_ms: int) -> int:
        """Return the next tick, not before the millisecond."""
        with self._one_at_a_time:
            self._last = max(unix_ms << 12, self._last + 1)
            return self._last


_ticks = _Ticks()


def _base32(value: int) -> str:
    digits = []
    for _ in range(26):
        digits.append(_ALPHABET[value & 31])
        value >>= 5
    return "".join(reversed(digits))
