"""What a batch writes: every input column as it was, and the predictions beside them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from arkwright.bundles import POSITIVE_THRESHOLD, ModelFailed, Predictor
from arkwright.contracts import Column, Signature
from arkwright.core.errors import Invalid
from arkwright.data import ColumnPlan, canonical, read_cells
from arkwright.deployments.batch_plan import OnError
from arkwright.deployments.table_encoder import BadCell, Coded, TableEncoder
from arkwright.features import to_numbers, to_texts

ERROR_COLUMN = "prediction_error"

Array = npt.NDArray[Any]

_SHOWN_ERRORS = 20
_MOST_FAILURES = 20
_LONGEST_SHOWN = 40


class RowScorer(Protocol):
    """What scores: a predictor, or a general bundle's model in a process of its own."""

    signature: Signature

    def predict_columns(self, columns: Mapping[str, Array]) -> npt.NDArray[np.float64]:
        """Score a table; see ``Predictor.predict_columns``."""
        ...


class BatchScorer:
    """Scores tables of one source with one model.

    Parameters
    ----------
    model
        What scores.
    plans
        How to read the source's columns of text that were not ingested.
    with_scores
        For multiclass, add a column for every class.
    on_error
        Whether a cell that is not what the model takes ends the batch, or leaves its row without a prediction and
        with a text in ``prediction_error``.
    """

    def __init__(
        self,
        model: RowScorer,
        plans: Mapping[str, ColumnPlan] | None = None,
        *,
        with_scores: bool = False,
        on_error: OnError = "fail",
    ) -> None:
        self._model = model
        self._encoder = TableEncoder(model) if isinstance(model, Predictor) else None
        self._plans = dict(plans or {})
        self._with_scores = with_scores
        self._on_error: OnError = on_error

    def score(self, table: pa.Table, first_row: int = 0) -> pa.Table:
        """Return the table with the predictions beside its columns.

        Parameters
        ----------
        first_row
            Where the table begins in the whole, counted from 0.

        Raises
        ------
        Invalid
            If a cell is not what the model takes, and that is not to be kept.
        """
        signature = self._model.signature
        columns: dict[str, Coded | Array] = {}
        bad: list[BadCell] = []
        for column in signature.columns:
            columns[column.name], wrong = read_input(table, column, self._plans.get(column.name))
            bad += wrong
        if bad and self._on_error == "fail":
            raise bad_cells(bad, first_row)
        scores, refused = self._scores(columns, table.num_rows)
        bad += refused
        if refused and self._on_error == "fail":
            raise bad_cells(refused, first_row)
        answers = answer_table(signature, scores, with_scores=self._with_scores)
        if self._on_error == "keep":
            answers = _with_errors(answers, bad, table.num_rows)
        return with_answers(table, answers)

    def _scores(
        self, columns: Mapping[str, Coded | Array], n_rows: int
    ) -> tuple[npt.NDArray[np.float64], list[BadCell]]:
        if self._encoder is not None:
            return self._encoder.scores(columns, n_rows)
        whole = {name: values.decoded() if isinstance(values, Coded) else values for name, values in columns.items()}
        return self._scores_of_general(whole, n_rows)

    def _scores_of_general(
        self, columns: Mapping[str, Array], n_rows: int
    ) -> tuple[npt.NDArray[np.float64], list[BadCell]]:
        """Score with a model that may raise an error for a row, without the rows it raised one for."""
        signature = self._model.signature
        scores = np.full((n_rows, len(signature.classes) if signature.task == "multiclass" else 1), np.nan)
        left, bad = np.arange(n_rows), list[BadCell]()
        for last in (*[False] * _MOST_FAILURES, True):
            if not left.size:
                break
            try:
                scores[left] = self._model.predict_columns({name: values[left] for name, values in columns.items()})
                break
            except ModelFailed as error:
                failed = {int(each["field"].rpartition(" ")[2]): each["message"] for each in error.errors}
                bad += [BadCell(int(left[place]), message) for place, message in failed.items()]
                if last:  # it is not a few odd rows: the model does not run
                    raise
                if self._on_error == "fail":
                    break
                left = np.delete(left, list(failed))
        return scores, bad


def read_input(table: pa.Table, column: Column, plan: ColumnPlan | None) -> tuple[Coded | Array, list[BadCell]]:
    """Return one of the model's inputs from a table, missing where a cell is not what the model takes, and those cells.

    Parameters
    ----------
    plan
        How to read a column of text that was not ingested.
    """
    if column.name not in table.column_names:
        return _missing(column.kind, table.num_rows), []
    values = canonical(table.column(column.name), plan)
    if values.null_count == len(values):
        return _missing(column.kind, table.num_rows), []
    if column.kind == "categorical":
        return coded(values), []
    return _cells(values, column)


def doubtful_inputs(signature: Signature, stored: pa.Schema, plans: Mapping[str, ColumnPlan]) -> list[Column]:
    """Return the inputs whose stored type is not theirs, so that each cell has to be looked at."""
    found = []
    for column in signature.columns:
        if column.kind == "categorical" or column.name not in stored.names:
            continue
        kind, plan = stored.field(column.name).type, plans.get(column.name)
        is_time = pa.types.is_temporal(kind) if plan is None else plan.type == "time"
        is_number = _is_number(kind) if plan is None else plan.type in ("integer", "number", "boolean")
        if not (is_time if column.kind == "time" else is_number):
            found.append(column)
    return found


def coded(values: pa.Array) -> Coded:
    """Return any canonical column as text by codes; every text occurs.

    Examples
    --------
    >>> found = coded(pa.array([1, None, 1, 2]))
    >>> found.decoded().tolist()
    ['1', None, '1', '2']
    """
    pair = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
    known = to_texts(pa.chunked_array([pair.dictionary]))
    texts = np.empty(known.size + 1, dtype=object)
    texts[:-1] = known
    codes = (pair.indices.fill_null(known.size) if pair.indices.null_count else pair.indices).to_numpy()
    # The dictionary may hold what only other rows of the table have, and the encoder may refuse it.
    used = np.bincount(codes, minlength=texts.size) > 0
    places = np.cumsum(used) - 1
    return Coded(places[codes], texts[used])


def answer_table(signature: Signature, scores: npt.NDArray[np.float64], *, with_scores: bool = False) -> pa.Table:
    """Turn scores as ``Predictor.predict_columns`` returns them into the columns of a batch's output.

    Returns
    -------
    pyarrow.Table
        ``predicted_value``, or ``predicted_label`` and ``predicted_score``; with ``with_scores`` a
        ``predicted_score_<class>`` for each class.
    """
    if signature.task == "regression":
        return pa.table({"predicted_value": scores[:, 0]})
    binary = signature.task == "binary"
    best = (scores[:, 0] >= POSITIVE_THRESHOLD).astype(np.intp) if binary else scores.argmax(axis=1)
    classes = pa.array(list(signature.classes))
    score = scores[:, 0] if binary else scores[np.arange(best.size), best]
    found = {"predicted_label": classes.take(pa.array(best)), "predicted_score": pa.array(score)}
    if with_scores:
        every = np.column_stack((1.0 - scores[:, 0], scores[:, 0])) if binary else scores
        for index, label in enumerate(signature.classes):
            found[f"predicted_score_{label}"] = pa.array(np.ascontiguousarray(every[:, index]))
    return pa.table(found)


def with_answers(table: pa.Table, answers: pa.Table) -> pa.Table:
    """Put the answers beside the columns; one that has an answer's name (from an earlier batch) gives way."""
    kept = table.drop_columns([name for name in answers.column_names if name in table.column_names])
    for name in answers.column_names:
        kept = kept.append_column(name, answers.column(name))
    return kept


def output_schema(stored: pa.Schema, scored: pa.Table) -> pa.Schema:
    """Return the types a batch's output has for those who read it: those of its source, and of the answers.

    That some text was read with a dictionary to be quick is no business of the reader's.
    """
    fields = []
    for field in scored.schema:
        at = stored.get_field_index(field.name)
        known = stored.field(at) if at >= 0 else field
        fields.append(known if pa.types.is_dictionary(field.type) else field)
    metadata = {key: value for key, value in (stored.metadata or {}).items() if key != b"ARROW:schema"}
    whole = pa.schema(fields, metadata)
    return whole.with_metadata({**metadata, b"ARROW:schema": base64.b64encode(whole.serialize().to_pybytes())})


def n_values(metadata: Any, name: str) -> int:
    """Return how many cells of a Parquet file's column hold a value; 0 if there is no such column."""
    names = metadata.schema.to_arrow_schema().names
    if name not in names:
        return 0
    at = names.index(name)
    groups = (metadata.row_group(group) for group in range(metadata.num_row_groups))
    return sum(group.num_rows - group.column(at).statistics.null_count for group in groups)


def check_inputs(signature: Signature, names: list[str]) -> None:
    """Check that a source has every column the model needs.

    Raises
    ------
    Invalid
        Naming those it lacks.
    """
    absent = [column.name for column in signature.columns if column.required and column.name not in names]
    if absent:
        raise Invalid(
            f"The data lacks {'the column' if len(absent) == 1 else 'the columns'} {', '.join(map(repr, absent))}.",
            code="features.columns_missing",
            hint="Send every column the model was trained on; a column may be empty in some rows.",
            errors=[{"field": name, "message": "is missing"} for name in absent],
        )


def bad_cells(bad: list[BadCell], first_row: int) -> Invalid:
    """Return the error for cells that are not what the model takes."""
    found = sorted(bad, key=lambda cell: cell.row)
    first = found[0]
    more = f" There are {len(found):,} such cells near it." if len(found) > 1 else ""
    return Invalid(
        f"Row {first_row + first.row + 1:,}: {first.message}.{more}",
        code="batch.bad_cell",
        hint="Correct the cells, or keep such rows without a prediction: on_error keep (CLI: --on-error keep).",
        errors=[
            {"field": f"row {first_row + cell.row + 1}", "message": cell.message} for cell in found[:_SHOWN_ERRORS]
        ],
    )


def _cells(values: pa.Array, column: Column) -> tuple[Array, list[BadCell]]:
    """Read a column of numbers or times, and list the cells that are neither."""
    texts = None
    if column.kind == "time":
        wanted, is_typed = "time", pa.types.is_timestamp(values.type)
    else:
        wanted, is_typed = "number", not (_is_text(values.type) or pa.types.is_timestamp(values.type))
    positions = np.empty(0, dtype=np.intp)
    if not is_typed:
        texts = values
        if _is_text(values.type):
            values, positions = read_cells(values, "time" if wanted == "time" else "number")
        else:
            positions = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
            values = pa.nulls(len(values), pa.timestamp("us") if wanted == "time" else pa.float64())
    if wanted == "time":
        found: Array = pa.chunked_array([values]).to_numpy().astype("datetime64[us]")
    else:
        found = to_numbers(pa.chunked_array([values]))
        infinite = np.isinf(found)
        if infinite.any():
            positions = np.concatenate((positions, np.flatnonzero(infinite)))
            found = np.where(infinite, np.nan, found)
            texts = values if texts is None else texts
    return found, [_bad(column, texts, int(position)) for position in positions]


def _bad(column: Column, values: pa.Array, position: int) -> BadCell:
    shown = str(values[position].as_py())
    shown = shown if len(shown) <= _LONGEST_SHOWN else shown[: _LONGEST_SHOWN - 1] + "…"
    expected = "a date or time" if column.kind == "time" else "a finite number"
    return BadCell(position, f"the column {column.name!r} holds {shown!r}, which is not {expected}")


def _with_errors(answers: pa.Table, bad: list[BadCell], n_rows: int) -> pa.Table:
    texts: dict[int, str] = {}
    for cell in bad:
        texts[cell.row] = f"{texts[cell.row]}; {cell.message}" if cell.row in texts else cell.message
    if texts:
        failed = np.zeros(n_rows, dtype=bool)
        failed[list(texts)] = True
        blank = pa.array(failed)
        answers = pa.table(
            {
                name: pc.if_else(blank, pa.scalar(None, answers.column(name).type), answers.column(name))
                for name in answers.column_names
            }
        )
    errors = (
        pa.array([texts.get(row) for row in range(n_rows)], pa.string()) if texts else pa.nulls(n_rows, pa.string())
    )
    return answers.append_column(ERROR_COLUMN, errors)


def _missing(kind: str, n_rows: int) -> Coded | Array:
    if kind == "numeric":
        return np.full(n_rows, np.nan)
    if kind == "time":
        return np.full(n_rows, np.datetime64("NaT"), dtype="datetime64[us]")
    return Coded(np.zeros(n_rows, dtype=np.intp), np.array([None], dtype=object))


def _is_number(kind: pa.DataType) -> bool:
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return any(check(kind) for check in checks)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_dictionary(kind))
