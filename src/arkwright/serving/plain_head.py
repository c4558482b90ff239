"""The head of an ordinary prediction request, read without a parser.

Programs send the same few header lines with each request, so nearly every line has been read before and costs a
look-up. What is read here is a strict part of HTTP/1.1 (RFC 9112): a POST to a ``:predict`` path of plain characters,
header lines of the form ``name: value`` in visible ASCII, no name twice, a ``Content-Length`` that is exactly the rest
of what arrived, and none of the headers that change how a message is read. Anything else is left to the real parser,
which reads this part the same way (``tests/unit/serving/test_plain_head.py`` compares the two).
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

MAX_HEAD_BYTES = 4_096
_CACHED_LINES = 2_048
_CACHED_TARGETS = 1_024
_CACHED_BYTES = 256

_TARGET = re.compile(rb"POST (/v1/inference/([A-Za-z0-9_\-.~]{1,200}):predict) HTTP/1\.1").fullmatch
_LINE = re.compile(rb"([A-Za-z0-9\-]{1,64}): ?([!-~](?:[ -~]*[!-~])?)").fullmatch
# These say something about the message or the connection that only the parser acts on.
_NOT_PLAIN = frozenset(
    {
        b"connection",
        b"expect",
        b"http2-settings",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_PLAIN_AFTER_ALL = (b"connection", b"keep-alive")
# Lines that are the same from request to request, and nobody's secret.
_REMEMBERED = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"cache-control",
        b"connection",
        b"content-length",
        b"content-type",
        b"host",
        b"user-agent",
    }
)


class PlainHead(msgspec.Struct, frozen=True, gc=False):
    """A request: its path, the deployment in it, its headers by lower-case name, and its body."""

    path: str
    named: str
    headers: dict[bytes, bytes]
    body: bytes


def read_plain_head(data: bytes, max_body_bytes: int) -> PlainHead | None:
    r"""Read one whole request; None if the parser must.

    Examples
    --------
    >>> data = b"POST /v1/inference/churn:predict HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    >>> read_plain_head(data, 100)
    PlainHead(path='/v1/inference/churn:predict', named='churn', headers={b'content-length': b'2'}, body=b'{}')
    >>> read_plain_head(data + b"POST", 100) is None
    True
    """
    end = data.find(b"\r\n\r\n")
    if end < 0 or end > MAX_HEAD_BYTES:
        return None
    lines = data[:end].split(b"\r\n")
    target = _read_target(lines[0]) if len(lines[0]) <= _CACHED_BYTES else None
    if target is None:
        return None
    headers: dict[bytes, bytes] = {}
    for line in lines[1:]:
        field = _known.get(line)
        if field is None:
            field = _read_line(line)
            if field is None:
                return None
        headers[field[0]] = field[1]
    body = data[end + 4 :]
    announced = headers.get(b"content-length")
    if (
        announced is None
        or len(headers) != len(lines) - 1
        or len(body) > max_body_bytes
        or announced != b"%d" % len(body)
    ):
        return None
    return PlainHead(target[0], target[1], headers, body)


@lru_cache(_CACHED_TARGETS)
def _read_target(line: bytes) -> tuple[str, str] | None:
    found = _TARGET(line)
    return None if found is None else (found[1].decode("ascii"), found[2].decode("ascii"))


def _read_line(line: bytes) -> tuple[bytes, bytes] | None:
    found = _LINE(line)
    if found is None:
        return None
    field = found[1].lower(), found[2]
    if field[0] in _NOT_PLAIN and (field[0], field[1].lower()) != _PLAIN_AFTER_ALL:
        return None
    if field[0] in _REMEMBERED and len(line) <= _CACHED_BYTES:
        if len(_known) >= _CACHED_LINES:
            _known.clear()
        _known[line] = field
    return field


_known: dict[bytes, tuple[bytes, bytes]] = {}
