"""Permutation importance: how much worse the model gets when one column is shuffled.

References
----------
Breiman (2001), "Random Forests", Machine Learning 45, section 10.
Fisher, Rudin & Dominici (2019), "All Models are Wrong, but Many are Useful", JMLR 20 (model-agnostic form).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.evaluation.metric import Direction, FloatArray

Columns = Mapping[str, npt.NDArray[Any]]


class FeatureImportance(msgspec.Struct, frozen=True, kw_only=True):
    """The loss in the metric when the column is shuffled: mean and spread over the repeats.

    Positive means the model relies on the column; around zero, that it could do without.
    """

    name: str
    mean: float
    std: float


def permutation_importance(
    predict: Callable[[Columns], FloatArray],
    score: Callable[[FloatArray, npt.NDArray[np.int64]], float],
    columns: Columns,
    names: Sequence[str],
    *,
    direction: Direction,
    seed: int,
    n_repeats: int = 5,
    max_rows: int = 2_000,
    should_stop: Callable[[], bool] | None = None,
) -> tuple[FeatureImportance, ...]:
    """Shuffle each column in turn and measure the loss.

    Parameters
    ----------
    predict
        Takes columns, returns scores of shape ``(n, k)``.
    score
        Takes the scores and the indices of the rows they belong to, returns the metric.
    names
        The columns to measure.
    n_repeats
        Shuffles per column.
    max_rows
        A seeded sample of this many rows is used when there are more.
    should_stop
        Polled before each column; the columns measured so far are returned when it says so.

    Returns
    -------
    tuple of FeatureImportance
        Largest first.
    """
    n_rows = len(next(iter(columns.values())))
    rng = np.random.default_rng(seed)
    rows = np.arange(n_rows)
    if n_rows > max_rows:
        rows = np.sort(rng.choice(n_rows, size=max_rows, replace=False))
    sample = {name: values[rows] for name, values in columns.items()}
    reference = score(predict(sample), rows)
    sign = 1.0 if direction == "maximize" else -1.0
    shuffles = [rng.permutation(rows.size) for _ in range(n_repeats)]
    measured = []
    for name in names:
        if should_stop is not None and should_stop():
            break
        drops = [
            sign * (reference - score(predict({**sample, name: sample[name][shuffle]}), rows)) for shuffle in shuffles
        ]
        measured.append(FeatureImportance(name=name, mean=float(np.mean(drops)), std=float(np.std(drops))))
    return tuple(sorted(measured, key=lambda item: (-item.mean, item.name)))
