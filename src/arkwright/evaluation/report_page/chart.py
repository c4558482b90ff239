"""What all charts share: a frame that a screen reader can read, scales, ticks, and the numbers as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from arkwright.evaluation.report_page.layout import more, scrolling
from arkwright.evaluation.report_page.markup import Html, coordinate, element, join
from arkwright.evaluation.report_page.wording import Write, number

WIDTH = 720
_NOTHING = 1e-200
"""Ends of an axis nearer to zero are drawn as zero: the steps between its marks would be too small for a number."""
CHARACTER = 7.0
"""Width of a letter at the charts' size, on the safe side."""


@dataclass(frozen=True, slots=True)
class Scale:
    """From numbers to pixels; ``logarithmic`` for numbers above zero that span decades."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Return the pixel of a number; beyond the ends, the end.

        Examples
        --------
        >>> Scale(0.0, 10.0, 100.0, 200.0).at(5.0)
        150.0
        """
        low, high = self.low, self.high
        value = min(max(value, low), high)
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        share = 0.5 if high == low else (value - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> tuple[float, ...]:
        """Return round numbers within the ends."""
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            return tuple(10.0**power for power in range(first, last + 1))
        return tuple(tick for tick in round_numbers(self.low, self.high) if self.low <= tick <= self.high)


def round_numbers(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Return evenly spaced round numbers that cover a range.

    Examples
    --------
    >>> round_numbers(0.0, 0.93)
    (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    """
    if not high > low:
        return (low,)
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step)) + 1)
    return tuple(round(at * step, digits) + 0.0 for at in range(first, last + 1))


def span(
    values: Sequence[float | None], *, floor: float | None = None, ceiling: float | None = None
) -> tuple[float, float]:
    """Return round ends that hold all finite values, and ``floor`` and ``ceiling`` where given."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    known += [end for end in (floor, ceiling) if end is not None]
    if not known:
        return 0.0, 1.0
    low, high = (end if abs(end) > _NOTHING else 0.0 for end in (min(known), max(known)))
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # no axis tells them apart
        low, high = low - (abs(low) or 1.0) * 0.5, high + (abs(high) or 1.0) * 0.5
    ends = round_numbers(low, high)
    return ends[0], ends[-1]


def figure(key: str, title: str, description: str, height: float, drawing: str, numbers: str) -> Html:
    """Return a chart and its numbers.

    Parameters
    ----------
    key
        A name of its own on the page.
    title, description
        What it shows, and what a reader who cannot see it should know.
    drawing
        SVG elements in a box of ``WIDTH`` by ``height`` pixels.
    numbers
        The table of everything that is drawn.
    """
    picture = element(
        "svg",
        element("title", title, id=f"{key}-t"),
        element("desc", description, id=f"{key}-d"),
        drawing,
        viewBox=f"0 0 {WIDTH} {coordinate(height)}",
        role="img",
        aria_labelledby=f"{key}-t {key}-d",
    )
    return element(
        "figure",
        element("figcaption", title),
        element("p", description, class_="note"),
        scrolling(f"Chart: {title}", picture),
        more("Numbers of this chart", numbers),
        id=key,
    )


def short(text: str, characters: int) -> str:
    """Cut a text that would not fit; the chart's table holds all of it.

    Examples
    --------
    >>> short("native-country", 8)
    'native-…'
    """
    return text if len(text) <= characters else f"{text[: characters - 1]}\u2026"


def text(x: float, y: float, words: str, *, anchor: str = "start", class_: str | None = None) -> Html:
    """Return a text with its baseline at ``y``."""
    return element("text", words, x=x, y=y, text_anchor=None if anchor == "start" else anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Sequence[tuple[float, float]], class_: str, *, closed: bool = False) -> Html:
    """Return a line through points."""
    steps = "L".join(f"{coordinate(x)} {coordinate(y)}" for x, y in points)
    return element("path", d=f"M{steps}{'Z' if closed else ''}", class_=class_)


_SHAPES = {
    "circle": "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",
    "square": "m-4 -4h8v8h-8z",
    "triangle": "m0 -5l5 9h-10z",
    "diamond": "m0 -5l5 5l-5 5l-5 -5z",
}
SERIES = (("circle", "a"), ("square", "b"), ("triangle", "c"), ("diamond", "a hollow"), ("circle", "b hollow"))
"""Shape and colour of each series: they differ in both."""


def marker(x: float, y: float, series: int) -> Html:
    """Return the mark of a series at a place."""
    shape, colour = SERIES[series % len(SERIES)]
    return element("path", d=f"M{coordinate(x)} {coordinate(y)}{_SHAPES[shape]}", class_=colour)


def legend(names: Sequence[str], x: float, y: float) -> Html:
    """Return the series' marks with their names, in a row."""
    drawn, at = [], x
    for series, name in enumerate(names):
        drawn += [marker(at + 5, y - 4, series), text(at + 15, y, name)]
        at += 35 + CHARACTER * len(name)
    return join(drawn)


def bottom_axis(scale: Scale, top: float, bottom: float, title: str, write: Write = number) -> Html:
    """Return an axis from left to right, with its grid above it."""
    drawn = [line(scale.start, bottom, scale.end, bottom, "axis")]
    for tick in scale.ticks():
        x = scale.at(tick)
        drawn += [line(x, top, x, bottom, "grid"), text(x, bottom + 17, tick_text(tick, scale, write), anchor="middle")]
    drawn.append(text((scale.start + scale.end) / 2, bottom + 36, title, anchor="middle", class_="dim"))
    return join(drawn)


def left_axis(scale: Scale, left: float, right: float, title: str, write: Write = number) -> Html:
    """Return an axis from bottom to top, with its grid to the right; the title stands above it."""
    drawn = [line(left, scale.start, left, scale.end, "axis")]
    for tick in scale.ticks():
        y = scale.at(tick)
        drawn += [line(left, y, right, y, "grid"), text(left - 7, y + 4, tick_text(tick, scale, write), anchor="end")]
    drawn.append(text(4, scale.end - 12, title, class_="dim"))
    return join(drawn)


def tick_text(tick: float, scale: Scale, write: Write) -> str:
    """Write a tick with no more digits than its neighbours need."""
    if write is not number or scale.logarithmic:
        return write(tick)
    ticks = scale.ticks()
    step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(tick) or 1.0
    if not 1e-4 <= step < 1e12:
        return write(tick)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    written = f"{abs(tick):,.{decimals}f}"
    return f"\u2212{written}" if tick < 0 else written
