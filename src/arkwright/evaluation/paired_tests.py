"""Paired tests: do two models differ on the same rows, and how sure is that when several metrics are tested.

References
----------
Benjamini & Hochberg (1995), "Controlling the False Discovery Rate", JRSS B 57; Benjamini & Yekutieli (2001), Annals of
Statistics 29: that it holds under positive dependence.
Davison & Hinkley (1997), "Bootstrap Methods and their Application", sections 4.2 and 4.4: p-values from resamples.
DeLong, DeLong & Clarke-Pearson (1988), "Comparing the Areas under Two or More Correlated ROC Curves", Biometrics 44.
Diebold & Mariano (1995), "Comparing Predictive Accuracy", J. of Business & Economic Statistics 13.
Edwards (1948), "Note on the correction for continuity in testing the significance of the difference between correlated
proportions", Psychometrika 13.
Harvey, Leybourne & Newbold (1997), "Testing the equality of prediction mean squared errors", IJF 13.
Holm (1979), "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian J. of Statistics 6.
McNemar (1947), "Note on the sampling error of the difference between correlated proportions", Psychometrika 12.
Sun & Xu (2014), "Fast Implementation of DeLong's Algorithm", IEEE Signal Processing Letters 21: from ranks, not pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb, erfc, sqrt
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.evaluation.metric import FloatArray, require_finite

EXACT_BELOW = 25
_SAME = 1e-12


class DeLongTest(msgspec.Struct, frozen=True, kw_only=True):
    """Areas of both models, ``difference`` = candidate - baseline, its standard error, z and two-sided p."""

    baseline: float
    candidate: float
    difference: float
    standard_error: float
    z: float | None
    p_value: float | None
    reason: str = ""


class McNemarTest(msgspec.Struct, frozen=True, kw_only=True):
    """Rows only one model got right; ``statistic`` is chi-squared with one degree of freedom, None where exact."""

    only_baseline: int
    only_candidate: int
    exact: bool
    statistic: float | None
    p_value: float


class DieboldMarianoTest(msgspec.Struct, frozen=True, kw_only=True):
    """``mean_difference`` = mean loss of the baseline less that of the candidate: above zero, the candidate is better.

    ``kernel`` names the weights of the autocovariances: ``rectangular`` as published, ``bartlett`` where that variance
    is not positive.
    """

    mean_difference: float
    statistic: float | None
    p_value: float | None
    n_steps: int
    horizon: int
    kernel: Literal["rectangular", "bartlett"]
    reason: str = ""


def delong_test(positive: npt.NDArray[np.bool_], baseline: FloatArray, candidate: FloatArray) -> DeLongTest:
    """Test whether two scores of the same rows have the same area under the ROC curve.

    Parameters
    ----------
    positive, baseline, candidate
        Shape ``(n,)``; any real scores, higher for positive.

    Raises
    ------
    Invalid
        If there are fewer than two positive or two negative rows: the variance then has no estimate.

    Examples
    --------
    >>> positive = np.array([True, True, True, False, False, False])
    >>> found = delong_test(positive, np.array([3., 1., 5., 2., 4., 0.]), np.array([5., 3., 4., 2., 1., 3.]))
    >>> round(found.baseline, 3), round(found.candidate, 3), round(found.p_value, 3)
    (0.667, 0.944, 0.327)
    """
    hits = np.asarray(positive, dtype=bool)
    n_positive = int(hits.sum())
    n_negative = hits.size - n_positive
    if min(n_positive, n_negative) < 2:
        raise Invalid(
            f"There are {n_positive} positive and {n_negative} negative rows; DeLong's test needs two of each.",
            code="evaluation.too_few_rows",
            hint="Compare the models on more rows.",
        )
    of_positive, of_negative = zip(
        *(_structural_components(np.asarray(score)[hits], np.asarray(score)[~hits]) for score in (baseline, candidate)),
        strict=True,
    )
    areas = [float(values.mean()) for values in of_positive]
    variance = _variance_of_difference(of_positive) / n_positive + _variance_of_difference(of_negative) / n_negative
    difference, error = areas[1] - areas[0], sqrt(variance)
    z: float | None = None
    p_value: float | None = None
    reason = ""
    if error > _SAME:
        z = difference / error
        p_value = _two_sided(z)
    elif abs(difference) <= _SAME:
        z, p_value = 0.0, 1.0
    else:
        reason = "both areas have no variance, so that no normal test applies"
    return DeLongTest(
        baseline=areas[0],
        candidate=areas[1],
        difference=difference,
        standard_error=error,
        z=z,
        p_value=p_value,
        reason=reason,
    )


def mcnemar_test(baseline_right: npt.NDArray[np.bool_], candidate_right: npt.NDArray[np.bool_]) -> McNemarTest:
    """Test whether two models are right equally often on the same rows.

    Below 25 rows that only one of the two got right the p-value is exact (binomial, two-sided), else chi-squared with
    Edwards' continuity correction.

    Examples
    --------
    >>> baseline_right = np.array([True] * 6 + [False] * 16)
    >>> round(mcnemar_test(baseline_right, ~baseline_right).p_value, 4)
    0.0525
    """
    only_baseline = int(np.count_nonzero(baseline_right & ~candidate_right))
    only_candidate = int(np.count_nonzero(candidate_right & ~baseline_right))
    total = only_baseline + only_candidate
    if total < EXACT_BELOW:
        tail = sum(comb(total, k) for k in range(min(only_baseline, only_candidate) + 1)) / 2**total
        return McNemarTest(
            only_baseline=only_baseline,
            only_candidate=only_candidate,
            exact=True,
            statistic=None,
            p_value=min(1.0, 2.0 * tail),
        )
    statistic = max(0, abs(only_baseline - only_candidate) - 1) ** 2 / total
    return McNemarTest(
        only_baseline=only_baseline,
        only_candidate=only_candidate,
        exact=False,
        statistic=statistic,
        # Chi-squared with one degree of freedom is a squared normal.
        p_value=_two_sided(sqrt(statistic)),
    )


def diebold_mariano_test(
    baseline_loss: FloatArray, candidate_loss: FloatArray, *, horizon: int = 1
) -> DieboldMarianoTest:
    """Test whether two forecasts have the same expected loss.

    Parameters
    ----------
    baseline_loss, candidate_loss
        Loss of each step, oldest first, shape ``(n_steps,)``.
    horizon
        Steps ahead; a forecast ``h`` steps ahead has errors that depend on each other over ``h - 1`` steps.

    Raises
    ------
    Invalid
        If the lengths differ, a loss is not finite, or the horizon is not between 1 and the number of steps.

    Examples
    --------
    >>> found = diebold_mariano_test(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 1.0, 1.0, 1.0]))
    >>> round(found.statistic, 4), round(found.p_value, 4)
    (2.3238, 0.1027)
    """
    require_finite("baseline_loss", baseline_loss)
    require_finite("candidate_loss", candidate_loss)
    if baseline_loss.shape != candidate_loss.shape or not 1 <= horizon <= max(1, baseline_loss.size):
        raise Invalid(
            f"{baseline_loss.size} and {candidate_loss.size} losses cannot be compared {horizon} steps ahead.",
            code="evaluation.diebold_mariano",
            hint="Pass one loss for each step of both forecasts, and a horizon from 1 to the number of steps.",
        )
    n_steps = baseline_loss.size
    difference = baseline_loss - candidate_loss
    mean = float(difference.mean()) if n_steps else 0.0

    def answer(
        statistic: float | None, p_value: float | None, reason: str = "", *, bartlett: bool = False
    ) -> DieboldMarianoTest:
        return DieboldMarianoTest(
            mean_difference=mean,
            statistic=statistic,
            p_value=p_value,
            n_steps=n_steps,
            horizon=horizon,
            kernel="bartlett" if bartlett else "rectangular",
            reason=reason,
        )

    if n_steps < 2:
        return answer(None, None, "fewer than two steps")
    centred = difference - mean
    covariances = np.array([centred[lag:] @ centred[: n_steps - lag] / n_steps for lag in range(horizon)])
    if covariances[0] <= _SAME * max(1e-300, float(np.square(difference).mean())):
        return answer(0.0, 1.0) if mean == 0 else answer(None, None, "the difference is the same in every step")
    lags = np.arange(1, horizon)
    variance = float(covariances[0] + 2 * covariances[1:].sum()) / n_steps
    if bartlett := variance <= 0:
        variance = float(covariances[0] + 2 * ((1 - lags / horizon) * covariances[1:]).sum()) / n_steps
    correction = (n_steps + 1 - 2 * horizon + horizon * (horizon - 1) / n_steps) / n_steps
    if variance <= 0 or correction <= 0:
        return answer(None, None, "there are too few steps for this horizon", bartlett=bartlett)
    statistic = mean / sqrt(variance) * sqrt(correction)
    return answer(statistic, _two_sided_t(statistic, n_steps - 1), bartlett=bartlett)


def holm_adjusted(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    r"""Adjust p-values so that, with all of them below alpha called significant, one false call has probability alpha.

    With the p-values in ascending order, :math:`\tilde p_{(i)} = \max_{j \le i} \min(1, (k - j + 1)\, p_{(j)})`,
    whatever the dependence between the tests. What is None stays None and does not count as a test.

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6(2), 1979.

    Examples
    --------
    >>> holm_adjusted([0.01, 0.04, None, 0.03])
    (0.03, 0.06, None, 0.06)
    """
    known = sorted((value, index) for index, value in enumerate(p_values) if value is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    so_far = 0.0
    for rank, (value, index) in enumerate(known):
        so_far = min(1.0, max(so_far, (len(known) - rank) * value))
        adjusted[index] = so_far
    return tuple(adjusted)


def false_discovery_adjusted(p_values: FloatArray) -> FloatArray:
    """Correct p-values for how many there are: those up to alpha have a false discovery rate of at most alpha.

    Examples
    --------
    >>> false_discovery_adjusted(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.04, 0.04])
    """
    count = p_values.size
    order = np.argsort(p_values, kind="stable")
    stepped = np.minimum.accumulate((p_values[order] * count / np.arange(1, count + 1))[::-1])[::-1]
    adjusted = np.empty(count, dtype=np.float64)
    adjusted[order] = stepped
    return adjusted


def bootstrap_p_value(differences: FloatArray) -> float | None:
    """Return the two-sided p-value of "no difference" from bootstrap replicates of a difference.

    Twice the smaller share of replicates on one side of zero, one added to count and total: the level at which the
    percentile interval would first touch zero. None without a finite replicate.

    Examples
    --------
    >>> bootstrap_p_value(np.arange(1.0, 100.0))
    0.02
    """
    finite = differences[np.isfinite(differences)]
    if finite.size == 0:
        return None
    smaller = min(np.count_nonzero(finite <= 0), np.count_nonzero(finite >= 0))
    return float(min(1.0, 2.0 * (smaller + 1) / (finite.size + 1)))


def midranks(score: FloatArray) -> FloatArray:
    """Return the rank of each score as a share of the rows; equal scores share the middle of their ranks.

    Examples
    --------
    >>> midranks(np.array([3.0, 1.0, 3.0]))
    array([0.66666667, 0.16666667, 0.66666667])
    """
    ordered = np.sort(score)
    below, not_above = (np.searchsorted(ordered, score, side=side) for side in ("left", "right"))
    return np.asarray((below + not_above) / (2 * score.size), dtype=np.float64)


def _structural_components(positive: FloatArray, negative: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share of rows of the other class each row ranks above (positives) or below (negatives), ties counting half."""

    def beaten(score: FloatArray, other: FloatArray) -> FloatArray:
        ordered = np.sort(other)
        below, not_above = (np.searchsorted(ordered, score, side=side) for side in ("left", "right"))
        return np.asarray((below + not_above) / (2 * other.size), dtype=np.float64)

    return beaten(positive, negative), 1.0 - beaten(negative, positive)


def _variance_of_difference(components: Sequence[FloatArray]) -> float:
    return float(np.var(components[1] - components[0], ddof=1))


def _two_sided(z: float) -> float:
    return erfc(abs(z) / sqrt(2.0))


def _two_sided_t(statistic: float, degrees: int) -> float:
    from scipy.special import stdtr  # noqa: PLC0415  scipy is slow to import

    return float(min(1.0, 2.0 * stdtr(degrees, -abs(statistic))))
