"""What chance alone gives groups that are alike: which are miscalibrated, and which differ in a rate, beyond it.

The expected calibration error (ECE) of a small group is large even where every score is right: it adds up the sizes of
ten noisy gaps. So a group's ECE is set against the ECE that groups of these sizes and scores show when their outcomes
are drawn from the scores themselves, and all groups of a column are looked at together: one stands out if its excess,
in standard deviations, is above the 95th percentile of the *largest* such excess over all groups.

Rates (of selection, of true positives) are treated in the same way: the difference of two groups, divided by its
standard error under one common rate, is set against the largest such difference over all pairs when the hits of all
groups are drawn at one rate. A bootstrap would not do: a group in which nobody is selected has no spread of its own.

Hits of a bin are drawn as a binomial with the bin's mean score. The scores of a bin differ, so that the true spread is
a little smaller (Hoeffding 1956): chance is given a little more room than it has, never less. Weighted rows count as
their effective number (Kish).

References
----------
Agresti & Caffo (2000), "Simple and Effective Confidence Intervals for Proportions and Differences of Proportions",
American Statistician 54.
Bröcker & Smith (2007), "Increasing the Reliability of Reliability Diagrams", Weather and Forecasting 22: consistency
resampling.
Hoeffding (1956), "On the Distribution of the Number of Successes in Independent Trials", Annals of Mathematical
Statistics 27: a sum of unequal trials is spread less than the binomial with the same mean.
Kish (1965), "Survey Sampling", section 11.7: ``(sum w)**2 / sum w**2`` rows.
Fleiss, Levin & Paik (2003), "Statistical Methods for Rates and Proportions", section 3.1: two rates compared with the
standard error under their common rate.
Westfall & Young (1993), "Resampling-Based Multiple Testing", chapter 2: the max-T adjustment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from arkwright.evaluation.calibration import DEFAULT_BINS
from arkwright.evaluation.groups import Groups
from arkwright.evaluation.metric import FloatArray, IntArray

_BLOCK_CELLS = 2_000_000
_ROUNDING = 1e-6
_MIN_DRAWS = 1_000


def errors_by_chance(
    score: FloatArray, groups: Groups, *, weights: FloatArray, seed: int, n_draws: int, n_bins: int = DEFAULT_BINS
) -> FloatArray:
    """Draw the ECE of each group under perfect calibration; NaN without weight.

    Parameters
    ----------
    score
        Probability of the outcome, in [0, 1], shape ``(n_rows,)``.
    weights
        How much each row counts, shape ``(n_rows,)``; their scale does not matter.
    n_draws
        At least 1,000 are drawn: they are cheap, and a percentile of a maximum needs them.

    Returns
    -------
    FloatArray
        Shape ``(n_draws, n_groups)``.

    Examples
    --------
    >>> groups = Groups(labels=("all",), codes=np.zeros(40, dtype=np.int64))
    >>> drawn = errors_by_chance(np.full(40, 0.5), groups, weights=np.ones(40), seed=0, n_draws=500)
    >>> round(float(drawn.mean()), 2)
    0.06
    """
    # Groups are drawn in the order of their first rows and not of their names, as the bootstrap does.
    place = groups.place()
    n_groups = len(groups.labels)
    cells = place[groups.codes] * n_bins + np.minimum((score * n_bins).astype(np.int64), n_bins - 1)
    total, scored, squared = (
        np.bincount(cells, weights=values, minlength=n_groups * n_bins).astype(np.float64)
        for values in (weights, weights * score, weights**2)
    )
    used = np.flatnonzero(total > 0)
    total, mean = total[used], np.clip(scored[used] / total[used], 0.0, 1.0)
    trials = _effective(total, squared[used])
    member = np.zeros((used.size, n_groups))
    member[np.arange(used.size), used // n_bins] = 1.0
    weight = total @ member
    n_draws = max(n_draws, _MIN_DRAWS)
    # A stream of its own, so that these draws are not the bootstrap's.
    rng = np.random.default_rng((seed, 2))
    block = max(1, _BLOCK_CELLS // used.size)
    drawn = []
    for first in range(0, n_draws, block):
        hits = rng.binomial(trials, mean, size=(min(block, n_draws - first), used.size))
        gaps = (np.abs(hits / trials - mean) * total) @ member
        drawn.append(np.divide(gaps, weight, out=np.full_like(gaps, np.nan), where=weight > 0))
    return np.concatenate(drawn)[:, place]


@dataclass(frozen=True, slots=True)
class Excess:
    """How far each group's ECE is above what chance gives.

    Parameters
    ----------
    expected
        Mean ECE of the group when calibrated.
    in_deviations
        ``(ece - expected) / standard deviation``.
    beyond_chance
        Whether that is above the percentile of the largest over all groups.
    corrected
        ``sqrt(ece**2 - expected**2)``, or 0: the ECE without what noise adds. For a normal gap the squared mean size
        is about the squared gap plus the squared mean size without one.
    """

    expected: FloatArray
    in_deviations: FloatArray
    beyond_chance: npt.NDArray[np.bool_]
    corrected: FloatArray


def excess(values: FloatArray, drawn: FloatArray, *, level: float) -> Excess:
    """Set the ECE of groups, shape ``(n_groups,)``, against draws of :func:`errors_by_chance`, a column each."""
    expected, spread = drawn.mean(axis=0), drawn.std(axis=0)
    over = np.maximum(values - expected, 0.0)
    # A score of 0 or 1 leaves nothing to chance: any error is then beyond it.
    in_deviations = np.divide(over, spread, out=np.where(over > _ROUNDING, np.inf, 0.0), where=spread > 0)
    largest = np.divide(drawn - expected, spread, out=np.zeros_like(drawn), where=spread > 0).max(axis=1)
    critical = _exceeded_by_chance(largest, level)
    return Excess(
        expected=expected,
        in_deviations=in_deviations,
        beyond_chance=in_deviations > max(critical, 0.0),
        corrected=np.sqrt(np.maximum(values**2 - expected**2, 0.0)),
    )


@dataclass(frozen=True, slots=True)
class Pairs:
    """Every pair of groups, ``one`` before ``other``.

    Parameters
    ----------
    in_errors
        Size of the difference over its standard error if there is none.
    error
        Standard error of the difference as it was found.
    critical
        What the largest of them exceeds by chance, at the level asked for.
    """

    one: IntArray
    other: IntArray
    in_errors: FloatArray
    error: FloatArray
    critical: float


def effective_cases(weights: FloatArray, groups: Groups, counted: npt.NDArray[np.bool_] | None = None) -> IntArray:
    """Count the rows of each group, or those ``counted``; weighted ones by their effective number.

    Examples
    --------
    >>> groups = Groups(labels=("f", "m"), codes=np.array([0, 0, 1]))
    >>> effective_cases(np.array([2.0, 2.0, 1.0]), groups).tolist()
    [2, 1]
    """
    kept = weights if counted is None else weights * counted
    total, squared = (
        np.bincount(groups.codes, weights=values, minlength=len(groups.labels)).astype(np.float64)
        for values in (kept, kept**2)
    )
    return _effective(total, squared)


def compare_rates(rate: FloatArray, cases: IntArray, *, level: float, seed: int, n_draws: int) -> Pairs:
    """Compare each pair of rates with what one common rate would give.

    Parameters
    ----------
    rate, cases
        Share of hits, and of how many, both of shape ``(n_groups,)``; at least one case in each group.

    Examples
    --------
    >>> found = compare_rates(np.array([0.1, 0.5]), np.array([100, 100]), level=0.95, seed=0, n_draws=1000)
    >>> round(float(found.in_errors[0]), 1), 1.8 < found.critical < 2.2
    (6.2, True)
    """
    one, other = np.triu_indices(rate.size, k=1)
    common = float(np.clip(rate @ cases / cases.sum(), 0.0, 1.0))
    rng = np.random.default_rng((seed, 3))
    n_draws, block = max(n_draws, _MIN_DRAWS), max(1, _BLOCK_CELLS // one.size)
    largest = []
    for first in range(0, n_draws, block):
        drawn = rng.binomial(cases, common, size=(min(block, n_draws - first), cases.size)) / cases
        largest.append(_in_errors(drawn, cases, one, other).max(axis=-1))
    critical = _exceeded_by_chance(np.concatenate(largest), level)
    # One hit and one miss are added to each group: no hits at all are no certainty (Agresti & Caffo 2000).
    shrunk = (rate * cases + 1.0) / (cases + 2.0)
    variance = shrunk * (1.0 - shrunk) / (cases + 2.0)
    error = np.sqrt(variance[one] + variance[other])
    return Pairs(one, other, _in_errors(rate, cases, one, other), error, critical)


def _exceeded_by_chance(largest: FloatArray, level: float) -> float:
    # Rates of few rows take few values: the same one, rounded otherwise, must not count as larger.
    return float(np.percentile(largest, 100.0 * level, method="higher")) * (1.0 + _ROUNDING)


def _in_errors(rate: FloatArray, cases: IntArray, one: IntArray, other: IntArray) -> FloatArray:
    hits = rate * cases
    pooled = (hits[..., one] + hits[..., other]) / (cases[one] + cases[other])
    error = np.sqrt(np.maximum(pooled * (1.0 - pooled), 0.0) * (1.0 / cases[one] + 1.0 / cases[other]))
    gap = np.abs(rate[..., one] - rate[..., other])
    return np.divide(gap, error, out=np.zeros_like(gap), where=(error > 0) & (gap > 0))


def _effective(total: FloatArray, squared: FloatArray) -> IntArray:
    number = np.divide(total**2, squared, out=np.zeros_like(total), where=squared > 0)
    return np.floor(number + _ROUNDING).astype(np.int64)
