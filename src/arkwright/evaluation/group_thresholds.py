"""A threshold for each group: the most accurate ones whose rates lie close together.

For demographic parity and equal opportunity the search is exact: the rates of all groups lie within ``bound`` of each
other if they all lie in some window of that width, and inside a window each group takes its most accurate threshold.
For equalised odds the window is a square in (TPR, FPR), tried on a grid. There is no randomisation between two
thresholds, as in the paper, because that would treat two equal people differently.

References
----------
Hardt, Price & Srebro (2016), "Equality of Opportunity in Supervised Learning", NeurIPS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.evaluation.calibration import checked_binary
from arkwright.evaluation.groups import Groups, GroupValues, groups_of
from arkwright.evaluation.metric import FloatArray, ratio

Objective = Literal["demographic_parity", "equal_opportunity", "equalized_odds"]

OBJECTIVES: tuple[Objective, ...] = ("demographic_parity", "equal_opportunity", "equalized_odds")
BOUND = 0.05
_CANDIDATES = 200
_GRID = 41


class GroupThreshold(msgspec.Struct, frozen=True, kw_only=True):
    """From which score on a group is given class 1, and the rates that had on the rows that chose it."""

    group: str
    threshold: float
    n_rows: int
    selection_rate: float
    tpr: float | None
    fpr: float | None


class GroupThresholds(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold per group for one objective; ``accuracy`` and ``disparity`` are of the rows that chose them."""

    objective: Objective
    bound: float
    groups: tuple[GroupThreshold, ...]
    accuracy: float
    disparity: float

    def called(self, score: FloatArray, groups: Groups, *, otherwise: float = 0.5) -> npt.NDArray[np.bool_]:
        """Decide rows by their group's threshold, by ``otherwise`` for a group that was not there to choose from."""
        known = {item.group: item.threshold for item in self.groups}
        limits = np.array([known.get(label, otherwise) for label in groups.labels])
        return np.asarray(score >= limits[groups.codes], dtype=np.bool_)


def choose_thresholds(
    truth: npt.NDArray[Any],
    score: npt.NDArray[Any],
    sensitive: GroupValues,
    *,
    objective: Objective,
    bound: float = BOUND,
) -> GroupThresholds:
    """Choose the most accurate thresholds per group whose rates lie within ``bound`` of each other.

    Parameters
    ----------
    truth, score
        0 or 1, and P(class 1), shape ``(n_rows,)``.
    objective
        What is to be alike: selection rates, TPR, or TPR and FPR.
    bound
        The largest difference allowed on these rows; on new rows it is met up to sampling noise.

    Raises
    ------
    Invalid
        If truth or score are not what they should be, or the bound is not in [0, 1].

    Notes
    -----
    Each group has at most 200 candidate thresholds, at quantiles of its scores, so that rates move in steps of half a
    percent. A group without the rows a rate is taken over (no positives for TPR) does not bind the others.
    """
    actual, given = checked_binary(truth, score)
    groups = groups_of(sensitive)
    if not 0.0 <= bound <= 1.0:
        raise Invalid(f"a bound of {bound} is no difference of rates", hint="Give a number from 0 to 1, such as 0.05.")
    if groups.codes.size != actual.size:
        raise Invalid(
            f"{groups.codes.size:,} group values do not fit {actual.size:,} rows",
            code="evaluation.lengths",
            hint="Give the sensitive column for the same rows.",
        )
    curves = [_curve(actual[groups.codes == code], given[groups.codes == code]) for code in range(len(groups.labels))]
    chosen = _choose(curves, objective, bound)
    described = tuple(
        GroupThreshold(
            group=label,
            threshold=float(curve.thresholds[pick]),
            n_rows=curve.n_rows,
            selection_rate=float(curve.selection[pick]),
            tpr=_finite(curve.tpr[pick]),
            fpr=_finite(curve.fpr[pick]),
        )
        for label, curve, pick in zip(groups.labels, curves, chosen, strict=True)
    )
    correct = sum(float(curve.correct[pick]) for curve, pick in zip(curves, chosen, strict=True))
    return GroupThresholds(
        objective=objective,
        bound=bound,
        groups=described,
        accuracy=correct / actual.size,
        disparity=_spread(described, objective),
    )


@dataclass(frozen=True, slots=True)
class _Curve:
    """Rates of one group at each candidate threshold, the strictest first; NaN where there are no rows for one."""

    thresholds: FloatArray
    selection: FloatArray
    tpr: FloatArray
    fpr: FloatArray
    correct: FloatArray
    n_rows: int


def _curve(truth: FloatArray, score: FloatArray) -> _Curve:
    distinct = np.unique(score)
    if distinct.size > _CANDIDATES:
        distinct = np.unique(np.quantile(score, np.linspace(0.0, 1.0, _CANDIDATES), method="higher"))
    # The last candidate is above every score: nobody is called.
    thresholds = np.append(distinct, np.nextafter(distinct[-1], np.inf))[::-1]
    ordered = np.sort(score)
    positives, negatives = np.sort(score[truth == 1]), np.sort(score[truth == 0])

    def at_least(values: FloatArray) -> FloatArray:
        return (values.size - np.searchsorted(values, thresholds, side="left")).astype(np.float64)

    hits, alarms = at_least(positives), at_least(negatives)
    return _Curve(
        thresholds=thresholds,
        selection=at_least(ordered) / score.size,
        tpr=ratio(hits, np.asarray(float(positives.size)), empty=np.nan),
        fpr=ratio(alarms, np.asarray(float(negatives.size)), empty=np.nan),
        correct=hits + negatives.size - alarms,
        n_rows=int(score.size),
    )


def _choose(curves: Sequence[_Curve], objective: Objective, bound: float) -> list[int]:
    if objective == "equalized_odds":
        steps = np.linspace(0.0, 1.0, _GRID)
        windows = [(float(tpr), float(fpr)) for tpr in steps for fpr in steps if fpr <= tpr + bound]
        pairs = [(curve.tpr, curve.fpr) for curve in curves]
    else:
        pairs = [
            (curve.selection if objective == "demographic_parity" else curve.tpr, np.full_like(curve.tpr, np.nan))
            for curve in curves
        ]
        edges = np.unique(np.concatenate([first[np.isfinite(first)] for first, _ in pairs] or [np.zeros(1)]))
        windows = [(float(edge), 0.0) for edge in edges]
    best: tuple[float, list[int]] | None = None
    for low_first, low_second in windows:
        picks, total = [], 0.0
        for curve, (first, second) in zip(curves, pairs, strict=True):
            inside = _within(first, low_first, bound) & _within(second, low_second, bound)
            if not inside.any():
                break
            pick = int(np.argmax(np.where(inside, curve.correct, -1.0)))
            picks.append(pick)
            total += float(curve.correct[pick])
        else:
            if best is None or total > best[0]:
                best = (total, picks)
    # Calling nobody lies in the window at 0, so there always is one.
    return best[1] if best is not None else [0] * len(curves)


def _within(rate: FloatArray, low: float, bound: float) -> npt.NDArray[np.bool_]:
    return np.isnan(rate) | ((rate >= low - 1e-12) & (rate <= low + bound + 1e-12))


def _spread(groups: Sequence[GroupThreshold], objective: Objective) -> float:
    if objective == "demographic_parity":
        found = [[item.selection_rate for item in groups]]
    else:
        found = [[item.tpr for item in groups if item.tpr is not None]]
        if objective == "equalized_odds":
            found.append([item.fpr for item in groups if item.fpr is not None])
    return max((max(rates) - min(rates) for rates in found if rates), default=0.0)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
