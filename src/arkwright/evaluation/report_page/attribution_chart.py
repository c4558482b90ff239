"""Charts of attributions: a beeswarm over many rows, and one row's score taken apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

from arkwright.core.written_numbers import counted
from arkwright.evaluation.attribution_summary import ColumnAttribution, LocalExplanation
from arkwright.evaluation.report_page import chart
from arkwright.evaluation.report_page.layout import table
from arkwright.evaluation.report_page.markup import Html, coordinate, element, join
from arkwright.evaluation.report_page.wording import cell, fixed, number
from arkwright.evaluation.scored_table import Cell

_ROW = 46.0
_MARKS = ("m-2.5 -2l5 0l-2.5 4.5z", "m-2 -2h4v4h-4z", "m0 -2.5l2.5 4.5h-5z")
_THIRDS = ("lowest third of values", "middle third", "highest third")
_COLOURS = ("a", "c", "b")
_BOXES = 60


def beeswarm(
    key: str, title: str, description: str, columns: Sequence[ColumnAttribution], *, axis: str, n_points: int
) -> Html:
    """Return one line of points for each column; the shape tells where a number lies among the column's own.

    Parameters
    ----------
    n_points
        Of each column, at evenly spaced places of its shares.
    """
    thinned = {column.name: thin(column.points, n_points) for column in columns}
    everything = [share for points in thinned.values() for _, share in points]
    low, high = chart.span(everything, floor=0.0)
    longest = max((len(column.name) for column in columns), default=0)
    scale = chart.Scale(low, high, min(220.0, 24 + chart.CHARACTER * min(longest, 28)), chart.WIDTH - 24)
    top, drawn = 34.0, []
    for at, column in enumerate(columns):
        middle = top + _ROW * (at + 0.5)
        drawn.append(chart.text(scale.start - 10, middle + 4, chart.short(column.name, 28), anchor="end"))
        drawn.append(_swarm(thinned[column.name], scale, middle))
    bottom = top + _ROW * len(columns)
    frame = [chart.bottom_axis(scale, top, bottom, axis), chart.line(scale.at(0), top, scale.at(0), bottom, "ref")]
    x = scale.start
    for third, name in enumerate(_THIRDS):
        frame += [element("path", d=f"M{coordinate(x + 5)} 15{_MARKS[third]}", class_=_COLOURS[third])]
        frame.append(chart.text(x + 14, 19, name))
        x += 30 + chart.CHARACTER * len(name)
    lines = [
        [column.name, "; ".join(f"{cell(value)}: {short_number(share)}" for value, share in thinned[column.name])]
        for column in columns
    ]
    numbers = table(f"{title} (value of the column: its share, for every point)", ["column", "points"], lines)
    return chart.figure(key, title, description, bottom + 44, join([*frame, *drawn]), numbers)


def thin(points: Sequence[tuple[Cell, float]], n_points: int) -> list[tuple[Cell, float]]:
    """Return so many of the points, evenly spaced, the first and the last among them.

    Examples
    --------
    >>> thin([(1, 0.1), (2, 0.2), (3, 0.3)], 2)
    [(1, 0.1), (3, 0.3)]
    """
    if len(points) <= n_points:
        return list(points)
    return [points[round(at * (len(points) - 1) / (n_points - 1))] for at in range(n_points)]


def short_number(share: float) -> str:
    """Write a share with three decimals, or with the digits it has if it is smaller."""
    return fixed(share, 3) if abs(share) >= 0.001 or share == 0 else number(share)


def _swarm(points: Sequence[tuple[Cell, float]], scale: chart.Scale, middle: float) -> Html:
    """Stack points that would lie on each other up and down in turns."""
    numbers = sorted(value for value, _ in points if isinstance(value, (int, float)) and math.isfinite(value))
    taken: dict[int, int] = {}
    places: list[list[str]] = [[], [], []]
    for value, share in points:
        x = scale.at(share)
        box = int((x - scale.start) / (scale.end - scale.start) * _BOXES * 2)
        stacked = taken.get(box, 0)
        taken[box] = stacked + 1
        away = 4.5 * ((stacked + 1) // 2) * (1 if stacked % 2 else -1)
        y = middle + max(-_ROW / 2 + 4, min(_ROW / 2 - 4, away))
        places[_third(value, numbers)].append(f"M{coordinate(x)} {coordinate(y)}{_MARKS[_third(value, numbers)]}")
    return join(element("path", d="".join(each), class_=_COLOURS[third]) for third, each in enumerate(places) if each)


def _third(value: Cell, numbers: Sequence[float]) -> int:
    if not isinstance(value, (int, float)) or not math.isfinite(value) or numbers[0] == numbers[-1]:
        return 1
    below = sum(each < value for each in numbers) + sum(each == value for each in numbers) / 2
    return min(2, int(3 * below / len(numbers)))


def waterfall(key: str, title: str, description: str, found: LocalExplanation, *, n_shares: int) -> Html:
    """Return the way from the base to one row's raw score, the largest shares first."""
    shown, others = found.shares[:n_shares], found.shares[n_shares:]
    steps = [(f"{share.name} = {cell(share.value)}", share.share) for share in shown]
    if others:
        steps.append((counted(len(others), "other column"), sum(share.share for share in others)))
    stops = [found.base]
    for _, share in steps:
        stops.append(stops[-1] + share)
    scale = chart.Scale(*chart.span(stops), 236.0, chart.WIDTH - 70)
    y, drawn = 30.0, []
    drawn += [
        chart.text(226, y - 8, "base", anchor="end"),
        chart.line(scale.at(found.base), 12, scale.at(found.base), 30, "axis"),
    ]
    drawn.append(chart.text(scale.at(found.base) + 5, 20, number(found.base), class_="dim"))
    for at, (name, share) in enumerate(steps):
        start, end = scale.at(stops[at]), scale.at(stops[at + 1])
        colour = "b" if share >= 0 else "a"
        tip = min(7.0, abs(end - start)) * (1 if end >= start else -1)
        corners = [(start, y + 5), (end - tip, y + 5), (end, y + 13), (end - tip, y + 21), (start, y + 21)]
        drawn += [
            chart.text(226, y + 18, chart.short(name, 31), anchor="end"),
            chart.path(corners, colour, closed=True),
            chart.text(max(start, end) + 6, y + 18, f"{'+' if share >= 0 else ''}{short_number(share)}"),
            chart.line(end, y + 21, end, y + 31, "axis"),
        ]
        y += 26
    drawn += [
        chart.text(226, y + 20, "raw score", anchor="end"),
        chart.text(scale.at(found.raw) + 5, y + 20, number(found.raw)),
    ]
    frame = chart.bottom_axis(scale, 12, y + 28, f"raw score ({found.scale})")
    lines = [["base", number(found.base), ""]]
    lines += [
        [f"{share.name} = {cell(share.value)}", short_number(share.share), ""]
        if share.standard_error is None
        else [f"{share.name} = {cell(share.value)}", short_number(share.share), f"± {number(share.standard_error)}"]
        for share in found.shares
    ]
    lines.append(["raw score", number(found.raw), ""])
    numbers = table(f"{title}: shares", ["from", "share of the raw score", "standard error"], lines, numeric=(1, 2))
    return chart.figure(key, title, description, y + 72, join([frame, *drawn]), numbers)
