"""What a metric is: a name, a direction, and a number computed from predictions.

Every metric function of this room takes row weights whose **last axis is the rows**, and answers with one
number per leading index. Weights of shape ``(n_rows,)`` give the ordinary (weighted) metric; weights of
shape ``(n_resamples, n_rows)`` give a whole bootstrap at once, because drawing a row three times is the
same as giving it weight three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """A metric's name as machines and as people write it, and which way is better."""

    name: str
    title: str
    direction: Direction

    def better(self, a: float, b: float) -> bool:
        """Tell whether ``a`` is strictly better than ``b``; anything is better than NaN.

        Examples
        --------
        >>> METRICS["rmse"].better(1.0, 2.0), METRICS["roc_auc"].better(0.7, float("nan"))
        (True, True)
        """
        if np.isnan(a):
            return False
        if np.isnan(b):
            return True
        return a > b if self.direction == "maximize" else a < b

    @property
    def sign(self) -> float:
        """``+1`` where more is better, ``-1`` where less is."""
        return 1.0 if self.direction == "maximize" else -1.0


def _catalogue(*rows: tuple[str, str, Direction]) -> dict[str, MetricInfo]:
    return {name: MetricInfo(name, title, direction) for name, title, direction in rows}


METRICS: dict[str, MetricInfo] = _catalogue(
    ("accuracy", "accuracy", "maximize"),
    ("precision", "precision of the positive class", "maximize"),
    ("recall", "recall of the positive class", "maximize"),
    ("f1", "F1 of the positive class", "maximize"),
    ("precision_macro", "precision, mean over classes", "maximize"),
    ("precision_micro", "precision, pooled over classes", "maximize"),
    ("precision_weighted", "precision, mean weighted by class size", "maximize"),
    ("recall_macro", "recall, mean over classes", "maximize"),
    ("recall_micro", "recall, pooled over classes", "maximize"),
    ("recall_weighted", "recall, mean weighted by class size", "maximize"),
    ("f1_macro", "F1, mean over classes", "maximize"),
    ("f1_micro", "F1, pooled over classes", "maximize"),
    ("f1_weighted", "F1, mean weighted by class size", "maximize"),
    ("roc_auc", "area under the ROC curve", "maximize"),
    ("roc_auc_ovr", "area under the ROC curve, one class against the rest, mean over classes", "maximize"),
    (
        "roc_auc_ovr_weighted",
        "area under the ROC curve, one class against the rest, weighted by class size",
        "maximize",
    ),
    ("pr_auc", "area under the precision-recall curve", "maximize"),
    ("pr_auc_ovr", "area under the precision-recall curve, mean over classes", "maximize"),
    ("log_loss", "log loss", "minimize"),
    ("mse", "mean squared error", "minimize"),
    ("rmse", "root mean squared error", "minimize"),
    ("mae", "mean absolute error", "minimize"),
    ("r2", "share of variance explained (R²)", "maximize"),
    ("mape", "mean absolute percentage error", "minimize"),
    ("mase", "mean absolute error in units of the seasonal naive forecast's", "minimize"),
    ("rmsse", "root mean squared error in units of the seasonal naive forecast's", "minimize"),
    ("smape", "symmetric mean absolute percentage error", "minimize"),
    ("pinball", "pinball loss, mean over quantiles", "minimize"),
    ("interval_score", "interval score (Winkler)", "minimize"),
)
"""Every metric this room computes, by name."""


_UNDEFINED: dict[str, str] = {
    "roc_auc": "the rows are all of one class",
    "pr_auc": "there are no positive rows",
    "recall": "there are no positive rows",
    "f1": "there are no positive rows",
    "precision": "no row was called positive",
    "r2": "the target does not vary",
    "mape": "every true value is zero",
    "mase": "the training values repeat exactly, or were not given",
    "rmsse": "the training values repeat exactly, or were not given",
}


def undefined_reason(name: object) -> str:
    """Say why a metric has no value on some rows, in words that follow "not computable, because".

    Examples
    --------
    >>> undefined_reason("roc_auc")
    'the rows are all of one class'
    """
    return _UNDEFINED.get(str(name), "the metric is not defined on these rows")


def row_weights(n_rows: int, weights: npt.NDArray[Any] | None) -> FloatArray:
    """Return the weights as float64, all ones if there are none.

    Raises
    ------
    ValueError
        If the last axis is not ``n_rows`` long.
    """
    if weights is None:
        return np.ones(n_rows, dtype=np.float64)
    converted = np.asarray(weights, dtype=np.float64)
    if converted.shape[-1] != n_rows:
        message = f"weights end in an axis of {converted.shape[-1]}, the data has {n_rows} rows"
        raise ValueError(message)
    return converted


def require_finite(name: str, values: FloatArray) -> None:
    """Refuse values that are not finite numbers: a metric of them would be a number nobody can defend.

    Raises
    ------
    Invalid
        With how many rows are concerned, and the first of them.

    Examples
    --------
    >>> require_finite("truth", np.array([1.0, np.nan]))
    Traceback (most recent call last):
    arkwright.core.errors.Invalid: 1 of 2 rows of truth hold a value that is not a finite number; the first is row 1.
    """
    finite = np.isfinite(values)
    if finite.all():
        return
    rows = np.flatnonzero(~finite.reshape(len(values), -1).all(axis=1))
    raise Invalid(
        f"{rows.size} of {len(values)} rows of {name} hold a value that is not a finite number; "
        f"the first is row {int(rows[0])}.",
        code="evaluation.not_finite",
        hint="Leave these rows out and say how many they were, or find out why the model has no answer for them.",
    )


def ratio(numerator: FloatArray, denominator: FloatArray, *, empty: float) -> FloatArray:
    """Divide, with ``empty`` where the denominator is zero.

    Examples
    --------
    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0]), empty=0.0)
    array([0.5, 0. ])
    """
    numerator, denominator = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    out = np.full(numerator.shape, empty, dtype=np.float64)
    np.divide(numerator, denominator, out=out, where=denominator != 0)
    return out
