"""What is wrong with a JSON body, and where: slow and thorough, for bodies that were already refused."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NamedTuple

MAX_BYTES = 262_144
"""Longer bodies are refused without the place: finding it takes longer than reading them did."""

TWICE = "comes twice"
"""What a name that comes twice is told."""


class _TwiceError(Exception):
    """An object has a name twice."""


class Fault(NamedTuple):
    """A place such as ``instances[3].tenure``, and what is wrong with it."""

    field: str
    message: str


class _Constant(str):
    """NaN, Infinity or -Infinity, which are no JSON."""

    __slots__ = ()


class _Twice(str):
    """Stands for an object in which a name comes twice."""

    __slots__ = ()


def find_fault(body: bytes | bytearray | memoryview) -> Fault | None:
    """Return the first thing in a body that JSON has no room for, or None if there is nothing to be found.

    Examples
    --------
    >>> find_fault(b'{"instances": [{"tenure": NaN}]}')
    Fault(field='instances[0].tenure', message='is NaN, which is not JSON')
    >>> find_fault(b'{"instances": [{"a": 1, "a": 2}]}')
    Fault(field='instances[0].a', message='comes twice')
    """
    if len(body) > MAX_BYTES:
        return None
    try:
        text = bytes(body).decode("utf-8", "surrogateescape")
        document = json.loads(text, parse_constant=_Constant, parse_int=_integer, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None
    return _search(document)


def find_twice(body: bytes | bytearray | memoryview) -> str | None:
    """Return the place of a name that comes twice in an object, or None; other faults are not looked at.

    In a body longer than ``MAX_BYTES`` the place is the name alone.

    Examples
    --------
    >>> find_twice(b'{"instances": [{"tenure": NaN, "a": 1, "a": 2}]}')
    'instances[0].a'
    """
    text = bytes(body).decode("utf-8", "surrogateescape")
    try:
        json.loads(text, parse_int=_integer, object_pairs_hook=_once)
    except _TwiceError as error:
        name = str(error)
    except (ValueError, RecursionError):
        return None
    else:
        return None
    if len(body) > MAX_BYTES:
        return name
    fault = _search(json.loads(text, parse_int=_integer, object_pairs_hook=_object), only_twice=True)
    return fault.field if fault is not None else name


def _once(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _value in pairs:
        if name in seen:
            raise _TwiceError(name)
        seen.add(name)


def _object(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) < len(pairs):
        for name, count in Counter(name for name, _value in pairs).items():
            if count > 1:
                return {**found, name: _Twice(name)}
    return found


def _integer(text: str) -> float:
    # Whether it is a number at all is what counts here, and Python refuses to read very long ones.
    return float(text)


def _search(document: Any, *, only_twice: bool = False) -> Fault | None:
    """Walk a document in order, without recursion."""
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        place, value = waiting.pop()
        message = _message(value)
        if message and (message == TWICE or not only_twice):
            return Fault(place or "body", message)
        if isinstance(value, dict):
            for name in value:
                if not only_twice and _is_broken(name):
                    return Fault(place or "body", "has a name that is not UTF-8")
            named = [(f"{place}.{name}" if place else name, inner) for name, inner in value.items()]
            waiting.extend(reversed(named))
        elif isinstance(value, list):
            waiting.extend(reversed([(f"{place}[{index}]", inner) for index, inner in enumerate(value)]))
    return None


def _message(value: Any) -> str:
    if isinstance(value, _Twice):
        return TWICE
    if isinstance(value, _Constant):
        return f"is {value}, which is not JSON"
    if isinstance(value, str) and _is_broken(value):
        return "is not UTF-8"
    if isinstance(value, float) and math.isinf(value):
        return "is a number out of the range of a double"
    return ""


def _is_broken(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
