"""Bootstrap percentile intervals, seeded and vectorised.

A resample is a vector of row weights: how often each row was drawn. A metric that understands a matrix of
weights is then computed for a block of resamples in a few array operations, with no row ever copied.

References
----------
Efron & Tibshirani (1993), "An Introduction to the Bootstrap", chapters 6 and 13 (percentile interval).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
import numpy as np

from arkwright.evaluation.metric import FloatArray, IntArray

DEFAULT_RESAMPLES = 1000
LEVEL = 0.95
_BLOCK_CELLS = 2_000_000
_MAX_CELLS = 200_000_000
_MIN_RESAMPLES = 200

Key = TypeVar("Key", bound=Hashable)
ReplicateMetrics = Callable[[FloatArray], Mapping[Key, FloatArray]]


class Interval(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A value with its 95 % interval; None where the number is not defined.

    ``reason`` says why it is not, in words that follow "not computable, because": "the group has no positive rows".
    """

    value: float | None
    low: float | None
    high: float | None
    reason: str = ""


def resamples_for(n_rows: int, wanted: int = DEFAULT_RESAMPLES) -> int:
    """Return how many resamples to draw: ``wanted``, fewer (never under 200) on very many rows.

    From 200,000 rows on a percentile interval is so narrow that a thousand resamples only cost time.

    Examples
    --------
    >>> resamples_for(1_400), resamples_for(400_000), resamples_for(10_000_000)
    (1000, 500, 200)
    """
    return min(wanted, max(_MIN_RESAMPLES, _MAX_CELLS // max(n_rows, 1)))


def bootstrap_weights(
    n_rows: int, n_resamples: int, *, seed: int, strata: IntArray | None = None
) -> Iterator[FloatArray]:
    """Yield blocks of resample weights, ``n_resamples`` rows in all.

    Parameters
    ----------
    strata
        One code per row; each stratum is resampled on its own, so that every resample has the class sizes
        of the sample and no class disappears.

    Yields
    ------
    ndarray of shape (block, n_rows)
        Non-negative whole numbers; each row sums to ``n_rows``.
    """
    rng = np.random.default_rng(seed)
    groups = [np.arange(n_rows)]
    if strata is not None:
        groups = [np.flatnonzero(strata == code) for code in np.unique(strata)]
    block = max(1, _BLOCK_CELLS // max(n_rows, 1))
    for first in range(0, n_resamples, block):
        size = min(block, n_resamples - first)
        weights = np.empty((size, n_rows), dtype=np.float64)
        for rows in groups:
            drawn = rng.integers(0, rows.size, size=(size, rows.size))
            drawn += np.arange(size)[:, None] * rows.size
            counts = np.bincount(drawn.ravel(), minlength=size * rows.size)
            weights[:, rows] = counts.reshape(size, rows.size)
        yield weights


def bootstrap(
    metrics: ReplicateMetrics[Key], n_rows: int, *, seed: int, n_resamples: int, strata: IntArray | None = None
) -> dict[Key, FloatArray]:
    """Compute the metrics on every resample.

    Parameters
    ----------
    metrics
        Takes weights of shape ``(block, n_rows)``, answers with arrays of shape ``(block,)``.

    Returns
    -------
    dict
        Each metric's ``n_resamples`` replicates.
    """
    blocks: dict[Key, list[FloatArray]] = {}
    for weights in bootstrap_weights(n_rows, n_resamples, seed=seed, strata=strata):
        for name, values in metrics(weights).items():
            blocks.setdefault(name, []).append(np.asarray(values, dtype=np.float64))
    return {name: np.concatenate(values) for name, values in blocks.items()}


def percentile_interval(replicates: FloatArray, level: float = LEVEL) -> tuple[float, float] | None:
    """Return the central interval that holds ``level`` of the replicates; None if none is finite.

    Examples
    --------
    >>> percentile_interval(np.arange(1001.0), level=0.5)
    (250.0, 750.0)
    """
    finite = replicates[np.isfinite(replicates)]
    if finite.size == 0:
        return None
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(finite, [tail, 100.0 - tail])
    return float(low), float(high)


def interval(value: Any, replicates: FloatArray) -> Interval:
    """Pair a metric's value with its percentile interval.

    Examples
    --------
    >>> interval(0.5, np.array([0.4, 0.6])).value
    0.5
    """
    number = float(value)
    bounds = percentile_interval(replicates)
    if not np.isfinite(number) or bounds is None:
        return Interval(value=number if np.isfinite(number) else None, low=None, high=None)
    return Interval(value=number, low=bounds[0], high=bounds[1])
