"""What one cell of text can be read as.

Types are inferred from the text of the cells. Each cell falls into exactly one :class:`Lexeme`; a column's type
is decided from how many cells of each it has (:mod:`arkwright.data.inference`). Surrounding white space is
ignored here, and kept where the column stays text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from datetime import UTC, datetime
from enum import IntEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class Lexeme(IntEnum):
    """The lexical classes of a cell, mutually exclusive."""

    ABSENT = 0  # null in the file, or listed by the caller in na_values
    BLANK = 1  # empty, or white space only
    MISSING_WORD = 2  # a usual spelling of "no value": missing in a column of numbers, a value in a column of text
    ZERO_ONE = 3
    INTEGER = 4
    PADDED_INTEGER = 5  # leading zeros, such as a postcode: a number would lose them
    HUGE_INTEGER = 6  # beyond 64 bits
    INTEGRAL = 7  # 3.0
    NUMBER = 8
    INFINITE = 9
    BOOLEAN = 10
    YES_NO = 11
    TIME = 12
    ZONED_TIME = 13  # with Z or an offset
    WORD = 14


MISSING_WORDS = ("NA", "N/A", "n/a", "na", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "Null", "None")
TRUE_WORDS = ("true", "yes", "y", "t", "on", "1")
FALSE_WORDS = ("false", "no", "n", "f", "off", "0")

# One list, so that Python and Arrow agree on what surrounds a cell.
WHITE_SPACE = " \t\r\n\f\v\x1c\x1d\x1e\x1f\x85\xa0\u2000\u2001\u2002\u2003\u2009\u202f\u3000\ufeff"

_INTEGER = re.compile(r"[+-]?[0-9]+")
_INTEGRAL = re.compile(r"[+-]?[0-9]+\.0*")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_TIME = re.compile(
    r"(\d{4})[-/](\d{2})[-/](\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s?(Z|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)
_INT64 = range(-(2**63), 2**63)


def lexeme_of(text: str) -> Lexeme:
    """Return the lexical class of one cell, white space around it ignored.

    Examples
    --------
    >>> [lexeme_of(text).name for text in ("42", "007", "1e3", " ", "Yes", "2026-01-31", "NA")]
    ['INTEGER', 'PADDED_INTEGER', 'NUMBER', 'BLANK', 'YES_NO', 'TIME', 'MISSING_WORD']
    """
    cell = text.strip(WHITE_SPACE)
    if not cell:
        return Lexeme.BLANK
    if cell in MISSING_WORDS:
        return Lexeme.MISSING_WORD
    first = cell[0]
    if first.isdigit() or first in "+-.":
        return _numeric_lexeme(cell)
    lowered = cell.lower()
    if lowered in ("true", "false"):
        return Lexeme.BOOLEAN
    if lowered in TRUE_WORDS or lowered in FALSE_WORDS:
        return Lexeme.YES_NO
    return Lexeme.INFINITE if _INFINITE.fullmatch(cell) else Lexeme.WORD


def _numeric_lexeme(cell: str) -> Lexeme:
    if _INTEGER.fullmatch(cell):
        return _integer_lexeme(cell)
    if _NUMBER.fullmatch(cell) or _INFINITE.fullmatch(cell):
        if not math.isfinite(float(cell)):
            return Lexeme.INFINITE
        return Lexeme.INTEGRAL if _INTEGRAL.fullmatch(cell) else Lexeme.NUMBER
    moment = parse_time(cell)
    if moment is None:
        return Lexeme.WORD
    return Lexeme.ZONED_TIME if moment.tzinfo is not None else Lexeme.TIME


def _integer_lexeme(cell: str) -> Lexeme:
    if cell in ("0", "1"):
        return Lexeme.ZERO_ONE
    digits = cell.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0":
        return Lexeme.PADDED_INTEGER
    fits = len(digits) < 19 or (len(digits) == 19 and int(cell) in _INT64)
    return Lexeme.INTEGER if fits else Lexeme.HUGE_INTEGER


def parse_time(cell: str) -> datetime | None:
    """Read an ISO 8601 date or date-time; None where it is neither.

    ``YYYY-MM-DD`` or ``YYYY/MM/DD``, then optionally ``T`` or a space, ``HH:MM[:SS[.fraction]]``, and ``Z`` or an
    offset. Fractions are cut to microseconds. Dates in other orders are not guessed at: 01/02/2026 is ambiguous.

    Examples
    --------
    >>> parse_time("2026-01-31 23:59"), parse_time("31/01/2026"), parse_time("2026-02-30")
    (datetime.datetime(2026, 1, 31, 23, 59), None, None)
    """
    found = _TIME.fullmatch(cell)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        moment = datetime(  # noqa: DTZ001 - a zone is attached below where the text has one
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "0").ljust(6, "0")[:6]),
        )
        if zone is None:
            return moment
        offset = "+00:00" if zone == "Z" else zone
        return datetime.fromisoformat(moment.isoformat() + offset).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def classify(cells: pa.Array, na_values: Collection[str] | None) -> np.ndarray:
    """Return the lexeme of every cell as an array of uint8, shape ``(n_cells,)``.

    Parameters
    ----------
    cells
        A string array.
    na_values
        Texts to take as missing instead of the usual words; None keeps the usual ones.

    Notes
    -----
    Numbers are recognised by Arrow's own parser in one call; only what it refuses is looked at value by value,
    and each distinct value once.
    """
    quick = _classify_numbers(cells, na_values)
    if quick is not None:
        return quick
    encoded = cells.dictionary_encode()
    kinds = np.fromiter((_lexeme(text, na_values) for text in encoded.dictionary.to_pylist()), dtype=np.uint8)
    if not len(kinds):
        return np.zeros(len(cells), dtype=np.uint8)
    codes = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
    result: np.ndarray = kinds[codes]
    result[cells.is_null().to_numpy(zero_copy_only=False)] = Lexeme.ABSENT
    return result


def is_missing_text(text: str, na_values: Collection[str] | None) -> bool:
    """Tell whether a cell is missing in every column, whatever its type."""
    cell = text.strip(WHITE_SPACE)
    return not cell or (na_values is not None and (text in na_values or cell in na_values))


def _lexeme(text: str, na_values: Collection[str] | None) -> Lexeme:
    kind = lexeme_of(text)
    if na_values is None or kind == Lexeme.BLANK:
        return kind
    if is_missing_text(text, na_values):
        return Lexeme.ABSENT
    # The caller said what is missing, so the usual words are ordinary text.
    return Lexeme.WORD if kind == Lexeme.MISSING_WORD else kind


def _classify_numbers(cells: pa.Array, na_values: Collection[str] | None) -> np.ndarray | None:
    """Classify a chunk that is all finite numbers and empty cells; None where it is anything else."""
    if na_values:
        return None
    empty = pc.fill_null(pc.equal(cells, ""), False)
    numbers = pc.if_else(empty, None, cells)
    try:
        values = pc.cast(numbers, pa.float64())
    except pa.ArrowInvalid:
        return None
    finite = pc.fill_null(pc.is_finite(values), True)
    if not pc.all(finite, min_count=0).as_py():
        return None
    kinds = np.full(len(cells), Lexeme.NUMBER, dtype=np.uint8)
    whole = _mask(pc.match_substring_regex(numbers, r"^[+-]?[0-9]+$"))
    kinds[_mask(pc.match_substring_regex(numbers, r"^[+-]?[0-9]+\.0*$"))] = Lexeme.INTEGRAL
    if whole.any():
        kinds[whole] = Lexeme.INTEGER
        kinds[_mask(pc.match_substring_regex(numbers, r"^[01]$"))] = Lexeme.ZERO_ONE
        kinds[_mask(pc.match_substring_regex(numbers, r"^[+-]?0[0-9]+$"))] = Lexeme.PADDED_INTEGER
        lengthy = whole & (np.abs(values.fill_null(0.0).to_numpy(zero_copy_only=False)) >= 1e18)
        for index in np.flatnonzero(lengthy & (kinds != Lexeme.PADDED_INTEGER)):
            kinds[index] = lexeme_of(cells[int(index)].as_py())
    kinds[empty.to_numpy(zero_copy_only=False)] = Lexeme.BLANK
    kinds[cells.is_null().to_numpy(zero_copy_only=False)] = Lexeme.ABSENT
    return kinds


def _mask(matches: pa.Array) -> np.ndarray:
    mask: np.ndarray = matches.fill_null(False).to_numpy(zero_copy_only=False)
    return mask
