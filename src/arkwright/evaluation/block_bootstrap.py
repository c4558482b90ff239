"""Bootstrap of time-ordered rows: blocks of neighbouring steps are drawn, for steps depend on their neighbours.

How long a block has to be follows from how long the numbers remember; a percentile interval is then widened by what
Student's distribution is wider than the normal one, with the number of blocks as the number of independent values.

References
----------
Hesterberg (2015), "What Teachers Should Know About the Bootstrap", The American Statistician 69: expanded percentiles.
Künsch (1989), "The Jackknife and the Bootstrap for General Stationary Observations", Annals of Statistics 17.
Patton, Politis & White (2009), correction of Politis & White (2004), "Automatic Block-Length Selection for the
Dependent Bootstrap", Econometric Reviews 28 and 23.
Politis & Romano (1992), "A circular block-resampling procedure for stationary data".
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, log10, sqrt
from typing import Any

import numpy as np

from arkwright.evaluation.intervals import LEVEL, Interval, percentile_interval
from arkwright.evaluation.metric import FloatArray, IntArray

FEWEST_STEPS = 10
"""Blocks of fewer steps than this are too few distinct ones for their percentiles to mean anything."""

_BLOCKS_AT_ONCE = 100
_MOST_STEPS_AT_ONCE = 8_000_000
_MOST_LAGS = 500


def memory_of(values: FloatArray) -> int:
    """Return the block length that suits numbers which depend on those before them; 1 where none notably does.

    The rule of Politis & White for circular blocks: from where the autocorrelations vanish, a flat-top window over
    twice as many of them estimates how much longer blocks lower the bias and raise the variance.

    Parameters
    ----------
    values
        One a step, oldest first, shape ``(n_steps,)``.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=400)
    >>> memory_of(noise) < memory_of(np.convolve(noise, np.ones(8), "valid"))
    True
    """
    n_steps = values.size
    centred = values - values.mean() if n_steps else values
    in_a_row = max(5, ceil(log10(max(n_steps, 1))))
    most = min(ceil(sqrt(n_steps)) + in_a_row, n_steps - 1, _MOST_LAGS)
    if most < 2 or float(centred @ centred) <= 1e-24 * max(float(values @ values), 1e-300):
        return 1
    covariance = np.array([centred[lag:] @ centred[: n_steps - lag] for lag in range(most + 1)]) / n_steps
    notable = np.abs(covariance[1:] / covariance[0]) > 2 * sqrt(log10(n_steps) / n_steps)
    quiet = (place for place in range(max(1, most - in_a_row + 1)) if not notable[place : place + in_a_row].any())
    last = next(quiet, int(np.flatnonzero(notable).max(initial=0)) + 1)
    if last == 0:
        return 1
    window = min(2 * last, most)
    lags = np.arange(1, window + 1)
    weights = np.clip(2 * (1 - lags / window), 0, 1)
    spread = float(covariance[0] + 2 * (weights * covariance[lags]).sum())
    longest = ceil(min(3 * sqrt(n_steps), n_steps / 3))
    if spread <= 0:
        return longest
    bias = float(2 * (weights * lags * covariance[lags]).sum())
    best = float(np.cbrt(1.5 * (bias / spread) ** 2 * n_steps))
    return min(longest, max(1, ceil(best - 1e-9)))


def block_length(n_steps: int, horizon: int = 1, values: FloatArray | None = None) -> int:
    """Return how many neighbouring steps are drawn together.

    The order ``n^(1/3)`` is the optimal one for a variance (Künsch 1989); never shorter than the horizon, nor than
    the numbers' own memory where they are given.

    Examples
    --------
    >>> block_length(100), block_length(100, horizon=12)
    (5, 12)
    """
    own = 1 if values is None else memory_of(values)
    return int(min(n_steps, max(horizon, own, ceil(n_steps ** (1 / 3) - 1e-9))))


def dependent_steps(before: FloatArray, after: FloatArray, horizon: int = 1) -> int:
    """Return over how many steps the difference of two losses depends on itself, for the test of Diebold and Mariano.

    That test takes the horizon for it. Where the difference remembers more, as errors of a simple forecast do, it would
    call far too many differences real.
    """
    return min(max(horizon, memory_of(before - after)), max(before.size, 1))


def block_weights(n_steps: int, length: int, n_resamples: int, *, seed: int) -> Iterator[FloatArray]:
    """Yield weights of circular blocks of steps, ``n_resamples`` rows in all.

    The last step's neighbour is the first, so that every step is drawn equally often (Politis & Romano 1992).

    Yields
    ------
    ndarray of shape (block, n_steps)
        Whole numbers; each row sums to ``n_steps``.
    """
    rng = np.random.default_rng(seed)
    n_blocks = ceil(n_steps / length)
    at_once = max(1, min(_BLOCKS_AT_ONCE, _MOST_STEPS_AT_ONCE // n_steps))
    for first in range(0, n_resamples, at_once):
        size = min(at_once, n_resamples - first)
        starts = rng.integers(0, n_steps, size=(size, n_blocks))
        drawn = (starts[:, :, None] + np.arange(length)).reshape(size, -1)[:, :n_steps] % n_steps
        drawn += np.arange(size)[:, None] * n_steps
        yield np.bincount(drawn.ravel(), minlength=size * n_steps).reshape(size, n_steps).astype(np.float64)


def block_interval(
    value: Any,
    replicates: FloatArray,
    *,
    n_steps: int,
    length: int,
) -> Interval:
    """Pair a number with the percentile interval of its replicates, widened for the few blocks there are.

    Examples
    --------
    >>> replicates = np.arange(1001.0)
    >>> few, many = (block_interval(500.0, replicates, n_steps=n, length=4) for n in (24, 4_000))
    >>> few.high > many.high > 970
    True
    """
    number = float(value)
    if not np.isfinite(number):
        return Interval(value=None, low=None, high=None, reason="the metric is not defined on these rows")
    bounds = percentile_interval(replicates, _expanded_level(n_steps / length))
    if bounds is None:
        return Interval(value=number, low=None, high=None, reason="the metric is not defined on any resample")
    return Interval(value=number, low=bounds[0], high=bounds[1])


def mean_by_step(values: FloatArray, places: IntArray) -> FloatArray:
    """Average over the rows of each step, ``places`` counting the steps from zero without a gap."""
    means: FloatArray = np.bincount(places, weights=values) / np.bincount(places)
    return means


def _expanded_level(n_blocks: float) -> float:
    from scipy.special import ndtr, stdtrit  # noqa: PLC0415  scipy is slow to import

    count = max(n_blocks, 2.0)
    quantile = float(stdtrit(count - 1, 0.5 * (1 + LEVEL))) * sqrt(count / (count - 1))
    return float(1.0 - 2.0 * ndtr(-quantile))
