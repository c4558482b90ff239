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
class PrecisionRecallF1:
    """Per class or averaged; each array ends in the class axis, or has none when averaged.

    A class nobody predicted has precision 0, and a class with no rows has recall 0: scikit-learn's
    ``zero_division=0``.
    """

    precision: FloatArray
    recall: FloatArray
    f1: FloatArray


def per_class(confusion: FloatArray) -> PrecisionRecallF1:
    """Return precision, recall and F1 of each class from a confusion matrix.

    Examples
    --------
    >>> per_class(np.array([[1.0, 0.0], [1.0, 1.0]])).recall
    array([1. , 0.5])
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    actual = confusion.sum(axis=-1)
    called = confusion.sum(axis=-2)
    return PrecisionRecallF1(
        precision=ratio(hits, called, empty=0.0),
        recall=ratio(hits, actual, empty=0.0),
        f1=ratio(2.0 * hits, actual + called, empty=0.0),
    )


def averaged(confusion: FloatArray, average: Average) -> PrecisionRecallF1:
    """Return precision, recall and F1 averaged over classes.

    ``macro`` is the plain mean over the classes that have rows or were predicted, ``weighted`` the mean
    weighted by the rows of each class, ``micro`` the pooled count (which equals accuracy).
    """
    if average == "micro":
        hits = np.trace(confusion, axis1=-2, axis2=-1)
        value = ratio(hits, confusion.sum(axis=(-2, -1)), empty=np.nan)
        return PrecisionRecallF1(value, value, value)
    single = per_class(confusion)
    if average == "weighted":
        share = confusion.sum(axis=-1)
    else:
        share = ((confusion.sum(axis=-1) + confusion.sum(axis=-2)) > 0).astype(np.float64)
    total = share.sum(axis=-1)
    return PrecisionRecallF1(
        *(
            ratio((values * share).sum(axis=-1), total, empty=np.nan)
            for values in (single.precision, single.recall, single.f1)
        )
    )


def _tied_masses(
    positive: npt.NDArray[np.bool_], score: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the positive and negative weight at each distinct score, scores descending."""
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    weight = weight[..., order]
    total = np.add.reduceat(weight, starts, axis=-1)
    hits = np.add.reduceat(weight * positive[order], starts, axis=-1)
    return hits, total - hits


def roc_auc(positive: npt.NDArray[np.bool_], score: FloatArray, weights: npt.NDArray[Any] | None = None) -> FloatArray:
    """Return the area under the ROC curve; ties count half.

    It is the probability that a random positive row scores higher than a random negative one; NaN where
    one of the two classes is absent (scikit-learn warns and answers NaN).

    Examples
    --------
    >>> float(roc_auc(np.array([False, True, True]), np.array([0.1, 0.1, 0.9])))
    0.75
    """
    weight = row_weights(score.size, weights)
    hits, misses = _tied_masses(positive, score, weight)
    above = np.cumsum(hits, axis=-1) - 0.5 * hits
    pairs = hits.sum(axis=-1) * misses.sum(axis=-1)
    return ratio((misses * above).sum(axis=-1), pairs, empty=np.nan)


def pr_auc(positive: npt.NDArray[np.bool_], score: FloatArray, weights: npt.NDArray[Any] | None = None) -> FloatArray:
    """Return the area under the precision-recall curve as average precision.

    The sum over thresholds of precision times the gain in recall, without interpolation; NaN where no row
    is positive.
    """
    weight = row_weights(score.size, weights)
    hits, misses = _tied_masses(positive, score, weight)
    found = np.cumsum(hits, axis=-1)
    precision = ratio(found, found + np.cumsum(misses, axis=-1), empty=0.0)
    return ratio((precision * hits).sum(axis=-1), hits.sum(axis=-1), empty=np.nan)


def one_vs_rest(
    metric: Literal["roc_auc", "pr_auc"],
    truth: IntArray,
    probability: FloatArray,
    weights: npt.NDArray[Any] | None = None,
    *,
    average: Literal["macro", "weighted"] = "macro",
) -> FloatArray:
    """Average an area over the classes, each against all others.

    A class with no rows has no area and is left out of the mean (scikit-learn refuses to answer).
    """
    weight = row_weights(truth.size, weights)
    area = roc_auc if metric == "roc_auc" else pr_auc
    values, shares = [], []
    for code in range(probability.shape[1]):
        positive = truth == code
        values.append(area(positive, probability[:, code], weight))
        shares.append(weight @ positive.astype(np.float64))
    stacked, share = np.stack(values, axis=-1), np.stack(shares, axis=-1)
    if average == "macro":
        share = np.ones_like(share)
    share = np.where(np.isnan(stacked), 0.0, share)
    return ratio((np.nan_to_num(stacked) * share).sum(axis=-1), share.sum(axis=-1), empty=np.nan)


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
    confusion = confusion_matrix(truth, predicted, n_classes, weight)
    values: dict[str, FloatArray] = {"accuracy": accuracy(truth, predicted, weight)}
    if n_classes == 2:
        score, positive = probability[:, 1], truth == 1
        single = per_class(confusion)
        values["roc_auc"] = roc_auc(positive, score, weight)
        values["pr_auc"] = pr_auc(positive, score, weight)
        values["precision"] = single.precision[..., 1]
        values["recall"] = single.recall[..., 1]
        values["f1"] = single.f1[..., 1]
    else:
        values["roc_auc_ovr"] = one_vs_rest("roc_auc", truth, probability, weight)
        values["roc_auc_ovr_weighted"] = one_vs_rest("roc_auc", truth, probability, weight, average="weighted")
        values["pr_auc_ovr"] = one_vs_rest("pr_auc", truth, probability, weight)
    values["log_loss"] = log_loss(truth, probability, weight)
    averages: tuple[Average, ...] = ("macro", "micro", "weighted")
    for average in averages:
        mean = averaged(confusion, average)
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
