"""The body of a prediction request: ``{"instances": [{...}, ...]}``, strictly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from arkwright.core.errors import Invalid, PayloadTooLarge

_HINT = 'Send {"instances": [{"column": value, ...}, ...]}, with content type application/json.'
_AT = re.compile(r" - at `\$\.?(.*)`$")


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    instances: list[dict[str, Any]]


class _Parts(msgspec.Struct, forbid_unknown_fields=True):
    instances: list[msgspec.Raw]


_whole = msgspec.json.Decoder(_Request)
_parts = msgspec.json.Decoder(_Parts)
_one = msgspec.json.Decoder(dict[str, Any])


def decode_instances(body: bytes, max_rows: int) -> list[dict[str, Any]]:
    """Return the rows of a small body.

    NaN, infinities and numbers too large for a double are no JSON and are refused.

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
        raise _malformed(error) from error
    _check_count(len(rows.instances), max_rows)
    return rows.instances


def decode_slices(body: bytes, max_rows: int, slice_rows: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of a large body, some at a time.

    Finding where rows begin and end is seven times quicker than building them, and building them in slices lets other
    threads run in between.
    """
    try:
        parts = _parts.decode(body).instances
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error) from error
    _check_count(len(parts), max_rows)
    for first in range(0, len(parts), slice_rows):
        rows = []
        for index, part in enumerate(parts[first : first + slice_rows], first):
            try:
                rows.append(_one.decode(part))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise _malformed(error, f"instances[{index}]") from error
        yield rows


def _check_count(n_rows: int, max_rows: int) -> None:
    if n_rows == 0:
        raise Invalid("The list 'instances' is empty.", code="prediction.empty", hint=_HINT)
    if n_rows > max_rows:
        raise PayloadTooLarge(
            f"The request has {n_rows} rows; at most {max_rows} are scored in one request.",
            code="prediction.too_many_rows",
            hint="Split it, or score a file with a batch job (POST /v1/batches).",
        )


def _malformed(error: Exception, within: str = "") -> Invalid:
    if isinstance(error, RecursionError):
        return Invalid("The body is nested too deeply.", code="json.malformed", hint=_HINT)
    if isinstance(error, UnicodeDecodeError):
        return Invalid("The body is not UTF-8.", code="json.malformed", hint=_HINT)
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        return Invalid(f"The body is not JSON: {text}.", code="json.malformed", hint=_HINT)
    found = _AT.search(text)
    where = ".".join(part for part in (within, found[1] if found else "") if part)
    message = _AT.sub("", text).replace("`", "'")
    return Invalid(
        f"The body does not have the shape of a prediction request: {message}{f' at {where}' if where else ''}.",
        code="prediction.malformed",
        hint=_HINT,
        errors=[{"field": where or "body", "message": message}],
    )
