"""The body of a prediction request: ``{"instances": [{...}, ...]}``, strictly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from arkwright.core.errors import Invalid, PayloadTooLarge
from arkwright.serving.json_faults import TWICE, find_fault, find_twice

_HINT = 'Send {"instances": [{"column": value, ...}, ...]}, with content type application/json.'
_AT = re.compile(r" - at `\$\.?(.*)`$")
_FIELD = re.compile(r"^instances\[(\d+)\]")
_BLANKS = b" \t\r\n"

T = TypeVar("T")


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    instances: list[dict[str, Any]]


class _Parts(msgspec.Struct, forbid_unknown_fields=True):
    instances: list[msgspec.Raw]


_whole = msgspec.json.Decoder(_Request)
_parts = msgspec.json.Decoder(_Parts)
_one = msgspec.json.Decoder(dict[str, Any])


def decode_instances(body: bytes, max_rows: int) -> list[dict[str, Any]]:
    """Return the rows of a small body.

    NaN, infinities and numbers too large for a double are no JSON and are refused, and so is an object in which a name
    comes twice: which of its values was meant is anybody's guess.

    Raises
    ------
    Invalid
        If it is not JSON, not of that shape, or has no rows.
    PayloadTooLarge
        If it has more than ``max_rows`` rows.

    Examples
    --------
    >>> decode_instances(b'{"instances": [{"tenure": 1}]}', 10)
    [{'tenure': 1}]
    """
    try:
        rows = _whole.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error, body=body) from error
    instances = rows.instances
    check_count(len(instances), max_rows)
    n_names = 1 + (len(instances[0]) if len(instances) == 1 else sum(map(len, instances)))
    check_unique(body, n_names)
    return instances


def decode_slices(body: bytes, max_rows: int, slice_rows: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a large body, some at a time.

    Finding where rows begin and end is seven times quicker than building them, and building them in slices lets other
    threads run in between.
    """
    try:
        parts = _parts.decode(body).instances
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error, body=body) from error
    check_count(len(parts), max_rows)
    # Of a list that comes twice only the last one is in the parts: beside them the body has the marks of one name.
    if body.count(b'"') != 2 + b"".join(parts).count(b'"'):
        raise _twice("instances")
    for first in range(0, len(parts), slice_rows):
        rows = []
        for index, part in enumerate(parts[first : first + slice_rows], first):
            try:
                row = _one.decode(part)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise _malformed(error, f"instances[{index}]", memoryview(part)) from error
            check_unique(bytes(part), len(row), f"instances[{index}]")
            rows.append(row)
        yield rows


def decode_shape(decoder: msgspec.json.Decoder[T], body: bytes, hint: str) -> T:
    """Decode a body by a protocol's shape.

    Raises
    ------
    Invalid
        If it is not JSON or has another shape, naming the field; ``hint`` says which shape was meant.
    """
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        refusal = _malformed(error, body=body)
        refusal.hint = hint
        raise refusal from error


def check_unique(body: bytes, n_names: int, within: str = "") -> None:
    """Refuse a body in which an object has a name twice.

    Every name is followed by ``":`` once blanks are gone, and within a text a quotation mark is escaped, so there are
    never fewer of these than names. As many as were decoded means that none came twice; more may also be texts that
    look like it, and are worth the slow look.

    Parameters
    ----------
    n_names
        How many names were decoded; fewer than there are only cost time.
    within
        Where the body stands, if it is part of another.

    Raises
    ------
    Invalid
        Naming the field.
    """
    if body.translate(None, _BLANKS).count(b'":') <= n_names:
        return
    found = find_twice(body)
    if found is not None:
        raise _twice(".".join(part for part in (within, found) if part))


def renumbered(error: Invalid, first: int) -> Invalid:
    """Return a slice's error with the row numbers of the whole request."""

    def shift(text: str) -> str:
        return _FIELD.sub(lambda found: f"instances[{int(found[1]) + first}]", text)

    error.detail = shift(error.detail)
    error.errors = [{**item, "field": shift(str(item["field"]))} if "field" in item else item for item in error.errors]
    return error


def check_count(n_rows: int, max_rows: int) -> None:
    """Refuse a request without rows, or with too many.

    Raises
    ------
    Invalid
        If there are none.
    PayloadTooLarge
        If there are more than ``max_rows``.
    """
    if n_rows == 0:
        raise Invalid("The list 'instances' is empty.", code="prediction.empty", hint=_HINT)
    if n_rows > max_rows:
        raise PayloadTooLarge(
            f"The request has {n_rows} rows; at most {max_rows} are scored in one request.",
            code="prediction.too_many_rows",
            hint="Split it, or score a file with a batch job (POST /v1/batches).",
        )


def _twice(place: str) -> Invalid:
    return Invalid(
        f"{place} {TWICE}: it must be said which value counts.",
        code="json.duplicate_name",
        hint="Send each name once in an object.",
        errors=[{"field": place, "message": TWICE}],
    )


def _malformed(error: Exception, within: str = "", body: bytes | memoryview = b"") -> Invalid:
    if isinstance(error, RecursionError):
        return Invalid("The body is nested too deeply.", code="json.malformed", hint=_HINT)
    fault = find_fault(body)
    errors = []
    at = ""
    if fault is not None:
        place = fault.field if not within else f"{within}.{fault.field}" if fault.field != "body" else within
        errors = [{"field": place, "message": fault.message}]
        at = f" at {place}"
    if isinstance(error, UnicodeDecodeError):
        return Invalid(f"The body is not UTF-8{at}.", code="json.malformed", hint=_HINT, errors=errors)
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return Invalid(f"The body is not JSON: {text}{at}.", code="json.malformed", hint=_HINT, errors=errors)
    found = _AT.search(text)
    where = errors[0]["field"] if errors else ".".join(part for part in (within, found[1] if found else "") if part)
    message = _AT.sub("", text).replace("`", "'")
    return Invalid(
        f"The body does not have the shape of a prediction request: {message}{f' at {where}' if where else ''}.",
        code="prediction.malformed",
        hint=_HINT,
        errors=errors or [{"field": where or "body", "message": message}],
    )
