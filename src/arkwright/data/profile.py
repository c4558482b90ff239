"""What the columns of a table look like: counts, spread, shape, frequent values, and what deserves a second look.

Everything is computed from the rows handed in, without chance: the same rows give the same profile. Where they are a
sample of a larger table, the profile says so, and only ``n_rows`` and the missing counts are of the whole table.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from arkwright.data.correlation import Correlation, scale_of, strongest_correlations
from arkwright.data.schema import ColumnSchema, ColumnType

SAMPLE_ROWS = 200_000
MANY_MISSING = 0.5
# Kuhn and Johnson, Applied Predictive Modeling, section 3.5 (caret's nearZeroVar).
FREQUENCY_RATIO = 95 / 5
DISTINCT_SHARE = 0.10
# Kline, Principles and Practice of Structural Equation Modeling: beyond 3 skew is extreme.
EXTREME_SKEW = 3.0
HIGH_CARDINALITY = 50
TOP_VALUES = 20
_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_ID_ROWS = 20
_ID_LENGTH = 64


class TopValue(msgspec.Struct, frozen=True, kw_only=True):
    """A frequent value, as text; ``share`` is of the non-missing rows looked at."""

    value: str
    count: int
    share: float


class NumericSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers: moments, quantiles (by probability), and outliers.

    ``std`` has n - 1 in the denominator and is None for one row; ``skew`` is the moment coefficient
    ``m3 / m2 ** 1.5``, None where the values do not vary. Outliers lie more than 1.5 interquartile ranges outside
    the quartiles (Tukey).
    """

    mean: float
    std: float | None
    minimum: float
    maximum: float
    quantiles: dict[str, float]
    skew: float | None
    n_outliers: int
    outlier_low: float
    outlier_high: float
    n_zero: int
    n_negative: int


class TextSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Texts: how long they are, in characters and in words."""

    mean_length: float
    max_length: int
    mean_words: float


class TimeSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Moments: the first and the last, in ISO 8601."""

    minimum: str
    maximum: str


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One column.

    ``n_missing`` and ``missing_share`` are of the whole table. ``n_unique`` counts distinct values in the
    ``n_looked_at`` non-missing rows; ``monotone`` says that they only rise, or only fall, from row to row; ``id_like``
    that each occurs once and looks like a name for its row. ``flags`` are among ``many_missing``, ``constant``,
    ``all_missing``, ``near_zero_variance``, ``high_cardinality``, ``extreme_skew``, ``id_like``.
    """

    name: str
    type: ColumnType
    n_missing: int
    missing_share: float
    n_looked_at: int
    n_unique: int
    monotone: bool
    id_like: bool
    flags: tuple[str, ...]
    top_values: tuple[TopValue, ...] = ()
    numeric: NumericSummary | None = None
    text: TextSummary | None = None
    time: TimeSummary | None = None

    @property
    def constant(self) -> bool:
        """Whether every row has the one value."""
        return "constant" in self.flags

    @property
    def all_missing(self) -> bool:
        """Whether no row has a value."""
        return "all_missing" in self.flags


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A table's columns and their correlations; ``note`` says what was sampled, empty if nothing was."""

    n_rows: int
    n_looked_at: int
    sampled: bool
    note: str
    columns: tuple[ColumnProfile, ...]
    correlations: tuple[Correlation, ...]

    def column(self, name: str) -> ColumnProfile:
        """Return a column's profile.

        Raises
        ------
        KeyError
            If there is no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """Return the profile as JSON values."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Profile:
        """Read what :meth:`to_json` wrote."""
        return msgspec.convert(document, cls)


def profile_table(table: pa.Table, columns: Sequence[ColumnSchema], n_rows: int | None = None) -> Profile:
    """Describe a table in canonical types.

    Parameters
    ----------
    table
        The rows to look at: all of them, or a sample.
    columns
        The schema, with the missing counts of the whole table.
    n_rows
        Rows of the whole table; None if ``table`` is the whole table.

    Examples
    --------
    >>> schema = [ColumnSchema(name="x", type="integer", nullable=False, n_missing=0)]
    >>> found = profile_table(pa.table({"x": [1, 2, 2, 9]}), schema).column("x")
    >>> found.n_unique, found.numeric.mean, found.numeric.n_outliers
    (3, 3.5, 1)
    """
    total = table.num_rows if n_rows is None else n_rows
    sampled = table.num_rows < total
    notes = []
    if sampled:
        notes.append(
            f"Computed from an even sample of {table.num_rows:,} of the {total:,} rows; the number of rows and the "
            "missing counts are exact, distinct values are at least as many."
        )
    numeric = {column.name: _numbers(table, column.name) for column in columns if column.type in ("integer", "number")}
    correlations, note = strongest_correlations(numeric)
    if note:
        notes.append(note)
    return Profile(
        n_rows=total,
        n_looked_at=table.num_rows,
        sampled=sampled,
        note=" ".join(notes),
        columns=tuple(_profile_column(table.column(column.name), column, total) for column in columns),
        correlations=tuple(correlations),
    )


def _profile_column(values: pa.ChunkedArray, column: ColumnSchema, n_rows: int) -> ColumnProfile:
    present = values.drop_null().combine_chunks()
    if isinstance(present, pa.ChunkedArray):
        present = pa.concat_arrays(present.chunks)
    n_present = len(present)
    counts = _value_counts(present)
    n_unique = len(counts)
    monotone = _is_monotone(present, column.type)
    missing_share = column.n_missing / n_rows
    numeric = _numeric_summary(present) if column.type in ("integer", "number") and n_present else None
    text = _text_summary(present) if column.type == "text" and n_present else None
    every_once = n_present >= _ID_ROWS and n_unique == n_present and column.n_missing == 0
    id_like = every_once and (
        (column.type == "integer" and monotone)
        or (text is not None and text.max_length <= _ID_LENGTH and text.mean_words < 2)
    )
    flags = {
        "all_missing": column.n_missing == n_rows,
        "many_missing": missing_share > MANY_MISSING and column.n_missing < n_rows,
        "constant": n_unique == 1 and column.n_missing == 0,
        "near_zero_variance": _near_zero_variance(counts, n_present),
        "high_cardinality": column.type == "text" and n_unique > HIGH_CARDINALITY,
        "extreme_skew": numeric is not None and numeric.skew is not None and abs(numeric.skew) > EXTREME_SKEW,
        "id_like": id_like,
    }
    few_integers = column.type == "integer" and n_unique <= TOP_VALUES
    return ColumnProfile(
        name=column.name,
        type=column.type,
        n_missing=column.n_missing,
        missing_share=missing_share,
        n_looked_at=n_present,
        n_unique=n_unique,
        monotone=monotone,
        id_like=id_like,
        flags=tuple(name for name, raised in flags.items() if raised),
        top_values=_top_values(counts, n_present) if column.type in ("text", "boolean") or few_integers else (),
        numeric=numeric,
        text=text,
        time=_time_summary(present) if column.type == "time" and n_present else None,
    )


def _value_counts(present: pa.Array) -> list[tuple[Any, int]]:
    """Return distinct values with their counts, most frequent first, ties by first occurrence."""
    found = pc.value_counts(present)
    values, counts = found.field("values"), found.field("counts")
    order = pc.array_sort_indices(counts, order="descending")
    # Only the first few are ever read, and the length.
    head = order[:TOP_VALUES].to_pylist()
    listed = [(values[index].as_py(), counts[index].as_py()) for index in head]
    return [*listed, *([(None, 0)] * (len(values) - len(listed)))]


def _near_zero_variance(counts: list[tuple[Any, int]], n_present: int) -> bool:
    if len(counts) < 2:
        return False
    return counts[0][1] / counts[1][1] > FREQUENCY_RATIO and len(counts) / n_present <= DISTINCT_SHARE


def _top_values(counts: list[tuple[Any, int]], n_present: int) -> tuple[TopValue, ...]:
    return tuple(
        TopValue(value=str(value), count=count, share=count / n_present) for value, count in counts[:TOP_VALUES]
    )


def _is_monotone(present: pa.Array, kind: ColumnType) -> bool:
    if kind not in ("integer", "number", "time") or len(present) < 2:
        return False
    values = present.to_numpy(zero_copy_only=False)
    return bool(np.all(values[1:] > values[:-1]) or np.all(values[1:] < values[:-1]))


def _numeric_summary(present: pa.Array) -> NumericSummary:
    values = present.to_numpy(zero_copy_only=False).astype(np.float64)
    # Enormous numbers are worked on in a unit of their own (a power of two, so no digit is lost).
    unit = scale_of(values)
    values = values / unit
    quantiles = np.quantile(values, _QUANTILES)
    low, high = quantiles[3], quantiles[5]
    fence = 1.5 * (high - low)
    mean = float(np.mean(values))
    return NumericSummary(
        mean=_in_unit(mean, unit),
        std=_in_unit(np.std(values, ddof=1), unit) if len(values) > 1 else None,
        minimum=_in_unit(values.min(), unit),
        maximum=_in_unit(values.max(), unit),
        quantiles={f"{share:g}": _in_unit(value, unit) for share, value in zip(_QUANTILES, quantiles, strict=True)},
        skew=_skew(values, mean),
        n_outliers=int(np.sum((values < low - fence) | (values > high + fence))),
        outlier_low=_in_unit(low - fence, unit),
        outlier_high=_in_unit(high + fence, unit),
        n_zero=int(np.sum(values == 0)),
        n_negative=int(np.sum(values < 0)),
    )


def _in_unit(value: float, unit: float) -> float:
    """Return a number in the column's own unit, at most the largest there is: JSON has no infinity."""
    return float(np.clip(float(value) * unit, -sys.float_info.max, sys.float_info.max))


def _skew(values: npt.NDArray[np.float64], mean: float) -> float | None:
    # Scaled first, so that the third power of large numbers does not overflow.
    scale = float(np.max(np.abs(values - mean)))
    if scale == 0 or len(values) < 2:
        return None
    centred = (values - mean) / scale
    spread = float(np.mean(centred**2))
    if spread < 1e-15:
        return None
    return float(np.mean(centred**3) / spread**1.5)


def _text_summary(present: pa.Array) -> TextSummary:
    lengths = pc.utf8_length(present)
    words = pc.add(pc.count_substring_regex(pc.utf8_trim_whitespace(present), r"\s+"), 1)
    return TextSummary(
        mean_length=float(pc.mean(lengths).as_py()),
        max_length=int(pc.max(lengths).as_py()),
        mean_words=float(pc.mean(words).as_py()),
    )


def _time_summary(present: pa.Array) -> TimeSummary:
    found = pc.min_max(present)
    return TimeSummary(minimum=str(found["min"].cast(pa.string())), maximum=str(found["max"].cast(pa.string())))


def _numbers(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = (
        table.column(name).cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
    )
    return values
