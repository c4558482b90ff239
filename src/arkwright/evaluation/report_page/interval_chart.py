"""Values with their intervals, one row each: which is larger, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.report_page import chart
from arkwright.evaluation.report_page.layout import table
from arkwright.evaluation.report_page.markup import Html, join
from arkwright.evaluation.report_page.wording import Write, interval, number, percent

_ROW = 26.0


@dataclass(frozen=True, slots=True)
class Row:
    """One label and a value for each series; ``under`` is a heading over rows that follow each other."""

    label: str
    values: Sequence[Interval | None]
    under: str = ""
    note: str = ""


def interval_chart(
    key: str,
    title: str,
    description: str,
    rows: Sequence[Row],
    *,
    axis: str,
    series: Sequence[str] = ("value",),
    as_percent: bool = False,
    floor: float | None = 0.0,
    ceiling: float | None = None,
    reference: tuple[str, float] | None = None,
    bars: bool = False,
    logarithmic: bool = False,
    write: Write | None = None,
) -> Html:
    """Return a chart of rows and its table.

    Parameters
    ----------
    rows
        From top to bottom.
    axis
        What the numbers are, with their unit.
    series
        What each row's values are of.
    floor, ceiling
        Numbers the axis must hold.
    reference
        A number to compare with, drawn as a line, and its name.
    bars
        Draw a bar from zero to the first series' value.
    """
    everything = [
        end for row in rows for value in row.values if value is not None for end in (value.value, value.low, value.high)
    ]
    if reference:
        everything.append(reference[1])
    low, high = _decades(everything) if logarithmic else chart.span(everything, floor=floor, ceiling=ceiling)
    longest = max((len(row.label) for row in rows), default=0)
    left = min(250.0, 24 + chart.CHARACTER * min(longest, 32))
    scale = chart.Scale(low, high, left, chart.WIDTH - 40, logarithmic)
    lanes = _ROW + 11.0 * (len(series) - 1)
    top = 8.0 + (24.0 if len(series) > 1 else 0.0) + (22.0 if reference else 0.0)
    drawn, y, heading = [], top, ""
    for row in rows:
        if row.under != heading:
            heading, y = row.under, y + 24
            drawn.append(chart.text(4, y - 7, chart.short(heading, 90), class_="dim"))
        drawn.append(chart.text(left - 10, y + lanes / 2 + 4, chart.short(row.label, 32), anchor="end"))
        for at, value in enumerate(row.values):
            middle = y + lanes * (at + 1) / (len(series) + 1)
            drawn.append(_value(value, scale, middle, at, bar=bars and at == 0))
        y += lanes
    frame = [chart.bottom_axis(scale, top, y, axis, write or (percent if as_percent else number))]
    if len(series) > 1:
        frame.append(chart.legend(series, left, 18))
    if reference:
        x, room = scale.at(reference[1]), chart.CHARACTER * len(reference[0]) / 2
        middle = min(max(x, room + 4), chart.WIDTH - room - 4)
        drawn += [
            chart.line(x, top - 4, x, y, "ref"),
            chart.text(middle, top - 9, reference[0], anchor="middle", class_="dim"),
        ]
    headings = ["of", *series]
    lines = [
        [
            f"{row.under}: {row.label}" if row.under else row.label,
            *("" if value is None else interval(value, as_percent=as_percent, write=write) for value in row.values),
            *([row.note] if any(each.note for each in rows) else []),
        ]
        for row in rows
    ]
    if any(row.note for row in rows):
        headings.append("note")
    if reference:
        lines.append([reference[0], (write or (percent if as_percent else number))(reference[1])])
        lines[-1] += [""] * (len(headings) - 2)
    sure = any(value is not None and value.low is not None for row in rows for value in row.values)
    caption = f"{title} (value and 95 % interval)" if sure else title
    numbers = table(caption, headings, lines, numeric=range(1, len(series) + 1))
    return chart.figure(key, title, description, y + 44, join([*frame, *drawn]), numbers)


def _decades(values: Sequence[float | None]) -> tuple[float, float]:
    known = [value for value in values if value is not None and value > 0]
    if not known:
        return 1.0, 10.0
    low, high = 1.0, 1.0
    while low > min(known):
        low /= 10
    while low * 10 <= min(known):
        low *= 10
    high = low * 10
    while high < max(known):
        high *= 10
    return low, high


def _value(value: Interval | None, scale: chart.Scale, y: float, series: int, *, bar: bool) -> Html:
    if value is None:
        return Html("")
    if value.value is None:
        return chart.text(scale.start + 6, y + 4, "not computable", class_="dim")
    drawn = []
    _, colour = chart.SERIES[series % len(chart.SERIES)]
    x = scale.at(value.value)
    if bar:
        base = scale.at(scale.low if scale.logarithmic else 0.0)
        corners = [(base, y - 6), (x, y - 6), (x, y + 6), (base, y + 6)]
        drawn.append(chart.path(corners, "band", closed=True))
    if value.low is not None and value.high is not None:
        ends = scale.at(value.low), scale.at(value.high)
        drawn.append(chart.line(ends[0], y, ends[1], y, f"{colour} whisker"))
        drawn += [chart.line(end, y - 4, end, y + 4, f"{colour} whisker") for end in ends]
    return join([*drawn, chart.marker(x, y, series)])
