"""The columns of a dataset: their names, types and what was noticed while reading them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Literal

import msgspec
import pyarrow as pa

from arkwright.core.errors import Invalid

LONGEST_NAME = 200
"""Characters of a column name: what a target's name may have too."""

ColumnType = Literal["integer", "number", "boolean", "text", "time"]

ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    # Without a zone: moments that carry an offset are stored in UTC.
    "time": pa.timestamp("us"),
}


class DataWarning(msgspec.Struct, frozen=True, kw_only=True):
    """Something a person should know about how a file was read.

    ``code`` is stable (``blank_cells``, ``mixed_types``, ``all_missing``, ...); ``row`` is the number of the first
    row concerned, counted from 1 below the header, and 0 where no one row is meant.
    """

    code: str
    message: str
    column: str = ""
    count: int = 0
    row: int = 0


class ColumnSchema(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a dataset version."""

    name: str
    type: ColumnType
    nullable: bool
    n_missing: int


def arrow_schema(columns: Sequence[tuple[str, ColumnType]]) -> pa.Schema:
    """Return the Arrow schema of canonical columns."""
    return pa.schema([(name, ARROW_TYPES[kind]) for name, kind in columns])


def check_names(names: Sequence[str]) -> list[str]:
    """Return the column names without surrounding white space, or refuse them.

    Raises
    ------
    Invalid
        If a name is empty, too long, or occurs twice.

    Examples
    --------
    >>> check_names([" age", "income "])
    ['age', 'income']
    """
    cleaned = [name.strip() for name in names]
    empty = [position for position, name in enumerate(cleaned, start=1) if not name]
    if empty:
        raise Invalid(
            f"Column {empty[0]} of {len(cleaned)} has no name in the header"
            + (f" (nor have {len(empty) - 1} others)." if len(empty) > 1 else "."),
            code="dataset.column_unnamed",
            hint="Name it in the first line, or leave it out; pandas writes an unnamed index column unless told "
            "to_csv(index=False).",
        )
    long = [position for position, name in enumerate(cleaned, start=1) if len(name) > LONGEST_NAME]
    if long:
        name = cleaned[long[0] - 1]
        raise Invalid(
            f"The name of column {long[0]} has {len(name):,} characters; {LONGEST_NAME} are the most. "
            f"It begins with {name[:60]!r}.",
            code="dataset.column_name_long",
            hint="Shorten it. If this is data and not a name, the file has no header line: add one.",
        )
    doubles = [name for name, count in Counter(cleaned).items() if count > 1]
    if doubles:
        where = [position for position, name in enumerate(cleaned, start=1) if name == doubles[0]]
        more = f"; so do {len(doubles) - 1} other names" if len(doubles) > 1 else ""
        raise Invalid(
            f"The column name {doubles[0]!r} occurs {len(where)} times (columns {_listed(where)}){more}.",
            code="dataset.duplicate_columns",
            hint="Give each column a name of its own.",
            errors=[{"field": name, "message": "occurs more than once"} for name in doubles],
        )
    return cleaned


def unknown_column(name: str, known: Sequence[str], *, what: str, code: str) -> Invalid:
    """Return the error for a column that is named somewhere and is not in the data."""
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    shown = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    return Invalid(
        f"{what} names the column {name!r}, which is not in the data.",
        code=code,
        hint=f"Did you mean {close[0]!r}?" if close else f"The columns are: {shown}.",
    )


def _listed(positions: Sequence[int]) -> str:
    return ", ".join(map(str, positions[:-1])) + f" and {positions[-1]}"
