"""How much two columns of categories tell of each other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def cramers_v_of(counts: npt.NDArray[np.int64]) -> float:
    """Return the bias-corrected Cramér's V of a table of counts without empty rows or columns; NaN if it is too small.

    References
    ----------
    W. Bergsma, "A bias-correction for Cramér's V and Tschuprow's T", J. Korean Statist. Soc. 42(3), 2013.

    Examples
    --------
    >>> round(cramers_v_of(np.array([[50, 0], [0, 50]])), 6), cramers_v_of(np.array([[25, 25], [25, 25]]))
    (1.0, 0.0)
    """
    n_rows, (n_one, n_other) = int(counts.sum()), counts.shape
    if min(n_one, n_other, n_rows) < 2:
        return float("nan")
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n_rows
    phi_squared = float((np.square(counts - expected) / expected).sum()) / n_rows
    corrected = max(0.0, phi_squared - (n_one - 1) * (n_other - 1) / (n_rows - 1))
    sides = [size - (size - 1) ** 2 / (n_rows - 1) for size in (n_one, n_other)]
    return float(min(1.0, np.sqrt(corrected / (min(sides) - 1.0)))) if min(sides) > 1.0 else float("nan")
