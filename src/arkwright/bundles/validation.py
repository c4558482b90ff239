"""Whether a request's instances fit a model's signature, and if not, which field does not and why.

Checked twice over: a quick pass that only answers yes or no (this is the hot path, a few microseconds a row), and,
for a request that fails it, a slow one that writes down what was wrong with each field.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator
from typing import Any

from arkwright.bundles.cells import Columns, parse_moment
from arkwright.bundles.errors import PredictionInvalid
from arkwright.contracts import Signature
from arkwright.contracts.signature import ColumnKind

MAX_ERRORS = 20
"""Problems listed in one answer; the rest are counted."""

_Cells = tuple[tuple[str, Any], ...]  # a column's name, and what stands for its absence

_ABSENT: Any = object()
_LARGEST_INT = 2**1023  # well inside float64; JSON integers have no limit of their own

_EXPECTED: dict[ColumnKind, str] = {
    "numeric": "a number or null",
    "categorical": "text or null",
    "time": "an RFC 3339 date or date-time such as 2026-03-01 or 2026-03-01T09:30:00Z, or null",
}
_KIND_NAMES: dict[ColumnKind, str] = {"numeric": "number", "categorical": "text", "time": "time"}
_TYPE_NAMES: dict[type[object], str] = {list: "a list", dict: "an object"}
_DTYPES: dict[ColumnKind, str] = {"numeric": "fiu", "categorical": "OU", "time": "M"}


class InstanceValidator:
    """The checks of one signature, prepared once.

    ``required`` columns must be present, though they may be null; columns of the signature's ``identifiers`` and
    ``ignored`` may be present and are not looked at; any other column is an error.
    """

    def __init__(self, signature: Signature) -> None:
        self._columns = signature.columns
        # The target itself may ride along, as it does when someone scores rows of the training table.
        self._silent = frozenset((*signature.identifiers, *signature.ignored, signature.target))
        self._known = self._silent | {column.name for column in signature.columns}

        def named(kind: ColumnKind) -> _Cells:
            defaults = ((column, _ABSENT if column.required else None) for column in signature.columns)
            return tuple((column.name, default) for column, default in defaults if column.kind == kind)

        self._numbers, self._texts, self._moments = named("numeric"), named("categorical"), named("time")

    def check(self, instances: object) -> list[dict[str, Any]]:
        """Return the instances if every one of them fits.

        Raises
        ------
        PredictionInvalid
            With one entry in ``errors`` per field, such as ``instances[3].tenure``.
        """
        if not isinstance(instances, list) or not instances:
            found = "an empty list" if instances == [] else _describe(instances)
            raise PredictionInvalid(
                f"instances is {found}: expected a list of one or more rows.",
                errors=[{"field": "instances", "message": f"is {found}: expected a list of one or more rows"}],
                hint='Send {"instances": [{"column": value, ...}]}.',
            )
        if not all(map(self._passes, instances)):
            self._explain(instances)
        return instances

    def _passes(self, row: Any) -> bool:
        """Answer quickly; a False may still turn out to be fine, a True may not turn out to be wrong."""
        return (
            type(row) is dict
            and self._known.issuperset(row)
            and _numbers_pass(row, self._numbers)
            and _texts_pass(row, self._texts)
            and _moments_pass(row, self._moments)
        )

    def _explain(self, instances: list[Any]) -> None:
        errors: list[dict[str, Any]] = []
        n_problems = 0
        for index, row in enumerate(instances):
            for place, message in self._problems(row, MAX_ERRORS - len(errors)):
                n_problems += 1
                if len(errors) < MAX_ERRORS:
                    errors.append({"field": f"instances[{index}]{place}", "message": message})
        if n_problems == 0:
            return
        first = f"{errors[0]['field']} {errors[0]['message']}"
        more = "" if n_problems == 1 else f" There are {n_problems} such problems"
        more += f"; the first {MAX_ERRORS} are listed." if n_problems > MAX_ERRORS else "." if more else ""
        raise PredictionInvalid(f"{first}.{more}", errors=errors, hint=self._hint())

    def _problems(self, row: Any, n_advised: int) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with a row; only the first ``n_advised`` unknown columns get the costly advice."""
        if not isinstance(row, dict):
            yield "", f"is {_describe(row)}: expected an object with one member per column"
            return
        for column in self._columns:
            if column.name not in row:
                if column.required:
                    yield f".{column.name}", f"is missing: expected {_EXPECTED[column.kind]}"
            elif (wrong := _wrong(column.kind, row[column.name])) is not None:
                yield f".{column.name}", f"is {wrong}: expected {_EXPECTED[column.kind]}"
        for name in row:
            if name not in self._known:
                near = self._closest(str(name)) if n_advised > 0 else ""
                n_advised -= 1
                advice = f"did you mean {near!r}?" if near else "leave it out"
                yield f".{name}", f"is not a column of this model: {advice}"

    def _closest(self, name: str) -> str:
        names = [column.name for column in self._columns]
        return next(iter(difflib.get_close_matches(name[:200], names, n=1)), "")

    def _hint(self) -> str:
        shown = [f"{column.name} ({_KIND_NAMES[column.kind]})" for column in self._columns[:30]]
        if len(self._columns) > len(shown):
            shown.append(f"and {len(self._columns) - len(shown)} more")
        return f"The model takes: {', '.join(shown)}."


def _numbers_pass(row: dict[str, Any], cells: _Cells) -> bool:
    for name, default in cells:
        value: Any = row.get(name, default)
        kind = type(value)
        if kind is float:
            if value - value != 0.0:  # infinite or NaN
                return False
        elif kind is int:
            if not -_LARGEST_INT < value < _LARGEST_INT:
                return False
        elif value is not None:
            return False
    return True


def _texts_pass(row: dict[str, Any], cells: _Cells) -> bool:
    for name, default in cells:
        value: Any = row.get(name, default)
        kind = type(value)
        if kind is not str and value is not None and kind is not int and kind is not bool:
            return False
    return True


def _moments_pass(row: dict[str, Any], cells: _Cells) -> bool:
    for name, default in cells:
        value: Any = row.get(name, default)
        if value is not None and (type(value) is not str or not _is_moment(value)):
            return False
    return True


def check_columns(signature: Signature, columns: Columns) -> None:
    """Check that a table has the required columns, of the right type and of equal length.

    Columns that the model does not know are left alone: a table to be scored may carry any.

    Raises
    ------
    PredictionInvalid
        Naming each column.
    """
    errors: list[dict[str, Any]] = []
    n_rows = next((values.size for values in columns.values()), 0)
    for column in signature.columns:
        values = columns.get(column.name)
        if values is None:
            if column.required:
                errors.append({"field": column.name, "message": "is missing from the table"})
        elif values.dtype.kind not in _DTYPES[column.kind]:
            errors.append(
                {"field": column.name, "message": f"holds {values.dtype}: expected {_KIND_NAMES[column.kind]}"}
            )
        elif values.shape != (n_rows,):
            errors.append({"field": column.name, "message": f"has shape {values.shape}: expected ({n_rows},)"})
    if errors:
        named = ", ".join(f"{error['field']!r} {error['message']}" for error in errors[:MAX_ERRORS])
        raise PredictionInvalid(
            f"The table does not fit the model: {named}.",
            errors=errors,
            hint="Give the table the columns that the model was trained on, under the same names.",
        )


def _is_moment(text: str) -> bool:
    try:
        parse_moment(text)
    except ValueError:
        return False
    return True


def _wrong(kind: ColumnKind, value: object) -> str | None:
    """Describe a value that a column of this kind cannot take, or return None."""
    if value is None:
        return None
    if kind == "categorical":
        return None if isinstance(value, str | int) else _describe(value)
    if kind == "time":
        return None if isinstance(value, str) and _is_moment(value) else _describe(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _describe(value)
    if isinstance(value, float):
        return None if math.isfinite(value) else "NaN" if math.isnan(value) else "infinite"
    return None if -_LARGEST_INT < value < _LARGEST_INT else "an integer too large for a float64"


def _describe(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        shown = value if len(value) <= 40 else value[:39] + "…"
        return f"the text {json.dumps(shown, ensure_ascii=False)}"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value!r}" if isinstance(value, float) or abs(value) < 10**20 else "a very large number"
    return _TYPE_NAMES.get(type(value), f"a {type(value).__name__}")
