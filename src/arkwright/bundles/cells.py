"""What one cell of a table or of a JSON row means.

The single place that decides what counts as missing and how text and moments are read, so that training, batches
and requests agree. Missing is JSON ``null``, an absent key, ``None``, NaN and NaT, and from here on only None or NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

NAN = math.nan
"""The one NaN that leaves the edge, whatever its bits were on the way in."""

Columns = Mapping[str, npt.NDArray[Any]]
"""A table in memory: float64, object (text or None) or datetime64 arrays of equal length, by column name."""

FloatArray = npt.NDArray[np.float64]

CellWriter = Callable[[Any, list[float]], None]
"""Writes the outputs of one JSON value that passed validation into a vector of zeros."""

_BOOLEANS: dict[str | None, bool] = {
    **dict.fromkeys(("True", "true", "1"), True),
    **dict.fromkeys(("False", "false", "0"), False),
}

FIRST_MOMENT = np.datetime64("0001-01-01T00:00:00", "us")
LAST_MOMENT = np.datetime64("9999-12-31T23:59:59.999999", "us")


def as_text(value: object) -> str | None:
    """Read a categorical cell: booleans and numbers as their text, missing as None.

    Examples
    --------
    >>> as_text("yes"), as_text(True), as_text(3), as_text(None), as_text(float("nan"))
    ('yes', 'True', '3', None, None)
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value)


def read_boolean(text: str | None) -> bool | None:
    """Read the text of a boolean; anything else is missing.

    Examples
    --------
    >>> read_boolean("True"), read_boolean("false"), read_boolean("0"), read_boolean("maybe")
    (True, False, False, None)
    """
    return _BOOLEANS.get(text)


def parse_moment(text: str) -> datetime:
    """Read an RFC 3339 date or date-time as a naive moment in UTC; without an offset it is UTC already.

    Examples
    --------
    >>> parse_moment("2026-03-01"), parse_moment("2026-03-01T10:00:00+02:00")
    (datetime.datetime(2026, 3, 1, 0, 0), datetime.datetime(2026, 3, 1, 8, 0))

    Raises
    ------
    ValueError
        If the text is not of that form, or falls outside the years 1 to 9999.
    """
    # fromisoformat also reads week dates and undashed dates, which RFC 3339 does not know.
    if text[4:5] != "-" or text[7:8] != "-":
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        try:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
        except OverflowError as error:
            raise ValueError(text) from error
    return moment


def as_numbers(values: npt.NDArray[Any]) -> FloatArray:
    """Return a numeric column as float64 with one kind of NaN."""
    numbers: FloatArray = np.array(values, dtype=np.float64)
    numbers[np.isnan(numbers)] = NAN
    return numbers


def as_moments(values: npt.NDArray[Any]) -> npt.NDArray[np.datetime64]:
    """Return a time column as datetime64[us]; a moment outside the years 1 to 9999 counts as missing."""
    moments = np.array(values, dtype="datetime64[us]")
    with np.errstate(invalid="ignore"):
        moments[(moments < FIRST_MOMENT) | (moments > LAST_MOMENT)] = np.datetime64("NaT")
    return moments


def missing_column(kind: str, n_rows: int) -> npt.NDArray[Any]:
    """Return a column of a signature's kind in which every row is missing."""
    if kind == "numeric":
        return np.full(n_rows, NAN)
    if kind == "time":
        return np.full(n_rows, np.datetime64("NaT"), dtype="datetime64[us]")
    return np.full(n_rows, None, dtype=object)
