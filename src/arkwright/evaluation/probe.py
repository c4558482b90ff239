"""Ask a model about rows it may not like, and keep what happens as an answer.

A robustness test must not end where the model does. A model that raises, answers NaN or answers the wrong
number of rows has given a result, and that result is reported. What the platform could not do is none: a process that
does not start, a library or a store that is out of reach is raised, for another attempt to find it well.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts import Signature
from arkwright.core.errors import AdapterError, Invalid, Unavailable
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.scored_table import Columns, Predict, missing, take

_MAX_MESSAGE = 200
_PROCESS_ENDED = "model.ended"
_ATTEMPTS = 2


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The scores, or the failure in words that follow "the model": "raised ValueError: ...".

    ``usable`` tells the rows with finite scores where the failure is that others have none.
    """

    scores: FloatArray | None
    failure: str = ""
    usable: npt.NDArray[np.bool_] | None = None


class ModelFailed(Exception):
    """The model gave no usable scores; the message is the failure."""


def ask(predict: Predict, columns: Columns) -> Answer:
    """Call the model; whatever it does comes back as an :class:`Answer`.

    Usable scores are a finite array of shape ``(n_rows, k)``. If the model's process ends it is asked once more, for
    the machine may have ended it; ending twice at the same rows is the model's answer.

    Raises
    ------
    Unavailable, AdapterError
        If not the model failed but what it needs.

    Examples
    --------
    >>> ask(lambda given: given["x"][:, None], {"x": np.array([0.5, np.nan])}).failure
    'answered NaN or infinity for 1 of 2 rows'
    """
    n_rows = len(next(iter(columns.values())))
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with np.errstate(all="ignore"):
                scores = np.asarray(predict(columns), dtype=np.float64)
            break
        except AdapterError:
            raise
        except Unavailable as error:
            if error.code != _PROCESS_ENDED:
                raise
            if attempt == _ATTEMPTS:
                return Answer(scores=None, failure=f"ended twice at the same rows: {_said(error)}")
        except Exception as error:  # noqa: BLE001 - a model may raise anything, and that is the finding
            return Answer(scores=None, failure=f"raised {type(error).__name__}: {_said(error)}".removesuffix(": "))
    if scores.ndim != 2 or scores.shape[0] != n_rows:
        return Answer(scores=None, failure=f"answered an array of shape {scores.shape} for {n_rows} rows")
    usable = np.asarray(np.isfinite(scores).all(axis=1), dtype=np.bool_)
    if not usable.all():
        bad = int(np.count_nonzero(~usable))
        return Answer(scores=None, failure=f"answered NaN or infinity for {bad} of {n_rows} rows", usable=usable)
    return Answer(scores=scores)


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:_MAX_MESSAGE]


def insist(predict: Predict, columns: Columns) -> FloatArray:
    """Return usable scores.

    Raises
    ------
    ModelFailed
        If there are none.
    """
    answer = ask(predict, columns)
    if answer.scores is None:
        raise ModelFailed(answer.failure)
    return answer.scores


def usable_rows(predict: Predict, columns: Columns, *, max_calls: int = 100) -> npt.NDArray[np.bool_]:
    """Tell of each row whether the model answers it, by halving where it raises.

    After ``max_calls`` calls the rows not yet cleared count as unusable: a model that refuses many rows one by one
    would otherwise be asked twice for each.

    Examples
    --------
    >>> def refuses_zero(given):
    ...     if (given["x"] == 0).any():
    ...         raise ValueError("zero")
    ...     return given["x"][:, None]
    >>> usable_rows(refuses_zero, {"x": np.array([1.0, 0.0, 2.0])})
    array([ True, False,  True])
    """
    n_rows = len(next(iter(columns.values())))
    usable = np.zeros(n_rows, dtype=np.bool_)
    waiting = [np.arange(n_rows)]
    for _ in range(max_calls):
        if not waiting:
            break
        rows = waiting.pop(0)
        answer = ask(predict, take(columns, rows))
        if answer.scores is not None:
            usable[rows] = True
        elif answer.usable is not None:
            usable[rows] = answer.usable
        elif rows.size > 1:
            waiting += np.array_split(rows, 2)
    return usable


def inputs_of(signature: Signature, columns: Columns) -> dict[str, npt.NDArray[Any]]:
    """Return the model's inputs in the signature's order, numeric ones as float64.

    Raises
    ------
    Invalid
        If a column is missing, has another length than the first, a numeric one holds text, or there is no row.
    """
    missing = [column.name for column in signature.columns if column.name not in columns]
    if missing or not signature.columns:
        raise Invalid(
            f"the model's input columns {', '.join(map(repr, missing))} are not in the data"
            if missing
            else "the model has no input columns",
            code="evaluation.missing_column",
            hint="give the rows with every column of the model's signature",
        )
    found = {
        column.name: _numbers(column.name, columns[column.name])
        if column.kind == "numeric"
        else np.asarray(columns[column.name])
        for column in signature.columns
    }
    lengths = {name: len(values) for name, values in found.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise Invalid(
            f"the columns have {sorted(set(lengths.values()))} rows, one length above 0 is needed",
            code="evaluation.rows",
            hint="give every column for the same rows, at least one row",
        )
    return found


def _numbers(name: str, values: npt.NDArray[Any]) -> FloatArray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise Invalid(
            f"column {name!r} is numeric in the model's signature and holds something else: {error}",
            code="evaluation.not_numeric",
            hint="give numbers, NaN where one is missing",
        ) from error


def blank(values: npt.NDArray[Any], where: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Return a copy with NaN, NaT or None where asked.

    Examples
    --------
    >>> blank(np.array(["a", "b"], dtype=object), np.array([True, False]))
    array([None, 'b'], dtype=object)
    """
    out = values.copy() if values.dtype.kind in "fM" else values.astype(object)
    out[where] = np.datetime64("NaT") if out.dtype.kind == "M" else np.nan if out.dtype.kind == "f" else None
    return out


def as_text(values: npt.NDArray[Any]) -> npt.NDArray[np.str_]:
    """Return a category column as text, a missing cell as empty text.

    Examples
    --------
    >>> as_text(np.array(["a", None], dtype=object)).tolist()
    ['a', '']
    """
    gone = missing(values)
    return np.array(["" if lost else str(value) for value, lost in zip(values, gone, strict=True)], dtype=np.str_)


def spread_of(values: FloatArray) -> float:
    """Return the standard deviation of the finite values, 0 where there are fewer than two.

    Examples
    --------
    >>> spread_of(np.array([0.0, 2.0, np.nan]))
    1.0
    """
    finite = values[np.isfinite(values)]
    return float(finite.std()) if finite.size > 1 else 0.0


def by_importance(signature: Signature, important: tuple[str, ...], kind: str | None = None) -> list[str]:
    """Return the input columns, the most important first, the rest in the signature's order."""
    names = [column.name for column in signature.columns if kind is None or column.kind == kind]
    first = [name for name in important if name in names]
    return first + [name for name in names if name not in first]
