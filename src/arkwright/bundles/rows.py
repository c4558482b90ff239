"""Tables as rows of JSON values, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import NAN, Columns, as_moments, as_numbers, as_text, parse_moment
from arkwright.contracts import Signature
from arkwright.contracts.signature import ColumnKind

_EXACT_INT = 2.0**53


def to_rows(columns: Columns) -> list[dict[str, Any]]:
    """Return a table's rows as a request would carry them.

    Missing is None. A column of whole numbers becomes integers, a column of midnights becomes dates.

    Examples
    --------
    >>> to_rows({"age": np.array([41.0, np.nan]), "plan": np.array(["pro", None], dtype=object)})
    [{'age': 41, 'plan': 'pro'}, {'age': None, 'plan': None}]
    """
    names = list(columns)
    cells = [_cells(values) for values in columns.values()]
    return [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]


def rows_to_columns(rows: Sequence[Mapping[str, Any]], signature: Signature) -> dict[str, npt.NDArray[Any]]:
    """Return the model's inputs as a table, from rows that passed validation; an absent key is missing.

    Examples
    --------
    >>> from arkwright.contracts import Column
    >>> signature = Signature(task="regression", target="y", columns=(Column(name="age", kind="numeric"),))
    >>> rows_to_columns([{"age": 41}, {"age": None}], signature)
    {'age': array([41., nan])}
    """
    return {
        column.name: read_cells(column.kind, [row.get(column.name) for row in rows]) for column in signature.columns
    }


def read_cells(kind: ColumnKind, cells: Sequence[Any]) -> npt.NDArray[Any]:
    """Return one column as a table has it, from JSON values that passed validation."""
    return _READERS[kind](cells)


def _cells(values: npt.NDArray[Any]) -> list[Any]:
    if values.dtype.kind == "M":
        return _moment_cells(values)
    if values.dtype.kind not in "fiu":
        return [as_text(value) for value in values.tolist()]
    numbers = as_numbers(values)
    missing = np.isnan(numbers)
    present = numbers[~missing]
    # A negative zero has no integer; past 2**53 not every integer has a float.
    negative_zero = (present == 0) & np.signbit(present)
    whole = bool(np.all((np.abs(present) < _EXACT_INT) & (present == np.floor(present)) & ~negative_zero))
    cells: list[Any] = (np.where(missing, 0.0, numbers).astype(np.int64) if whole else numbers).tolist()
    for index in np.flatnonzero(missing):
        cells[index] = None
    return cells


def _moment_cells(values: npt.NDArray[Any]) -> list[str | None]:
    moments = as_moments(values)
    missing = np.isnat(moments)
    days = moments.astype("datetime64[D]")
    if np.array_equal(days[~missing], moments[~missing]):
        texts, ending = np.datetime_as_string(days), ""
    else:
        texts, ending = np.datetime_as_string(moments, unit="us"), "Z"
    return [None if gone else text + ending for text, gone in zip(texts.tolist(), missing.tolist(), strict=True)]


def _numbers(cells: Sequence[Any]) -> npt.NDArray[Any]:
    return as_numbers(np.array([NAN if cell is None else float(cell) for cell in cells], dtype=np.float64))


def _texts(cells: Sequence[Any]) -> npt.NDArray[Any]:
    column = np.empty(len(cells), dtype=object)
    column[:] = [as_text(cell) for cell in cells]
    return column


def _moments(cells: Sequence[Any]) -> npt.NDArray[Any]:
    moments = [np.datetime64("NaT") if cell is None else np.datetime64(parse_moment(cell), "us") for cell in cells]
    return np.array(moments, dtype="datetime64[us]")


_READERS: dict[ColumnKind, Callable[[Sequence[Any]], npt.NDArray[Any]]] = {
    "numeric": _numbers,
    "categorical": _texts,
    "time": _moments,
}
