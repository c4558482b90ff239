"""The arithmetic of fitted transformers on one number, for a column and for a row, in the same order of roundings.

Formulas: scikit-learn's ``StandardScaler``, ``MinMaxScaler``, ``RobustScaler``, ``MaxAbsScaler``, ``SimpleImputer``.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
import numpy as np

from arkwright.bundles.cells import NAN, FloatArray
from arkwright.bundles.errors import CellRefused

Op = Literal[
    "fill",
    "subtract",
    "divide",
    "multiply",
    "add",
    "at_least",
    "at_most",
    "missing_if",
    "is_missing",
    "round32",
    "present",
    "within32",
    "log1p",
    "sqrt",
    "log",
    "absolute",
]

LARGEST_32 = float(np.finfo(np.float32).max)
MISSING_MESSAGE = "is missing: the model was trained without missing values here"
TOO_LARGE_MESSAGE = "is too large for the model, which computes with 32 bits"

Apply = Callable[[float], float]


class Step(msgspec.Struct, frozen=True, array_like=True):
    """One operation; ``value`` is its operand, where it has one.

    ``fill`` replaces a missing number, ``missing_if`` makes one of a number, ``is_missing`` answers 1 or 0;
    ``present`` and ``within32`` refuse what the pipeline refuses.
    """

    op: Op
    value: float = 0.0


def apply_to_column(steps: Sequence[Step], values: FloatArray, column: str) -> FloatArray:
    """Apply the steps to a column.

    Raises
    ------
    CellRefused
        If a step refuses a cell.
    """
    with np.errstate(all="ignore"):
        for step in steps:
            values = _column_step(step, values, column)
    return values


def for_row(steps: Sequence[Step], column: str) -> Apply:
    """Return the steps as one function of a number."""
    functions = [_row_step(step, column) for step in steps]
    if not functions:
        return _identity
    if len(functions) == 1:
        return functions[0]
    if [step.op for step in steps] == ["fill", "subtract", "divide"]:
        return _standardised(*(step.value for step in steps))
    chain = tuple(functions)

    def apply(number: float) -> float:
        for function in chain:
            number = function(number)
        return number

    return apply


def _column_step(step: Step, values: FloatArray, column: str) -> FloatArray:
    value = step.value

    def refuse_missing() -> FloatArray:
        if np.isnan(values).any():
            raise CellRefused(column, MISSING_MESSAGE)
        return values

    def refuse_large() -> FloatArray:
        if (np.abs(values) > LARGEST_32).any():
            raise CellRefused(column, TOO_LARGE_MESSAGE)
        return values

    simple: dict[Op, Callable[[], FloatArray]] = {
        "fill": lambda: np.where(np.isnan(values), value, values),
        "subtract": lambda: values - value,
        "divide": lambda: values / value,
        "multiply": lambda: values * value,
        "add": lambda: values + value,
        "at_least": lambda: np.where(values < value, value, values),
        "at_most": lambda: np.where(values > value, value, values),
        "missing_if": lambda: np.where(values == value, NAN, values),
        "is_missing": lambda: np.isnan(values).astype(np.float64),
        "round32": lambda: values.astype(np.float32).astype(np.float64),
        "present": refuse_missing,
        "within32": refuse_large,
    }
    if step.op in simple:
        return simple[step.op]()
    ufunc: np.ufunc = getattr(np, step.op)
    found: FloatArray = ufunc(values)
    return found


def _row_step(step: Step, column: str) -> Apply:
    value = step.value

    def refuse_missing(number: float) -> float:
        if number != number:  # noqa: PLR0124 - NaN
            raise CellRefused(column, MISSING_MESSAGE)
        return number

    def refuse_large(number: float) -> float:
        if number > LARGEST_32 or number < -LARGEST_32:
            raise CellRefused(column, TOO_LARGE_MESSAGE)
        return number

    simple: dict[Op, Apply] = {
        "fill": lambda number: value if number != number else number,  # noqa: PLR0124
        "subtract": lambda number: number - value,
        "divide": lambda number: number / value,
        "multiply": lambda number: number * value,
        "add": lambda number: number + value,
        "at_least": lambda number: max(number, value),
        "at_most": lambda number: min(number, value),
        "missing_if": lambda number: NAN if number == value else number,
        "is_missing": lambda number: 1.0 if number != number else 0.0,  # noqa: PLR0124
        "round32": lambda number: ctypes.c_float(number).value,
        "absolute": abs,
        "present": refuse_missing,
        "within32": refuse_large,
    }
    return simple[step.op] if step.op in simple else _ufunc(getattr(np, step.op))


def _ufunc(ufunc: np.ufunc) -> Apply:
    def apply(number: float) -> float:
        if number != number:  # noqa: PLR0124 - NaN, and no warning about it
            return NAN
        with np.errstate(all="ignore"):
            return float(ufunc(number))

    return apply


def _standardised(fill: float, centre: float, spread: float) -> Apply:
    def apply(number: float) -> float:
        return ((fill if number != number else number) - centre) / spread  # noqa: PLR0124

    return apply


def _identity(number: float) -> float:
    return number


def is_finite(steps: Sequence[Step]) -> bool:
    """Answer whether every operand is a number that JSON can hold, and no divisor is zero."""
    return all(math.isfinite(step.value) and not (step.op == "divide" and step.value == 0) for step in steps)
