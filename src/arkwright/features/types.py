"""What each column is to a model: a number, a category, a moment, or nothing it should see.

The decision is made from the profile alone, by rules that can be read, and each says why in plain words. Any of them
can be overridden. Rules, first match wins:

===============================================================  =======================  ======
the column                                                       kind                     used
===============================================================  =======================  ======
is listed in ``ignore``                                          ignored                  no
has an override                                                  the override             mostly
has no value in any row                                          all_missing              no
has one value in every row                                       constant                 no
is a time                                                        time                     yes
is true/false                                                    categorical              yes
is text that tells (nearly) every row apart, a word or two long  identifier               no
is a whole number that tells every row apart and only rises      identifier               no
or falls, or is named like an id
is longer text, mostly different from row to row                 text                     no
is text on a known scale (low/medium/high)                       ordinal                  yes
is any other text                                                categorical              yes
is any other number                                              numeric                  yes
===============================================================  =======================  ======
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Literal, cast, get_args

import msgspec

from arkwright.contracts import Column
from arkwright.core.errors import Invalid
from arkwright.data import ColumnProfile, Profile, unknown_column

FeatureKind = Literal[
    "numeric", "categorical", "ordinal", "time", "text", "identifier", "constant", "all_missing", "ignored"
]
_OVERRIDES = ("numeric", "categorical", "ordinal", "time", "text", "identifier", "ignored")

_ID_NAME = re.compile(
    r"(?:^|[_\-. ])(?i:id|uuid|guid|key|pk|rowid|row_?number|index|serial)s?$|(?<=[a-z])(?:Id|ID|Uuid|UUID)$"
)
_ID_ROWS = 20
_ID_SHARE = 0.95
_NAMED_ID_SHARE = 0.5
_ID_WORDS = 2.5
_ID_LENGTH = 64
_PROSE_WORDS = 4.0
_PROSE_LENGTH = 50.0
_PROSE_SHARE = 0.3
_PROSE_VALUES = 1000
_MANY_CATEGORIES = 50

# Scales that people use, from low to high. A column is ordinal when all its values are on one of them.
SCALES: tuple[tuple[str, ...], ...] = (
    ("none", "very low", "low", "medium", "high", "very high", "critical"),
    ("none", "minor", "moderate", "major", "severe"),
    ("low", "moderate", "high"),
    ("xs", "s", "m", "l", "xl", "xxl"),
    ("tiny", "small", "medium", "large", "huge"),
    ("never", "rarely", "sometimes", "often", "usually", "always"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("very poor", "poor", "fair", "average", "good", "very good", "excellent"),
    ("po", "fa", "ta", "gd", "ex"),
    ("first", "second", "third", "fourth", "fifth"),
    ("beginner", "intermediate", "advanced", "expert"),
    ("bronze", "silver", "gold", "platinum"),
)


class FeatureDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What one column is taken for, whether a model sees it, and why.

    ``levels`` are an ordinal column's values from low to high. ``overridden`` says that a person decided.
    """

    name: str
    kind: FeatureKind
    used: bool
    reason: str
    levels: tuple[str, ...] = ()
    overridden: bool = False

    @property
    def column(self) -> Column:
        """The column of a model's signature.

        Raises
        ------
        ValueError
            If the column is not used.
        """
        if not self.used:
            raise ValueError(f"{self.name!r} is set aside and has no place in a signature")
        # An order among few categories is something trees and one-hot columns find by themselves.
        kind = "categorical" if self.kind == "ordinal" else self.kind
        return Column(name=self.name, kind=cast("Literal['numeric', 'categorical', 'time']", kind))


def infer_feature_types(
    profile: Profile,
    *,
    target: str | None = None,
    overrides: Mapping[str, str] | None = None,
    ignore: Collection[str] = (),
) -> list[FeatureDecision]:
    """Decide what each column is to a model, in the order of the columns, the target left out.

    Parameters
    ----------
    profile
        The table's profile.
    target
        The column to predict.
    overrides
        Kinds by column: ``numeric``, ``categorical``, ``ordinal``, ``time``, ``text``, ``identifier`` or ``ignored``.
    ignore
        Columns to leave out.

    Raises
    ------
    Invalid
        If the target, an override or an ignored column is not in the table, or an override does not fit its column.
    """
    overrides = overrides or {}
    names = [column.name for column in profile.columns]
    if target is not None and target not in names:
        raise unknown_column(target, names, what="The target", code="target.missing")
    for name in overrides:
        if name not in names:
            raise unknown_column(name, names, what="The feature type", code="features.unknown_column")
        if name == target:
            raise Invalid(
                f"The column {name!r} is the target and takes no feature type.",
                code="features.target_overridden",
                hint="Leave it out of feature_types.",
            )
    for name in ignore:
        if name not in names:
            raise unknown_column(name, names, what="The list of columns to ignore", code="features.unknown_column")
        if name == target:
            raise Invalid(
                f"The column {name!r} is the target and cannot be ignored.",
                code="features.target_ignored",
                hint="Leave it out of ignore_columns, or choose another target.",
            )
    return [
        _decide(column, profile.n_rows, overrides.get(column.name), ignored=column.name in ignore)
        for column in profile.columns
        if column.name != target
    ]


def _decide(column: ColumnProfile, n_rows: int, override: str | None, *, ignored: bool) -> FeatureDecision:
    if ignored:
        return _aside(column, "ignored", "left out as asked")
    if override is not None:
        return _overridden(column, override)
    if column.all_missing:
        return _aside(column, "all_missing", "it has no value in any row")
    if column.constant:
        shown = f" ({column.top_values[0].value!r})" if column.top_values else ""
        return _aside(column, "constant", f"every row has the same value{shown}, so it cannot tell rows apart")
    return _decide_by_type(column, n_rows)


def _decide_by_type(column: ColumnProfile, n_rows: int) -> FeatureDecision:
    if column.type == "time":
        return _use(column, "time", "dates or times")
    if column.type == "boolean":
        return _use(column, "categorical", "true/false values")
    if column.type == "text":
        return _decide_text(column, n_rows)
    return _decide_number(column, n_rows)


def _decide_text(column: ColumnProfile, n_rows: int) -> FeatureDecision:
    text = column.text
    if text is None:
        return _aside(column, "all_missing", "it has no value in the rows looked at")
    share = column.n_unique / column.n_looked_at
    short = text.mean_words < _ID_WORDS and text.max_length <= _ID_LENGTH
    named = _ID_NAME.search(column.name) is not None
    enough = column.n_looked_at >= _ID_ROWS
    if short and ((enough and share >= _ID_SHARE) or (named and share > _NAMED_ID_SHARE)):
        return _aside(column, "identifier", _id_reason(column, n_rows))
    prose = text.mean_words >= _PROSE_WORDS or text.mean_length >= _PROSE_LENGTH
    if prose and (share > _PROSE_SHARE or column.n_unique > _PROSE_VALUES):
        return _aside(
            column,
            "text",
            f"free text ({text.mean_words:.0f} words on average, {column.n_unique:,} different values): there is no "
            "text encoder yet",
        )
    levels = _scale_of(column)
    if levels:
        return FeatureDecision(
            name=column.name,
            kind="ordinal",
            used=True,
            reason=f"{len(levels)} steps of a scale: {' < '.join(levels)}",
            levels=levels,
        )
    if column.n_unique > _MANY_CATEGORIES:
        return _use(column, "categorical", f"text with {column.n_unique:,} different values, which is many")
    return _use(column, "categorical", f"text with {column.n_unique:,} different values")


def _decide_number(column: ColumnProfile, n_rows: int) -> FeatureDecision:
    if column.type == "integer" and column.n_looked_at:
        unique = column.n_unique == column.n_looked_at and column.n_missing == 0
        named = _ID_NAME.search(column.name) is not None
        if unique and column.n_looked_at >= _ID_ROWS and (column.monotone or named):
            return _aside(column, "identifier", _id_reason(column, n_rows))
        if named and column.n_unique / column.n_looked_at > _NAMED_ID_SHARE:
            return _aside(column, "identifier", _id_reason(column, n_rows))
        if column.n_unique <= 2:
            return _use(column, "numeric", f"whole numbers with {column.n_unique} different values")
    return _use(column, "numeric", "whole numbers" if column.type == "integer" else "numbers")


def _overridden(column: ColumnProfile, override: str) -> FeatureDecision:
    if override not in _OVERRIDES:
        raise Invalid(
            f"The feature type {override!r} of column {column.name!r} is not known.",
            code="features.kind_unknown",
            hint=f"Use one of {', '.join(_OVERRIDES)}.",
        )
    if (override == "numeric" and column.type in ("text", "time")) or (override == "time" and column.type != "time"):
        wanted = "number" if override == "numeric" else "time"
        raise Invalid(
            f"Column {column.name!r} holds {column.type} values and cannot be {override}.",
            code="features.kind_mismatch",
            hint=f"Ingest the data again with types {{{column.name!r}: {wanted!r}}}; that names the cells in the way.",
        )
    kind = cast("FeatureKind", override)
    used = kind in ("numeric", "categorical", "ordinal", "time")
    if used and column.all_missing:
        return _aside(column, "all_missing", "it has no value in any row")
    reason = "as asked"
    if kind == "text":
        reason = "as asked; there is no text encoder yet, so it is set aside"
    levels = (_scale_of(column) or tuple(sorted(top.value for top in column.top_values))) if kind == "ordinal" else ()
    return FeatureDecision(name=column.name, kind=kind, used=used, reason=reason, levels=levels, overridden=True)


def _scale_of(column: ColumnProfile) -> tuple[str, ...]:
    """Return a text column's values from low to high, or nothing if they are on no known scale."""
    if column.n_unique < 3 or len(column.top_values) < column.n_unique:
        return ()
    values = {top.value.strip().lower().replace("_", " ").replace("-", " "): top.value for top in column.top_values}
    for scale in SCALES:
        if len(values) == column.n_unique and values.keys() <= set(scale):
            return tuple(values[step] for step in scale if step in values)
    return ()


def _id_reason(column: ColumnProfile, n_rows: int) -> str:
    if column.n_unique == n_rows:
        return f"each of the {n_rows:,} rows has its own value: it names rows and says nothing about new ones"
    return (
        f"{column.n_unique:,} different values in {column.n_looked_at:,} rows: it names things and says nothing about "
        "new ones"
    )


def _use(column: ColumnProfile, kind: FeatureKind, reason: str) -> FeatureDecision:
    return FeatureDecision(name=column.name, kind=kind, used=True, reason=reason)


def _aside(column: ColumnProfile, kind: FeatureKind, reason: str) -> FeatureDecision:
    return FeatureDecision(name=column.name, kind=kind, used=False, reason=reason)


KINDS: tuple[str, ...] = get_args(FeatureKind)
