"""The rows of a forecast in time: which series and step each evaluated row is, and what was known before it.

The *history* is the dataset version the model was trained on, or rows that somebody gave for it; what is evaluated is
taken out of it. The scale of a series' errors comes from its history before its first evaluated row, never from the
evaluated rows. Where training rows lie between the evaluated ones, there is no such time, and that is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from arkwright.contracts import Signature
from arkwright.core.errors import Invalid
from arkwright.evaluation.errors import columns_unknown
from arkwright.evaluation.evaluated_rows import usable_rows
from arkwright.evaluation.forecast_steps import Spacing, Times, lagged, step_numbers, times_of
from arkwright.evaluation.forecasting import NOT_AT_HAND, rows_by_series
from arkwright.evaluation.metric import FloatArray, IntArray
from arkwright.features import to_texts

BETWEEN = "training rows go on after the first row that was evaluated"
"""Why a series has no scale, where its training rows and its evaluated rows lie between each other."""

FLATTERED = (
    "Rows drawn at random from time-ordered data flatter a forecast: the model was trained on the neighbours of the "
    "rows it was checked on. Give later rows with --data."
)


class ForecastRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Score the rows as a forecast.

    Attributes
    ----------
    time, series
        Columns that say when a row is and of which series; ``series`` is empty where there is one.
    season
        Steps in a season, 1 for none.
    horizon
        How many steps ahead the answers are made.
    history_dataset_version_id, history_upload_id
        Where earlier values of the series are; both empty: the dataset version the model was trained on.
    """

    time: str
    series: str = ""
    season: int = 1
    horizon: int = 1
    history_dataset_version_id: str = ""
    history_upload_id: str = ""

    @property
    def lag(self) -> int:
        """How many steps back the seasonal naive forecast looks: whole seasons, as few as were known then.

        Examples
        --------
        >>> ForecastRequest(time="t", season=4).lag, ForecastRequest(time="t", season=4, horizon=6).lag
        (4, 8)
        """
        return self.season * -(-self.horizon // self.season)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads."""
        return (self.time, self.series) if self.series else (self.time,)


@dataclass(frozen=True)
class History:
    """Earlier rows; ``table`` is None where there are none, and ``reason`` says why."""

    table: pa.Table | None
    name: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Timeline:
    """The evaluated rows in time.

    Attributes
    ----------
    names
        Of the series, by their codes.
    codes, steps
        Of each evaluated row, shape (n_rows,).
    times
        As the data has them.
    past_codes, past_steps, past_values
        Of the rows of the history that are not evaluated, in any order.
    at_random
        Whether the evaluated rows were drawn at random from the rows the model was trained on.
    n_seen
        How many evaluated rows the history holds too.
    history
        What the history is, in words; empty where there is none, and then ``no_history`` says why.
    """

    asked: ForecastRequest
    names: tuple[str, ...]
    codes: IntArray
    steps: IntArray
    times: Times
    spacing: Spacing
    every: str
    past_codes: IntArray
    past_steps: IntArray
    past_values: FloatArray
    at_random: bool = False
    n_seen: int = 0
    history: str = ""
    no_history: str = ""

    def naive(self, truth: FloatArray) -> FloatArray:
        """Return the seasonal naive forecast of each row: the value a season before; NaN where it is not known."""
        values = np.concatenate((truth, self.past_values))
        codes, steps = np.concatenate((self.codes, self.past_codes)), np.concatenate((self.steps, self.past_steps))
        return lagged(values, codes, steps, self.asked.lag)[: truth.size]

    @cached_property
    def _later(self) -> npt.NDArray[np.bool_]:
        """Which rows of the history are not before the first evaluated row of their series."""
        first = np.full(len(self.names), np.iinfo(np.int64).max)
        np.minimum.at(first, self.codes, self.steps)
        later: npt.NDArray[np.bool_] = self.past_steps >= first[self.past_codes]
        return later

    @property
    def drawn_at_random(self) -> bool:
        """Whether training rows and evaluated rows of a series lie between each other."""
        return self.at_random or bool(self._later.any())

    @cached_property
    def moments(self) -> IntArray:
        """The steps as all series have them in common: where rows are counted, the order of their times."""
        if self.spacing != "uneven":
            return self.steps
        return np.unique(self.times.values, return_inverse=True)[1].reshape(-1).astype(np.int64)

    def insample(self) -> tuple[dict[str, FloatArray], dict[str, str]]:
        """Return each series' training values, oldest first with NaN for a missing step, and why others have none."""
        found, reasons = {}, {}
        for name, rows in zip(self.names, rows_by_series(self.past_codes, len(self.names)), strict=True):
            if rows.size and self._later[rows].any():
                reasons[name] = BETWEEN
            elif rows.size:
                steps = self.past_steps[rows]
                values = np.full(int(steps.max() - steps.min()) + 1, np.nan)
                values[steps - steps.min()] = self.past_values[rows]
                found[name] = values
            else:
                reasons[name] = (
                    f"no training values are at hand ({self.no_history})" if self.no_history else NOT_AT_HAND
                )
        return found, reasons


def check_forecast(asked: ForecastRequest, signature: Signature) -> None:
    """Check what can be checked without rows.

    Raises
    ------
    Invalid
        If the model answers no number, a number of steps is less than one, or a column has two parts.
    """
    if signature.task != "regression":
        raise Invalid(
            f"A forecast is a number, and this is a {signature.task} model.",
            code="forecast.task",
            hint="Leave out the forecast (--time), or name a model that answers a number.",
        )
    for what, steps in (("season", asked.season), ("horizon", asked.horizon)):
        if steps < 1:
            raise Invalid(
                f"A {what} of {steps} steps cannot be used.",
                code=f"forecast.{what}",
                hint="Count it in rows of a series: 12 for months with a yearly season, 1 for none."
                if what == "season"
                else "Say how many steps ahead the answers are made: 1 or more.",
            )
    parts = {"time": asked.time, "series": asked.series, "target": signature.target}
    for one, other in (("time", "target"), ("series", "target"), ("series", "time")):
        if parts[one] and parts[one] == parts[other]:
            raise Invalid(
                f"{parts[one]!r} cannot be both the {one} column and the {other} column of a forecast.",
                code="forecast.columns",
                hint="Name the column that says when a row is, and the one that tells series apart.",
            )
    if asked.history_dataset_version_id and asked.history_upload_id:
        raise Invalid(
            "The history is a dataset version or an upload, not both.", code="forecast.history", hint="Leave one out."
        )


def read_timeline(
    table: pa.Table,
    used: npt.NDArray[np.intp],
    signature: Signature,
    asked: ForecastRequest,
    history: History,
    *,
    at_random: bool = False,
) -> Timeline:
    """Put rows into their place in time.

    Parameters
    ----------
    table, used
        The data, and which rows of it are evaluated.

    Raises
    ------
    Invalid
        If a column is not in the data, a time or a series is missing, times cannot be put into order, or one occurs
        twice within a series.
    """
    unknown = [name for name in asked.columns if name not in table.column_names]
    if unknown:
        raise columns_unknown(unknown, table.column_names, "forecast")
    rows = table.take(pa.array(used))
    times = times_of(rows.column(asked.time), asked.time)
    _require_present(times.missing, asked.time, "time")
    texts = _series_of(rows, asked)
    _require_present(np.array([text is None for text in texts], dtype=bool), asked.series, "series")
    names = tuple(dict.fromkeys(texts))
    codes = _codes(texts, names)
    _require_once(times, codes, asked, names)
    past, reason = _past_of(history, signature, asked, names, times)
    seen = _seen(times, codes, past)
    past = past.take(~seen)
    values = np.concatenate((times.values, past.times.values))
    merged = Times(times.kind, values, np.zeros(values.size, dtype=bool))
    found = step_numbers(merged, np.concatenate((codes, past.codes)))
    return Timeline(
        asked=asked,
        names=names,
        codes=codes,
        steps=found.numbers[: codes.size],
        times=times,
        spacing=found.spacing,
        every=found.every,
        past_codes=past.codes,
        past_steps=found.numbers[codes.size :],
        past_values=past.values,
        at_random=at_random,
        n_seen=int(seen.sum()),
        history="" if reason else history.name,
        no_history=reason,
    )


class _Past(NamedTuple):
    """Rows of the history that belong to an evaluated series."""

    times: Times
    codes: IntArray
    values: FloatArray

    def take(self, kept: npt.NDArray[np.bool_]) -> _Past:
        times = Times(self.times.kind, self.times.values[kept], self.times.missing[kept])
        return _Past(times, self.codes[kept], self.values[kept])


def _past_of(
    history: History, signature: Signature, asked: ForecastRequest, names: tuple[str, ...], times: Times
) -> tuple[_Past, str]:
    """Return the rows of the history, or why none of them can be used."""
    none = _Past(Times(times.kind, times.values[:0], times.missing[:0]), np.zeros(0, dtype=np.int64), np.zeros(0))
    if history.table is None:
        return none, history.reason
    absent = [name for name in (*asked.columns, signature.target) if name not in history.table.column_names]
    if absent:
        return none, f"{history.name} has no column {absent[0]!r}"
    try:
        past = _read_past(history.table, signature, asked, names)
    except Invalid as error:
        return none, f"{history.name} cannot be used. {error.detail.rstrip('.')}"
    reason = ""
    if past.times.kind != times.kind:
        reason = f"the times of {history.name} are of another kind than those of the data"
    elif not past.codes.size:
        reason = f"{history.name} has no row of these series"
    elif _repeated(past.times.values, past.codes) is not None:
        reason = f"a time occurs twice within a series in {history.name}"
    return (none if reason else past), reason


def _read_past(table: pa.Table, signature: Signature, asked: ForecastRequest, names: tuple[str, ...]) -> _Past:
    usable = usable_rows(table, msgspec.structs.replace(signature, columns=()))
    rows = table.take(pa.array(usable.used))
    times = times_of(rows.column(asked.time), asked.time)
    codes = _codes(_series_of(rows, asked), names)
    return _Past(times, codes, usable.truth).take((codes >= 0) & ~times.missing)


def _series_of(rows: pa.Table, asked: ForecastRequest) -> list[Any]:
    return to_texts(rows.column(asked.series)).tolist() if asked.series else [""] * rows.num_rows


def _seen(times: Times, codes: IntArray, past: _Past) -> npt.NDArray[np.bool_]:
    """Tell which rows of the history are evaluated."""
    places = np.unique(np.concatenate((times.values, past.times.values)), return_inverse=True)[1].reshape(-1)
    width = int(places.max(initial=0)) + 1
    found: npt.NDArray[np.bool_] = np.isin(
        past.codes * width + places[codes.size :], codes * width + places[: codes.size]
    )
    return found


def _repeated(values: npt.NDArray[Any], codes: IntArray) -> tuple[int, int] | None:
    """Return two rows of one series and one time, those of the first such time; None if there are none."""
    order = np.lexsort((values, codes))
    same = (np.diff(codes[order]) == 0) & (values[order][1:] == values[order][:-1])
    if not same.any():
        return None
    place = int(np.argmax(same))
    return int(order[place]), int(order[place + 1])


def _require_present(missing: npt.NDArray[np.bool_], column: str, what: str) -> None:
    count = int(missing.sum())
    if count:
        raise Invalid(
            f"{count:,} of {missing.size:,} rows have no {what} in {column!r}, the first of them row "
            f"{int(np.argmax(missing)):,} (counted from 0).",
            code=f"forecast.{what}_missing",
            hint="Fill them in or leave these rows out: where a row is in time has to be known.",
        )


def _require_once(times: Times, codes: IntArray, asked: ForecastRequest, names: tuple[str, ...]) -> None:
    rows = _repeated(times.values, codes)
    if rows is None:
        return
    where = f" in the series {names[codes[rows[0]]]!r}" if asked.series else ""
    raise Invalid(
        f"The time {times.written(rows[0])} in {asked.time!r} occurs more than once{where}.",
        code="forecast.time_repeated",
        hint="A series has one row for each time: leave repeated rows out, or name another column for the series."
        if asked.series
        else "A series has one row for each time: name the column that tells series apart (--series), or leave "
        "repeated rows out.",
    )


def _codes(texts: list[Any], names: tuple[str, ...]) -> IntArray:
    """Return the place of each text among the names, -1 where it is none of them."""
    places = {name: code for code, name in enumerate(names)}
    return np.array([places.get(text, -1) for text in texts], dtype=np.int64)
