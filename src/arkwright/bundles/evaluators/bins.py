"""Between which of some numbers the values of a column lie."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import FloatArray

Codes = npt.NDArray[np.intp]

_GRID_CELLS = 1 << 12
_MOST_STEPS = 4


class Bins:
    """Between which of some numbers a value lies.

    Parameters
    ----------
    cuts
        In ascending order, each once.

    Examples
    --------
    >>> Bins(np.array([1.0, 2.0])).of(np.array([0.5, 1.0, 1.5, 2.0, 9.0, np.nan])).tolist()
    [0, 0, 1, 1, 2, 3]
    """

    def __init__(self, cuts: FloatArray) -> None:
        self.cuts = cuts
        self._padded = np.append(cuts, np.inf)
        self._first: Codes | None = None
        self._n_steps = 0
        with np.errstate(all="ignore"):
            self._low, self._scale = cuts[0], (_GRID_CELLS - 1) / (cuts[-1] - cuts[0])
        if not (np.isfinite(cuts).all() and np.isfinite(self._scale) and self._scale > 0):
            return
        cells = self._cells(cuts)
        counts = np.bincount(cells, minlength=_GRID_CELLS)
        if counts.max() <= _MOST_STEPS:
            self._first, self._n_steps = np.cumsum(counts) - counts, int(counts.max())

    def of(self, values: FloatArray) -> Codes:
        """Return how many cuts are smaller than each value; for NaN, one more than there are cuts."""
        if self._first is None:
            codes = self.cuts.searchsorted(values)
        else:
            # A grid over the numbers, in which no cell holds more than a few cuts: no search, and no branches. The
            # cell never falls where the value rises, whatever is rounded, so cuts in lower cells are smaller.
            codes = self._first.take(self._cells(values), mode="clip")
            for _ in range(self._n_steps):
                codes += values > self._padded.take(codes, mode="clip")
        missing = np.isnan(values)
        if missing.any():
            codes[missing] = self.cuts.size + 1
        return codes

    def _cells(self, values: FloatArray) -> Codes:
        with np.errstate(all="ignore"):
            place = values - self._low
            place *= self._scale
        np.fmin(place, _GRID_CELLS - 1.0, out=place)
        np.fmax(place, 0.0, out=place)
        cells: Codes = place.astype(np.intp)
        return cells
