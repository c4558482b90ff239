"""Measure that the row path answers what the columnar path and the training library answered.

The fast predictor serves only where it does: a model that was evaluated one way and serves another was not evaluated.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import FIRST_MOMENT, LAST_MOMENT, Columns, FloatArray, missing_column
from arkwright.bundles.errors import CellRefused
from arkwright.bundles.predictor import Predictor
from arkwright.bundles.rows import to_rows
from arkwright.contracts import Column, ParityRecord
from arkwright.contracts.signature import ColumnKind
from arkwright.core.errors import Invalid

MAX_ROWS = 20_000
_MAX_CELLS = 4_000_000  # so that a table of thousands of columns takes seconds, not minutes
_N_CARRIERS = 8

MAX_REFERENCE_ROWS = 5_000
"""Rows of a sample that are put to a user's own model, which answers perhaps a thousand a second."""

_ODD_CELLS: dict[ColumnKind, tuple[Any, ...]] = {
    "numeric": (0.0, -0.0, -1.0, 0.1, 2.0**53, 5e-324, 1e300, -1e300),
    "categorical": ("", "a level that training never saw", "0", "\u00e4\u4e16\U0001f600", "True"),
    "time": (FIRST_MOMENT, np.datetime64("1969-12-31T23:59:59.999999", "us"), LAST_MOMENT),
}
_MAX_ODD = 1 + max(map(len, _ODD_CELLS.values()))


@dataclass(frozen=True)
class ModelParity:
    """What :func:`measure_model_parity` found.

    Attributes
    ----------
    n_refused
        Rows that both the model and its compiled form refuse to answer.
    example
        The row on which they are furthest apart, in words; empty where they never are.
    """

    record: ParityRecord
    n_refused: int
    example: str


def measure_parity(
    predictor: Predictor,
    columns: Columns,
    library_scores: npt.NDArray[np.float64] | None = None,
    *,
    tolerance: float | None = None,
    max_rows: int = MAX_ROWS,
) -> ParityRecord:
    """Compare the three ways of scoring the holdout, and two of them on rows made up to be difficult.

    Parameters
    ----------
    predictor
        The model as it will serve.
    columns
        The holdout.
    library_scores
        What the training library answered for these rows: as ``predict_columns`` would, or of shape (n_rows,), or,
        for binary, (n_rows, 2) as ``predict_proba`` returns it.
    tolerance
        Largest difference allowed; by default the evaluator's own, relative to the larger of 1 and the largest score.
    max_rows
        A longer holdout is thinned evenly.

    Returns
    -------
    ParityRecord
        Over the holdout, and over holdout rows in which one column after the other is missing, absent, unseen or
        extreme, and one row in which everything is missing.
    """
    inputs = {column.name: columns[column.name] for column in predictor.signature.columns if column.name in columns}
    n_rows = next((values.size for values in inputs.values()), 0)
    if n_rows == 0:
        raise Invalid(
            "Parity cannot be measured on a holdout without rows.",
            code="bundle.parity",
            hint="Hold out at least one row.",
        )
    chosen = _evenly(n_rows, min(max_rows, max(1, _MAX_CELLS // len(inputs))))
    holdout = {name: values[chosen] for name, values in inputs.items()}
    spec = predictor.signature.columns
    tables = [(holdout, to_rows(holdout))]
    tables += [(table, to_rows(table)) for table in (_difficult(spec, holdout), _all_missing(spec))]
    # An absent key must mean what null means, wherever a row gets past validation without it.
    tables.append((_all_missing(spec), [{}]))

    difference, largest, n_compared = 0.0, 1.0, 0
    for table, rows in tables:
        expected = predictor.predict_columns(table)
        largest = max(largest, float(np.max(np.abs(expected))))
        difference = max(difference, _difference(expected, _row_scores(predictor, rows)))
        n_compared += len(rows)
    if library_scores is not None:
        found = _shaped(predictor, library_scores, n_rows)[chosen]
        difference = max(difference, _difference(predictor.predict_columns(holdout), found))
    return ParityRecord(
        n_rows=n_compared,
        max_abs_difference=difference,
        tolerance=predictor.evaluator.tolerance * largest if tolerance is None else tolerance,
    )


def measure_model_parity(
    predictor: Predictor,
    reference: Callable[[Columns], FloatArray],
    columns: Columns,
    *,
    tolerance: float | None = None,
    max_rows: int = MAX_REFERENCE_ROWS,
) -> ModelParity:
    """Compare a compiled model with the model it was compiled from, on a sample and on rows made up to be difficult.

    Parameters
    ----------
    predictor
        The model as it would serve.
    reference
        The original's own scores of a table, shaped as ``predict_columns`` shapes them; it may raise.
    columns
        The sample.

    Returns
    -------
    ModelParity
        Both must refuse the same rows and agree on the others; where one refuses alone, the difference is infinite.
    """
    spec = predictor.signature.columns
    inputs = {column.name: columns[column.name] for column in spec if column.name in columns}
    n_rows = next((values.size for values in inputs.values()), 0)
    if n_rows == 0:
        raise Invalid("Parity cannot be measured without rows.", code="bundle.parity", hint="Give a sample with rows.")
    chosen = _evenly(n_rows, min(max_rows, max(1, _MAX_CELLS // len(inputs))))
    sample = {name: values[chosen] for name, values in inputs.items()}
    difference, largest, n_compared, n_refused, example = 0.0, 1.0, 0, 0, ""
    for table in (sample, _difficult(spec, sample), _all_missing(spec)):
        rows = to_rows(table)
        expected = _reference_scores(reference, table, len(rows))
        found = _scores_or_refusals(predictor, rows)
        for row, own, ours in zip(rows, expected, found, strict=True):
            n_compared += 1
            n_refused += own is None
            if own is not None:
                largest = max(largest, float(np.max(np.abs(own), initial=0.0, where=np.isfinite(own))))
            apart = _apart(own, ours)
            if apart > difference:
                difference, example = apart, _described(row, own, ours)
        kept = np.array([ours is not None for ours in found])
        if kept.any():
            # The columnar path, too: batches take it.
            scores = predictor.predict_columns({name: values[kept] for name, values in table.items()})
            difference = max(difference, _difference(scores, np.array([ours for ours in found if ours is not None])))
    record = ParityRecord(
        n_rows=n_compared,
        max_abs_difference=min(difference, sys.float_info.max),
        tolerance=predictor.evaluator.tolerance * largest if tolerance is None else tolerance,
    )
    return ModelParity(record=record, n_refused=n_refused, example=example)


def _reference_scores(
    reference: Callable[[Columns], FloatArray], table: Columns, n_rows: int
) -> list[FloatArray | None]:
    """Return the original's scores row by row, None where it raises; rows that raise are found by halving."""
    try:
        return list(reference(table))
    except Exception:  # noqa: BLE001 - a model may raise anything, which means that it refuses
        if n_rows == 1:
            return [None]
    half = n_rows // 2
    upper = {name: values[:half] for name, values in table.items()}
    lower = {name: values[half:] for name, values in table.items()}
    return _reference_scores(reference, upper, half) + _reference_scores(reference, lower, n_rows - half)


def _scores_or_refusals(predictor: Predictor, rows: list[dict[str, Any]]) -> list[FloatArray | None]:
    found: list[FloatArray | None] = []
    for row in msgspec.json.decode(msgspec.json.encode(rows)):
        try:
            found.append(np.array(predictor.scores_row(row), dtype=np.float64))
        except CellRefused:
            found.append(None)
    return found


def _apart(own: FloatArray | None, ours: FloatArray | None) -> float:
    if own is None or ours is None:
        return 0.0 if own is ours else math.inf
    return _difference(own, ours)


def _described(row: dict[str, Any], own: FloatArray | None, ours: FloatArray | None) -> str:
    shown = {name: value if not isinstance(value, str) else value[:40] for name, value in list(row.items())[:20]}
    answers = ["it refuses" if scores is None else f"{scores.tolist()[:5]}" for scores in (own, ours)]
    return f"{shown}: the model answers {answers[0]}, compiled {answers[1]}"


def _difficult(columns: tuple[Column, ...], holdout: Columns) -> dict[str, npt.NDArray[Any]]:
    """Return a table of holdout rows in each of which one cell is odd."""
    n_rows = next(values.size for values in holdout.values())
    varied = _evenly(len(columns), max(1, _MAX_CELLS // (_MAX_ODD * len(columns))))
    n_carriers = max(1, min(_N_CARRIERS, _MAX_CELLS // (_MAX_ODD * len(columns) * varied.size)))
    carriers = _evenly(n_rows, n_carriers)
    odd = [
        (columns[index].name, cell)
        for index in varied
        for cell in (missing_column(columns[index].kind, 1)[0], *_ODD_CELLS[columns[index].kind])
    ]
    table = {name: np.tile(values[carriers], len(odd)) for name, values in holdout.items()}
    for number, (name, cell) in enumerate(odd):
        if name in table:  # an optional column may be absent from the holdout
            table[name][number * carriers.size : (number + 1) * carriers.size] = cell
    return table


def _evenly(n: int, at_most: int) -> npt.NDArray[np.intp]:
    """Return at most so many of the first n integers, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, num=min(n, at_most)).astype(np.intp))


def _all_missing(columns: tuple[Column, ...]) -> dict[str, npt.NDArray[Any]]:
    return {column.name: missing_column(column.kind, 1) for column in columns}


def _row_scores(predictor: Predictor, rows: list[dict[str, Any]]) -> FloatArray:
    """Score rows one by one, after a journey through JSON such as a request makes."""
    received = msgspec.json.decode(msgspec.json.encode(rows))
    return np.array([predictor.scores_row(row) for row in received], dtype=np.float64)


def _shaped(predictor: Predictor, scores: npt.NDArray[np.float64], n_rows: int) -> FloatArray:
    shaped = scores.reshape(-1, 1) if scores.ndim == 1 else scores
    if predictor.signature.task == "binary" and shaped.shape[1] == 2:
        shaped = shaped[:, 1:]
    if shaped.shape != (n_rows, predictor.evaluator.n_outputs):
        raise Invalid(
            f"The training library's scores have shape {scores.shape}, the holdout has {n_rows} rows.",
            code="bundle.parity",
            hint="Score the same rows with both, one column per class (binary: the positive class's alone).",
        )
    return shaped


def _difference(expected: FloatArray, found: FloatArray) -> float:
    """Return the largest absolute difference; infinite where one is NaN and the other is not."""
    same = (expected == found) | (np.isnan(expected) & np.isnan(found))
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.where(same, 0.0, expected - found))
    return float(np.max(np.where(np.isnan(apart), np.inf, apart), initial=0.0))
