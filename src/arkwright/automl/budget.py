"""A hard time budget that includes the refit.

The whole budget has one end. Before it lies a *reserve*, long enough to refit the best candidate so far; the
search stops where the reserve begins. A candidate gets a share of what is left that leaves room to refit *it*,
and each of its folds an equal share of that, so that no fold is starved by the ones before it.

Time is handed in: nothing here looks at a clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

REFIT_SAFETY = 1.5
"""A refit is expected to take the time of one fold, times the rows it has more, times this."""

REFIT_OVERHEAD_SECONDS = 0.5
MIN_FOLD_SECONDS = 0.2


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """How long a search may take, and how much of it is gone: what a job writes down after each step.

    Examples
    --------
    >>> budget = Budget(total_seconds=60.0).spend(45.0)
    >>> budget.remaining_seconds, msgspec.json.decode(msgspec.json.encode(budget), type=Budget) == budget
    (15.0, True)
    """

    total_seconds: float
    spent_seconds: float = 0.0

    @property
    def remaining_seconds(self) -> float:
        """What is left; never negative."""
        return max(0.0, self.total_seconds - self.spent_seconds)

    def spend(self, seconds: float) -> Budget:
        """Return the budget with more of it gone."""
        return msgspec.structs.replace(self, spent_seconds=self.spent_seconds + max(0.0, seconds))


class Deadline:
    """A moment on a monotonic clock.

    Parameters
    ----------
    ends_at
        On the scale of ``now``; infinity for no deadline.
    now
        A monotonic clock in seconds that all processes of the machine share.

    Examples
    --------
    >>> deadline = Deadline(100.0, lambda: 90.0)
    >>> deadline.remaining_seconds, deadline.expired, deadline.earlier_by(20.0).expired
    (10.0, False, True)
    """

    def __init__(self, ends_at: float, now: Callable[[], float]) -> None:
        self.ends_at = ends_at
        self.now = now

    @classmethod
    def after(cls, seconds: float, now: Callable[[], float]) -> Deadline:
        """Return the deadline that many seconds from now."""
        return cls(now() + seconds, now)

    @property
    def remaining_seconds(self) -> float:
        """Seconds until it; never negative."""
        return max(0.0, self.ends_at - self.now())

    @property
    def expired(self) -> bool:
        """Whether it has passed."""
        return self.now() >= self.ends_at

    def earlier_by(self, seconds: float) -> Deadline:
        """Return an earlier deadline."""
        return Deadline(self.ends_at - seconds, self.now)


def refit_seconds(fold_seconds: float, n_folds: int) -> float:
    """Estimate how long it takes to refit on all folds a candidate whose folds took ``fold_seconds`` on average.

    A fold trains on ``(n_folds - 1) / n_folds`` of the rows.

    Examples
    --------
    >>> refit_seconds(0.0, 5), round(refit_seconds(4.0, 5), 2)
    (0.5, 8.0)
    """
    return REFIT_OVERHEAD_SECONDS + REFIT_SAFETY * fold_seconds * n_folds / (n_folds - 1)


def fold_seconds_allowed(search_seconds: float, total_seconds: float, *, n_folds: int, n_workers: int) -> float:
    """Return how long each fold of the next candidate may train; 0 if there is no time for it.

    Folds run in rounds of ``n_workers``. All rounds must fit before the search ends, and the rounds plus the
    candidate's own refit must fit before the budget ends.

    Parameters
    ----------
    search_seconds
        Until the search must stop, that is without the reserve for the best so far.
    total_seconds
        Until the budget ends.

    Examples
    --------
    >>> round(fold_seconds_allowed(50.0, 60.0, n_folds=5, n_workers=2), 2)
    12.21
    >>> fold_seconds_allowed(0.1, 60.0, n_folds=5, n_workers=2)
    0.0
    """
    rounds = math.ceil(n_folds / n_workers)
    own_refit = REFIT_SAFETY * n_folds / (n_folds - 1)
    allowed = min(search_seconds / rounds, (total_seconds - REFIT_OVERHEAD_SECONDS) / (rounds + own_refit))
    return allowed if allowed >= MIN_FOLD_SECONDS else 0.0
