"""A circuit breaker: a model that keeps failing is left alone for a while.

::

    closed ──(failures)──> open ──(back-off over)──> half-open ──(successes)──> closed
                            ^                            │
                            └────────(a failure)─────────┘

It opens after ``CONSECUTIVE`` failures in a row, or when within ``WINDOW_SECONDS`` of a first failure there were at
least ``MIN_REQUESTS`` requests and more than ``FAILURE_SHARE`` of them failed (the defaults of Netflix's Hystrix, 20
requests and 50 % in 10 s). It stays open for ``FIRST_PAUSE_SECONDS``, twice as long after each failed probe, at most
``LAST_PAUSE_SECONDS``. Then it lets one request through at a time; ``PROBES`` successes in a row close it.

Such a request holds a number, which it gives back with its outcome. What becomes of any other request while the breaker
is not closed, such as those that were on their way when it opened, changes nothing: sixty of them that fail together
are one trouble and not sixty, and one that succeeds began before it.
"""

from __future__ import annotations

CONSECUTIVE = 10
WINDOW_SECONDS = 10.0
MIN_REQUESTS = 20
FAILURE_SHARE = 0.5
FIRST_PAUSE_SECONDS = 1.0
LAST_PAUSE_SECONDS = 30.0
PROBES = 3
# What a request holds that is no probe.
NO_PROBE = 0
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
    >>> breaker.state, breaker.probe(now=0.5)
    ('open', 0)
    >>> number = breaker.probe(now=1.0)
    >>> breaker.state
    'half-open'
    >>> breaker.failed(now=1.1, probe=number)
    >>> breaker.state
    'open'
    """

    __slots__ = (
        "_failures",
        "_in_a_row",
        "_n_probes",
        "_pause_seconds",
        "_probe",
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
        self._n_probes = 0
        self._probe = NO_PROBE
        self._probe_until = 0.0
        self._probed = 0
        self._window_start = float("-inf")
        self._failures = self._successes = self._in_a_row = 0

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half-open``."""
        if self.closed:
            return "closed"
        return "half-open" if self._probe or self._probed else "open"

    def may_probe(self, now: float) -> bool:
        """Return whether a request may go to the model; where it is not closed, as a probe."""
        return self.closed or (now >= self.retry_at and now >= self._probe_until)

    def probe(self, now: float) -> int:
        """Take the one place of a probe, while it is not closed; return its number, or ``NO_PROBE`` if it is taken."""
        if self.closed or not self.may_probe(now):
            return NO_PROBE
        self._n_probes += 1
        self._probe = self._n_probes
        self._probe_until = now + _PROBE_SECONDS
        return self._probe

    def succeeded(self, probe: int = NO_PROBE) -> None:
        """Count an answer."""
        if self.closed:
            self._in_a_row = 0
            self._successes += 1
        elif self._ends(probe):
            self._probed += 1
            if self._probed >= PROBES:
                self._close()

    def released(self, probe: int) -> None:
        """Take back a probe that came to no verdict, because the caller was at fault or left."""
        self._ends(probe)

    def failed(self, now: float, probe: int = NO_PROBE) -> None:
        """Count a failure of the model."""
        if not self.closed:
            if self._ends(probe):
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

    def _ends(self, probe: int) -> bool:
        """Free the place of a probe; return False if it does not hold it, or no longer."""
        if probe == NO_PROBE or probe != self._probe:
            return False
        self._probe = NO_PROBE
        self._probe_until = 0.0
        return True

    def _open(self, now: float) -> None:
        self.closed = False
        self.retry_at = now + self._pause_seconds
        self._probed = 0

    def _close(self) -> None:
        self.closed = True
        self._pause_seconds = FIRST_PAUSE_SECONDS
        self._probed = self._in_a_row = 0
        self._window_start = float("-inf")
        self._failures = self._successes = 0
