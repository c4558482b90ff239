"""From a stored table to the arrays a model is trained on and scored with.

Numeric columns become float64 with NaN for missing, categorical ones object arrays of text or None, times
``datetime64[us]`` with NaT.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from arkwright.contracts import Column
from arkwright.core.errors import Invalid

Array = npt.NDArray[Any]


def to_columns(table: pa.Table, columns: Sequence[Column]) -> dict[str, Array]:
    """Return a model's inputs from a table in canonical types.

    Parameters
    ----------
    table
        Rows as :mod:`arkwright.data` reads them.
    columns
        The inputs, as :attr:`FeatureDecision.column` or a bundle's signature gives them.

    Raises
    ------
    Invalid
        If a required column is not in the table, or does not hold what its kind needs.

    Examples
    --------
    >>> table = pa.table({"age": [42, None], "vip": [True, False]})
    >>> found = to_columns(table, [Column(name="age", kind="numeric"), Column(name="vip", kind="categorical")])
    >>> found["age"].tolist(), found["vip"].tolist()
    ([42.0, nan], ['True', 'False'])
    """
    absent = [column.name for column in columns if column.required and column.name not in table.column_names]
    if absent:
        raise Invalid(
            f"The data lacks {'the column' if len(absent) == 1 else 'the columns'} {', '.join(map(repr, absent))}.",
            code="features.columns_missing",
            hint="Send every column the model was trained on; a column may be empty in some rows.",
            errors=[{"field": name, "message": "is missing"} for name in absent],
        )
    return {column.name: _column(table, column) for column in columns}


def to_numbers(values: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return integers, numbers or truths as float64, NaN for missing."""
    numbers: npt.NDArray[np.float64] = values.cast(pa.float64(), safe=False).to_numpy()
    return numbers


def to_texts(values: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    """Return any canonical column as text, None for missing.

    Truths are ``True`` and ``False``, whole numbers have no decimal point, and moments are in ISO 8601: as requests
    write them.

    Examples
    --------
    >>> to_texts(pa.chunked_array([[1.0, 2.5, None]])).tolist()
    ['1', '2.5', None]
    """
    if pa.types.is_boolean(values.type):
        values = pc.if_else(values, "True", "False")
    elif pa.types.is_timestamp(values.type):
        values = pc.strftime(values, format="%Y-%m-%dT%H:%M:%S")
    elif pa.types.is_floating(values.type):
        texts = [None if value is None else _number_text(value) for value in values.to_pylist()]
        values = pa.chunked_array([pa.array(texts, pa.string())])
    elif not pa.types.is_string(values.type):
        values = values.cast(pa.string())
    found: npt.NDArray[np.object_] = values.to_numpy().astype(object)
    return found


def to_labels(values: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    """Return a target column as the data has it: text, whole numbers, truths or numbers; None for missing."""
    labels = np.empty(len(values), dtype=object)
    labels[:] = values.to_pylist()
    return labels


def _column(table: pa.Table, column: Column) -> Array:
    if column.name not in table.column_names:
        return _missing(column.kind, table.num_rows)
    values = table.column(column.name)
    if values.null_count == len(values):
        return _missing(column.kind, table.num_rows)
    if column.kind == "categorical":
        return to_texts(values)
    fits = pa.types.is_timestamp(values.type) if column.kind == "time" else _is_number(values.type)
    if not fits:
        first = next(index for index, value in enumerate(values) if value.is_valid)
        raise Invalid(
            f"The column {column.name!r} must be {column.kind}, and holds other values; the first is "
            f"{str(values[first].as_py())!r} in row {first + 1:,}.",
            code="features.column_type",
            hint="Correct the cells, or name what means 'missing' in na_values.",
            errors=[{"field": column.name, "message": f"must be {column.kind}"}],
        )
    if column.kind == "time":
        moments: Array = values.to_numpy().astype("datetime64[us]")
        return moments
    return to_numbers(values)


def _missing(kind: str, n_rows: int) -> Array:
    if kind == "numeric":
        return np.full(n_rows, np.nan)
    if kind == "time":
        return np.full(n_rows, np.datetime64("NaT"), dtype="datetime64[us]")
    return np.full(n_rows, None, dtype=object)


def _is_number(kind: pa.DataType) -> bool:
    return any((pa.types.is_integer(kind), pa.types.is_floating(kind), pa.types.is_boolean(kind)))


def _number_text(value: float) -> str:
    return str(int(value)) if value.is_integer() else str(value)
