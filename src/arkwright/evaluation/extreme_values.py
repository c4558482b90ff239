"""Values nobody expected, one column at a time: whether the model still answers, and how far its scores move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts import Signature
from arkwright.contracts.signature import Column, TaskType
from arkwright.evaluation.classification import predicted_codes
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.probe import ask, by_importance, inputs_of
from arkwright.evaluation.report import as_probability
from arkwright.evaluation.scored_table import Columns, Predict
from arkwright.evaluation.skill import checked_truth

ExtremeKind = Literal[
    "far_above",
    "far_below",
    "zero",
    "negative",
    "huge",
    "huge_negative",
    "unseen_category",
    "empty_text",
    "far_past",
    "far_future",
]

RUNAWAY_SPREADS = 10.0
"""A prediction so many standard deviations of the target outside its range has run away with the input."""

_RANGES_BEYOND = 10.0
_HUGE = 1e12
_UNSEEN = "a category never seen before"


class ExtremeCase(msgspec.Struct, frozen=True, kw_only=True):
    """One column set to one value in every row.

    Parameters
    ----------
    mean_move, max_move
        How far the scores moved, over the rows. Classification: the largest change among the class
        probabilities, in [0, 1]. Regression: the change in standard deviations of the target. None if the
        model gave no usable answer.
    share_flipped
        Rows that got another label; None for regression.
    runaway
        Regression only: the median prediction lies more than 10 standard deviations of the target outside
        the target's range.
    failure
        What the model did instead of answering; empty if it answered.
    """

    column: str
    kind: ExtremeKind
    value: float | str
    mean_move: float | None
    max_move: float | None
    share_flipped: float | None = None
    runaway: bool = False
    failure: str = ""


class ExtremeValues(msgspec.Struct, frozen=True, kw_only=True):
    """Every case; ``share_survived`` is the share with a usable answer that did not run away.

    ``columns_left_out`` were over the limit of columns; ``not_reached`` is what the stop left out.
    """

    n_rows: int
    share_survived: float | None
    cases: tuple[ExtremeCase, ...] = ()
    columns_left_out: tuple[str, ...] = ()
    not_reached: tuple[str, ...] = ()
    reason: str = ""


def extreme_values(
    predict: Predict,
    signature: Signature,
    columns: Columns,
    truth: npt.NDArray[Any],
    *,
    important: Sequence[str] = (),
    max_columns: int = 50,
    should_stop: Callable[[], bool] | None = None,
) -> ExtremeValues:
    """Set each column to each extreme value and ask the model.

    Numeric: ten ranges above the maximum and below the minimum, zero, minus the largest magnitude,
    ``1e12`` and ``-1e12``. Categorical: a category that is not in the data, and empty text. Time: the years 1700
    and 2250, which every datetime64 unit can hold.

    Parameters
    ----------
    truth
        Class codes, or the float values that scale a regression's moves.
    important
        Column names, the most important first; they come first where ``max_columns`` cuts.

    Raises
    ------
    Invalid
        If an input column is missing, or the truth does not fit.
    """
    inputs = inputs_of(signature, columns)
    n_rows = len(next(iter(inputs.values())))
    truth = checked_truth(signature, truth, n_rows)
    clean = ask(predict, inputs)
    if clean.scores is None:
        reason = f"the model {clean.failure} on undisturbed rows"
        return ExtremeValues(n_rows=n_rows, share_survived=None, reason=reason)
    by_name = {column.name: column for column in signature.columns}
    names = by_importance(signature, tuple(important))
    cases: list[ExtremeCase] = []
    not_reached: tuple[str, ...] = ()
    for place, name in enumerate(names[:max_columns]):
        if should_stop is not None and should_stop():
            not_reached = tuple(f"extreme values of {left!r}" for left in names[place:max_columns])
            break
        for kind, value in _extremes(by_name[name], inputs[name]):
            filled = np.full(n_rows, value, dtype=object if isinstance(value, str) else np.asarray(value).dtype)
            answer = ask(predict, {**inputs, name: filled})
            shown = str(value) if isinstance(value, (str, np.datetime64)) else float(value)
            case = ExtremeCase(
                column=name, kind=kind, value=shown, mean_move=None, max_move=None, failure=answer.failure
            )
            if answer.scores is not None:
                case = _moved(signature.task, case, (clean.scores, answer.scores), truth)
            cases.append(case)
    survived = [not case.failure and not case.runaway for case in cases]
    return ExtremeValues(
        n_rows=n_rows,
        share_survived=float(np.mean(survived)) if survived else None,
        cases=tuple(cases),
        columns_left_out=tuple(names[max_columns:]),
        not_reached=not_reached,
        reason="" if survived else "no column was reached",
    )


def score_move(
    task: TaskType, before: FloatArray, after: FloatArray, spread: float
) -> tuple[FloatArray, npt.NDArray[np.bool_] | None]:
    """Return how far each row's scores moved, and which rows got another label (None for regression).

    Examples
    --------
    >>> score_move("binary", np.array([[0.4]]), np.array([[0.9]]), 1.0)
    (array([0.5]), array([ True]))
    """
    if task == "regression":
        return np.abs(after[:, 0] - before[:, 0]) / (spread or 1.0), None
    old, new = as_probability(task, before), as_probability(task, after)
    return np.abs(new - old).max(axis=1), predicted_codes(old) != predicted_codes(new)


def _moved(
    task: TaskType, case: ExtremeCase, scores: tuple[FloatArray, FloatArray], truth: npt.NDArray[Any]
) -> ExtremeCase:
    spread = float(np.std(truth))
    move, flipped = score_move(task, *scores, spread)
    runaway = False
    if task == "regression":
        middle, margin = float(np.median(scores[1][:, 0])), RUNAWAY_SPREADS * spread
        runaway = not float(truth.min()) - margin <= middle <= float(truth.max()) + margin
    return msgspec.structs.replace(
        case,
        mean_move=float(move.mean()),
        max_move=float(move.max()),
        share_flipped=None if flipped is None else float(flipped.mean()),
        runaway=runaway,
    )


def _extremes(column: Column, values: npt.NDArray[Any]) -> list[tuple[ExtremeKind, Any]]:
    if column.kind == "categorical":
        seen = {str(value) for value in values}
        unseen = _UNSEEN
        while unseen in seen:
            unseen += "!"
        return [("unseen_category", unseen), ("empty_text", "")]
    if column.kind == "time":
        unit = values.dtype if values.dtype.kind == "M" else "datetime64[ns]"
        return [
            ("far_past", np.datetime64("1700-01-01").astype(unit)),
            ("far_future", np.datetime64("2250-01-01").astype(unit)),
        ]
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    reach = _RANGES_BEYOND * ((high - low) or 1.0)
    return [
        ("far_above", high + reach),
        ("far_below", low - reach),
        ("zero", 0.0),
        ("negative", -(max(abs(low), abs(high)) or 1.0)),
        ("huge", _HUGE),
        ("huge_negative", -_HUGE),
    ]
