"""How far apart two rows of a table are, and whether a made-up row lies where the data does.

The distance adds up the columns: numbers and moments as their difference over the column's median absolute deviation
(Wachter, Mittelstadt & Russell 2017), categories as 0 or 1. A cell that is missing in one of the rows counts 1, in
both 0.

References
----------
Wachter, Mittelstadt & Russell (2017), "Counterfactual Explanations Without Opening the Black Box", Harvard JOLT 31.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.scored_table import Columns, kind_of, missing, n_rows_of, sample_rows, take

_UNKNOWN = -1.0
_BLOCK_CELLS = 4_000_000


class RowSpace:
    """Rows as points, and the points of the data.

    Parameters
    ----------
    data
        Rows that are real.
    names
        The columns to compare.
    seed
        Of the sample of the data that a row's nearest neighbour is looked for in.
    max_rows
        Size of that sample.
    quantile
        A row is plausible if its nearest neighbour in the sample is no further than this share of the sample's rows
        have theirs.

    Examples
    --------
    >>> data = {"x": np.array([0.0, 1.0, 2.0, 3.0, 4.0]), "g": np.array(list("aabbb"), dtype=object)}
    >>> space = RowSpace(data, ("x", "g"), seed=0)
    >>> points = space.points({"x": np.array([2.0, 4.0]), "g": np.array(["a", "b"], dtype=object)})
    >>> space.parts(points[:1], points[1:])
    array([[2., 1.]])
    """

    def __init__(
        self, data: Columns, names: Sequence[str], *, seed: int, max_rows: int = 1_000, quantile: float = 0.95
    ) -> None:
        n_rows = n_rows_of(data, names)
        self._names = tuple(names)
        self._is_level = np.array([kind_of(data[name]) == "categorical" for name in names])
        self._codes: dict[str, dict[str, float]] = {}
        self._scales: dict[str, float] = {}
        for name in names:
            there = data[name][~missing(data[name])]
            if kind_of(data[name]) == "categorical":
                levels = sorted({str(value) for value in there.tolist()})
                self._codes[name] = {level: float(code) for code, level in enumerate(levels)}
            else:
                self._scales[name] = _spread(as_numbers(there))
        self._sample = self.points(take(data, sample_rows(n_rows, max_rows, seed=seed)))
        own = self._closest(self._sample, leave_out=True)
        self.limit = float(np.quantile(own[np.isfinite(own)], quantile)) if np.isfinite(own).any() else 0.0

    def points(self, columns: Columns) -> FloatArray:
        """Return a table's rows as points, of shape (n_rows, n_columns); NaN where a cell is missing."""
        points = np.empty((n_rows_of(columns, self._names), len(self._names)))
        for index, name in enumerate(self._names):
            values = columns[name]
            if name in self._codes:
                codes = self._codes[name]
                gone = missing(values)
                points[:, index] = [codes.get(str(value), _UNKNOWN) for value in values.tolist()]
                points[gone, index] = np.nan
            else:
                points[:, index] = as_numbers(values) / self._scales[name]
        return points

    def parts(self, left: FloatArray, right: FloatArray) -> FloatArray:
        """Return each column's distance between rows of the same place, of shape (n_rows, n_columns)."""
        far = np.abs(left - right)
        far = np.where(self._is_level & (far > 0), 1.0, far)
        return np.where(np.isnan(left) | np.isnan(right), (np.isnan(left) != np.isnan(right)) * 1.0, far)

    def nearest(self, points: FloatArray) -> FloatArray:
        """Return the distance of each point to its nearest neighbour in the sample of the data."""
        return self._closest(points, leave_out=False)

    def _closest(self, points: FloatArray, *, leave_out: bool) -> FloatArray:
        closest = np.full(len(points), np.inf)
        step = max(1, _BLOCK_CELLS // max(1, len(self._sample)))
        for start in range(0, len(points), step):
            block = points[start : start + step]
            total = np.zeros((len(block), len(self._sample)))
            for index in range(len(self._names)):
                total += self._column_distance(block[:, index, None], self._sample[None, :, index], index)
            if leave_out:
                total[np.arange(len(block)), np.arange(start, start + len(block))] = np.inf
            closest[start : start + step] = total.min(axis=1)
        return closest

    def _column_distance(self, left: FloatArray, right: FloatArray, index: int) -> FloatArray:
        far = (left != right).astype(np.float64) if self._is_level[index] else np.abs(left - right)
        gone_left, gone_right = np.isnan(left), np.isnan(right)
        if gone_left.any() or gone_right.any():
            far = np.where(gone_left | gone_right, (gone_left != gone_right).astype(np.float64), far)
        return far


def as_numbers(values: npt.NDArray[Any]) -> FloatArray:
    """Return numbers as they are and moments as microseconds since 1970; NaN where missing.

    Examples
    --------
    >>> as_numbers(np.array(["1970-01-02", "NaT"], dtype="datetime64[us]"))
    array([8.64e+10,      nan])
    """
    if values.dtype.kind != "M":
        return np.asarray(values, dtype=np.float64)
    numbers = values.astype("datetime64[us]").astype(np.int64).astype(np.float64)
    numbers[np.isnat(values)] = np.nan
    return numbers


def _spread(numbers: FloatArray) -> float:
    """Return the median absolute deviation; the mean one if most values are alike; 1 if all are."""
    numbers = numbers[np.isfinite(numbers)]
    if numbers.size == 0:
        return 1.0
    away = np.abs(numbers - np.median(numbers))
    return float(np.median(away)) or float(away.mean()) or 1.0
