"""The same decision about a float64 number that a library makes after it has rounded the number to float32.

XGBoost, CatBoost and scikit-learn's forests round each cell to single precision and compare that. Rounding is
monotone, so for every threshold there is a largest float64 that still rounds to the lower side, and comparing with
that one, without rounding, decides every cell alike: neighbours of the threshold, denormals and cells beyond the range
of single precision, which round to infinity.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import FloatArray

_BEYOND = 2.0**128 - 2.0**103
"""The smallest float64 that rounds to infinity: half a step beyond the largest float32, a tie that goes up."""


def single_at_most(thresholds: npt.ArrayLike) -> FloatArray:
    """Return the largest float64 ``t`` such that ``float32(x) <= threshold`` exactly where ``x <= t``.

    Parameters
    ----------
    thresholds
        float64 numbers, of shape (n_thresholds,).

    Examples
    --------
    >>> t = single_at_most([1.0])[0]
    >>> bool(t > 1.0), float(np.float32(t)), bool(np.float32(np.nextafter(t, 2.0)) > 1.0)
    (True, 1.0, True)
    """
    exact = np.asarray(thresholds, dtype=np.float64)
    with np.errstate(over="ignore", under="ignore"):
        nearest = exact.astype(np.float32)
        below = np.where(nearest.astype(np.float64) > exact, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return _last_that_rounds_to(below.astype(np.float32))


def single_below(thresholds: npt.ArrayLike) -> FloatArray:
    """Return the largest float64 ``t`` such that ``float32(x) < float32(threshold)`` exactly where ``x <= t``.

    Minus infinity is no threshold: nothing lies below it.

    Examples
    --------
    >>> t = single_below([1.0])[0]
    >>> bool(t < 1.0), bool(np.float32(t) < 1.0), float(np.float32(np.nextafter(t, 2.0)))
    (True, True, 1.0)
    """
    with np.errstate(over="ignore", under="ignore"):
        lower = np.nextafter(np.asarray(thresholds, dtype=np.float32), np.float32(-np.inf))
    return _last_that_rounds_to(lower)


def _last_that_rounds_to(single: npt.NDArray[np.float32]) -> FloatArray:
    """Return the largest float64 that rounds to a float32, or to less."""
    with np.errstate(over="ignore", under="ignore"):
        above = np.nextafter(single, np.float32(np.inf)).astype(np.float64)
        low = single.astype(np.float64)
        # Both are exact: a float64 holds the middle of two neighbouring float32 numbers.
        middle = np.where(np.isfinite(low) & np.isfinite(above), low / 2 + above / 2, 0.0)
        middle = np.where(np.isposinf(above) & np.isfinite(low), _BEYOND, middle)
        middle = np.where(np.isneginf(low), -_BEYOND, middle)
        stays = middle.astype(np.float32) <= single
        last: FloatArray = np.where(stays, middle, np.nextafter(middle, -np.inf))
    return np.where(np.isposinf(single), np.inf, last)
