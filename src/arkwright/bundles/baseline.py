"""Fit the monitoring baseline: what the training data, and the model's answers on the holdout, looked like.

Deterministic, and independent of the order of the rows.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import Columns, FloatArray, as_moments, as_numbers, as_text
from arkwright.bundles.kernels.scale import mean_and_std
from arkwright.contracts import Baseline, CategoricalBaseline, NumericBaseline, Signature
from arkwright.contracts.signature import ColumnKind

MAX_BINS = 10
MAX_QUANTILES = 1001
MAX_LEVELS = 100


def fit_baseline(signature: Signature, columns: Columns, predictions: FloatArray) -> Baseline:
    """Fit the baseline of a model.

    Parameters
    ----------
    signature
        Its inputs are the features that are watched.
    columns
        The training table.
    predictions
        Scores on the holdout as ``Predictor.predict_columns`` returns them, of shape (n_holdout, n_scores).
    """
    features = {column.name: _fit(comparable_values(column.kind, columns[column.name])) for column in signature.columns}
    if signature.task == "multiclass":
        labels = np.empty(predictions.shape[0], dtype=object)
        labels[:] = [str(signature.classes[best]) for best in predictions.argmax(axis=1)]
        prediction = _fit(labels)
    else:
        prediction = _fit(as_numbers(predictions[:, 0]))
    n_rows = next((values.size for values in columns.values()), 0)
    return Baseline(n_rows=n_rows, features=features, prediction=prediction)


def comparable_values(kind: ColumnKind, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a column as the baseline sees it: numbers with NaN, texts with None, moments as epoch seconds.

    Traffic that is compared with a baseline goes through the same function.

    Examples
    --------
    >>> comparable_values("time", np.array(["1970-01-02", "NaT"], dtype="datetime64[us]"))
    array([86400.,    nan])
    """
    if kind == "numeric":
        return as_numbers(values)
    if kind == "time":
        moments = as_moments(values)
        seconds = moments.astype(np.int64) / 1e6
        seconds[np.isnat(moments)] = np.nan
        return seconds
    texts = np.empty(values.size, dtype=object)
    texts[:] = [as_text(value) for value in values.tolist()]
    return texts


def _fit(values: npt.NDArray[Any]) -> NumericBaseline | CategoricalBaseline:
    return _fit_categorical(values.tolist()) if values.dtype == object else _fit_numeric(values)


def _fit_numeric(values: FloatArray) -> NumericBaseline:
    present = np.sort(values[np.isfinite(values)])
    missing_share = 1.0 - present.size / values.size if values.size else 0.0
    if present.size == 0:
        # Nothing to compare with: one bin that everything falls into.
        return NumericBaseline(
            edges=(),
            shares=(1.0,),
            quantiles=(),
            missing_share=missing_share,
            mean=0.0,
            std=0.0,
            minimum=0.0,
            maximum=0.0,
        )
    edges = _edges(present)
    counts = np.bincount(np.searchsorted(edges, present, side="left"), minlength=len(edges) + 1)
    mean, std = mean_and_std(present)
    n_quantiles = max(2, min(MAX_QUANTILES, present.size))
    # The nearest observed value, not one between two of them: exact, and no overflow between extremes.
    ranks = np.rint(np.arange(n_quantiles) * (present.size - 1) / (n_quantiles - 1)).astype(np.intp)
    return NumericBaseline(
        edges=tuple(edges),
        shares=tuple((counts / present.size).tolist()),
        quantiles=tuple(present[ranks].tolist()),
        missing_share=missing_share,
        mean=mean,
        std=std,
        minimum=float(present[0]),
        maximum=float(present[-1]),
    )


def _edges(present: FloatArray) -> list[float]:
    """Return at most nine inner edges such that no bin of the sorted values is empty.

    With ten distinct values or fewer, each has a bin; otherwise deciles, ties merged. An edge at the maximum would
    leave the last bin empty, so the next smaller value takes its place: else a feature that is 1 in most rows and
    seldom 0 would have a single bin.
    """
    distinct = np.unique(present)
    edges = distinct[:-1]
    if distinct.size > MAX_BINS:
        ranks = np.ceil(np.arange(1, MAX_BINS) * present.size / MAX_BINS).astype(np.intp) - 1
        edges = np.unique(np.minimum(present[ranks], distinct[-2]))
    return [float(edge) for edge in edges]


def _fit_categorical(values: list[str | None]) -> CategoricalBaseline:
    counts = Counter(value for value in values if value is not None)
    n_present = counts.total()
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return CategoricalBaseline(
        shares={level: count / n_present for level, count in ordered[:MAX_LEVELS]},
        missing_share=1.0 - n_present / len(values) if values else 0.0,
        other_share=sum(count for _, count in ordered[MAX_LEVELS:]) / n_present if n_present else 0.0,
    )
