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

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from arkwright.evaluation.metric import FloatArray, IntArray, ratio, row_weights

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


def per_class(counts: ClassCounts) -> PrecisionRecallF1:
    """Return precision, recall and F1 of each class.

    Examples
    --------
    >>> per_class(class_counts(np.array([0, 1, 1]), np.array([0, 0, 1]), 2)).recall
    array([1. , 0.5])
    """
    return PrecisionRecallF1(
        precision=ratio(counts.hits, counts.called, empty=0.0),
        recall=ratio(counts.hits, counts.actual, empty=0.0),
        f1=ratio(2.0 * counts.hits, counts.actual + counts.called, empty=0.0),
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
    weight = row_weights(score.size, weights)
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    if not np.array_equal(order, np.arange(order.size)):
        weight = weight[..., order]
    new_score = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    hits = weight * positive[order]
    misses = weight - hits
    if not new_score.all():
        starts = np.flatnonzero(new_score)
        hits, misses = np.add.reduceat(hits, starts, axis=-1), np.add.reduceat(misses, starts, axis=-1)
    found = np.cumsum(hits, axis=-1)
    n_positive, n_negative = found[..., -1].copy(), misses.sum(axis=-1)
    above = np.einsum("...i,...i->...", misses, found) - 0.5 * np.einsum("...i,...i->...", misses, hits)
    called = np.cumsum(misses, axis=-1)
    called += found
    precision = np.divide(found, called, out=found, where=called > 0)
    return Areas(
        roc=ratio(above, n_positive * n_negative, empty=np.nan),
        precision_recall=ratio(np.einsum("...i,...i->...", precision, hits), n_positive, empty=np.nan),
    )


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
    given = probability[np.arange(truth.size), truth]
    loss = -np.log(np.clip(given, _EPSILON, 1.0 - _EPSILON))
    return ratio(weight @ loss, weight.sum(axis=-1), empty=np.nan)


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
    """
    n_classes = probability.shape[1]
    weight = row_weights(truth.size, weights)
    predicted = predicted_codes(probability)
    counts = class_counts(truth, predicted, n_classes, weight)
    values: dict[str, FloatArray] = {}
    if n_classes == 2:
        area, single = areas(truth == 1, probability[:, 1], weight), per_class(counts)
        values["roc_auc"] = area.roc
        values["pr_auc"] = area.precision_recall
        values["precision"] = single.precision[..., 1]
        values["recall"] = single.recall[..., 1]
        values["f1"] = single.f1[..., 1]
    else:
        area = one_vs_rest(truth, probability, weight)
        values["roc_auc_ovr"] = mean_area(area.roc)
        values["roc_auc_ovr_weighted"] = mean_area(area.roc, counts.actual)
        values["pr_auc_ovr"] = mean_area(area.precision_recall)
    values["accuracy"] = accuracy(truth, predicted, weight)
    values["log_loss"] = log_loss(truth, probability, weight)
    averages: tuple[Average, ...] = ("macro", "micro", "weighted")
    for average in averages:
        mean = averaged(counts, average)
        values[f"precision_{average}"] = mean.precision
        values[f"recall_{average}"] = mean.recall
        values[f"f1_{average}"] = mean.f1
    return values


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
