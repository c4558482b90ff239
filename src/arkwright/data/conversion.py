"""Turning columns as a file has them into the canonical Arrow types.

``integer`` is int64, ``number`` float64 without NaN, ``boolean`` bool, ``text`` string, ``time`` timestamp[us]
without a zone (moments with an offset are stored in UTC). Missing is always null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arkwright.data.cells import MISSING_WORDS, TRUE_WORDS, WHITE_SPACE, is_missing_text, parse_time
from arkwright.data.inference import ColumnPlan
from arkwright.data.schema import ARROW_TYPES


def convert_cells(cells: pa.Array, plan: ColumnPlan) -> pa.Array:
    """Read a string array as the plan says; every cell is known to fit.

    Examples
    --------
    >>> plan = ColumnPlan(name="x", type="integer", na_values=None, words_missing=True, n_missing=1)
    >>> convert_cells(pa.array([" 7", "NA", "+3"]), plan).to_pylist()
    [7, None, 3]
    """
    values = _without_missing(cells, plan)
    if plan.type == "text":
        return values
    trimmed = pc.utf8_trim(values, characters=WHITE_SPACE)
    if plan.type == "number":
        return _without_negative_zero(pc.cast(trimmed, pa.float64()))
    if plan.type == "integer":
        digits = pc.replace_substring_regex(trimmed, r"^\+|\.0*$", "")
        return pc.cast(digits, pa.int64())
    if plan.type == "boolean":
        truths = pc.is_in(pc.utf8_lower(trimmed), value_set=pa.array(TRUE_WORDS))
        return pc.if_else(pc.is_valid(trimmed), truths, None)
    return _times(trimmed)


def canonical_or_cells(array: pa.Array) -> tuple[pa.Array, bool]:
    """Bring an Arrow array to a canonical type, or to text cells where there is none.

    Returns
    -------
    tuple
        The array, and whether its values were nested (lists, structs) and became JSON text.
    """
    while isinstance(array, pa.ExtensionArray) or pa.types.is_dictionary(array.type):
        array = array.storage if isinstance(array, pa.ExtensionArray) else array.dictionary_decode()
    kind = array.type
    if pa.types.is_nested(kind):
        texts = [
            None if value is None else json.dumps(value, default=str, sort_keys=True) for value in array.to_pylist()
        ]
        return pa.array(texts, pa.string()), True
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _moments(array), False
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _without_nan(pc.cast(array, pa.float64())), False
    if pa.types.is_boolean(kind):
        return array, False
    # Half of uint64 does not fit; as text, all its cells are looked at before that is decided.
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return pc.cast(array, pa.int64()), False
    return _texts(array), False


def cells_of(array: pa.Array) -> pa.Array:
    """Write canonical values as text cells; truths as ``True`` and ``False``, as a request writes them."""
    if pa.types.is_string(array.type):
        return array
    if pa.types.is_boolean(array.type):
        return pc.if_else(array, "True", "False")
    return pc.cast(array, pa.string())


def cell_of_json(value: Any) -> str | None:
    """Write one JSON value as a text cell; None for null.

    Examples
    --------
    >>> cell_of_json(True), cell_of_json(2.5), cell_of_json({"a": [1]}), cell_of_json(None)
    ('True', '2.5', '{"a": [1]}', None)
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, float) and math.isnan(value):
        return None
    return str(value)


def without_listed(array: pa.Array, na_values: Collection[str] | None) -> pa.Array:
    """Null the numbers of a canonical array that the caller listed as missing."""
    if not na_values or not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        return array
    listed = [number for text in na_values if (number := _number(text)) is not None]
    if pa.types.is_integer(array.type):
        listed = [int(number) for number in listed if number.is_integer() and abs(number) < 2**53]
    hits = pc.is_in(array, value_set=pa.array(listed, array.type))
    return pc.if_else(hits, None, array)


def infinite_values(array: pa.Array) -> np.ndarray:
    """Return the positions of infinities in a canonical array."""
    if not pa.types.is_floating(array.type):
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(pc.fill_null(pc.is_inf(array), False).to_numpy(zero_copy_only=False))


def _without_missing(cells: pa.Array, plan: ColumnPlan) -> pa.Array:
    """Null the cells that are missing under the plan; each distinct odd value is judged once."""
    missing = pc.equal(pc.utf8_trim(cells, characters=WHITE_SPACE), "")
    words = {*(MISSING_WORDS if plan.words_missing and plan.na_values is None else ()), *(plan.na_values or ())}
    if words:
        listed = [
            text
            for text in pc.unique(cells).to_pylist()
            if text is not None and (text.strip(WHITE_SPACE) in words or is_missing_text(text, plan.na_values))
        ]
        missing = pc.or_(missing, pc.is_in(cells, value_set=pa.array(listed, pa.string())))
    return pc.if_else(pc.fill_null(missing, True), None, cells)


def _times(texts: pa.Array) -> pa.Array:
    for kind in (ARROW_TYPES["time"], pa.timestamp("us", "UTC")):
        try:
            return pc.cast(texts, kind).cast(ARROW_TYPES["time"])
        except pa.ArrowInvalid:
            continue
    # Slashes, a mixture of zones or longer fractions: value by value.
    moments = [None if text is None else parse_time(text) for text in texts.to_pylist()]
    naive = [None if moment is None else moment.replace(tzinfo=None) for moment in moments]
    return pa.array(naive, ARROW_TYPES["time"])


def _moments(array: pa.Array) -> pa.Array:
    if pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("ms" if pa.types.is_date64(array.type) else "s"))
    elif array.type.tz is not None:
        array = array.cast(pa.timestamp(array.type.unit))
    # Nanoseconds are cut.
    return array.cast(ARROW_TYPES["time"], safe=False)


def _texts(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_fixed_size_binary(kind):
        array = pc.cast(array, pa.binary())
    try:
        return pc.cast(array, pa.string())
    except pa.ArrowNotImplementedError:
        return pa.array([None if value is None else str(value) for value in array.to_pylist()], pa.string())


def _without_nan(array: pa.Array) -> pa.Array:
    return _without_negative_zero(pc.if_else(pc.is_nan(array), None, array))


def _without_negative_zero(array: pa.Array) -> pa.Array:
    return pc.add(array, 0.0)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
