"""Mending scores that are not calibrated: Platt's sigmoid, isotonic regression, and which of them helps.

A map is fitted on rows the model was not trained on. Whether it helps is judged on rows the *map* was not fitted on
(cross-fitting): an isotonic map is always better on its own rows.

References
----------
Niculescu-Mizil & Caruana (2005), "Predicting Good Probabilities With Supervised Learning", ICML: when which map helps.
Platt (1999), "Probabilistic Outputs for Support Vector Machines": the sigmoid and its targets.
Zadrozny & Elkan (2002), "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", KDD: isotonic,
one class against the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.core.written_numbers import written
from arkwright.evaluation.calibration import (
    DEFAULT_BINS,
    LOGIT_EDGE,
    ONE_CLASS,
    checked_binary,
    checked_codes,
    expit,
    logistic_fit,
    logit,
    plain_ece,
)
from arkwright.evaluation.intervals import (
    DEFAULT_RESAMPLES,
    Interval,
    bootstrap,
    interval,
    rare_classes,
    resamples_for,
)
from arkwright.evaluation.metric import FloatArray, IntArray

Method = Literal["none", "platt", "isotonic"]


class PlattMap(msgspec.Struct, frozen=True, kw_only=True, tag="platt", tag_field="kind"):
    """``score -> 1 / (1 + exp(-(intercept + slope * logit(score))))``."""

    slope: float
    intercept: float

    def apply(self, score: FloatArray) -> FloatArray:
        """Return the recalibrated probability of each score."""
        return expit(self.intercept + self.slope * logit(score))


class IsotonicMap(msgspec.Struct, frozen=True, kw_only=True, tag="isotonic", tag_field="kind"):
    """A non-decreasing map, linear between the knots and flat beyond them."""

    scores: tuple[float, ...]
    values: tuple[float, ...]

    def apply(self, score: FloatArray) -> FloatArray:
        """Return the recalibrated probability of each score."""
        return np.asarray(np.interp(score, self.scores, self.values), dtype=np.float64)


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """A fitted recalibration: one map for a binary score, one a class otherwise; encodes to JSON and back."""

    method: Method
    n_rows: int
    maps: tuple[PlattMap | IsotonicMap, ...] = ()

    def apply(self, scores: FloatArray) -> FloatArray:
        """Recalibrate a predictor's scores.

        Parameters
        ----------
        scores
            Shape ``(n, 1)``, P(positive), or ``(n, n_classes)``. With several classes each is mapped by itself and rows
            are scaled to sum to one; a row that maps to zero everywhere keeps its scores.

        Raises
        ------
        Invalid
            If there are not as many columns as maps.
        """
        if not self.maps:
            return scores
        if scores.ndim != 2 or scores.shape[1] != len(self.maps):
            raise Invalid(
                f"This calibration maps {len(self.maps)} columns of scores, not an array of shape {scores.shape}.",
                code="evaluation.scores_shape",
                hint="Pass the scores of the model it was fitted on, one row a prediction.",
            )
        mapped = np.column_stack([fitted.apply(scores[:, column]) for column, fitted in enumerate(self.maps)])
        if len(self.maps) == 1:
            return mapped
        total = mapped.sum(axis=1, keepdims=True)
        return np.where(total > 0, mapped / np.where(total > 0, total, 1.0), scores)


class MethodResult(msgspec.Struct, frozen=True, kw_only=True):
    """Out-of-fold quality of one method; ``improvement`` is the fall of the Brier score against ``none``, paired."""

    method: Method
    brier: float
    log_loss: float
    ece: float
    improvement: Interval


class CalibrationComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Which recalibration helps, judged on rows it was not fitted on.

    ``recommended`` is the method with the largest fall of the Brier score whose 95 % interval is wholly above zero,
    else ``none``. No results and a ``reason`` where a class has fewer than two rows.
    """

    recommended: Method
    detail: str
    n_folds: int
    methods: tuple[MethodResult, ...] = ()
    reason: str = ""


def fit_platt(truth: npt.NDArray[Any], score: npt.NDArray[Any]) -> PlattMap:
    """Fit Platt's sigmoid to the log odds of the score.

    The targets are Platt's, ``(n_pos + 1) / (n_pos + 2)`` and ``1 / (n_neg + 2)``, which keep the fit finite when the
    classes are separated. Working on log odds rather than on the probability makes "leave it as it is" one of
    the maps (slope 1, intercept 0).

    Raises
    ------
    Invalid
        If the rows are unusable, or all of one class.
    """
    outcome, given = checked_binary(truth, score)
    _both_classes(outcome)
    n_positive = float(outcome.sum())
    n_negative = outcome.size - n_positive
    target = np.where(outcome == 1, (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2))
    x = logit(given)
    if x.min() == x.max():
        mean = float(target.mean())
        return PlattMap(slope=0.0, intercept=float(np.log(mean / (1.0 - mean))))
    intercept, slope, _ = logistic_fit(x, target)
    return PlattMap(slope=slope, intercept=intercept)


def fit_isotonic(truth: npt.NDArray[Any], score: npt.NDArray[Any]) -> IsotonicMap:
    """Fit the non-decreasing map of least squares (pool adjacent violators); equal scores share one value.

    Raises
    ------
    Invalid
        If the rows are unusable, or all of one class.

    Examples
    --------
    >>> fit_isotonic(np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.9])).values
    (0.0, 0.5, 0.5, 1.0)
    """
    from scipy.optimize import isotonic_regression  # noqa: PLC0415  scipy is slow to import

    outcome, given = checked_binary(truth, score)
    _both_classes(outcome)
    knots, codes, counts = np.unique(given, return_inverse=True, return_counts=True)
    mean = np.bincount(codes, weights=outcome) / counts
    fitted = np.asarray(isotonic_regression(mean, weights=counts.astype(np.float64)).x)
    # Inside a flat stretch a knot says nothing that its two ends do not.
    keep = np.ones(knots.size, dtype=bool)
    keep[1:-1] = (fitted[1:-1] != fitted[:-2]) | (fitted[1:-1] != fitted[2:])
    return IsotonicMap(scores=tuple(knots[keep].tolist()), values=tuple(fitted[keep].tolist()))


def fit_calibration(truth: npt.NDArray[Any], scores: FloatArray, method: Method) -> Calibration:
    """Fit a recalibration on rows the model was not trained on.

    Parameters
    ----------
    truth
        Class codes of shape ``(n,)``.
    scores
        As a predictor returns them: ``(n, 1)`` or ``(n, n_classes)``; several classes are fitted one against the rest,
        and a class with no rows, or with all of them, keeps its scores.

    Raises
    ------
    Invalid
        If the rows are unusable, or a binary truth has one class only.
    """
    if method == "none":
        return Calibration(method="none", n_rows=int(np.size(truth)))
    fit = fit_platt if method == "platt" else fit_isotonic
    if scores.shape[1] == 1:
        return Calibration(method=method, n_rows=int(np.size(truth)), maps=(fit(truth, scores[:, 0]),))
    codes = checked_codes(truth, scores)
    maps: list[PlattMap | IsotonicMap] = []
    for code in range(scores.shape[1]):
        hits = codes == code
        one_sided = not hits.any() or bool(hits.all())
        maps.append(PlattMap(slope=1.0, intercept=0.0) if one_sided else fit(hits, scores[:, code]))
    return Calibration(method=method, n_rows=int(codes.size), maps=tuple(maps))


def compare_calibrations(
    truth: npt.NDArray[Any],
    scores: FloatArray,
    *,
    seed: int,
    n_folds: int = 5,
    n_bins: int = DEFAULT_BINS,
    n_resamples: int = DEFAULT_RESAMPLES,
) -> CalibrationComparison:
    """Tell which recalibration helps and by how much, each row mapped by a fit on the other folds.

    Folds are stratified and seeded; there are as many as the smallest class has rows when that is fewer.
    Log loss is of scores kept 1e-6 away from 0 and 1, since an isotonic map answers 0 and 1.

    Raises
    ------
    Invalid
        If the rows are unusable.
    """
    codes = checked_codes(truth, scores)
    n_classes = max(2, scores.shape[1])
    sizes = np.bincount(codes, minlength=n_classes)
    smallest = int(sizes[sizes > 0].min()) if np.count_nonzero(sizes) > 1 else 0
    if smallest < 2:
        reason = ONE_CLASS if smallest == 0 else "a class has fewer than two rows"
        return CalibrationComparison(
            recommended="none", detail=f"Recalibration was not compared: {reason}.", n_folds=0, reason=reason
        )
    n_folds = min(n_folds, smallest)
    fold = _folds(codes, n_folds, seed)
    methods: tuple[Method, ...] = ("none", "platt", "isotonic")
    mapped = {name: np.array(scores, dtype=np.float64) for name in methods}
    for held in range(n_folds):
        for name in methods[1:]:
            fitted = fit_calibration(codes[fold != held], scores[fold != held], name)
            mapped[name][fold == held] = fitted.apply(scores[fold == held])
    losses = {name: _brier_rows(codes, values) for name, values in mapped.items()}
    replicates = bootstrap(
        lambda weights: {name: weights @ (losses["none"] - loss) / codes.size for name, loss in losses.items()},
        codes.size,
        seed=seed,
        n_resamples=resamples_for(codes.size, n_resamples),
        strata=rare_classes(codes),
    )
    results = tuple(
        MethodResult(
            method=name,
            brier=float(losses[name].mean()),
            log_loss=_log_loss(codes, mapped[name]),
            ece=_score_ece(codes, mapped[name], n_bins),
            improvement=interval(float((losses["none"] - losses[name]).mean()), replicates[name]),
        )
        for name in methods
    )
    return _recommended(results, n_folds)


def _recommended(results: Sequence[MethodResult], n_folds: int) -> CalibrationComparison:
    by_name: Mapping[str, MethodResult] = {item.method: item for item in results}
    helps = [item for item in results if item.improvement.low is not None and item.improvement.low > 0]
    best = max(helps, key=lambda item: item.improvement.value or 0.0, default=by_name["none"])
    before = by_name["none"]
    if best.method == "none":
        brier = written(before.brier)
        detail = f"No recalibration clearly lowers the Brier score of {brier} on rows it was not fitted on."
    else:
        found = best.improvement
        gain, low, high = (written(each or 0.0, 2) for each in (found.value, found.low, found.high))
        detail = (
            f"The {best.method} map lowers the Brier score from {written(before.brier)} to {written(best.brier)} on "
            f"rows it was not fitted on (by {gain}, 95 % interval {low} to {high}), and the ECE from "
            f"{written(before.ece, 3)} to {written(best.ece, 3)}."
        )
    return CalibrationComparison(recommended=best.method, detail=detail, n_folds=n_folds, methods=tuple(results))


def _score_ece(codes: IntArray, scores: FloatArray, n_bins: int) -> float:
    if scores.shape[1] == 1:
        return plain_ece(codes == 1, scores[:, 0], n_bins)
    return plain_ece(np.argmax(scores, axis=1) == codes, scores.max(axis=1), n_bins)


def _brier_rows(codes: IntArray, scores: FloatArray) -> FloatArray:
    if scores.shape[1] == 1:
        return np.asarray(np.square(scores[:, 0] - codes), dtype=np.float64)
    return np.asarray(np.square(scores - np.eye(scores.shape[1])[codes]).sum(axis=1), dtype=np.float64)


def _log_loss(codes: IntArray, scores: FloatArray) -> float:
    given = scores[np.arange(codes.size), codes] if scores.shape[1] > 1 else np.abs(1 - codes - scores[:, 0])
    return float(-np.log(np.clip(given, LOGIT_EDGE, 1.0 - LOGIT_EDGE)).mean())


def _folds(codes: IntArray, n_folds: int, seed: int) -> IntArray:
    rng = np.random.default_rng(seed)
    fold = np.empty(codes.size, dtype=np.int64)
    for code in np.unique(codes):
        rows = rng.permutation(np.flatnonzero(codes == code))
        fold[rows] = np.arange(rows.size) % n_folds
    return fold


def _both_classes(outcome: FloatArray) -> None:
    if outcome.min() == outcome.max():
        raise Invalid(
            f"A calibration cannot be fitted: {ONE_CLASS}.",
            code="evaluation.one_class",
            hint="Fit on rows that hold both the positive and the negative class.",
        )
