"""A grid of numbers: the darker a cell, the larger its number, which is written in it."""

from __future__ import annotations

from collections.abc import Sequence

from arkwright.evaluation.report_page import chart
from arkwright.evaluation.report_page.layout import table
from arkwright.evaluation.report_page.markup import Html, element, join
from arkwright.evaluation.report_page.wording import Write, number

DARKEST = 0.45
"""Opacity of the largest number's cell: dark text on it keeps a contrast above 4.5 to 1."""


def heat_chart(
    key: str,
    title: str,
    description: str,
    down: tuple[str, Sequence[str]],
    across: tuple[str, Sequence[str]],
    values: Sequence[Sequence[float]],
    *,
    write: Write = number,
    shade: Sequence[Sequence[float]] | None = None,
    notes: Sequence[Sequence[str]] | None = None,
) -> Html:
    """Return a grid and its table.

    Parameters
    ----------
    down, across
        What the rows and the columns are, and their names.
    values
        ``values[i][j]`` in the i-th row and the j-th column.
    shade
        What the darkness follows, if not the values.
    notes
        A second line in each cell.
    """
    shown = values if shade is None else shade
    flat = [value for line in shown for value in line]
    low, high = (min(flat), max(flat)) if flat else (0.0, 1.0)
    longest = max(len(name) for name in (*down[1], f"{down[0]} ->"))
    left = min(200.0, 20 + chart.CHARACTER * min(longest, 24))
    wide = min(150.0, (chart.WIDTH - left - 8) / max(1, len(across[1])))
    tall, top = 38.0 if notes else 30.0, 52.0
    room = max(3, int(wide / chart.CHARACTER))
    drawn = [
        chart.text(left, 16, f"{across[0]} \u2192", class_="dim"),
        chart.text(left - 10, 40, f"{chart.short(down[0], 22)} \u2193", anchor="end", class_="dim"),
    ]
    drawn += [
        chart.text(left + wide * (at + 0.5), 40, chart.short(name, room), anchor="middle")
        for at, name in enumerate(across[1])
    ]
    for i, line in enumerate(values):
        y = top + tall * i
        drawn.append(chart.text(left - 10, y + tall / 2 + 5, chart.short(down[1][i], 24), anchor="end"))
        for j, value in enumerate(line):
            share = 0.0 if high == low else (shown[i][j] - low) / (high - low)
            x = left + wide * j
            drawn.append(
                element("rect", x=x, y=y, width=wide, height=tall, class_="cell", fill_opacity=f"{DARKEST * share:.2f}")
            )
            drawn.append(chart.text(x + wide / 2, y + (16 if notes else tall / 2 + 5), write(value), anchor="middle"))
            if notes:
                drawn.append(chart.text(x + wide / 2, y + 31, notes[i][j], anchor="middle"))
    lines = [
        [down[1][i], *(f"{write(value)}{f' ({notes[i][j]})' if notes else ''}" for j, value in enumerate(line))]
        for i, line in enumerate(values)
    ]
    numbers = table(
        f"{title}: {down[0]} down, {across[0]} across",
        [down[0], *across[1]],
        lines,
        numeric=range(1, len(across[1]) + 1),
    )
    return chart.figure(key, title, description, top + tall * len(values) + 8, join(drawn), numbers)
