"""Measure that the row path answers what the columnar path and the training library answered.

The fast predictor serves only where it does: a model that was evaluated one way and serves another was not evaluated.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import FIRST_MOMENT, LAST_MOMENT, Columns, FloatArray, missing_column
from arkwright.bundles.predictor import Predictor
from arkwright.bundles.rows import to_rows
from arkwright.contracts import Column, ParityRecord
from arkwright.contracts.signature import ColumnKind
from arkwright.core.errors import Invalid

MAX_ROWS = 20_000
_MAX_CELLS = 4_000_000  # so that a table of thousands of columns takes seconds, not minutes
_N_CARRIERS = 8

_ODD_CELLS: dict[ColumnKind, tuple[Any, ...]] = {
    "numeric": (0.0, -0.0, -1.0, 0.1, 2.0**53, 5e-324, 1e300, -1e300),
    "categorical": ("", "a level that training never saw", "0", "\u00e4\u4e16\U0001f600", "True"),
    "time": (FIRST_MOMENT, np.datetime64("1969-12-31T23:59:59.999999", "us"), LAST_MOMENT),
}
_MAX_ODD = 1 + max(map(len, _ODD_CELLS.values()))


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
