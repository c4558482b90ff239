"""Answers to identical payloads, kept in memory for as long as an endpoint allows.

The key is the SHA-256 of the body, the digest of the bundle that answered, the deployment and whether every class's
score was asked for: a new version or another arm never answers from an old one's memory. ``cache_seconds`` on an
endpoint says that its model gives the same answer to the same rows, which nobody can check from outside, so it is 0
unless somebody sets it; it holds for compiled and general models alike. Answers of a fallback are never kept.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec

from arkwright.serving import metrics

MAX_BYTES = 64_000_000
_MAX_ENTRY_BYTES = 1_000_000
# What a key, its dictionary entry and the object headers take beside the content.
_ENTRY_BYTES = 300

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode


class ResultCache:
    """Answers by payload, the least recently used one dropped first.

    Parameters
    ----------
    max_bytes
        Memory for all of them together.
    monotonic
        A clock in seconds.
    """

    def __init__(self, *, max_bytes: int = MAX_BYTES, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._monotonic = monotonic
        self._entries: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self.size_bytes = 0

    @staticmethod
    def key(deployment_id: str, digest: str, body: bytes, *, with_scores: bool) -> bytes:
        """Return the key of a payload."""
        kind = b"\1" if with_scores else b"\0"
        return b"%s/%s/%s%s" % (deployment_id.encode(), digest.encode(), kind, hashlib.sha256(body).digest())

    def get(self, key: bytes) -> list[dict[str, Any]] | None:
        """Return the predictions for a payload, or None."""
        entry = self._entries.get(key)
        if entry is None or entry[0] <= self._monotonic():
            if entry is not None:
                self._drop(key)
            metrics.CACHE_MISSES.inc()
            return None
        self._entries.move_to_end(key)
        metrics.CACHE_HITS.inc()
        return _decode(entry[1])

    def put(self, key: bytes, predictions: list[dict[str, Any]], keep_seconds: float) -> None:
        """Keep an answer."""
        content = _encode(predictions)
        if len(content) > min(_MAX_ENTRY_BYTES, self._max_bytes - _ENTRY_BYTES):
            return
        self._drop(key)
        self._entries[key] = (self._monotonic() + keep_seconds, content)
        self.size_bytes += len(content) + _ENTRY_BYTES
        while self.size_bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))
        metrics.CACHE_BYTES.set(self.size_bytes)

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size_bytes -= len(entry[1]) + _ENTRY_BYTES
