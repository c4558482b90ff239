"""Regression metrics, for one sample or for a thousand bootstrap replicates at once, and the residuals.

``weights`` end in the rows axis (see :mod:`arkwright.evaluation.metric`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.evaluation.metric import FloatArray, ratio, require_finite, row_weights


def mse(truth: FloatArray, predicted: FloatArray, weights: npt.NDArray[Any] | None = None) -> FloatArray:
    """Return the mean squared error."""
    weight = row_weights(truth.size, weights)
    return ratio(weight @ np.square(truth - predicted), weight.sum(axis=-1), empty=np.nan)


def rmse(truth: FloatArray, predicted: FloatArray, weights: npt.NDArray[Any] | None = None) -> FloatArray:
    """Return the root of the mean squared error, in the target's unit."""
    return np.sqrt(mse(truth, predicted, weights))


def mae(truth: FloatArray, predicted: FloatArray, weights: npt.NDArray[Any] | None = None) -> FloatArray:
    """Return the mean absolute error, in the target's unit."""
    weight = row_weights(truth.size, weights)
    return ratio(weight @ np.abs(truth - predicted), weight.sum(axis=-1), empty=np.nan)


def r2(truth: FloatArray, predicted: FloatArray, weights: npt.NDArray[Any] | None = None) -> FloatArray:
    """Return the share of the target's variance that the predictions explain.

    1 is perfect, 0 is no better than the mean, below 0 is worse than the mean; NaN where the target does
    not vary.
    """
    weight = row_weights(truth.size, weights)
    total = weight.sum(axis=-1)
    # Centring first keeps the subtraction of two large squares from losing the digits that matter.
    centred = truth - truth.mean()
    squares = weight @ np.square(centred)
    variation = squares - ratio(np.square(weight @ centred), total, empty=np.nan)
    variation = np.where(variation <= 1e-12 * squares, 0.0, variation)
    return 1.0 - ratio(weight @ np.square(truth - predicted), variation, empty=np.nan)


def mape(truth: FloatArray, predicted: FloatArray, weights: npt.NDArray[Any] | None = None) -> FloatArray:
    """Return the mean absolute percentage error as a fraction (0.1 is ten percent).

    Rows whose true value is zero have no percentage error and are **left out**; NaN if that leaves none.
    (scikit-learn divides by a tiny number instead, and answers something astronomic.)

    Examples
    --------
    >>> float(mape(np.array([10.0, 0.0]), np.array([11.0, 5.0])))
    0.1
    """
    weight = row_weights(truth.size, weights)
    defined = truth != 0
    share = np.divide(np.abs(truth - predicted), np.abs(truth), out=np.zeros_like(truth), where=defined)
    return ratio(weight @ share, weight @ defined.astype(np.float64), empty=np.nan)


def regression_metrics(
    truth: FloatArray, predicted: FloatArray, weights: npt.NDArray[Any] | None = None
) -> Mapping[str, FloatArray]:
    """Compute every regression metric.

    Raises
    ------
    Invalid
        If a true or a predicted value is not a finite number.
    """
    require_finite("truth", truth)
    require_finite("predicted", predicted)
    return {
        "rmse": rmse(truth, predicted, weights),
        "mae": mae(truth, predicted, weights),
        "r2": r2(truth, predicted, weights),
        "mse": mse(truth, predicted, weights),
        "mape": mape(truth, predicted, weights),
    }


def standard_errors(
    truth: FloatArray, predicted: FloatArray, weights: npt.NDArray[Any] | None = None
) -> Mapping[str, FloatArray]:
    """Return the standard errors of MSE, MAE and MAPE, which are means over rows, and of R2, a ratio of two.

    ``sqrt(variance / n)`` with the population variance of the rows' losses, as the bootstrap itself draws them; for R2
    of the rows' influence ``(error^2 - (1 - R2) deviation^2) / variation`` (the delta method). That the mean of the
    target varies as well is left out: it moves the deviations by an order less.

    Examples
    --------
    >>> round(float(standard_errors(np.zeros(4), np.array([1.0, 1.0, 3.0, 3.0]))["mae"]), 6)
    0.5
    """
    weight = row_weights(truth.size, weights)
    total = weight.sum(axis=-1)
    size = np.abs(truth - predicted)
    squares, deviations = np.square(size), np.square(truth - truth.mean())
    variation = ratio(weight @ deviations, total, empty=np.nan)
    unexplained = ratio(weight @ squares, total * variation, empty=np.nan)
    influence = (
        weight @ np.square(squares)
        - 2.0 * unexplained * (weight @ (squares * deviations))
        + np.square(unexplained) * (weight @ np.square(deviations))
    )
    defined = truth != 0
    share = np.divide(size, np.abs(truth), out=np.zeros_like(size), where=defined)
    with_share = weight @ defined.astype(np.float64)
    return {
        "mse": _error_of_mean(weight, squares, total),
        "mae": _error_of_mean(weight, size, total),
        "mape": _error_of_mean(weight, share, with_share),
        "r2": ratio(np.sqrt(np.maximum(influence, 0.0)), total * variation, empty=np.nan),
    }


def _error_of_mean(weight: FloatArray, loss: FloatArray, count: FloatArray) -> FloatArray:
    # Losses that are left out of the mean are zero here, in both sums, and not in the count.
    scale = float(np.abs(loss).max(initial=0.0)) or 1.0
    mean = ratio(weight @ (loss / scale), count, empty=np.nan)
    square = ratio(weight @ np.square(loss / scale), count, empty=np.nan)
    variance = square - np.square(mean)
    # What is left of two equal numbers is rounding, not spread.
    variance = np.where(variance <= 1e-12 * square, 0.0, variance)
    return scale * np.sqrt(ratio(variance, count, empty=np.nan))


class ResidualSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How the errors ``truth - predicted`` are spread, in the target's unit.

    Parameters
    ----------
    mean
        Positive if the model predicts too low on average.
    quantiles
        At 0, 5, 25, 50, 75, 95 and 100 percent.
    skewness
        Third standardised moment; 0 for symmetric errors and where all errors are equal.
    spread_correlation
        Pearson correlation of ``|residual|`` with the prediction, in [-1, 1]; far above 0 means that large
        predictions miss by more. 0 where undefined.
    n_zero_targets
        Rows left out of the percentage error.
    """

    mean: float
    std: float
    quantiles: dict[str, float]
    skewness: float
    spread_correlation: float
    n_zero_targets: int


def summarise_residuals(truth: FloatArray, predicted: FloatArray) -> ResidualSummary:
    """Describe the residuals.

    Examples
    --------
    >>> summarise_residuals(np.array([1.0, 2.0]), np.array([0.0, 1.0])).mean
    1.0
    """
    residual = truth - predicted
    std = float(residual.std())
    levels = (0, 5, 25, 50, 75, 95, 100)
    skewness = float(np.mean(((residual - residual.mean()) / std) ** 3)) if std > 0 else 0.0
    size, spread = np.abs(residual), float(predicted.std())
    correlated = std > 0 and spread > 0 and float(size.std()) > 0
    return ResidualSummary(
        mean=float(residual.mean()),
        std=std,
        quantiles={
            f"p{level}": float(value) for level, value in zip(levels, np.percentile(residual, levels), strict=True)
        },
        skewness=skewness,
        spread_correlation=float(np.corrcoef(size, predicted)[0, 1]) if correlated else 0.0,
        n_zero_targets=int(np.count_nonzero(truth == 0)),
    )
