"""From the times of rows to the steps of a forecast: whole numbers that rise by one from a time to the next.

A lag, a season and a block of neighbours are numbers of steps, so a time that is missing must leave a gap. The times of
each series are tried on a regular grid, in this order: the most frequent distance (days without weekends are business
days), then months. Where no grid fits, or hardly any place on it has a row, steps are counted row by row within the
series.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from arkwright.core.errors import Invalid
from arkwright.evaluation.metric import FloatArray, IntArray
from arkwright.features import to_numbers, to_texts

Spacing = Literal["fixed", "business days", "months", "text", "uneven"]
TimeKind = Literal["moment", "number", "text"]

_DAY = 86_400_000_000
_UNITS = (
    (7 * _DAY, "week"),
    (_DAY, "day"),
    (_DAY // 24, "hour"),
    (60_000_000, "minute"),
    (1_000_000, "second"),
    (1_000, "millisecond"),
    (1, "microsecond"),
)
_SPARSE = 20
"""A grid with more places than so many for each row is no grid: its step is an accident."""

_ENOUGH_BUSINESS_DAYS = 10
_DIGIT = re.compile(r"\d")
_YEAR_FIRST = re.compile(r"9999(?!9)|9{8}$")


class Times(NamedTuple):
    """The cells of a time column as numbers or texts that can be put into order, and as a reader writes them.

    Moments are microseconds since 1970 (int64). ``missing`` tells which cells are empty.
    """

    kind: TimeKind
    values: npt.NDArray[Any]
    missing: npt.NDArray[np.bool_]

    def written(self, row: int) -> str:
        """Return one cell as text.

        Examples
        --------
        >>> times_of(pa.chunked_array([pa.array([0], pa.timestamp("us"))]), "t").written(0)
        '1970-01-01'
        """
        value = self.values[row]
        if self.kind == "text":
            return str(value)
        if self.kind == "number":
            return f"{value:.15g}"
        text = str(np.datetime64(int(value), "us"))
        return text.removesuffix(".000000").removesuffix("T00:00:00")


class Steps(NamedTuple):
    """The step of each row; ``every`` says in words how far apart two steps are, empty where nobody knows."""

    numbers: IntArray
    spacing: Spacing
    every: str


def times_of(column: pa.ChunkedArray, name: str) -> Times:
    """Return a time column in an order that can be relied on.

    Raises
    ------
    Invalid
        If it holds neither moments nor numbers nor texts that start with the year and all look alike.

    Examples
    --------
    >>> times_of(pa.chunked_array([["1998 Q2", "1998 Q1"]]), "quarter").kind
    'text'
    >>> times_of(pa.chunked_array([["Q1 1998"]]), "quarter")
    Traceback (most recent call last):
    arkwright.core.errors.Invalid: The times in 'quarter' cannot be put into order: they are texts such as 'Q1 1998'.
    """
    if pa.types.is_timestamp(column.type):
        moments = column.cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]")
        gone = np.isnat(moments)
        return Times("moment", np.where(gone, 0, moments.astype(np.int64)), gone)
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        numbers = to_numbers(column)
        gone = ~np.isfinite(numbers)
        days = _calendar_days(numbers[~gone])
        if days is None:
            return Times("number", np.nan_to_num(numbers), gone)
        values = np.zeros(numbers.size, dtype=np.int64)
        values[~gone] = days * _DAY
        return Times("moment", values, gone)
    texts = to_texts(column)
    gone = np.array([text is None or not text.strip() for text in texts.tolist()], dtype=bool)
    present = texts[~gone].tolist()
    shapes = {_DIGIT.sub("9", text.strip()) for text in present}
    if pa.types.is_boolean(column.type) or len(shapes) > 1 or not all(map(_YEAR_FIRST.match, shapes)):
        raise Invalid(
            f"The times in {name!r} cannot be put into order: they are texts such as "
            f"{', '.join(repr(text) for text in sorted(set(present))[:3])}.",
            code="forecast.time_order",
            hint="Write them as dates (2026-03-31), as numbers, or as texts that start with the year and all look "
            "alike (1998 Q1).",
        )
    return Times("text", np.where(gone, "", texts).astype(str), gone)


def _calendar_days(numbers: FloatArray) -> IntArray | None:
    """Read whole numbers that are all dates, as 20260331 or 202603; None if one is not."""
    with_day = numbers.size > 0 and numbers.min() >= 10_000_000 and numbers.max() < 30_000_000
    with_month = numbers.size > 0 and numbers.min() >= 150_000 and numbers.max() < 300_000
    if not (with_day or with_month) or (numbers % 1).any():
        return None
    whole = numbers.astype(np.int64) if with_day else numbers.astype(np.int64) * 100 + 1
    year, month, day = whole // 10_000, whole // 100 % 100, whole % 100
    if month.min() < 1 or month.max() > 12 or day.min() < 1:
        return None
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = first.astype("datetime64[D]") + (day - 1).astype("timedelta64[D]")
    return days.astype(np.int64) if (days.astype("datetime64[M]") == first).all() else None


def step_numbers(times: Times, series: IntArray) -> Steps:
    """Return the step of each row, all of which have a time.

    Parameters
    ----------
    times
        Of all rows that belong together, training rows as well; shape ``(n_rows,)``, none missing.
    series
        The code of each row's series, shape ``(n_rows,)``; a time occurs once in a series.

    Examples
    --------
    >>> day = pa.array(["2026-01-01", "2026-01-02", "2026-01-04"]).cast(pa.timestamp("us"))
    >>> found = step_numbers(times_of(pa.chunked_array([day]), "day"), np.zeros(3, dtype=np.int64))
    >>> found.numbers.tolist(), found.every
    ([0, 1, 3], '1 day')
    """
    values = times.values
    if times.kind == "text":
        return Steps(np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64), "text", "")
    order = np.lexsort((values, series))
    same = np.diff(series[order]) == 0
    if not same.any():
        return Steps(_ranks(order, series), "uneven", "")
    for grid in (_fixed, _months) if times.kind == "moment" else (_fixed,):
        found = grid(times, order, same)
        if found is not None and _dense(found.numbers, order, same):
            return found
    return Steps(_ranks(order, series), "uneven", "")


def _fixed(times: Times, order: IntArray, same: npt.NDArray[np.bool_]) -> Steps | None:
    gaps = np.diff(times.values[order])[same]
    moments = times.kind == "moment"
    found, count = np.unique(gaps if moments else gaps.round(9), return_counts=True)
    step = found[np.argmax(count)]  # of equally frequent ones the smallest
    if step <= 0:
        return None
    if moments and step % _DAY == 0 and (business := _business_days(times, order, same)) is not None:
        return business
    parts = gaps / step
    if np.abs(parts - parts.round()).max() > (0 if moments else 1e-6):
        return None
    start = times.values.min()
    # A series that starts between two steps of another keeps its own distance to them.
    whole = (times.values - start) // step if moments else np.floor((times.values - start) / step + 1e-6)
    every = _written(int(step)) if moments else f"{step:.15g}"
    return Steps(whole.astype(np.int64), "fixed", every)


def _business_days(times: Times, order: IntArray, same: npt.NDArray[np.bool_]) -> Steps | None:
    days = times.values // _DAY
    weekdays = (days + 3) % 7  # 1970-01-01 was a Thursday
    rests = times.values % _DAY
    if (weekdays > 4).any() or np.unique(rests).size > 1 or np.unique(days).size < _ENOUGH_BUSINESS_DAYS:
        return None
    first = days.min().astype("datetime64[D]")
    numbers = np.busday_count(first, days.astype("datetime64[D]")).astype(np.int64)
    apart = np.diff(numbers[order])[same]
    return Steps(numbers, "business days", "1 business day") if np.median(apart) == 1 else None


def _months(times: Times, order: IntArray, same: npt.NDArray[np.bool_]) -> Steps | None:
    months = times.values.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    apart = np.diff(months[order])[same]
    if apart.min() < 1:
        return None
    found, count = np.unique(apart, return_counts=True)
    step = int(found[np.argmax(count)])
    if (apart % step).any():
        return None
    every = f"{step // 12} year" if step % 12 == 0 else f"{step} month"
    return Steps((months - months.min()) // step, "months", every if every.startswith("1 ") else f"{every}s")


def _dense(numbers: IntArray, order: IntArray, same: npt.NDArray[np.bool_]) -> bool:
    apart = np.diff(numbers[order])[same]
    return bool(apart.min() >= 1 and apart.sum() <= _SPARSE * apart.size)


def _ranks(order: IntArray, series: IntArray) -> IntArray:
    """Count the rows of each series, from its first time on."""
    sorted_series = series[order]
    starts = np.flatnonzero(np.r_[True, np.diff(sorted_series) != 0])
    sizes = np.diff(np.r_[starts, sorted_series.size])
    ranks = np.empty(order.size, dtype=np.int64)
    ranks[order] = np.arange(order.size) - np.repeat(starts, sizes)
    return ranks


def _written(step: int) -> str:
    size, unit = next((size, unit) for size, unit in _UNITS if step % size == 0)
    count = step // size
    return f"{count} {unit}{'' if count == 1 else 's'}"


def lagged(values: FloatArray, series: IntArray, steps: IntArray, lag: int) -> FloatArray:
    """Return the value of each row's series so many steps before; NaN where no row has it.

    Examples
    --------
    >>> one = np.zeros(3, dtype=np.int64)
    >>> lagged(np.array([5.0, 6.0, 8.0]), one, np.array([0, 1, 3]), 1).tolist()
    [nan, 5.0, nan]
    """
    width = int(steps.max(initial=0)) + 1 + lag
    keys = series * width + steps + lag
    order = np.argsort(keys, kind="stable")
    wanted = series * width + steps
    places = np.searchsorted(keys[order], wanted)
    inside = np.minimum(places, keys.size - 1)
    found = (places < keys.size) & (keys[order][inside] == wanted)
    return np.where(found, values[order][inside], np.nan)
