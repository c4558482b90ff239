"""Deciding each column's type from its cells.

The rules, in order, over the cells that are not missing:

1. an override by the caller, which must hold for every cell;
2. all whole numbers -> ``integer``; all numbers -> ``number``; an infinity among numbers is refused;
3. whole numbers with leading zeros, or beyond 64 bits, are names of things -> ``text``;
4. all true/false -> ``boolean``; all ISO 8601 dates or date-times -> ``time``;
5. anything else, mixtures included -> ``text``.

Blank cells are missing in every column. The usual words for "no value" (``NA``, ``null``, ...) are missing in columns
of numbers, truths and times and stay values in columns of text, where they may mean something; ``na_values`` decides
otherwise. Whatever a person may not expect becomes a :class:`~arkwright.data.schema.DataWarning`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import cast, get_args

import msgspec
import numpy as np
import pyarrow as pa

from arkwright.core.errors import Invalid
from arkwright.core.structs import prepared
from arkwright.data.cells import Lexeme, classify
from arkwright.data.schema import ColumnType, DataWarning, unknown_column

_INTEGERS = frozenset({Lexeme.ZERO_ONE, Lexeme.INTEGER})
_PADDED = frozenset({Lexeme.PADDED_INTEGER})
_NAMES_OF_THINGS = _PADDED | {Lexeme.HUGE_INTEGER}
_NUMBERS = _INTEGERS | _PADDED | {Lexeme.HUGE_INTEGER, Lexeme.INTEGRAL, Lexeme.NUMBER}
_TIMES = frozenset({Lexeme.TIME, Lexeme.ZONED_TIME})
_MISSING = frozenset({Lexeme.ABSENT, Lexeme.BLANK, Lexeme.MISSING_WORD})
_ACCEPTED: dict[ColumnType, frozenset[Lexeme]] = {
    "integer": _INTEGERS | _PADDED | {Lexeme.INTEGRAL},
    "number": _NUMBERS,
    "boolean": frozenset({Lexeme.BOOLEAN, Lexeme.YES_NO, Lexeme.ZERO_ONE}),
    "time": _TIMES,
}
# What the groups are called when a column mixes them.
_GROUPS: tuple[tuple[str, frozenset[Lexeme]], ...] = (
    ("numbers", _NUMBERS | {Lexeme.INFINITE}),
    ("true/false values", frozenset({Lexeme.BOOLEAN})),
    ("dates or times", _TIMES),
    ("text", frozenset({Lexeme.WORD, Lexeme.YES_NO})),
)
_LONGEST_SHOWN = 40


class ColumnPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How to read one column of text.

    ``na_values`` are the texts the caller named as missing, None for none; ``words_missing`` says that the usual
    words for "no value" are missing too.
    """

    name: str
    type: ColumnType
    na_values: tuple[str, ...] | None
    words_missing: bool
    n_missing: int


class ColumnEvidence:
    """What the cells of one column look like, gathered chunk by chunk.

    Parameters
    ----------
    name
        The column.
    na_values
        Texts to take as missing instead of the usual words; None keeps the usual ones.
    n_rows_before
        Rows that went by before the column first appeared; they are missing in it.
    """

    def __init__(self, name: str, na_values: Collection[str] | None, n_rows_before: int = 0) -> None:
        self.name = name
        self.na_values = na_values
        self.counts = np.zeros(len(Lexeme), dtype=np.int64)
        self.first: dict[Lexeme, tuple[int, str]] = {}
        self.first_missing_word = ""
        self.n_rows = n_rows_before
        self.counts[Lexeme.ABSENT] = n_rows_before

    def update(self, cells: pa.Array) -> None:
        """Take in the next cells, a string array."""
        kinds = classify(cells, self.na_values)
        counts = np.bincount(kinds, minlength=len(Lexeme))
        for number in np.flatnonzero(counts):
            kind = Lexeme(int(number))
            if kind not in self.first:
                index = int(np.argmax(kinds == number))
                self.first[kind] = (self.n_rows + index + 1, cells[index].as_py() or "")
        self.counts += counts
        self.n_rows += len(cells)

    def count(self, kinds: Iterable[Lexeme]) -> int:
        """Return how many cells are of these kinds."""
        return int(sum(self.counts[kind] for kind in kinds))

    def first_of(self, kinds: Collection[Lexeme]) -> tuple[int, str]:
        """Return the row number and text of the first cell of these kinds."""
        return min(self.first[kind] for kind in kinds if kind in self.first)

    @property
    def present(self) -> frozenset[Lexeme]:
        """The kinds of the cells that are not missing."""
        return frozenset(kind for kind in Lexeme if self.counts[kind] and kind not in _MISSING)


def check_overrides(types: Mapping[str, str], names: Collection[str]) -> None:
    """Refuse overrides that name an unknown column or an unknown type."""
    for name, kind in types.items():
        if name not in names:
            raise unknown_column(name, list(names), what="The type override", code="dataset.types_unknown_column")
        if kind not in get_args(ColumnType):
            raise Invalid(
                f"The column {name!r} is declared {kind!r}, which is not a column type.",
                code="dataset.type_unknown",
                hint=f"Use one of {', '.join(get_args(ColumnType))}.",
            )


def decide_column(evidence: ColumnEvidence, override: str | None = None) -> tuple[ColumnPlan, list[DataWarning]]:
    """Return how to read a column of text cells, and what to tell about it.

    Raises
    ------
    Invalid
        If the override does not hold for every cell, or if there is an infinity among numbers; the message names
        the column, how many cells, the first of them and its row.
    """
    warnings: list[DataWarning] = []
    if override is not None:
        kind = cast("ColumnType", override)
        _check_override(evidence, kind)
    else:
        kind = _infer(evidence, warnings)
    # A column of nothing but "NA" has no value; one of words keeps "NA" as a word.
    words_missing = kind != "text" or (override is None and not evidence.present)
    n_missing = evidence.count(_MISSING if words_missing else _MISSING - {Lexeme.MISSING_WORD})
    if n_missing == evidence.n_rows:
        warnings.append(all_missing_warning(evidence.name, evidence.n_rows))
    elif kind == "text":
        warnings.extend(_kept_words(evidence))
    else:
        warnings.extend(_read_as_missing(evidence))
    if kind == "time" and {Lexeme.TIME, Lexeme.ZONED_TIME} <= evidence.present:
        row, value = evidence.first_of({Lexeme.TIME})
        warnings.append(
            DataWarning(
                code="mixed_zones",
                column=evidence.name,
                count=evidence.count({Lexeme.TIME}),
                row=row,
                message=f"column {evidence.name!r} has {evidence.count({Lexeme.TIME}):,} times without a zone among "
                f"times with one; they are taken as UTC; the first is {_shown(value)} in row {row:,}",
            )
        )
    na_values = None if evidence.na_values is None else tuple(evidence.na_values)
    plan = ColumnPlan(
        name=evidence.name, type=kind, na_values=na_values, words_missing=words_missing, n_missing=n_missing
    )
    return plan, warnings


def all_missing_warning(name: str, n_rows: int) -> DataWarning:
    """Return the warning for a column without a single value."""
    return DataWarning(
        code="all_missing",
        column=name,
        count=n_rows,
        message=f"column {name!r} has no value in any row; it is kept, and set aside in training",
    )


def refuse_infinity(name: str, count: int, row: int, value: str) -> Invalid:
    """Return the error for infinities among numbers."""
    cells = "an infinite value" if count == 1 else f"{count:,} infinite values"
    return Invalid(
        f"Column {name!r} has {cells}; the first is {_shown(value)} in row {row:,}.",
        code="dataset.infinite",
        hint=f"Correct the division or overflow behind it, or have it read as missing: na_values [{value.strip()!r}] "
        f"(CLI: --na-values {value.strip()}).",
        errors=[{"field": name, "message": f"{count} infinite, first in row {row}"}],
    )


def _infer(evidence: ColumnEvidence, warnings: list[DataWarning]) -> ColumnType:
    present = evidence.present
    if present and present <= _NUMBERS | {Lexeme.INFINITE}:
        return _infer_number(evidence, warnings)
    if present == {Lexeme.BOOLEAN}:
        return "boolean"
    if present and present <= _TIMES:
        return "time"
    mixed = _mixed_types(evidence)
    if mixed is not None:
        warnings.append(mixed)
    return "text"


def _infer_number(evidence: ColumnEvidence, warnings: list[DataWarning]) -> ColumnType:
    present = evidence.present
    if Lexeme.INFINITE in present:
        row, value = evidence.first_of({Lexeme.INFINITE})
        raise refuse_infinity(evidence.name, evidence.count({Lexeme.INFINITE}), row, value)
    if present <= _INTEGERS:
        return "integer"
    if present <= _INTEGERS | _NAMES_OF_THINGS:
        warnings.append(_names_of_things(evidence))
        return "text"
    return "number"


def _check_override(evidence: ColumnEvidence, kind: ColumnType) -> None:
    if kind == "text":
        return
    bad = evidence.present - _ACCEPTED[kind]
    if kind in ("number", "integer") and bad == {Lexeme.INFINITE}:
        row, value = evidence.first_of(bad)
        raise refuse_infinity(evidence.name, evidence.count(bad), row, value)
    if not bad:
        return
    row, value = evidence.first_of(bad)
    count = evidence.count(bad)
    expected = {
        "integer": "a whole number within 64 bits",
        "number": "a number",
        "boolean": "true/false, yes/no or 1/0",
        "time": "an ISO 8601 date or date-time (2026-01-31, 2026-01-31T23:59:00Z)",
    }[kind]
    raise Invalid(
        f"Column {evidence.name!r} is declared {kind}, but {count:,} of its {evidence.n_rows:,} cells "
        f"{'is' if count == 1 else 'are'} not {expected}; the first is {_shown(value)} in row {row:,}.",
        code="dataset.type_mismatch",
        hint=f"Correct the cells, have them read as missing with na_values [{value.strip()!r}] (CLI: --na-values "
        f"{value.strip()!r}), or declare the column text.",
        errors=[{"field": evidence.name, "message": f"{count} not {kind}, first in row {row}: {_shown(value)}"}],
    )


def _names_of_things(evidence: ColumnEvidence) -> DataWarning:
    padded = evidence.count(_PADDED) > 0
    kinds = _PADDED if padded else {Lexeme.HUGE_INTEGER}
    row, value = evidence.first_of(kinds)
    count = evidence.count(kinds)
    why = "leading zeros" if padded else "more digits than 64 bits hold"
    return DataWarning(
        code="padded_integers" if padded else "huge_integers",
        column=evidence.name,
        count=count,
        row=row,
        message=f"column {evidence.name!r} has {count:,} whole numbers with {why}, so it is read as text; the first is "
        f"{_shown(value)} in row {row:,}; declare it number to have it computed with",
    )


def _mixed_types(evidence: ColumnEvidence) -> DataWarning | None:
    groups = [(name, evidence.count(kinds), kinds) for name, kinds in _GROUPS if evidence.count(kinds)]
    if len(groups) < 2:
        return None
    main, n_main, main_kinds = max(groups, key=lambda group: group[1])
    others = frozenset(kind for kind in evidence.present if kind not in main_kinds)
    count = evidence.count(others)
    row, value = evidence.first_of(others)
    return DataWarning(
        code="mixed_types",
        column=evidence.name,
        count=count,
        row=row,
        message=f"column {evidence.name!r} mixes types and is read as text: {n_main:,} cells are {main}, {count:,} "
        f"{'is' if count == 1 else 'are'} not; the first is {_shown(value)} in row {row:,}; correct "
        f"{'it' if count == 1 else 'them'}, or name what means 'missing' with na_values",
    )


def _read_as_missing(evidence: ColumnEvidence) -> list[DataWarning]:
    parts = []
    for kind, word in ((Lexeme.BLANK, "blank cell"), (Lexeme.MISSING_WORD, "")):
        count = int(evidence.counts[kind])
        if count:
            cells = word or f"cell such as {_shown(evidence.first[kind][1])}"
            parts.append(f"{count:,} {cells}" if count == 1 else f"{count:,} {cells.replace('cell', 'cells', 1)}")
    if not parts:
        return []
    seen = [kind for kind in (Lexeme.BLANK, Lexeme.MISSING_WORD) if evidence.counts[kind]]
    return [
        DataWarning(
            code="blank_cells" if seen[0] == Lexeme.BLANK else "missing_words",
            column=evidence.name,
            count=evidence.count(seen),
            row=evidence.first_of(seen)[0],
            message=f"column {evidence.name!r} has {' and '.join(parts)}, read as missing",
        )
    ]


def _kept_words(evidence: ColumnEvidence) -> list[DataWarning]:
    count = int(evidence.counts[Lexeme.MISSING_WORD])
    if not count:
        return []
    row, value = evidence.first[Lexeme.MISSING_WORD]
    return [
        DataWarning(
            code="missing_words_kept",
            column=evidence.name,
            count=count,
            row=row,
            message=f"column {evidence.name!r} is text, so its {count:,} {'cell' if count == 1 else 'cells'} such as "
            f"{_shown(value)} {'is kept as a value' if count == 1 else 'are kept as values'}; pass na_values "
            f"[{value.strip()!r}] to read {'it' if count == 1 else 'them'} as missing",
        )
    ]


def _shown(value: str) -> str:
    text = value if len(value) <= _LONGEST_SHOWN else value[: _LONGEST_SHOWN - 1] + "…"
    return repr(text)


prepared(ColumnPlan)
