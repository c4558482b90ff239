"""From which score on a row is called positive: by cost, or by a target.

A row is positive when its score is **at or above** the threshold. Every distinct score is tried, and one threshold
above them all that calls nobody positive; a second one that lies between the same two scores would call the same rows.

The best threshold of a sample flatters itself: with calibrated scores and equal costs, where one half is best, some
other threshold nearly always looks cheaper. So the choice comes with its bootstrap interval, and the expected cost
comes a second time, cross-fitted: on folds the threshold was not chosen on. Only that second figure says what the
choice is worth; everything else about the chosen threshold is of the rows that chose it.

References
----------
Elkan (2001), "The Foundations of Cost-Sensitive Learning", IJCAI, section 2: the threshold of calibrated scores.
Youden (1950), "Index for rating diagnostic tests", Cancer 3.
Lipton, Elkan & Naryanaswamy (2014), "Optimal Thresholding of Classifiers to Maximize F1 Measure", ECML: why the best
threshold for F1 is half the best F1, and below one half.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.evaluation.calibration import checked_binary
from arkwright.evaluation.intervals import (
    DEFAULT_RESAMPLES,
    Interval,
    bootstrap,
    interval,
    percentile_interval,
    resamples_for,
)
from arkwright.evaluation.metric import FloatArray, IntArray, ratio, row_weights

Objective = Literal["cost", "precision", "recall", "selection_rate", "youden", "f1"]

CURVE_POINTS = 201
USUAL = 0.5
_FOLDS = 5
_RESAMPLED_THRESHOLDS = 500
_NEEDS_TARGET: frozenset[str] = frozenset({"precision", "recall", "selection_rate"})
_TOLERANCE = 1e-12
_ONE_CLASS = "all rows are of one class"
_NOT_RECORDED = Interval(value=None, low=None, high=None, reason="it was not recorded")


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What each outcome costs for one row, all in one unit.

    Parameters
    ----------
    false_positive, false_negative
        Costs, at least 0.
    true_positive_benefit, true_negative_benefit
        Subtracted from the cost, at least 0.
    """

    false_positive: float = 1.0
    false_negative: float = 1.0
    true_positive_benefit: float = 0.0
    true_negative_benefit: float = 0.0


class ThresholdPoint(msgspec.Struct, frozen=True, kw_only=True):
    """What one threshold does. None where it is not defined: precision of nobody, recall without positives.

    ``expected_cost`` is for one row, in the unit of the costs.
    """

    threshold: float
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    precision: float | None
    recall: float | None
    specificity: float | None
    selection_rate: float
    f1: float
    youden: float | None
    expected_cost: float


class ThresholdChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The chosen threshold, what it does, and how it differs from one half.

    Parameters
    ----------
    threshold
        The choice with its bootstrap interval, which looks at no more than 500 of the distinct scores.
    met
        Whether a threshold reaches the target; without a target, whether the objective is defined. If it does not, the
        threshold that comes nearest was chosen, and ``detail`` says so.
    distance
        Threshold minus one half.
    expected_cost
        At the chosen threshold, of one row; the interval holds the threshold fixed.
    chosen
        Precision, recall and all else at the chosen threshold, on the rows that chose it: a little too good.
    cost_saved
        Expected cost at one half minus that at the chosen threshold, paired, on the rows that chose it.
    cross_fitted_cost
        Expected cost with the threshold chosen on the other folds; None, and why in ``cross_fitted_reason``, where a
        class has fewer than two rows.
    cross_fitted_saved
        Expected cost at one half minus the cross-fitted one, paired; above zero where choosing is worth it. The
        interval holds the folds' thresholds fixed.
    theoretical
        Elkan's threshold for these costs, right if the scores are calibrated; None if calling nobody, or everybody,
        positive is always cheapest.
    curve
        At most 202 points from low to high threshold, the chosen one among them.
    """

    objective: Objective
    target: float | None
    costs: Costs
    threshold: Interval
    met: bool
    detail: str
    distance: float
    chosen: ThresholdPoint
    at_half: ThresholdPoint
    expected_cost: Interval
    cost_saved: Interval
    cross_fitted_cost: float | None
    cross_fitted_reason: str
    theoretical: float | None
    curve: tuple[ThresholdPoint, ...]
    n_rows: int
    cross_fitted_saved: Interval = _NOT_RECORDED


def theoretical_threshold(costs: Costs) -> float | None:
    """Return the probability from which calling a row positive is the cheaper choice.

    ``(C(1,0) - C(0,0)) / (C(1,0) - C(0,0) + C(0,1) - C(1,1))`` (Elkan 2001, equation 2), with C(called, true).
    None where the two right calls are not cheaper than the wrong ones, so that one call is always best.

    Examples
    --------
    >>> theoretical_threshold(Costs(false_positive=1.0, false_negative=4.0))
    0.2
    """
    call_negative = costs.false_positive + costs.true_negative_benefit
    call_positive = costs.false_negative + costs.true_positive_benefit
    if call_negative <= 0 or call_positive <= 0:
        return None
    return call_negative / (call_negative + call_positive)


def choose_threshold(
    truth: npt.NDArray[Any],
    score: npt.NDArray[Any],
    objective: Objective = "cost",
    *,
    seed: int,
    costs: Costs | None = None,
    target: float | None = None,
    n_resamples: int = DEFAULT_RESAMPLES,
) -> ThresholdChoice:
    """Choose the threshold that serves an objective.

    Parameters
    ----------
    truth, score
        0 or 1, and P(positive), each of shape ``(n,)``.
    objective
        ``cost``: the least expected cost. ``precision``: at least ``target``, then the most recall. ``recall``: at
        least ``target``, then the most precision. ``selection_rate``: as many rows as possible, at most the share
        ``target``. ``youden``: the largest recall + specificity - 1. ``f1``: the largest F1. Ties go to the threshold
        nearest one half.
    costs
        One each for a false positive and a false negative by default; every objective reports the expected cost.
    target
        In [0, 1]; for the three objectives that need one.

    Raises
    ------
    Invalid
        If the rows are unusable, a target is missing, superfluous or outside [0, 1], or a cost is negative.

    Examples
    --------
    >>> truth, score = np.array([0, 0, 1, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.9])
    >>> choose_threshold(truth, score, costs=Costs(false_negative=10.0), seed=0).threshold.value
    0.3
    """
    outcome, given = checked_binary(truth, score)
    costs = costs or Costs()
    _check(objective, target, costs)
    # Sorted once, so that no resample has to be.
    order = np.argsort(-given, kind="stable")
    outcome, given = outcome[order], given[order]
    sweep = _Sweep(outcome, given)
    value, met = _choose(sweep, sweep.counts(None), objective, target, costs)
    threshold = float(sweep.thresholds[int(value)])
    chosen, at_half = (_points(outcome, given, np.array([level]), costs)[0] for level in (threshold, USUAL))

    row_cost, usual_cost = (_row_costs(outcome, given >= level, costs) for level in (threshold, USUAL))
    saved = usual_cost - row_cost
    cross_fitted = _cross_fitted_costs(outcome, given, objective, target, costs, seed)
    # Without folds the cost at one half stands in, and what comes of it is not reported.
    truly_saved = usual_cost - (usual_cost if cross_fitted is None else cross_fitted)
    coarse = _Sweep(outcome, given, most=_RESAMPLED_THRESHOLDS)
    replicates = bootstrap(
        lambda weights: {
            "threshold": coarse.thresholds[_choose(coarse, coarse.counts(weights), objective, target, costs)[0]],
            "cost": weights @ row_cost / outcome.size,
            "saved": weights @ saved / outcome.size,
            "truly saved": weights @ truly_saved / outcome.size,
        },
        outcome.size,
        seed=seed,
        n_resamples=resamples_for(outcome.size, n_resamples),
    )
    bounds = percentile_interval(replicates["threshold"]) or (threshold, threshold)
    too_few = "a class has fewer than two rows"
    return ThresholdChoice(
        objective=objective,
        target=target,
        costs=costs,
        threshold=Interval(value=threshold, low=bounds[0], high=bounds[1]),
        met=bool(met),
        detail=_detail(objective, target, chosen, met=bool(met), one_class=outcome.min() == outcome.max()),
        distance=threshold - USUAL,
        chosen=chosen,
        at_half=at_half,
        expected_cost=interval(row_cost.mean(), replicates["cost"]),
        cost_saved=interval(saved.mean(), replicates["saved"]),
        cross_fitted_cost=None if cross_fitted is None else float(cross_fitted.mean()),
        cross_fitted_reason="" if cross_fitted is not None else too_few,
        theoretical=theoretical_threshold(costs),
        curve=_points(outcome, given, _thinned(sweep.thresholds, threshold), costs),
        n_rows=int(outcome.size),
        cross_fitted_saved=interval(truly_saved.mean(), replicates["truly saved"])
        if cross_fitted is not None
        else Interval(value=None, low=None, high=None, reason=too_few),
    )


def threshold_curve(
    truth: npt.NDArray[Any], score: npt.NDArray[Any], *, costs: Costs | None = None
) -> tuple[ThresholdPoint, ...]:
    """Return what thresholds from low to high do, at most 201 of them.

    Raises
    ------
    Invalid
        If the rows or the costs are unusable.

    Examples
    --------
    >>> [point.recall for point in threshold_curve(np.array([0, 1]), np.array([0.2, 0.8]))]
    [1.0, 1.0, 0.0]
    """
    outcome, given = checked_binary(truth, score)
    costs = costs or Costs()
    _check("cost", None, costs)
    return _points(outcome, given, _thinned(_Sweep(outcome, given).thresholds, None), costs)


class _Counts(msgspec.Struct, frozen=True):
    """Weighted rows at each threshold, shape ``(..., n_thresholds)``, and in all, shape ``(..., 1)``."""

    hits: FloatArray
    false_alarms: FloatArray
    positives: FloatArray
    negatives: FloatArray


class _Sweep:
    """The thresholds of a sample, from the highest (nobody is positive) to the lowest (everybody is).

    With ``most``, only so many of the distinct scores, evenly spread over the rows.
    """

    def __init__(self, outcome: FloatArray, score: FloatArray, most: int | None = None) -> None:
        self._order = np.argsort(-score, kind="stable")
        self._sorted = np.array_equal(self._order, np.arange(score.size))
        ordered = score[self._order]
        ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        if most is not None and ends.size > most:
            ends = ends[np.unique(np.linspace(0, ends.size - 1, most).round().astype(np.int64))]
        self._starts = np.concatenate(([0], ends[:-1] + 1))
        self._positive = outcome[self._order]
        self._n_rows = score.size
        above_all = np.nextafter(ordered[0], np.inf)
        self.thresholds: FloatArray = np.concatenate(([above_all], ordered[ends]))

    def counts(self, weights: FloatArray | None) -> _Counts:
        weight = row_weights(self._n_rows, weights)
        if not self._sorted:
            weight = weight[..., self._order]
        nobody = np.zeros((*weight.shape[:-1], 1))

        def running(values: FloatArray) -> FloatArray:
            sums = np.cumsum(np.add.reduceat(values, self._starts, axis=-1), axis=-1)
            return np.concatenate((nobody, sums), axis=-1)

        hits, called = running(weight * self._positive), running(weight)
        false_alarms = called - hits
        return _Counts(hits, false_alarms, hits[..., -1:], false_alarms[..., -1:])


def _choose(
    sweep: _Sweep, counts: _Counts, objective: Objective, target: float | None, costs: Costs
) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Return the index of the best threshold, and whether it meets the objective, for each leading index."""
    n_rows = counts.positives + counts.negatives
    called = counts.hits + counts.false_alarms
    precision = ratio(counts.hits, called, empty=0.0)
    recall = ratio(counts.hits, counts.positives, empty=0.0)
    both = np.asarray(((counts.positives > 0) & (counts.negatives > 0))[..., 0], dtype=np.bool_)
    if objective == "cost":
        return _best(sweep, -_total_cost(counts, costs) / n_rows), np.ones_like(both)
    if objective == "youden":
        return _best(sweep, recall - ratio(counts.false_alarms, counts.negatives, empty=0.0)), both
    if objective == "f1":
        return _best(sweep, ratio(2 * counts.hits, called + counts.positives, empty=0.0)), both
    if objective == "selection_rate":
        share = called / n_rows
        return _constrained(sweep, share <= (target or 0.0) + _TOLERANCE, share, -share)
    reached, other = (precision, recall) if objective == "precision" else (recall, precision)
    usable = (reached >= (target or 0.0) - _TOLERANCE) & (called > 0)
    index, met = _constrained(sweep, usable, other, reached)
    return index, met & both


def _constrained(
    sweep: _Sweep, usable: npt.NDArray[np.bool_], value: FloatArray, otherwise: FloatArray
) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    met = np.asarray(usable.any(axis=-1), dtype=np.bool_)
    objective = np.where(met[..., None], np.where(usable, value, -np.inf), otherwise)
    return _best(sweep, objective), met


def _best(sweep: _Sweep, value: FloatArray) -> IntArray:
    """Index of the largest value; of those equal up to rounding, the threshold nearest one half, then the highest."""
    top = value.max(axis=-1, keepdims=True)
    distance = np.where(value >= top - _TOLERANCE, np.abs(sweep.thresholds - USUAL), np.inf)
    return np.asarray(np.argmin(distance, axis=-1), dtype=np.int64)


def _total_cost(counts: _Counts, costs: Costs) -> FloatArray:
    return np.asarray(
        counts.false_alarms * costs.false_positive
        + (counts.positives - counts.hits) * costs.false_negative
        - counts.hits * costs.true_positive_benefit
        - (counts.negatives - counts.false_alarms) * costs.true_negative_benefit,
        dtype=np.float64,
    )


def _row_costs(outcome: FloatArray, called: npt.NDArray[np.bool_], costs: Costs) -> FloatArray:
    when_positive = np.where(called, -costs.true_positive_benefit, costs.false_negative)
    when_negative = np.where(called, costs.false_positive, -costs.true_negative_benefit)
    return np.asarray(np.where(outcome == 1, when_positive, when_negative), dtype=np.float64)


def _cross_fitted_costs(
    outcome: FloatArray, score: FloatArray, objective: Objective, target: float | None, costs: Costs, seed: int
) -> FloatArray | None:
    """Return each row's cost at the threshold that the other folds chose; None with too few rows of a class."""
    smallest = int(min(outcome.sum(), outcome.size - outcome.sum()))
    n_folds = min(_FOLDS, smallest)
    if n_folds < 2:
        return None
    rng = np.random.default_rng((seed, 1))
    fold = np.empty(outcome.size, dtype=np.int64)
    for value in (0.0, 1.0):
        rows = rng.permutation(np.flatnonzero(outcome == value))
        fold[rows] = np.arange(rows.size) % n_folds
    cost = np.empty(outcome.size)
    for held in range(n_folds):
        seen = fold != held
        sweep = _Sweep(outcome[seen], score[seen])
        index, _ = _choose(sweep, sweep.counts(None), objective, target, costs)
        cost[~seen] = _row_costs(outcome[~seen], score[~seen] >= sweep.thresholds[int(index)], costs)
    return cost


def _points(outcome: FloatArray, score: FloatArray, thresholds: FloatArray, costs: Costs) -> tuple[ThresholdPoint, ...]:
    positive, negative = np.sort(score[outcome == 1]), np.sort(score[outcome == 0])
    points = []
    for threshold in thresholds.tolist():
        hits = positive.size - int(np.searchsorted(positive, threshold, side="left"))
        alarms = negative.size - int(np.searchsorted(negative, threshold, side="left"))
        missed, left = positive.size - hits, negative.size - alarms
        recall = hits / positive.size if positive.size else None
        specificity = left / negative.size if negative.size else None
        cost = (
            alarms * costs.false_positive
            + missed * costs.false_negative
            - hits * costs.true_positive_benefit
            - left * costs.true_negative_benefit
        )
        points.append(
            ThresholdPoint(
                threshold=threshold,
                true_positives=hits,
                false_positives=alarms,
                true_negatives=left,
                false_negatives=missed,
                precision=hits / (hits + alarms) if hits + alarms else None,
                recall=recall,
                specificity=specificity,
                selection_rate=(hits + alarms) / score.size,
                f1=2 * hits / (hits + alarms + positive.size) if hits + alarms + positive.size else 0.0,
                youden=None if recall is None or specificity is None else recall + specificity - 1.0,
                expected_cost=cost / score.size,
            )
        )
    return tuple(points)


def _thinned(thresholds: FloatArray, keep: float | None) -> FloatArray:
    rising = thresholds[::-1]
    index = np.unique(np.linspace(0, rising.size - 1, min(CURVE_POINTS, rising.size)).round().astype(np.int64))
    kept = rising[index]
    return np.asarray(kept if keep is None else np.unique(np.append(kept, keep)), dtype=np.float64)


def _detail(objective: Objective, target: float | None, chosen: ThresholdPoint, *, met: bool, one_class: bool) -> str:
    words = {
        "cost": "the expected cost is least",
        "youden": "recall + specificity - 1 is largest",
        "f1": "F1 is largest",
        "precision": f"precision is at least {target} and recall as high as it can be",
        "recall": f"recall is at least {target} and precision as high as it can be",
        "selection_rate": f"as many rows as possible are called positive, at most {target} of all",
    }
    if one_class and objective in ("youden", "f1", "precision", "recall"):
        return f"The threshold says nothing: {_ONE_CLASS}."
    if met:
        return f"At {chosen.threshold:.4g} {words[objective]}, on the rows that chose it."
    return f"No threshold makes {objective} {target} or better; {chosen.threshold:.4g} comes nearest."


def _check(objective: Objective, target: float | None, costs: Costs) -> None:
    if (target is not None) != (objective in _NEEDS_TARGET):
        need = "needs a target" if objective in _NEEDS_TARGET else "takes no target"
        raise Invalid(
            f"The objective {objective!r} {need}.",
            code="evaluation.threshold_target",
            hint="Targets belong to precision, recall and selection_rate, and lie between 0 and 1.",
        )
    if target is not None and not 0.0 <= target <= 1.0:
        raise Invalid(
            f"The target {target:g} of {objective} is not between 0 and 1.",
            code="evaluation.threshold_target",
            hint="Write 80 percent as 0.8.",
        )
    for name, value in msgspec.structs.asdict(costs).items():
        if not 0.0 <= value < float("inf"):
            raise Invalid(
                f"{name} is {value:g}, which is not a cost.",
                code="evaluation.costs",
                hint="Costs and benefits are finite and at least 0, all in the same unit.",
            )
