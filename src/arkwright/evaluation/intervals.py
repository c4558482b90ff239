"""Bootstrap intervals, percentile, BCa and studentized, seeded and vectorised; and the spread over folds.

A resample is a vector of row weights: how often each row was drawn. A metric that understands a matrix of
weights is then computed for a block of resamples in a few array operations, with no row ever copied. Leaving rows
out (the jackknife) is weights too, so the same metrics serve both.

Rows are drawn as the sample was: at random, so that the class sizes vary as well (docs/adr/0009). Only a class so rare
that a resample could lose it keeps its size (:func:`rare_classes`).

References
----------
Efron & Tibshirani (1993), "An Introduction to the Bootstrap", chapters 6, 11, 13 (percentile) and 14 (BCa).
Efron (1987), "Better Bootstrap Confidence Intervals", JASA 82: bias correction and acceleration.
Davison & Hinkley (1997), "Bootstrap Methods and their Application", section 5.3.2: BCa with strata.
Hall (1988), "Theoretical Comparison of Bootstrap Confidence Intervals", Annals of Statistics 16: the studentized one.
Nadeau & Bengio (2003), "Inference for the Generalization Error", Machine Learning 52: why folds are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np

from arkwright.evaluation.metric import FloatArray, IntArray, undefined_reason

DEFAULT_RESAMPLES = 1000
LEVEL = 0.95
# Rows are drawn in large blocks, which fixes what a seed means; they are weighed in small ones, which stay in cache.
_DRAWN_CELLS = 2_000_000
_BLOCK_CELLS = 800_000
_MAX_CELLS = 200_000_000
_MIN_RESAMPLES = 200
_LEAVE_ONE_OUT_ROWS = 1000
_JACKKNIFE_BLOCKS = 200

RARE_CLASS_ROWS = 20
"""A class of fewer rows keeps its size in every resample: one of 20 is lost with a chance of exp(-20), about 2e-9."""

Resampling = Literal["rows", "rows within rare classes", "blocks of steps"]
"""How resamples are drawn: rows at random; the same with rare classes kept at their size; neighbours in time."""

RESAMPLED: dict[Resampling, str] = {
    "rows": "of rows drawn at random",
    "rows within rare classes": f"of rows drawn at random, classes of under {RARE_CLASS_ROWS} rows kept at their size",
    "blocks of steps": "of blocks of neighbouring steps",
}
"""The same in words that follow "1,000 resamples"."""

Method = Literal["percentile", "bca"]
IntervalMethod = Literal["percentile", "bca", "studentized"]
METHOD_TITLES: dict[IntervalMethod, str] = {"percentile": "percentile", "bca": "BCa", "studentized": "studentized"}
_STUDENTIZED_ROWS = 20
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


def rare_classes(codes: IntArray | None) -> IntArray | None:
    """Return the strata of a bootstrap of rows: each rare class is one, all other rows together are one.

    Drawing all rows at random is what the sample's own chance looks like; strata by class would hold the class sizes
    still, and the intervals of accuracy, log loss or precision would come out too narrow. A class of fewer than 20 rows
    keeps its size all the same, or some resamples would have none of it, and no AUC.

    Parameters
    ----------
    codes
        Class code of each row; None where there are no classes.

    Returns
    -------
    ndarray or None
        A code per row, -1 for the rows that are drawn together; None if no class is rare.

    Examples
    --------
    >>> rare_classes(np.repeat([0, 1], [70, 30])) is None
    True
    >>> np.unique(rare_classes(np.repeat([0, 1, 2], [70, 30, 2])))
    array([-1,  2])
    """
    if codes is None:
        return None
    present, place, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    if sizes.min(initial=RARE_CLASS_ROWS) >= RARE_CLASS_ROWS:
        return None
    strata: IntArray = np.where(sizes < RARE_CLASS_ROWS, present, -1)[place].astype(np.int64)
    return strata


def resampling_of(strata: IntArray | None) -> Resampling:
    """Name what :func:`rare_classes` decided."""
    return "rows" if strata is None else "rows within rare classes"


def bootstrap_weights(
    n_rows: int, n_resamples: int, *, seed: int, strata: IntArray | None = None
) -> Iterator[FloatArray]:
    """Yield blocks of resample weights, ``n_resamples`` rows in all.

    Parameters
    ----------
    strata
        One code per row; each stratum is resampled on its own and keeps its size. For classes see
        :func:`rare_classes`.

    Yields
    ------
    ndarray of shape (block, n_rows)
        Non-negative whole numbers; each row sums to ``n_rows``.
    """
    rng = np.random.default_rng(seed)
    groups: list[IntArray | slice] = [slice(None)]
    sizes = [n_rows]
    if strata is not None:
        rows_of = [np.flatnonzero(strata == code) for code in np.unique(strata)]
        groups, sizes = list(rows_of), [rows.size for rows in rows_of]
    drawn_at_once = max(1, _DRAWN_CELLS // max(n_rows, 1))
    block = max(1, _BLOCK_CELLS // max(n_rows, 1))
    for first in range(0, n_resamples, drawn_at_once):
        count = min(drawn_at_once, n_resamples - first)
        drawn = [rng.integers(0, size, size=(count, size), dtype=np.int32) for size in sizes]
        for start in range(0, count, block):
            resamples = range(start, min(start + block, count))
            weights = np.empty((len(resamples), n_rows), dtype=np.float64)
            for row, resample in zip(weights, resamples, strict=True):
                for rows, size, numbers in zip(groups, sizes, drawn, strict=True):
                    row[rows] = np.bincount(numbers[resample], minlength=size)
            yield weights


def jackknife_weights(
    n_rows: int, *, seed: int, strata: IntArray | None = None, n_blocks: int | None = None
) -> Iterator[FloatArray]:
    """Yield blocks of weights that leave a part of the rows out, each row exactly once.

    Up to 1,000 rows each row is left out alone. From there on 200 groups of rows, drawn at random, are left out in
    turn: the third moment that BCa needs is a sum over rows, so groups estimate it as well, at the cost of 200 more
    resamples (Davison & Hinkley 1997, section 2.7.3).

    Parameters
    ----------
    strata
        One code per row. The groups then take as many rows of each stratum as they can, and the rows that are left
        of a stratum weigh as much as the whole did, as in a stratified resample.

    Yields
    ------
    ndarray of shape (block, n_rows)
    """
    count = n_blocks or (n_rows if n_rows <= _LEAVE_ONE_OUT_ROWS else _JACKKNIFE_BLOCKS)
    order = np.random.default_rng(seed).permutation(n_rows)
    stratum = np.zeros(n_rows, dtype=np.int64)
    if strata is not None:
        stratum = np.unique(strata, return_inverse=True)[1].astype(np.int64)
        order = order[np.argsort(stratum[order], kind="stable")]
    group = np.empty(n_rows, dtype=np.int64)
    group[order] = np.arange(n_rows) % count
    sizes = np.bincount(stratum)
    left = sizes[None, :] - np.bincount(group * sizes.size + stratum, minlength=count * sizes.size).reshape(count, -1)
    scale = np.divide(sizes[None, :], left, out=np.zeros(left.shape), where=left > 0)
    block = max(1, _BLOCK_CELLS // max(n_rows, 1))
    for first in range(0, count, block):
        groups = np.arange(first, min(first + block, count))
        weights = scale[groups][:, stratum]
        weights[group[None, :] == groups[:, None]] = 0.0
        yield weights


def jackknife(
    metrics: ReplicateMetrics[Key],
    n_rows: int,
    *,
    seed: int,
    strata: IntArray | None = None,
    n_blocks: int | None = None,
) -> dict[Key, FloatArray]:
    """Compute the metrics with each part of the rows left out; see :func:`jackknife_weights`."""
    return _collect(metrics, jackknife_weights(n_rows, seed=seed, strata=strata, n_blocks=n_blocks))


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
    return _collect(metrics, bootstrap_weights(n_rows, n_resamples, seed=seed, strata=strata))


def _collect(metrics: ReplicateMetrics[Key], weights_blocks: Iterator[FloatArray]) -> dict[Key, FloatArray]:
    blocks: dict[Key, list[FloatArray]] = {}
    for weights in weights_blocks:
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


def bca_interval(
    value: float, replicates: FloatArray, left_out: FloatArray, level: float = LEVEL
) -> tuple[float, float] | None:
    """Return the bias-corrected and accelerated interval; None where it is not defined.

    The percentiles are shifted by how often a resample lies below the value (bias; ties count half) and by the
    skewness of the value's influence function (acceleration), which the jackknife estimates. It is second-order
    accurate where the percentile interval is first-order: on some hundred rows and a skewed metric that shows.

    Parameters
    ----------
    left_out
        The metric with each part of the rows left out, from :func:`jackknife`; what is not finite is left out.

    Returns
    -------
    tuple or None
        None if no replicate is finite, or if all of them lie on one side of the value: no percentile can be shifted
        so far.

    Examples
    --------
    >>> replicates = np.arange(1001.0)
    >>> bca_interval(500.0, replicates, np.array([-1.0, 0.0, 1.0]), level=0.5)
    (250.0, 750.0)
    """
    finite = replicates[np.isfinite(replicates)]
    if finite.size == 0 or not np.isfinite(value):
        return None
    share = (np.count_nonzero(finite < value) + 0.5 * np.count_nonzero(finite == value)) / finite.size
    if not 0 < share < 1:
        return None
    standard = NormalDist()
    bias, acceleration = standard.inv_cdf(share), _acceleration(left_out)
    percents = []
    for tail in (0.5 * (1.0 - level), 0.5 * (1.0 + level)):
        shifted = bias + standard.inv_cdf(tail)
        room = 1.0 - acceleration * shifted
        if room <= 0:
            return None
        percents.append(100.0 * standard.cdf(bias + shifted / room))
    low, high = np.percentile(finite, percents)
    return float(low), float(high)


def studentized_interval(
    value: float, error: float, replicates: FloatArray, replicate_errors: FloatArray, level: float = LEVEL
) -> tuple[float, float] | None:
    """Return the bootstrap-t interval of a mean: how far resamples lie from it, in units of their own standard errors.

    Of long-tailed losses the percentile and BCa intervals are too narrow on some hundred rows: a sample without large
    losses has both a low mean and a low spread. Dividing by each resample's own error takes that into account.

    Parameters
    ----------
    error, replicate_errors
        The standard errors of the value and of each replicate.

    Returns
    -------
    tuple or None
        None where an error is zero on half of the resamples or more, or the value has none.

    Examples
    --------
    >>> replicates = np.array([4.0, 5.0, 6.0])
    >>> studentized_interval(5.0, 1.0, replicates, np.ones(3), level=0.5)
    (4.5, 5.5)
    """
    usable = np.isfinite(replicates) & (replicate_errors > 0)
    if not (np.isfinite(value) and error > 0) or 2 * np.count_nonzero(usable) <= replicates.size:
        return None
    distances = (replicates[usable] - value) / replicate_errors[usable]
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(distances, [tail, 100.0 - tail])
    return float(value - high * error), float(value - low * error)


def _acceleration(left_out: FloatArray) -> float:
    finite = left_out[np.isfinite(left_out)]
    if finite.size == 0:
        return 0.0
    pull = finite.mean() - finite
    # A metric that no row moves by more than rounding has no skewness to correct for.
    if np.abs(pull).max() <= 1e-14 * max(1.0, float(np.abs(finite).max())):
        return 0.0
    pull = pull / np.abs(pull).max()
    return float(np.sum(pull**3) / (6.0 * np.sum(pull**2) ** 1.5))


def interval(
    value: Any,
    replicates: FloatArray,
    left_out: FloatArray | None = None,
    *,
    reason: str = "the metric is not defined on these rows",
) -> Interval:
    """Pair a metric's value with its interval: percentile, or BCa where the jackknife's values are given.

    ``reason`` is what to say if the value is not a number.

    Examples
    --------
    >>> interval(0.5, np.array([0.4, 0.6])).value
    0.5
    >>> interval(float("nan"), np.array([0.4, 0.6])).reason
    'the metric is not defined on these rows'
    """
    number = float(value)
    if not np.isfinite(number):
        return Interval(value=None, low=None, high=None, reason=reason)
    if not np.isfinite(replicates).any():
        return Interval(value=number, low=None, high=None, reason="the metric is not defined on any resample")
    bounds = percentile_interval(replicates) if left_out is None else bca_interval(number, replicates, left_out)
    if bounds is None:
        return Interval(value=number, low=None, high=None, reason="all resamples lie on one side of the value")
    return Interval(value=number, low=bounds[0], high=bounds[1])


def best_interval(
    value: Any,
    replicates: FloatArray,
    left_out: FloatArray | None = None,
    errors: tuple[float, FloatArray] | None = None,
    *,
    n_rows: int,
    reason: str = "the metric is not defined on these rows",
) -> tuple[Interval, IntervalMethod]:
    """Return a metric's value with the most accurate interval there is, and which that is.

    Studentized for a mean whose standard errors are given, on 20 rows or more (on fewer they are too uncertain
    themselves); else BCa where the jackknife's values are given; percentile where neither is defined.

    Parameters
    ----------
    errors
        The standard error of the value, and of each replicate.
    """
    found = interval(value, replicates, reason=reason)
    if found.low is None:
        return found, "percentile"
    number = float(value)
    bounds = None
    if errors is not None and n_rows >= _STUDENTIZED_ROWS:
        bounds = studentized_interval(number, errors[0], replicates, errors[1])
    if bounds is not None:
        return Interval(value=number, low=bounds[0], high=bounds[1]), "studentized"
    if left_out is not None:
        bounds = bca_interval(number, replicates, left_out)
    if bounds is not None:
        return Interval(value=number, low=bounds[0], high=bounds[1]), "bca"
    return found, "percentile"


def metric_intervals(
    metrics: ReplicateMetrics[Key],
    n_rows: int,
    *,
    seed: int,
    n_resamples: int = DEFAULT_RESAMPLES,
    strata: IntArray | None = None,
    method: Method = "bca",
) -> dict[Key, Interval]:
    """Compute each metric with its 95 % interval, from fewer resamples on very many rows (:func:`resamples_for`).

    Examples
    --------
    >>> values = np.arange(100.0)
    >>> found = metric_intervals(lambda w: {"mean": w @ values / w.sum(axis=-1)}, 100, seed=0)["mean"]
    >>> found.value, round(found.low), round(found.high)
    (49.5, 44, 55)
    """
    value = metrics(np.ones(n_rows))
    if n_rows == 1:
        return {name: _alone(number, undefined_reason(name)) for name, number in value.items()}
    n_resamples = resamples_for(n_rows, n_resamples)
    replicates = bootstrap(metrics, n_rows, seed=seed, n_resamples=n_resamples, strata=strata)
    left_out = jackknife(metrics, n_rows, seed=seed, strata=strata) if method == "bca" else {}
    return {
        name: interval(number, replicates[name], left_out.get(name), reason=undefined_reason(name))
        for name, number in value.items()
    }


def _alone(value: FloatArray, reason: str) -> Interval:
    if not np.isfinite(value):
        return Interval(value=None, low=None, high=None, reason=reason)
    return Interval(value=float(value), low=None, high=None, reason="one row has no interval")


class PairedDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of two models on the same rows: ``difference`` is candidate minus baseline, in the metric's unit.

    ``relative`` is the difference as a share of the baseline's absolute value: 0.1 is ten percent more.
    """

    baseline: float | None
    candidate: float | None
    difference: Interval
    relative: Interval


def paired_differences(
    candidate: ReplicateMetrics[Key],
    baseline: ReplicateMetrics[Key],
    n_rows: int,
    *,
    seed: int,
    n_resamples: int = DEFAULT_RESAMPLES,
    strata: IntArray | None = None,
    method: Method = "bca",
) -> dict[Key, PairedDifference]:
    """Compare two models on the same resamples, which is what makes the difference's interval narrow.

    Two intervals that overlap say nothing about the difference (Schenker & Gentleman 2001, The American
    Statistician 55); the interval of the difference does.

    Examples
    --------
    >>> error = np.arange(50.0)
    >>> worse = lambda w: {"mae": w @ (error + 1) / w.sum(axis=-1)}
    >>> better = lambda w: {"mae": w @ error / w.sum(axis=-1)}
    >>> paired_differences(better, worse, 50, seed=0)["mae"].difference.value
    -1.0
    """

    def both(weights: FloatArray) -> dict[tuple[str, Key], FloatArray]:
        before, after = baseline(weights), candidate(weights)
        found: dict[tuple[str, Key], FloatArray] = {}
        for name in after:
            old, difference = before[name], after[name] - before[name]
            found["difference", name] = difference
            scale = np.where(old == 0, np.nan, np.abs(old))
            found["relative", name] = difference / scale
        return found

    found = metric_intervals(both, n_rows, seed=seed, n_resamples=n_resamples, strata=strata, method=method)
    ones = np.ones(n_rows)
    before, after = baseline(ones), candidate(ones)
    differences = {}
    for name in after:
        relative = found["relative", name]
        if float(before[name]) == 0:
            relative = Interval(value=None, low=None, high=None, reason="the baseline's value is zero")
        differences[name] = PairedDifference(
            baseline=float(before[name]) if np.isfinite(before[name]) else None,
            candidate=float(after[name]) if np.isfinite(after[name]) else None,
            difference=found["difference", name],
            relative=relative,
        )
    return differences


class FoldSpread(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A metric over the folds of a cross-validation.

    Folds share training rows, so the fold values depend on each other, and no unbiased estimate of the variance of
    their mean exists (Bengio & Grandvalet 2004). ``std`` therefore describes the spread and is not to be divided by
    the root of the number of folds; ``corrected_error`` is the standard error of the mean with Nadeau & Bengio's
    correction, ``std * sqrt(1/k + 1/(k - 1))``.

    Parameters
    ----------
    std
        Sample standard deviation (``k - 1`` in the denominator).
    n_undefined
        Folds on which the metric is not defined, which are left out.
    reason
        Why a number is None.
    """

    mean: float | None
    std: float | None
    corrected_error: float | None
    n_folds: int
    n_undefined: int = 0
    reason: str = ""


def fold_spread(values: Sequence[float]) -> FoldSpread:
    """Describe a metric's spread over folds.

    Examples
    --------
    >>> fold_spread([1.0, 2.0, 3.0]).std
    1.0
    >>> fold_spread([0.7]).reason
    'one fold has no spread'
    """
    numbers = np.asarray(values, dtype=np.float64)
    finite = numbers[np.isfinite(numbers)]
    n_undefined = int(numbers.size - finite.size)
    if finite.size < 2:
        return FoldSpread(
            mean=float(finite[0]) if finite.size else None,
            std=None,
            corrected_error=None,
            n_folds=int(numbers.size),
            n_undefined=n_undefined,
            reason="one fold has no spread" if finite.size else "the metric is not defined on any fold",
        )
    std = float(finite.std(ddof=1))
    return FoldSpread(
        mean=float(finite.mean()),
        std=std,
        corrected_error=std * float(np.sqrt(1.0 / finite.size + 1.0 / (finite.size - 1))),
        n_folds=int(numbers.size),
        n_undefined=n_undefined,
    )
