"""Numbers in words a reader takes in: as many digits as are sure, units, and why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from arkwright.core.written_numbers import counted, written
from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.scored_table import Cell

Write = Callable[[float], str]
_MINUS = "\u2212"
_GLUE = "\u00a0"
"""A space at which no line is broken."""


def number(value: float) -> str:
    r"""Write a number with the digits that matter, and a true minus.

    Examples
    --------
    >>> number(0.91234), number(12.3456), number(13684.7)
    ('0.9123', '12.35', '13,680')
    >>> number(-0.5) == "\u22120.5", number(0.00001234) == "1.234 \u00d7 10⁻⁵"
    (True, True)
    """
    return written(value).replace("-", _MINUS)


def given(value: float) -> str:
    """Write a number that somebody chose: a limit, a cost.

    Examples
    --------
    >>> given(0.8), given(1500.0), given(0.05)
    ('0.8', '1,500', '0.05')
    """
    return written(value, 6).replace("-", _MINUS)


def fixed(value: float, decimals: int) -> str:
    """Write a number with so many decimals.

    Examples
    --------
    >>> fixed(1234.5, 2), fixed(-0.001, 1)
    ('1,234.50', '0.0')
    """
    text = f"{abs(value):,.{decimals}f}"
    return (_MINUS if value < 0 and float(text.replace(",", "")) != 0 else "") + text


def percent(share: float) -> str:
    r"""Write a share of one as a percentage.

    Examples
    --------
    >>> percent(0.1234), percent(0.0004), percent(0.25)
    ('12.3\xa0%', '0.04\xa0%', '25\xa0%')
    """
    if not math.isfinite(share):
        return number(share)
    if 0 < abs(share) < 0.001:
        return f"{number(share * 100)}{_GLUE}%"
    return f"{fixed(share * 100, 1).removesuffix('.0')}{_GLUE}%"


def count(value: float) -> str:
    """Write a whole number.

    Examples
    --------
    >>> count(12345)
    '12,345'
    """
    return f"{value:,.0f}"


def rows(value: int) -> str:
    """Write a number of rows.

    Examples
    --------
    >>> rows(1), rows(1200)
    ('1 row', '1,200 rows')
    """
    return counted(value, "row")


def probability(value: float) -> str:
    """Write a p-value: below a thousandth it says only that.

    Examples
    --------
    >>> probability(0.0001), probability(0.0312)
    ('< 0.001', '0.031')
    """
    return "< 0.001" if value < 0.001 else fixed(value, 3)


def milliseconds(value: float) -> str:
    r"""Write a time given in milliseconds.

    Examples
    --------
    >>> milliseconds(0.0234), milliseconds(12.3), milliseconds(4200)
    ('0.0234\xa0ms', '12.3\xa0ms', '4.2\xa0s')
    """
    return f"{number(value)}{_GLUE}ms" if value < 1000 else f"{number(value / 1000)}{_GLUE}s"


def size(n_bytes: float) -> str:
    r"""Write a number of bytes in decimal units.

    Examples
    --------
    >>> size(512), size(2_500_000)
    ('512\xa0B', '2.5\xa0MB')
    """
    for power, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if abs(n_bytes) >= 10**power:
            return f"{number(n_bytes / 10**power)}{_GLUE}{unit}"
    return f"{n_bytes:,.0f}{_GLUE}B"


def money(usd: float) -> str:
    """Write an amount in US dollars.

    Examples
    --------
    >>> money(0.00123), money(1234.5)
    ('$0.00123', '$1,234.50')
    """
    return f"${number(usd)}" if abs(usd) < 1 else f"${fixed(usd, 2)}"


def not_computable(reason: str) -> str:
    """Say that there is no number, and why.

    Examples
    --------
    >>> not_computable("the group has no positive rows.")
    'not computable, because the group has no positive rows'
    """
    return f"not computable, because {reason.strip().rstrip('.') or 'no reason was given with it'}"


def maybe(value: float | None, write: Write = number, reason: str = "") -> str:
    """Write a number, or why there is none."""
    return not_computable(reason) if value is None else write(value)


def interval(found: Interval, *, as_percent: bool = False, write: Write | None = None) -> str:
    r"""Write a value and its 95 % interval, with two digits of the interval's width.

    Examples
    --------
    >>> interval(Interval(value=0.91234, low=0.90111, high=0.92345))
    '0.912 (0.901\xa0to\xa00.923)'
    >>> interval(Interval(value=0.123, low=0.1, high=0.15), as_percent=True)
    '12.3\xa0% (10.0\xa0to\xa015.0\xa0%)'
    >>> interval(Interval(value=None, low=None, high=None, reason="all rows are of one class"))
    'not computable, because all rows are of one class'
    """
    if found.value is None:
        return not_computable(found.reason)
    plain = write or (percent if as_percent else number)
    if found.low is None or found.high is None:
        return plain(found.value) + (f" (no interval, because {found.reason})" if found.reason else "")
    if found.high - found.low <= 1e-9 * max(abs(found.low), abs(found.high)):
        return f"{plain(found.value)} (always the same)"
    if write is not None or not _usual(found.value, found.low, found.high):
        return f"{plain(found.value)} ({plain(found.low)}{_GLUE}to{_GLUE}{plain(found.high)})"
    scale, unit = (100.0, f"{_GLUE}%") if as_percent else (1.0, "")
    width = (found.high - found.low) * scale
    decimals = min(6, 1 - math.floor(math.log10(width)))
    value, low, high = (
        fixed(round(each * scale, decimals), max(0, decimals)) for each in (found.value, found.low, found.high)
    )
    return f"{value}{unit} ({low}{_GLUE}to{_GLUE}{high}{unit})"


def _usual(*values: float) -> bool:
    largest = max(abs(value) for value in values)
    return all(math.isfinite(value) for value in values) and 1e-4 <= largest < 1e12


def cell(value: Cell) -> str:
    """Write a cell of a data table.

    Examples
    --------
    >>> cell(None), cell(3.0), cell("Male"), cell("")
    ('(missing)', '3', 'Male', '(empty text)')
    """
    if value is None:
        return "(missing)"
    if isinstance(value, str):
        return value or "(empty text)"
    return str(value) if isinstance(value, bool) else number(value)


def plain(name: str) -> str:
    """Write a name of the code as words.

    Examples
    --------
    >>> plain("selection_rate")
    'selection rate'
    """
    return name.replace("_", " ")


def capital(text: str) -> str:
    """Start a text with a capital letter."""
    return text[:1].upper() + text[1:]


def listed(names: Sequence[str], otherwise: str = "none") -> str:
    """Write names in a row.

    Examples
    --------
    >>> listed(["age", "sex", "race"]), listed([])
    ('age, sex and race', 'none')
    """
    if not names:
        return otherwise
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
