"""A table and the model that scores it: what every explanation asks of both.

A table is a mapping from column names to arrays of one length: float64 for numbers, object (text or None) for
categories, datetime64 for moments. The model is any function from such a table to scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.bundles import to_rows
from arkwright.contracts.signature import ColumnKind
from arkwright.core.errors import Invalid
from arkwright.evaluation.metric import FloatArray

Columns = Mapping[str, npt.NDArray[Any]]
Predict = Callable[[Columns], FloatArray]
Cell = float | int | str | None
"""A cell as a JSON row carries it: missing is None, a moment its text."""

_KINDS: dict[str, ColumnKind] = {"M": "time", "O": "categorical", "U": "categorical", "b": "categorical"}


def kind_of(values: npt.NDArray[Any]) -> ColumnKind:
    """Return what kind of column an array holds, by its type.

    Examples
    --------
    >>> kind_of(np.array([1.5])), kind_of(np.array(["a", None], dtype=object))
    ('numeric', 'categorical')
    """
    return _KINDS.get(values.dtype.kind, "numeric")


def missing(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Tell which cells are missing: None, NaN or NaT.

    Examples
    --------
    >>> missing(np.array(["a", None], dtype=object)).tolist(), missing(np.array([np.nan, 1.0])).tolist()
    ([False, True], [True, False])
    """
    gone: npt.NDArray[np.bool_] = np.zeros(values.shape, dtype=bool)
    if values.dtype.kind == "f":
        gone = np.isnan(values)
    elif values.dtype.kind == "M":
        gone = np.isnat(values)
    elif values.dtype.kind == "O":
        gone = np.array([value is None or value != value for value in values.tolist()], dtype=bool)  # noqa: PLR0124
    return gone


def cells(values: npt.NDArray[Any]) -> list[Cell]:
    """Return a column's cells as JSON carries them.

    Examples
    --------
    >>> cells(np.array([1.5, np.nan])), cells(np.array(["2026-03-01"], dtype="datetime64[us]"))
    ([1.5, None], ['2026-03-01'])
    """
    return [row["cell"] for row in to_rows({"cell": values})]


def n_rows_of(columns: Columns, names: Sequence[str] = ()) -> int:
    """Return how many rows a table has.

    Raises
    ------
    Invalid
        If it has none, lacks one of ``names``, or its columns are of different lengths.
    """
    absent = [name for name in names if name not in columns]
    if absent:
        raise Invalid(
            f"The table has no column {absent[0]!r}.",
            code="explanation.column_missing",
            hint=f"It has: {', '.join(sorted(columns)) or 'no columns'}.",
        )
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise Invalid(
            f"The table's columns have different lengths: {', '.join(map(str, sorted(lengths)))}.",
            code="explanation.ragged",
            hint="Give one cell per row in every column.",
        )
    if not lengths or lengths == {0}:
        raise Invalid(
            "The table has no rows to explain.", code="explanation.empty", hint="Give at least one row of data."
        )
    return lengths.pop()


def take(columns: Columns, rows: npt.NDArray[np.intp]) -> dict[str, npt.NDArray[Any]]:
    """Return the table's rows at these indices."""
    return {name: values[rows] for name, values in columns.items()}


def sample_rows(n_rows: int, max_rows: int, *, seed: int) -> npt.NDArray[np.intp]:
    """Return all row indices, or a seeded sample of ``max_rows`` of them, ascending.

    Examples
    --------
    >>> sample_rows(3, 5, seed=0).tolist(), sample_rows(1_000, 2, seed=0).size
    ([0, 1, 2], 2)
    """
    if n_rows <= max_rows:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(seed).choice(n_rows, size=max_rows, replace=False))


def scores_of(predict: Predict, columns: Columns) -> FloatArray:
    """Score a table; returns (n_rows, n_outputs).

    Raises
    ------
    Invalid
        If a score is not a finite number: an explanation of it would be none.
    """
    scores = np.asarray(predict(columns), dtype=np.float64)
    scores = scores.reshape(len(scores), -1)
    broken = ~np.isfinite(scores).all(axis=1)
    if broken.any():
        raise Invalid(
            f"The model's score is not a finite number for {int(broken.sum())} of {len(scores)} rows that an "
            f"explanation asks about (the first is number {int(np.argmax(broken))}).",
            code="explanation.score_not_finite",
            hint="Find out which input makes the model answer NaN: leave such rows out, or fill the input.",
        )
    return scores
