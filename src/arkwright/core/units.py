"""Durations and sizes as people write them."""

from __future__ import annotations

import re

from arkwright.core.errors import Invalid

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)?\s*$")


def parse_duration_seconds(text: str | float) -> float:
    """Read a duration such as ``60s``, ``5m`` or ``1.5h``; a bare number is seconds.

    Examples
    --------
    >>> parse_duration_seconds("1.5h"), parse_duration_seconds("90"), parse_duration_seconds(2)
    (5400.0, 90.0, 2.0)

    Raises
    ------
    Invalid
        If the text is not a positive duration.
    """
    found = _DURATION.match(str(text))
    seconds = float(found.group(1)) * _SECONDS[found.group(2) or "s"] if found else 0.0
    if seconds <= 0:
        raise Invalid(
            f"{text!r} is not a duration.",
            code="duration.invalid",
            hint="Write a positive number with a unit, such as 60s, 5m or 1h.",
        )
    return seconds


def format_bytes(size_bytes: int) -> str:
    """Render a size for a person.

    Examples
    --------
    >>> format_bytes(950), format_bytes(1_500_000)
    ('950 B', '1.5 MB')
    """
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
