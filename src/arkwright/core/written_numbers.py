"""Numbers as people read them: one rule for every sentence, table and card.

Four digits that matter, with a comma between thousands; a power of ten only where a number has ten digits before its
point or its first digit stands behind four zeros. There is no negative zero, one row is "1 row", and a share is "24 %".
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

DIGITS = 4
_LARGEST, _SMALLEST = 1e9, 1e-4
_NOISE = 1e-12
_MOST_DECIMALS = 4
_UP = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_DOWN = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_POWER = re.compile(r" \u00d7 10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)")


def written(value: float, digits: int = DIGITS) -> str:
    r"""Write a number with so many digits that matter; a whole number below 1,000,000,000 keeps all of its own.

    Examples
    --------
    >>> written(0.912345), written(13684.7), written(1234567.0), written(-0.0)
    ('0.9123', '13,680', '1,234,567', '0')
    >>> written(-0.5), written(0.00001234) == "1.234 \u00d7 10⁻⁵", written(float("nan"))
    ('-0.5', True, 'not a number')
    """
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else f"{'-' if value < 0 else ''}infinite"
    size = abs(value) if float(value).is_integer() else float(f"{abs(value):.{digits}g}")
    if size == 0:
        return "0"
    if size >= _LARGEST or size < _SMALLEST:
        mantissa, _, power = f"{size:.{digits - 1}e}".partition("e")
        text = f"{_plain(mantissa)} \u00d7 10{str(int(power)).translate(_UP)}"
    elif float(size).is_integer():
        text = f"{size:,.0f}"
    else:
        text = f"{Decimal(repr(size)):,f}"
    return f"-{text}" if value < 0 else text


def signed(value: float, digits: int = DIGITS) -> str:
    """Write a change with its sign; no change has none.

    Examples
    --------
    >>> signed(0.02), signed(-0.02), signed(-0.0)
    ('+0.02', '-0.02', '0')
    """
    return f"+{written(value, digits)}" if value > 0 else written(value, digits)


def read(text: str) -> float:
    r"""Return the number that was written.

    Examples
    --------
    >>> read("13,680"), read("1.234 \u00d7 10⁻⁵")
    (13680.0, 1.234e-05)
    """
    return float(_POWER.sub(lambda found: f"e{found[1].translate(_DOWN)}", text).replace(",", ""))


def beyond_rounding(change: float, *beside: float) -> float:
    """Return a difference of two numbers, or zero where it is the rounding error of a computation with them.

    Examples
    --------
    >>> beyond_rounding(0.3 - (0.1 + 0.2), 0.3, 0.3), beyond_rounding(0.02, 0.91, 0.89)
    (0.0, 0.02)
    """
    return 0.0 if abs(change) <= _NOISE * max(map(abs, beside), default=0.0) else change


def of_hundred(share: float, decimals: int = 0) -> str:
    """Write a share as so many of a hundred; with more decimals where it would look like none or all and is not.

    Examples
    --------
    >>> of_hundred(0.243), of_hundred(0.243, 1), of_hundred(0.0004), of_hundred(0.9996), of_hundred(1.0, 1)
    ('24', '24.3', '0.04', '99.96', '100')
    """
    number = share * 100.0
    if min(abs(number), abs(number - 100.0)) <= 100.0 * _NOISE:
        return "0" if number < 50.0 else "100"
    text = f"{number:.{decimals}f}"
    while float(text) in (0.0, 100.0) and decimals < _MOST_DECIMALS:
        decimals += 1
        text = f"{number:.{decimals}f}"
    return text


def percentage(share: float, decimals: int = 0) -> str:
    """Write a share in percent, as :func:`of_hundred` does.

    Examples
    --------
    >>> percentage(0.243), percentage(0.243, 1)
    ('24 %', '24.3 %')
    """
    return f"{of_hundred(share, decimals)} %"


def counted(n: int, one: str, many: str = "") -> str:
    """Write how many there are of something.

    Examples
    --------
    >>> counted(1, "row"), counted(1200, "row"), counted(2, "class", "classes")
    ('1 row', '1,200 rows', '2 classes')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _plain(mantissa: str) -> str:
    return mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
