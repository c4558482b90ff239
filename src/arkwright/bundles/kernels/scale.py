"""Centre and spread of a column, safe for any finite float64."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import FloatArray

CLIP = 10.0
"""Standard deviations past which a value says no more: one absurd number must not decide a linear score."""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """Impute with ``fill``, then ``(x - mean) / std`` clipped to +-``CLIP``."""

    fill: float
    mean: float
    std: float

    @classmethod
    def fit(cls, values: FloatArray) -> Scale:
        """Fit on the finite values; ``fill`` is their lower median, a value that was observed.

        Examples
        --------
        >>> Scale.fit(np.array([1.0, 2.0, 3.0, np.nan]))
        Scale(fill=2.0, mean=2.0, std=0.816496580927726)
        """
        finite = np.sort(values[np.isfinite(values)])
        if finite.size == 0:
            return cls(fill=0.0, mean=0.0, std=1.0)
        mean, std = mean_and_std(finite)
        return cls(fill=float(finite[(finite.size - 1) // 2]), mean=mean, std=std or 1.0)

    def apply(self, values: npt.NDArray[np.float64], missing: npt.NDArray[np.bool_]) -> FloatArray:
        """Scale a column."""
        filled = np.where(missing, self.fill, values)
        with np.errstate(over="ignore", divide="ignore"):
            scaled: FloatArray = np.clip((filled - self.mean) / self.std, -CLIP, CLIP)
        return scaled

    def apply_one(self, value: float) -> float:
        """Scale one value; NaN is missing."""
        if value != value:  # noqa: PLR0124 - the quickest test for NaN there is
            value = self.fill
        scaled = (value - self.mean) / self.std
        return CLIP if scaled > CLIP else max(scaled, -CLIP)


def mean_and_std(finite: FloatArray) -> tuple[float, float]:
    """Return the mean and the population standard deviation of finite values.

    Computed on values divided by their largest magnitude, so that squares neither overflow nor vanish.
    """
    lowest, highest = float(np.min(finite)), float(np.max(finite))
    if lowest == highest:  # the formula would find a spread of rounding errors
        return lowest, 0.0
    largest = max(-lowest, highest)
    unit = finite / largest
    return float(np.mean(unit)) * largest, float(np.std(unit)) * largest
