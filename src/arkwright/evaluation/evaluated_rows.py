"""From a table to what an evaluation needs of it: inputs, truth and who each row is about.

Rows without a usable outcome are left out, counted and named in a note: nothing is guessed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from arkwright.contracts import Column, Signature
from arkwright.evaluation.errors import columns_unknown, no_usable_row, target_missing
from arkwright.evaluation.metric import FloatArray
from arkwright.features import to_columns, to_labels, to_numbers, to_texts

_NAMED_LABELS = 5


@dataclass(frozen=True)
class EvaluatedRows:
    """The rows of a table that have a usable outcome.

    Attributes
    ----------
    columns
        The inputs, each of shape (n_used,).
    truth
        Class codes in the order of the signature's classes, or values; shape (n_used,).
    sensitive
        By name, numbers (NaN where missing) or texts (None where missing).
    n_rows
        In the table, usable or not.
    notes
        Sentences about what was left out.
    used
        Which rows of the table they are, shape (n_used,).
    others
        As ``sensitive``: further columns, such as those that declared slices go by.
    """

    columns: dict[str, npt.NDArray[Any]]
    truth: FloatArray
    sensitive: dict[str, npt.NDArray[Any]]
    n_rows: int
    notes: tuple[str, ...]
    used: npt.NDArray[np.intp]
    others: dict[str, npt.NDArray[Any]] = field(default_factory=dict)

    @property
    def n_used(self) -> int:
        """How many rows have a usable outcome."""
        return int(self.truth.size)


def usable_rows(
    table: pa.Table,
    signature: Signature,
    sensitive: Sequence[str] = (),
    more_inputs: Sequence[Column] = (),
    others: Sequence[str] = (),
) -> EvaluatedRows:
    """Return the rows that can be evaluated.

    Parameters
    ----------
    table
        Rows in canonical types, as :mod:`arkwright.data` reads them.
    sensitive
        Names of columns that say who a row is about.
    more_inputs
        Inputs of another model that is asked about the same rows.
    others
        Names of further columns, such as those that declared slices go by.

    Raises
    ------
    Invalid
        If the target, a required input or another named column is not in the table, or no row can be used.

    Examples
    --------
    >>> signature = Signature(
    ...     task="binary", target="churn", columns=(Column(name="x", kind="numeric"),), classes=("No", "Yes"))
    >>> table = pa.table({"x": [1.0, 2.0, 3.0], "churn": ["Yes", None, "Maybe"]})
    >>> rows = usable_rows(table, signature)
    >>> rows.truth.tolist(), rows.columns["x"].tolist(), len(rows.notes)
    ([1.0], [1.0], 2)
    """
    if signature.target not in table.column_names:
        raise target_missing(signature.target, table.column_names)
    unknown = [name for name in sensitive if name not in table.column_names]
    if unknown:
        raise columns_unknown(unknown, table.column_names)
    unknown = [name for name in others if name not in table.column_names]
    if unknown:
        raise columns_unknown(unknown, table.column_names, "slice")
    truth, notes = _truth(signature, to_labels(table.column(signature.target)))
    used = np.flatnonzero(~np.isnan(truth))
    if used.size == 0:
        raise no_usable_row(signature.target, " ".join(notes).rstrip(".") or "the table is empty")
    inputs = {column.name: column for column in (*more_inputs, *signature.columns)}
    columns = {name: values[used] for name, values in to_columns(table, list(inputs.values())).items()}
    groups, more = ({name: _values(table.column(name))[used] for name in names} for names in (sensitive, others))
    return EvaluatedRows(columns, truth[used], groups, table.num_rows, notes, used, more)


def trivial_scores(signature: Signature, truth: npt.NDArray[Any]) -> FloatArray:
    """Return what a model without inputs would answer: the class shares, or the mean; one row for all.

    Examples
    --------
    >>> signature = Signature(task="binary", target="y", columns=(), classes=("a", "b"))
    >>> trivial_scores(signature, np.array([0.0, 0.0, 0.0, 1.0]))
    array([[0.25]])
    """
    if signature.task == "regression":
        return np.array([[float(truth.mean())]])
    shares = np.bincount(truth.astype(np.intp), minlength=len(signature.classes)) / truth.size
    return shares[None, 1:] if signature.task == "binary" else shares[None, :]


def _truth(signature: Signature, labels: npt.NDArray[Any]) -> tuple[FloatArray, tuple[str, ...]]:
    """Return codes or values, NaN where a row has none that the model knows, and what to say about those."""
    cells = labels.tolist()
    missing = sum(cell is None for cell in cells)
    notes = [f"{_rows(missing)} no value of {signature.target!r} and {_are(missing)} left out."] if missing else []
    if signature.task == "regression":
        values = np.array([_number(cell) for cell in cells], dtype=np.float64)
        odd = int(np.isnan(values).sum()) - missing
        if odd:
            notes.append(f"{_rows(odd)} a {signature.target!r} that is no number and {_are(odd)} left out.")
        return values, tuple(notes)
    codes = {str(label): float(code) for code, label in enumerate(signature.classes)}
    truth = np.array([codes.get(_text(cell), math.nan) if cell is not None else math.nan for cell in cells])
    strange = Counter(_text(cell) for cell in cells if cell is not None and _text(cell) not in codes)
    if strange:
        count = sum(strange.values())
        named = ", ".join(f"{label!r}: {n:,}" for label, n in sorted(strange.items())[:_NAMED_LABELS])
        more = ", ..." if len(strange) > _NAMED_LABELS else ""
        notes.append(
            f"{_rows(count)} an outcome that the model was never trained on ({named}{more}) and {_are(count)} left out."
        )
    return truth, tuple(notes)


def _values(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    return to_numbers(column) if numeric else to_texts(column)


def _number(cell: Any) -> float:
    if isinstance(cell, int | float) and not isinstance(cell, bool) and math.isfinite(cell):
        return float(cell)
    return math.nan


def _text(label: Any) -> str:
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _rows(count: int) -> str:
    return f"{count:,} row has" if count == 1 else f"{count:,} rows have"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
