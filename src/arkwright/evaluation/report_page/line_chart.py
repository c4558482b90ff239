"""Curves: what happens along a number or along categories in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.report_page import chart
from arkwright.evaluation.report_page.layout import table
from arkwright.evaluation.report_page.markup import Html, join
from arkwright.evaluation.report_page.wording import Write, interval, number, percent

_LEFT, _RIGHT, _HEIGHT = 64.0, chart.WIDTH - 24.0, 300.0
_ROOM_FOR_A_MARK = 30


@dataclass(frozen=True, slots=True)
class Curve:
    """One value for each place along the chart; None, with its reason, leaves a gap."""

    name: str
    values: Sequence[Interval]


@dataclass(frozen=True, slots=True)
class Along:
    """The places: numbers (``at``), or names in their order, ``joined`` by a line where the order means something.

    ``notes`` say more about each in the table.
    """

    title: str
    names: Sequence[str]
    at: Sequence[float] | None = None
    notes: dict[str, Sequence[str]] = field(default_factory=dict)
    write: Write = number
    joined: bool = False


def line_chart(
    key: str,
    title: str,
    description: str,
    along: Along,
    curves: Sequence[Curve],
    *,
    axis: str,
    as_percent: bool = False,
    floor: float | None = None,
    ceiling: float | None = None,
    thin: Sequence[Sequence[float]] = (),
    diagonal: str = "",
    marked: tuple[str, float] | None = None,
) -> Html:
    """Return a chart of curves and its table.

    Parameters
    ----------
    thin
        Faint lines behind the curves, one value a place: single rows.
    diagonal
        Name of the line on which both axes are equal; empty for none.
    marked
        A place to point at, and its name.
    """
    y_values = [end for curve in curves for each in curve.values for end in (each.value, each.low, each.high)]
    y_values += [value for each in thin for value in each]
    low, high = chart.span(y_values, floor=floor, ceiling=ceiling)
    several = len(curves) > 1 or bool(diagonal)
    top = 34.0 + (24.0 if several else 0.0) + (18.0 if marked else 0.0)
    bottom = top + _HEIGHT
    up = chart.Scale(low, high, bottom, top)
    if along.at is None:
        places = [_LEFT + (_RIGHT - _LEFT) * (at + 0.5) / max(1, len(along.names)) for at in range(len(along.names))]
        frame = [
            chart.left_axis(up, _LEFT, _RIGHT, axis, percent if as_percent else number),
            _names(along, places, bottom),
        ]
    else:
        ends = (min(along.at), max(along.at)) if along.at else (0.0, 1.0)
        ends = chart.span([*along.at, *((0.0, 1.0) if diagonal else ())]) if ends[0] == ends[1] or diagonal else ends
        right = chart.Scale(*ends, _LEFT, _RIGHT)
        places = [right.at(value) for value in along.at]
        frame = [
            chart.left_axis(up, _LEFT, _RIGHT, axis, percent if as_percent else number),
            chart.bottom_axis(right, top, bottom, along.title, along.write),
        ]
        if diagonal:
            frame.append(chart.line(right.at(0.0), up.at(0.0), right.at(1.0), up.at(1.0), "ref"))
        if marked:
            x = right.at(marked[1])
            frame += [
                chart.line(x, top - 4, x, bottom, "ref"),
                chart.text(x, top - 8, marked[0], anchor="end" if x > _RIGHT / 2 else "start", class_="dim"),
            ]
    drawn = [chart.path([(x, up.at(y)) for x, y in zip(places, each, strict=True)], "thin") for each in thin]
    for at, curve in enumerate(curves):
        drawn.append(_curve(curve, places, up, at, joined=along.joined or along.at is not None))
    if several:
        frame.append(chart.legend([curve.name for curve in curves], _LEFT, 16))
    if diagonal:
        start = _LEFT + sum(35 + chart.CHARACTER * len(curve.name) for curve in curves)
        frame += [chart.line(start, 12, start + 24, 12, "ref"), chart.text(start + 30, 16, diagonal)]
    return chart.figure(
        key,
        title,
        description,
        bottom + (46 if along.at is not None else _names_height(along) + 30),
        join([*frame, *drawn]),
        _numbers(title, along, curves, thin, as_percent=as_percent),
    )


def _curve(curve: Curve, places: Sequence[float], up: chart.Scale, series: int, *, joined: bool) -> Html:
    _, colour = chart.SERIES[series % len(chart.SERIES)]
    drawn = []
    known = [(x, value) for x, value in zip(places, curve.values, strict=True) if value.value is not None]
    ends = [(x, up.at(v.low), up.at(v.high)) for x, v in known if v.low is not None and v.high is not None]
    few = len(places) <= _ROOM_FOR_A_MARK
    if few:
        shift = 6.0 * series if not joined else 0.0
        for x, lower, upper in ends:
            drawn.append(chart.line(x + shift, lower, x + shift, upper, f"{colour} whisker"))
            drawn += [chart.line(x + shift - 3, y, x + shift + 3, y, f"{colour} whisker") for y in (lower, upper)]
    elif ends:
        around = [(x, upper) for x, _, upper in ends] + [(x, lower) for x, lower, _ in reversed(ends)]
        drawn.append(chart.path(around, "band", closed=True))
    middle = [(x, up.at(value.value)) for x, value in known if value.value is not None]
    if joined and len(middle) > 1:
        drawn.append(chart.path(middle, f"{colour} line"))
    if few:
        shift = 6.0 * series if not joined else 0.0
        drawn += [chart.marker(x + shift, y, series) for x, y in middle]
    return join(drawn)


def _names(along: Along, places: Sequence[float], bottom: float) -> Html:
    """Write the categories: level where there is room, else one below the other in turns."""
    drawn = [chart.line(_LEFT, bottom, _RIGHT, bottom, "axis")]
    lanes = _lanes(along)
    room = int((_RIGHT - _LEFT) / max(1, len(along.names)) * lanes / chart.CHARACTER)
    for at, (x, name) in enumerate(zip(places, along.names, strict=True)):
        y = bottom + 17 + 16 * (at % lanes)
        drawn += [
            chart.line(x, bottom, x, y - 11, "grid"),
            chart.text(x, y, chart.short(name, max(3, room)), anchor="middle"),
        ]
    y = bottom + 22 + 16 * lanes
    drawn.append(chart.text((_LEFT + _RIGHT) / 2, y, along.title, anchor="middle", class_="dim"))
    return join(drawn)


def _lanes(along: Along) -> int:
    longest = max((len(name) for name in along.names), default=1)
    room = (_RIGHT - _LEFT) / max(1, len(along.names)) / chart.CHARACTER
    return min(4, max(1, -int(-min(longest, 22) // room)))


def _names_height(along: Along) -> float:
    return 16.0 * _lanes(along)


def _numbers(
    title: str, along: Along, curves: Sequence[Curve], thin: Sequence[Sequence[float]], *, as_percent: bool
) -> Html:
    headings = [along.title, *(curve.name for curve in curves), *along.notes]
    if thin:
        headings.append("single rows, in the order of their lines")
    write = percent if as_percent else number
    lines = []
    for at, name in enumerate(along.names):
        line = [name, *(interval(curve.values[at], as_percent=as_percent) for curve in curves)]
        line += [notes[at] for notes in along.notes.values()]
        if thin:
            line.append("; ".join(write(each[at]) for each in thin))
        lines.append(line)
    return table(title, headings, lines, numeric=range(1, len(curves) + 1))
