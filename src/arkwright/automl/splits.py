"""Which rows judge the model, and which rows judge each candidate.

A *holdout* is set aside first: no fold, no encoder and no search ever reads it. The rest is split into folds,
each the validation part once. Both keep the class shares; both are decided by a seed alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid

HOLDOUT = -1
"""The fold number of a row that is held out."""

HOLDOUT_SHARE = 0.2
DEFAULT_FOLDS = 5
_LARGE = 100_000

FoldNumbers = npt.NDArray[np.int8]


def default_folds(n_rows: int) -> int:
    """Return how many folds to make: five, or three where there are so many rows that three say as much.

    Examples
    --------
    >>> default_folds(7_043), default_folds(1_000_000)
    (5, 3)
    """
    return DEFAULT_FOLDS if n_rows <= _LARGE else 3


def assign_rows(
    n_rows: int,
    *,
    n_folds: int,
    seed: int,
    codes: npt.NDArray[np.float64] | None = None,
    holdout_share: float = HOLDOUT_SHARE,
) -> FoldNumbers:
    """Give every row a fold number, or ``HOLDOUT``.

    Parameters
    ----------
    codes
        Class codes for a stratified split; None for a plain one.
    holdout_share
        Share of the rows, and of each class, to hold out. A class always keeps two rows for the folds.

    Returns
    -------
    ndarray of int8, shape (n_rows,)

    Raises
    ------
    Invalid
        If there are fewer rows to train on than folds.

    Examples
    --------
    >>> folds = assign_rows(100, n_folds=4, seed=0)
    >>> np.unique(folds, return_counts=True)
    (array([-1,  0,  1,  2,  3], dtype=int8), array([20, 20, 20, 20, 20]))
    """
    rng = np.random.default_rng(seed)
    groups = [np.arange(n_rows)] if codes is None else [np.flatnonzero(codes == code) for code in np.unique(codes)]
    sizes = np.array([rows.size for rows in groups])
    n_held = _shares(sizes, holdout_share, keep=2 if codes is not None else n_folds)
    if n_rows - int(n_held.sum()) < n_folds:
        raise Invalid(
            f"{n_rows} rows cannot be split into {n_folds} folds and a holdout.",
            code="split.too_few_rows",
            hint="Ask for fewer folds (config.cv.folds), or add rows.",
        )
    folds = np.empty(n_rows, dtype=np.int8)
    turn = 0
    for rows, held in zip(groups, n_held, strict=True):
        shuffled = rng.permutation(rows)
        folds[shuffled[:held]] = HOLDOUT
        rest = shuffled[held:]
        # Going on where the class before stopped keeps the folds of equal size however small the classes are.
        folds[rest] = (np.arange(rest.size) + turn) % n_folds
        turn += rest.size
    return folds


def _shares(sizes: npt.NDArray[np.int64], share: float, *, keep: int) -> npt.NDArray[np.int64]:
    """Return whole numbers near ``share * sizes`` whose sum is near the share of all (largest remainder)."""
    exact = sizes * share
    most = np.maximum(sizes - keep, 0)
    held: npt.NDArray[np.int64] = np.minimum(np.floor(exact).astype(np.int64), most)
    missing = round(float(exact.sum())) - int(held.sum())
    for position in np.argsort(-(exact - held), kind="stable")[: max(missing, 0)]:
        held[position] += int(held[position] < most[position])
    return held
