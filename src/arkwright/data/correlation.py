"""Which numeric columns move together."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

NOTABLE = 0.5
FLAGGED = 0.95
_MOST_PAIRS = 50
_MOST_COLUMNS = 500
# Bounds the memory of the computation: cells of one matrix.
_MOST_CELLS = 10_000_000
_ENORMOUS = 1e100


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """Pearson's correlation of two columns over the rows that have both; ``flagged`` beyond 0.95 in absolute value."""

    a: str
    b: str
    correlation: float
    n_rows: int
    flagged: bool


def strongest_correlations(columns: Mapping[str, FloatArray]) -> tuple[list[Correlation], str]:
    """Return the pairs with an absolute correlation of at least 0.5, strongest first, at most 50.

    Parameters
    ----------
    columns
        Numeric columns of equal length, NaN where missing.

    Returns
    -------
    tuple
        The pairs, and a sentence on what was left out; empty if nothing was.

    Examples
    --------
    >>> x = np.arange(10.0)
    >>> pairs, note = strongest_correlations({"x": x, "twice": 2 * x, "odd": x % 2})
    >>> [(pair.a, pair.b, round(pair.correlation, 3)) for pair in pairs]
    [('x', 'twice', 1.0)]
    """
    names = list(columns)[:_MOST_COLUMNS]
    if len(names) < 2:
        return [], ""
    n_rows = len(columns[names[0]])
    step = max(1, -(-n_rows * len(names) // _MOST_CELLS))
    matrix = np.column_stack([columns[name][::step] for name in names])
    correlations, shared = pairwise_correlation(matrix)
    rows, others = np.triu_indices(len(names), k=1)
    strengths = correlations[rows, others]
    wanted = np.flatnonzero(np.abs(np.nan_to_num(strengths)) >= NOTABLE)
    order = wanted[np.argsort(-np.abs(strengths[wanted]), kind="stable")][:_MOST_PAIRS]
    pairs = [
        Correlation(
            a=names[rows[index]],
            b=names[others[index]],
            correlation=float(strengths[index]),
            n_rows=int(shared[rows[index], others[index]]),
            flagged=bool(abs(strengths[index]) > FLAGGED),
        )
        for index in order
    ]
    notes = []
    if len(columns) > len(names):
        notes.append(f"Correlations are of the first {len(names)} of {len(columns)} numeric columns.")
    if step > 1:
        notes.append(f"Correlations are over {matrix.shape[0]:,} evenly spaced rows.")
    return pairs, " ".join(notes)


def scale_of(values: FloatArray) -> float:
    """Return a power of two to divide enormous values by, so that their squares do not overflow; mostly 1."""
    largest = float(np.max(np.abs(values), initial=0.0))
    return 1.0 if largest < _ENORMOUS else math.ldexp(1.0, math.frexp(largest)[1] - 1)


def pairwise_correlation(matrix: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return Pearson's correlation of each pair of columns over the rows where both are present.

    Parameters
    ----------
    matrix
        Values of shape ``(n_rows, n_columns)``, NaN where missing.

    Returns
    -------
    tuple
        Correlations (NaN where either column does not vary, or fewer than two rows are shared) and the numbers of
        shared rows, both of shape ``(n_columns, n_columns)``.
    """
    present = ~np.isnan(matrix)
    weights = present.astype(np.float64)
    n_present = np.maximum(weights.sum(axis=0), 1.0)
    filled = np.where(present, matrix, 0.0)
    filled /= np.array([scale_of(filled[:, position]) for position in range(filled.shape[1])])
    # Centred and scaled by each column's own values first: differences of large sums lose digits.
    filled = np.where(present, filled - filled.sum(axis=0) / n_present, 0.0)
    scale = np.abs(filled).max(axis=0, initial=0.0)
    filled /= np.where(scale > 0, scale, 1.0)
    shared = weights.T @ weights
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = filled.T @ weights
        squares = (filled**2).T @ weights
        covariance = filled.T @ filled - sums * sums.T / shared
        variance = squares - sums**2 / shared
        variance[variance < 1e-12 * np.maximum(squares, 1e-300)] = np.nan
        correlations = covariance / np.sqrt(variance * variance.T)
    return np.clip(correlations, -1.0, 1.0), shared
