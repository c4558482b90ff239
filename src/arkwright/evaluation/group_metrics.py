"""The metrics of each group of rows, with their intervals, from one pass over the bootstrap's weights.

Everything a group's rates need is a handful of sums over its rows. The rows are sorted by group once, so that for a
whole block of resamples the sums of a group are one matrix product.

A resample redraws each group on its own (the groups are the strata): group sizes stay as they are, base rates vary.

References
----------
Fawcett (2006), "An introduction to ROC analysis", Pattern Recognition Letters 27: TPR, FPR, precision.
Naeini, Cooper & Hauskrecht (2015), "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI: the expected
calibration error (ECE) over
10 bins of equal width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.written_numbers import counted
from arkwright.evaluation.calibration import DEFAULT_BINS
from arkwright.evaluation.group_chance import effective_cases, errors_by_chance, excess
from arkwright.evaluation.groups import Groups
from arkwright.evaluation.intervals import LEVEL, Interval, bootstrap, interval
from arkwright.evaluation.metric import FloatArray, IntArray, ratio

MIN_ROWS = 30
MIN_CASES = 10
_CELLS = 4
_RATE_SUMS = _CELLS + 1 + DEFAULT_BINS
BoolArray = npt.NDArray[np.bool_]
Rates = Mapping[str, FloatArray]

REASONS = {
    "tpr": "no row of the group has the favourable outcome in truth",
    "fnr": "no row of the group has the favourable outcome in truth",
    "fpr": "every row of the group has the favourable outcome in truth",
    "precision": "no row of the group was given the favourable outcome",
}
"""Why a group's rate is not defined."""


class GroupMetrics(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One group: its size and its metrics, each with a 95 % interval.

    Parameters
    ----------
    n_rows, share
        Rows of the group, and as a fraction of all rows.
    n_positive, n_negative
        Rows with and without the favourable outcome in truth; None for regression.
    small
        Fewer than 30 rows, or fewer than 10 with (or without) the favourable outcome: shown, and left out of the
        comparison of groups where the number of rows matters. ``note`` says which it is.
    metrics
        Classification: ``base_rate`` (mean truth), ``selection_rate``, ``tpr``, ``fpr``, ``fnr``, ``precision``,
        ``accuracy``, ``mean_score``, ``mean_error`` (mean of truth minus score: positive where scores are too low),
        ``ece``. Regression: ``mean_truth``, ``mean_prediction``, ``mean_residual``, ``mae``, ``rmse``.
    """

    group: str
    n_rows: int
    share: float
    metrics: dict[str, Interval]
    n_positive: int | None = None
    n_negative: int | None = None
    small: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """Values of shape ``(n_groups,)`` and replicates of shape ``(n_resamples, n_groups)``, by metric.

    ``by_chance``, shape ``(n_draws, n_groups)``: what ``ece`` would be if every group were calibrated. ``cases``, shape
    ``(n_groups,)``: of how many rows a share is, by rate that groups are compared by.
    """

    values: dict[str, FloatArray]
    replicates: dict[str, FloatArray]
    by_chance: dict[str, FloatArray] = field(default_factory=dict)
    cases: dict[str, IntArray] = field(default_factory=dict)
    seed: int = 0


def measure_rates(
    truth: BoolArray,
    calls: Sequence[BoolArray],
    score: FloatArray,
    groups: Groups,
    *,
    weights: FloatArray,
    seed: int,
    n_resamples: int,
) -> list[Measured]:
    """Measure the rates of each group for one yes-or-no outcome, for each of several ways to call rows by one score.

    All of them are measured on the same resamples, so that more than one costs little more than one.

    Parameters
    ----------
    truth
        Shape ``(n_rows,)``: whether the row has the outcome.
    calls
        For each way, shape ``(n_rows,)``: whether the model gave the outcome.
    score
        The model's probability of the outcome, in [0, 1].
    weights
        How much each row counts, shape ``(n_rows,)``.
    """
    columns = [rate_sums(truth, calls[0], score), *(_cells(truth, called) for called in calls[1:])]

    def each(sums: FloatArray) -> Rates:
        found = {f"0 {name}": values for name, values in rates(sums[..., :_RATE_SUMS]).items()}
        for place in range(1, len(calls)):
            own = _RATE_SUMS + _CELLS * (place - 1)
            whole = np.concatenate([sums[..., own : own + _CELLS], sums[..., _CELLS:_RATE_SUMS]], axis=-1)
            found |= {f"{place} {name}": values for name, values in rates(whole).items()}
        return found

    measured = _measure(np.column_stack(columns), each, groups, weights, seed, n_resamples)
    drawn = errors_by_chance(score, groups, weights=weights, seed=seed, n_draws=n_resamples)
    actual, other = (effective_cases(weights, groups, counted) for counted in (truth, ~truth))
    cases = {"selection_rate": effective_cases(weights, groups), "tpr": actual, "fnr": actual, "fpr": other}
    return [
        Measured(
            values=_own(measured.values, place),
            replicates=_own(measured.replicates, place),
            by_chance={"ece": drawn},
            cases=cases,
            seed=seed,
        )
        for place in range(len(calls))
    ]


def measure_errors(
    truth: FloatArray, predicted: FloatArray, groups: Groups, *, weights: FloatArray, seed: int, n_resamples: int
) -> Measured:
    """Measure the errors of each group for a predicted number."""
    residual = truth - predicted
    columns = np.column_stack([np.ones_like(truth), truth, predicted, residual, np.abs(residual), residual**2])
    return _measure(columns, errors, groups, weights, seed, n_resamples)


def rate_sums(truth: BoolArray, called: BoolArray, score: FloatArray) -> FloatArray:
    """Return, row by row, the terms whose sums the rates are made of; shape ``(n_rows, 15)``."""
    actual = truth.astype(np.float64)
    in_bin = np.minimum((score * DEFAULT_BINS).astype(np.int64), DEFAULT_BINS - 1)[:, None] == np.arange(DEFAULT_BINS)
    return np.column_stack([_cells(truth, called), score, in_bin * (score - actual)[:, None]])


def rates(sums: FloatArray) -> Rates:
    """Turn sums of the terms of :func:`rate_sums`, shape ``(..., 15)``, into rates of shape ``(...)``.

    NaN where a rate has no rows to be taken over.
    """
    hits, misses, alarms, passed, score = (sums[..., column] for column in range(5))
    actual, called, total = hits + misses, hits + alarms, hits + misses + alarms + passed
    return {
        "base_rate": ratio(actual, total, empty=np.nan),
        "selection_rate": ratio(called, total, empty=np.nan),
        "tpr": ratio(hits, actual, empty=np.nan),
        "fpr": ratio(alarms, alarms + passed, empty=np.nan),
        "fnr": ratio(misses, actual, empty=np.nan),
        "precision": ratio(hits, called, empty=np.nan),
        "accuracy": ratio(hits + passed, total, empty=np.nan),
        "mean_score": ratio(score, total, empty=np.nan),
        "mean_error": ratio(actual - score, total, empty=np.nan),
        "ece": ratio(np.abs(sums[..., 5:]).sum(axis=-1), total, empty=np.nan),
    }


def errors(sums: FloatArray) -> Rates:
    """Turn sums over rows of 1, truth, prediction, residual, its size and its square into means by group."""
    total = sums[..., 0]
    means = [ratio(sums[..., column], total, empty=np.nan) for column in range(1, 6)]
    return dict(
        zip(
            ("mean_truth", "mean_prediction", "mean_residual", "mae", "rmse"),
            (*means[:4], np.sqrt(means[4])),
            strict=True,
        )
    )


def describe_groups(
    measured: Measured, groups: Groups, *, truth: BoolArray | None = None, min_rows: int = MIN_ROWS
) -> tuple[GroupMetrics, ...]:
    """Write down each group's size, metrics and intervals; ``truth`` is given for classification."""
    sizes = groups.sizes()
    found = []
    for code, label in enumerate(groups.labels):
        n_rows = int(sizes[code])
        n_positive = None if truth is None else int(np.count_nonzero(truth[groups.codes == code]))
        n_negative = None if n_positive is None else n_rows - n_positive
        note = _why_small(n_rows, n_positive, n_negative, min_rows)
        found.append(
            GroupMetrics(
                group=label,
                n_rows=n_rows,
                share=n_rows / groups.codes.size,
                metrics={name: group_interval(measured, name, code, n_rows) for name in measured.values},
                n_positive=n_positive,
                n_negative=n_negative,
                small=bool(note),
                note=note,
            )
        )
    return tuple(found)


def group_interval(measured: Measured, name: str, code: int, n_rows: int) -> Interval:
    """Pair a group's metric with its interval, or say why there is none.

    Resampling adds noise, and noise only ever adds to a calibration error: ``ece`` has the basic (reverse percentile)
    interval, which takes that bias out. It begins at 0 where chance alone would give as much, as in
    :mod:`arkwright.evaluation.calibration`.
    """
    value, replicates = float(measured.values[name][code]), measured.replicates[name][:, code]
    if not np.isfinite(value):
        return Interval(
            value=None, low=None, high=None, reason=REASONS.get(name, "the rows of the group weigh nothing")
        )
    if n_rows == 1:
        return Interval(value=value, low=None, high=None, reason="one row has no interval")
    if name in measured.by_chance:
        above = excess(measured.values[name][[code]], measured.by_chance[name][:, [code]], level=LEVEL)
        return error_interval(value, replicates, beyond_chance=bool(above.beyond_chance[0]))
    return interval(value, replicates)


def error_interval(value: float, replicates: FloatArray, *, beyond_chance: bool) -> Interval:
    """Return the basic interval of a calibration error; it begins at 0 where chance may explain the error."""
    found = interval(value, np.clip(2.0 * value - replicates, 0.0, 1.0))
    if found.low is None or found.high is None:
        return found
    return msgspec.structs.replace(
        found, low=min(found.low, value) if beyond_chance else 0.0, high=max(found.high, value)
    )


def _measure(
    columns: FloatArray,
    metrics: Callable[[FloatArray], Rates],
    groups: Groups,
    weights: FloatArray,
    seed: int,
    n_resamples: int,
) -> Measured:
    # Groups are drawn in the order of their first rows and not of their names: renaming a group changes no number.
    place = groups.place()
    strata = place[groups.codes]
    order = np.argsort(strata, kind="stable")
    weighted = columns[order] * (weights / weights.mean())[order, None]
    bounds = np.concatenate([[0], np.cumsum(np.bincount(strata))])

    def of(drawn: FloatArray) -> Rates:
        sums = [drawn[..., low:high] @ weighted[low:high] for low, high in pairwise(bounds)]
        return metrics(np.stack(sums, axis=-2)[..., place, :])

    values = {name: np.asarray(found) for name, found in of(np.ones(order.size)).items()}
    drawn = bootstrap(of, order.size, seed=seed, n_resamples=n_resamples, strata=strata[order])
    return Measured(values=values, replicates=drawn)


def _cells(truth: BoolArray, called: BoolArray) -> FloatArray:
    """Return the four cells of the confusion matrix and no differences of them: an empty one sums to exactly 0."""
    actual, chosen = truth.astype(np.float64), called.astype(np.float64)
    return np.column_stack([actual * chosen, actual * (1 - chosen), (1 - actual) * chosen, (1 - actual) * (1 - chosen)])


def _own(found: Mapping[str, FloatArray], place: int) -> dict[str, FloatArray]:
    mark = f"{place} "
    return {name.removeprefix(mark): values for name, values in found.items() if name.startswith(mark)}


def _why_small(n_rows: int, n_positive: int | None, n_negative: int | None, min_rows: int) -> str:
    if n_rows < min_rows:
        return f"{counted(n_rows, 'row')}, fewer than {min_rows}"
    if n_positive is not None and n_positive < MIN_CASES:
        return f"{counted(n_positive, 'row')} with the favourable outcome, fewer than {MIN_CASES}"
    if n_negative is not None and n_negative < MIN_CASES:
        return f"{counted(n_negative, 'row')} without the favourable outcome, fewer than {MIN_CASES}"
    return ""
