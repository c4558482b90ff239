"""Classification metrics, for one sample or for a thousand bootstrap replicates at once.

``truth`` and ``predicted`` are integer class codes ``0 .. n_classes - 1``; ``weights`` end in the rows axis
(see :mod:`arkwright.evaluation.metric`). Where scikit-learn defines the same quantity the numbers agree
with it; the exceptions are stated at the function.

References
----------
Fawcett (2006), "An introduction to ROC analysis", Pattern Recognition Letters 27: the ROC curve with ties.
Davis & Goadrich (2006), "The relationship between Precision-Recall and ROC curves": why the area under the
precision-recall curve is the step-wise sum (average precision) and not a trapezoid.
Hand & Till (2001), "A simple generalisation of the area under the ROC curve for multiple class problems".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.evaluation.metric import FloatArray, IntArray, ratio, require_finite, row_weights

Average = Literal["macro", "micro", "weighted"]
_EPSILON = float(np.finfo(np.float64).eps)


def confusion_matrix(
    truth: IntArray, predicted: IntArray, n_classes: int, weights: npt.NDArray[Any] | None = None
) -> FloatArray:
    """Count the rows of each (true class, predicted class) pair.

    Returns
    -------
    ndarray of shape (..., n_classes, n_classes)
        ``[..., i, j]`` is the weight of the rows of class ``i`` that were called ``j``.

    Examples
    --------
    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]), 2)
    array([[1., 0.],
           [1., 1.]])
    """
    weight = row_weights(truth.size, weights)
    cell = truth.astype(np.int64) * n_classes + predicted
    order = np.argsort(cell, kind="stable")
    occupied, starts = np.unique(cell[order], return_index=True)
    flat = np.zeros((*weight.shape[:-1], n_classes * n_classes), dtype=np.float64)
    if occupied.size:
        flat[..., occupied] = np.add.reduceat(weight[..., order], starts, axis=-1)
    return flat.reshape(*weight.shape[:-1], n_classes, n_classes)


def accuracy(truth: IntArray, predicted: IntArray, weights: npt.NDArray[Any] | None = None) -> FloatArray:
    """Return the share of rows whose class was named correctly."""
    weight = row_weights(truth.size, weights)
    return ratio(weight @ (truth == predicted).astype(np.float64), weight.sum(axis=-1), empty=np.nan)


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Rows of each class: called correctly, in truth, and called so; each of shape ``(..., n_classes)``."""

    hits: FloatArray
    actual: FloatArray
    called: FloatArray


def class_counts(
    truth: IntArray, predicted: IntArray, n_classes: int, weights: npt.NDArray[Any] | None = None
) -> ClassCounts:
    """Count what precision and recall need, without the whole confusion matrix.

    Examples
    --------
    >>> class_counts(np.array([0, 1, 1]), np.array([0, 0, 1]), 2).called
    array([2., 1.])
    """
    weight = row_weights(truth.size, weights)
    codes = np.arange(n_classes)
    actual = (truth[:, None] == codes).astype(np.float64)
    called = (predicted[:, None] == codes).astype(np.float64)
    return ClassCounts(hits=weight @ (actual * called), actual=weight @ actual, called=weight @ called)


@dataclass(frozen=True, slots=True)
class PrecisionRecallF1:
    """Per class or averaged; each array ends in the class axis, or has none when averaged.

    A class nobody predicted has precision 0, and a class with no rows has recall 0: scikit-learn's
    ``zero_division=0``.
    """

    precision: FloatArray
    recall: FloatArray
    f1: FloatArray


def per_class(counts: ClassCounts, *, empty: float = 0.0) -> PrecisionRecallF1:
    """Return precision, recall and F1 of each class, with ``empty`` where there is nothing to divide by.

    With ``empty=nan`` the F1 of a class without rows is not a number either: it could be nothing but 0.

    Examples
    --------
    >>> per_class(class_counts(np.array([0, 1, 1]), np.array([0, 0, 1]), 2)).recall
    array([1. , 0.5])
    """
    f1 = ratio(2.0 * counts.hits, counts.actual + counts.called, empty=empty)
    return PrecisionRecallF1(
        precision=ratio(counts.hits, counts.called, empty=empty),
        recall=ratio(counts.hits, counts.actual, empty=empty),
        f1=np.where(counts.actual > 0, f1, np.nan) if np.isnan(empty) else f1,
    )


def averaged(counts: ClassCounts, average: Average) -> PrecisionRecallF1:
    """Return precision, recall and F1 averaged over classes.

    ``macro`` is the plain mean over the classes that have rows or were predicted, ``weighted`` the mean
    weighted by the rows of each class, ``micro`` the pooled count (which equals accuracy).
    """
    if average == "micro":
        value = ratio(counts.hits.sum(axis=-1), counts.actual.sum(axis=-1), empty=np.nan)
        return PrecisionRecallF1(value, value, value)
    single = per_class(counts)
    share = counts.actual if average == "weighted" else ((counts.actual + counts.called) > 0).astype(np.float64)
    total = share.sum(axis=-1)
    return PrecisionRecallF1(
        *(
            ratio((values * share).sum(axis=-1), total, empty=np.nan)
            for values in (single.precision, single.recall, single.f1)
        )
    )


@dataclass(frozen=True, slots=True)
class Areas:
    """The areas under the ROC and the precision-recall curve, each of shape ``(...)``."""

    roc: FloatArray
    precision_recall: FloatArray


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rows sorted by score once, so that the areas of a thousand weightings cost no further sort.

    The positive rows lie by falling, the negative rows by rising score. Everything a threshold needs to know about
    the negatives is then one look-up in their cumulative weight, and nothing longer than the positives is divided.

    Parameters
    ----------
    positives, negatives
        Row numbers.
    below, not_above
        For each positive, how many negatives score less, and how many do not score more.
    last
        For each positive, the position of the last positive with the same score.
    tied, shared
        Whether a positive shares its score with a negative, and with another positive.
    """

    n_rows: int
    positives: IntArray
    negatives: IntArray
    below: IntArray
    not_above: IntArray
    last: IntArray
    tied: bool
    shared: bool

    def areas(self, weights: npt.NDArray[Any] | None = None, *, precision_recall: bool = True) -> Areas:
        """Return both areas; see :func:`areas`. Without ``precision_recall`` that one is NaN and costs nothing."""
        weight = row_weights(self.n_rows, weights)
        hits = weight.take(self.positives, axis=-1)
        misses = np.empty((*weight.shape[:-1], self.negatives.size + 1), dtype=np.float64)
        misses[..., 0] = 0.0
        np.cumsum(weight.take(self.negatives, axis=-1), axis=-1, out=misses[..., 1:])
        n_negative = misses[..., -1]
        beaten = misses.take(self.below, axis=-1)
        ordered = np.einsum("...i,...i->...", hits, beaten)
        if self.tied:
            ordered = 0.5 * (ordered + np.einsum("...i,...i->...", hits, misses.take(self.not_above, axis=-1)))
        n_positive = hits.sum(axis=-1)
        roc = ratio(ordered, n_positive * n_negative, empty=np.nan)
        if not precision_recall:
            return Areas(roc=roc, precision_recall=np.full_like(roc, np.nan))
        found = np.cumsum(hits, axis=-1)
        if self.shared:
            found = found.take(self.last, axis=-1)
        called = np.subtract(n_negative[..., None], beaten, out=beaten)
        called += found
        precision = np.divide(found, called, out=found, where=called > 0)
        return Areas(
            roc=roc, precision_recall=ratio(np.einsum("...i,...i->...", precision, hits), n_positive, empty=np.nan)
        )


def rank(positive: npt.NDArray[np.bool_], score: FloatArray) -> Ranking:
    """Sort the rows for :meth:`Ranking.areas`.

    Examples
    --------
    >>> rank(np.array([False, True, True]), np.array([0.1, 0.1, 0.9])).positives
    array([2, 1])
    """
    order = np.argsort(score, kind="stable")
    up = positive[order]
    positives, negatives = order[up][::-1].copy(), order[~up]
    own, other = score[positives], score[negatives]
    below = np.searchsorted(other, own, side="left")
    not_above = np.searchsorted(other, own, side="right")
    last = np.searchsorted(-own, -own, side="right") - 1
    return Ranking(
        n_rows=int(score.size),
        positives=positives,
        negatives=negatives,
        below=below,
        not_above=not_above,
        last=last,
        tied=not np.array_equal(below, not_above),
        shared=not np.array_equal(last, np.arange(last.size)),
    )


def areas(positive: npt.NDArray[np.bool_], score: FloatArray, weights: npt.NDArray[Any] | None = None) -> Areas:
    """Return both areas from one sort.

    **ROC**: the probability that a random positive row scores higher than a random negative one, ties
    counting half; NaN where one of the two classes is absent (scikit-learn warns and answers NaN).
    **Precision-recall**: average precision, the sum over thresholds of precision times the gain in recall,
    without interpolation; NaN where no row is positive.

    Examples
    --------
    >>> areas(np.array([False, True, True]), np.array([0.1, 0.1, 0.9])).roc
    array(0.75)
    """
    return rank(positive, score).areas(weights)


def one_vs_rest(truth: IntArray, probability: FloatArray, weights: npt.NDArray[Any] | None = None) -> Areas:
    """Return the areas of each class against all others; the last axis is the classes.

    A class with no rows has no area: NaN, which :func:`mean_area` leaves out (scikit-learn refuses to answer).
    """
    weight = row_weights(truth.size, weights)
    found = [areas(truth == code, probability[:, code], weight) for code in range(probability.shape[1])]
    return Areas(
        roc=np.stack([item.roc for item in found], axis=-1),
        precision_recall=np.stack([item.precision_recall for item in found], axis=-1),
    )


def mean_area(by_class: FloatArray, share: FloatArray | None = None) -> FloatArray:
    """Average areas over the classes that have one, optionally weighted by class size.

    Examples
    --------
    >>> mean_area(np.array([1.0, np.nan, 0.5]))
    array(0.75)
    """
    weight = np.where(np.isnan(by_class), 0.0, 1.0 if share is None else share)
    return ratio((np.nan_to_num(by_class) * weight).sum(axis=-1), weight.sum(axis=-1), empty=np.nan)


def log_loss(truth: IntArray, probability: FloatArray, weights: npt.NDArray[Any] | None = None) -> FloatArray:
    """Return the mean negative log of the probability given to the true class.

    Parameters
    ----------
    probability
        Shape ``(n_rows, n_classes)``; clipped to ``[eps, 1 - eps]`` of float64.
    """
    weight = row_weights(truth.size, weights)
    return ratio(weight @ row_log_loss(truth, probability), weight.sum(axis=-1), empty=np.nan)


def row_log_loss(truth: IntArray, probability: FloatArray) -> FloatArray:
    """Return what each row adds to :func:`log_loss`, shape ``(n_rows,)``.

    Examples
    --------
    >>> row_log_loss(np.array([1]), np.array([[0.5, 0.5]])).round(3)
    array([0.693])
    """
    given = probability[np.arange(truth.size), truth]
    return np.asarray(-np.log(np.clip(given, _EPSILON, 1.0 - _EPSILON)), dtype=np.float64)


def classification_metrics(
    truth: IntArray, probability: FloatArray, weights: npt.NDArray[Any] | None = None
) -> Mapping[str, FloatArray]:
    """Compute every classification metric that applies.

    Parameters
    ----------
    truth
        Class codes of shape ``(n_rows,)``; with two classes, code 1 is the positive one.
    probability
        Shape ``(n_rows, n_classes)``. The predicted class is the most probable one; in a binary problem
        a probability of exactly one half counts as positive, as in the served predictor.

    Raises
    ------
    Invalid
        If a probability is not a finite number, or a class code has no column.
    """
    return classification_replicates(truth, probability)(row_weights(truth.size, weights))


def classification_replicates(
    truth: IntArray, probability: FloatArray, names: Iterable[str] | None = None, *, empty: float = 0.0
) -> Callable[[FloatArray], dict[str, FloatArray]]:
    """Prepare :func:`classification_metrics` for many weightings of the same rows: sort once, weigh often.

    Parameters
    ----------
    names
        The metrics that are wanted, in the order they are wanted; all that apply by default. The area under the
        precision-recall curve costs the most.
    empty
        Precision, recall and F1 of the positive class where there is nothing to divide by: 0 as in scikit-learn, or
        NaN where a 0 would be read as a finding, as in a slice without positive rows.

    Returns
    -------
    callable
        Takes weights of shape ``(..., n_rows)``, answers with arrays of shape ``(...)``.

    Raises
    ------
    Invalid
        If a probability is not a finite number, a class code has no column, or a name is not one of these metrics.

    Examples
    --------
    >>> accuracy_of = classification_replicates(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]), ["accuracy"])
    >>> accuracy_of(np.array([[1.0, 1.0], [2.0, 0.0]]))["accuracy"]
    array([0.5, 1. ])
    """
    n_classes = probability.shape[1]
    _require_codes(truth, n_classes)
    require_finite("probability", probability)
    known = _BINARY_METRICS if n_classes == 2 else _MULTICLASS_METRICS
    wanted = known if names is None else tuple(names)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise Invalid(
            f"{unknown[0]!r} is not a metric of a problem with {n_classes} classes.",
            code="metric.unknown",
            hint="Use some of " + ", ".join(known) + ".",
        )
    predicted = predicted_codes(probability)
    codes = np.arange(n_classes)
    actual = (truth[:, None] == codes).astype(np.float64)
    called = (predicted[:, None] == codes).astype(np.float64)
    # All that counting needs, and the loss, is one matrix product with the weights.
    columns = np.column_stack((actual * called, actual, called, row_log_loss(truth, probability)))
    curves = tuple(name for name in wanted if "auc" in name)
    precision_recall = any(name.startswith("pr_auc") for name in curves)
    positives = (1,) if n_classes == 2 else tuple(range(n_classes))
    rankings = [rank(truth == code, probability[:, code]) for code in positives] if curves else []

    def weigh(weight: FloatArray) -> dict[str, FloatArray]:
        sums = weight @ columns
        counts = ClassCounts(
            hits=sums[..., :n_classes],
            actual=sums[..., n_classes : 2 * n_classes],
            called=sums[..., 2 * n_classes : -1],
        )
        values = _from_counts(counts, sums[..., -1], empty)
        if curves:
            found = [ranking.areas(weight, precision_recall=precision_recall) for ranking in rankings]
            values |= _from_areas(found, counts)
        return {name: values[name] for name in wanted}

    return weigh


_AVERAGES: tuple[Average, ...] = ("macro", "micro", "weighted")
_COUNTED = (
    "accuracy",
    "log_loss",
    *(f"{name}_{average}" for average in _AVERAGES for name in ("precision", "recall", "f1")),
)
_BINARY_METRICS = ("roc_auc", "pr_auc", "precision", "recall", "f1", *_COUNTED)
_MULTICLASS_METRICS = ("roc_auc_ovr", "roc_auc_ovr_weighted", "pr_auc_ovr", *_COUNTED)


def _from_counts(counts: ClassCounts, loss: FloatArray, empty: float) -> dict[str, FloatArray]:
    total = counts.actual.sum(axis=-1)
    values = {
        "accuracy": ratio(counts.hits.sum(axis=-1), total, empty=np.nan),
        "log_loss": ratio(loss, total, empty=np.nan),
    }
    for average in _AVERAGES:
        mean = averaged(counts, average)
        values[f"precision_{average}"] = mean.precision
        values[f"recall_{average}"] = mean.recall
        values[f"f1_{average}"] = mean.f1
    if counts.actual.shape[-1] == 2:
        single = per_class(counts, empty=empty)
        values["precision"] = single.precision[..., 1]
        values["recall"] = single.recall[..., 1]
        values["f1"] = single.f1[..., 1]
    return values


def _from_areas(found: Sequence[Areas], counts: ClassCounts) -> dict[str, FloatArray]:
    if counts.actual.shape[-1] == 2:
        return {"roc_auc": found[0].roc, "pr_auc": found[0].precision_recall}
    roc = np.stack([item.roc for item in found], axis=-1)
    return {
        "roc_auc_ovr": mean_area(roc),
        "roc_auc_ovr_weighted": mean_area(roc, counts.actual),
        "pr_auc_ovr": mean_area(np.stack([item.precision_recall for item in found], axis=-1)),
    }


def _require_codes(truth: IntArray, n_classes: int) -> None:
    outside = np.flatnonzero((truth < 0) | (truth >= n_classes))
    if outside.size:
        raise Invalid(
            f"{outside.size} of {truth.size} rows have a class that the {n_classes} columns of probabilities do not "
            f"know; the first is row {int(outside[0])} with code {int(truth[outside[0]])}.",
            code="evaluation.unknown_class",
            hint="Leave out the rows whose label the model was never trained on, and say how many they were.",
        )


def predicted_codes(probability: FloatArray) -> IntArray:
    """Return the most probable class of each row; a binary tie is called positive.

    Examples
    --------
    >>> predicted_codes(np.array([[0.5, 0.5], [0.9, 0.1]]))
    array([1, 0])
    """
    if probability.shape[1] == 2:
        return (probability[:, 1] >= 0.5).astype(np.int64)
    return np.asarray(np.argmax(probability, axis=1), dtype=np.int64)
