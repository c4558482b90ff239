"""A circuit breaker: a model that keeps failing is left alone for a while.

::

    closed ──(failures)──> open ──(back-off over)──> half-open ──(successes)──> closed
                            ^                            │
                            └────────(a failure)─────────┘

It opens after ``CONSECUTIVE`` failures in a row, or when within ``WINDOW_SECONDS`` of a first failure there were at
least ``MIN_REQUESTS`` requests and more than ``FAILURE_SHARE`` of them failed (the defaults of Netflix's Hystrix, 20
requests and 50 % in 10 s). It stays open for ``FIRST_PAUSE_SECONDS``, twice as long after each failed probe, at most
``LAST_PAUSE_SECONDS``. Then it lets one request through at a time; ``PROBES`` successes in a row close it.
"""

from __future__ import annotations

CONSECUTIVE = 10
WINDOW_SECONDS = 10.0
MIN_REQUESTS = 20
FAILURE_SHARE = 0.5
FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 30.0
PROBES = 3
# A probe whose end nobody reported (its caller left) holds its place no longer than this.
_PROBE_SECONDS = 15.0


class Breaker:
    """The state of one arm's breaker; times are in seconds on any clock that only goes forward.

    ``closed`` is an attribute, and a success while it is closed costs two additions: this is on the path of every
    request.

    Examples
    --------
    >>> breaker = Breaker()
    >>> for _ in range(CONSECUTIVE):
    ...     breaker.failed(now=0.0)
    >>> breaker.state, breaker.allow(now=0.5), breaker.allow(now=1.0)
    ('open', False, True)
    >>> breaker.state
    'half-open'
    """

    __slots__ = (
        "_failures",
        "_in_a_row",
        "_pause_seconds",
        "_probe_until",
        "_probed",
        "_successes",
        "_window_start",
        "closed",
        "retry_at",
    )

    def __init__(self) -> None:
        self.closed = True
        self.retry_at = 0.0
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._probe_until = 0.0
        self._probed = 0
        self._window_start = float("-inf")
        self._failures = self._successes = self._in_a_row = 0

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half-open``."""
        if self.closed:
            return "closed"
        return "half-open" if self._probe_until or self._probed else "open"

    def may_allow(self, now: float) -> bool:
        """Return whether :meth:`allow` would say yes."""
        return self.closed or (now >= self.retry_at and now >= self._probe_until)

    def allow(self, now: float) -> bool:
        """Return whether a request may go to the model; while half-open, a yes takes the one place of a probe."""
        if self.closed:
            return True
        if not self.may_allow(now):
            return False
        self._probe_until = now + _PROBE_SECONDS
        return True

    def succeeded(self) -> None:
        """Count an answer."""
        self._in_a_row = 0
        self._successes += 1
        if not self.closed:
            self._probe_until = 0.0
            self._probed += 1
            if self._probed >= PROBES:
                self.closed = True
                self._pause_seconds = FIRST_PAUSE_SECONDS
                self._probed = 0
                self._window_start = float("-inf")
                self._failures = self._successes = 0

    def released(self) -> None:
        """Take back an :meth:`allow` that came to no verdict, because the caller was at fault or left."""
        self._probe_until = 0.0

    def failed(self, now: float) -> None:
        """Count a failure of the model."""
        if not self.closed:
            self._pause_seconds = min(self._pause_seconds * 2, LAST_PAUSE_SECONDS)
            self._open(now)
            return
        if now - self._window_start > WINDOW_SECONDS:
            self._window_start = now
            self._failures = self._successes = 0
        self._failures += 1
        self._in_a_row += 1
        total = self._failures + self._successes
        if self._in_a_row >= CONSECUTIVE or (total >= MIN_REQUESTS and self._failures > FAILURE_SHARE * total):
            self._open(now)

    def _open(self, now: float) -> None:
        self.closed = False
        self.retry_at = now + self._pause_seconds
        self._probe_until = 0.0
        self._probed = 0
