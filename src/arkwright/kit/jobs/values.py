"""JSON values, as a checkpoint and both databases keep them."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any


def json_value(value: Any) -> Any:
    """Return a value as it looks after a round trip through JSON.

    Tuples become lists, numbers of any library Python's own, and numbers that are not finite ``None``, because JSON
    has none and PostgreSQL refuses them.

    Raises
    ------
    TypeError
        If something in it has no JSON form.

    Examples
    --------
    >>> json_value({"scores": (0.5, float("nan")), "n": True})
    {'scores': [0.5, None], 'n': True}
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        number = float(value)
        return number if math.isfinite(number) else None
    if isinstance(value, (list, tuple)):
        return [json_value(item) for item in value]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"the key {key!r} of a JSON object is not text")
        return {key: json_value(item) for key, item in value.items()}
    raise TypeError(f"a value of type {type(value).__name__} has no JSON form")
