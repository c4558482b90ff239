"""What a model loses on each row, what it expects to lose there itself, and what a trivial answer would."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from arkwright.evaluation.classification import predicted_codes, row_log_loss
from arkwright.evaluation.metric import FloatArray

Loss = Literal["log_loss", "squared_error", "error"]


def row_losses(loss: Loss, truth: npt.NDArray[Any], scores: FloatArray) -> FloatArray:
    """Return each row's loss, shape ``(n_rows,)``.

    Parameters
    ----------
    loss
        ``log_loss`` and ``error`` (1 where the wrong class was called) for class codes and ``scores`` of shape
        ``(n_rows, n_classes)``; ``squared_error`` for values and predictions of shape ``(n_rows,)``.

    Examples
    --------
    >>> row_losses("error", np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    array([0., 1.])
    """
    if loss == "squared_error":
        return np.asarray(np.square(truth - scores), dtype=np.float64)
    codes = truth.astype(np.int64)
    if loss == "error":
        return np.asarray(predicted_codes(scores) != codes, dtype=np.float64)
    return row_log_loss(codes, scores)


def expected_losses(loss: Loss, scores: FloatArray) -> FloatArray | None:
    """Return the loss that a classifier's own probabilities lead to expect in each row; None for a predicted number.

    Of the log loss it is the entropy of the probabilities, of the error the chance of any other class.

    Examples
    --------
    >>> expected_losses("error", np.array([[0.9, 0.1]])).round(3), expected_losses("log_loss", np.array([[0.5, 0.5]]))
    (array([0.1]), array([0.69314718]))
    """
    if loss == "squared_error":
        return None
    if loss == "error":
        return np.asarray(1.0 - scores[np.arange(len(scores)), predicted_codes(scores)], dtype=np.float64)
    codes = np.arange(scores.shape[1])
    # The loss as it is counted, which keeps away from an infinite one, so that the two differ by chance alone.
    each = [row_log_loss(np.full(len(scores), code), scores) for code in codes]
    return np.asarray(np.sum(scores * np.column_stack(each), axis=1), dtype=np.float64)


def trivial_loss(loss: Loss, truth: npt.NDArray[Any]) -> float:
    """Return the mean loss of the best constant answer for some rows: their class shares, or their mean.

    Examples
    --------
    >>> round(trivial_loss("log_loss", np.array([0, 1])), 3), trivial_loss("squared_error", np.array([1.0, 3.0]))
    (0.693, 1.0)
    """
    if (truth == truth[0]).all():
        # Their variance would be what rounding leaves, and no loss can be measured by that.
        return 0.0
    if loss == "squared_error":
        return float(np.var(truth))
    shares = np.unique(truth, return_counts=True)[1] / truth.size
    return float(1.0 - shares.max()) if loss == "error" else float(-(shares * np.log(shares)).sum())
