"""Bodies of requests: read within a time and a size, and unpacked within a size."""

from __future__ import annotations

import asyncio
import time
import zlib

from arkwright.core.errors import Invalid
from arkwright.serving.asgi import Receive, check_announced, read_on, too_large
from arkwright.serving.errors import RequestTimeout, UnsupportedMediaType
from arkwright.serving.exchange import Request

BODY_TIMEOUT_SECONDS = 30.0
# Decompressing up to this much on the event loop is quicker than handing it to a thread.
INLINE_BYTES = 65_536
_LOOK_SECONDS = 1.0
_WINDOW_BITS = {b"gzip": 16 + zlib.MAX_WBITS, b"x-gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}


class BodyReader:
    """Reads bodies; one look a second ends those that take too long.

    A timer for each request would cost more than reading a small body does.

    Parameters
    ----------
    limit_bytes
        Of one body, as sent and as unpacked.
    timeout_seconds
        From the request's first byte.
    """

    def __init__(self, limit_bytes: int, timeout_seconds: float = BODY_TIMEOUT_SECONDS) -> None:
        self.limit_bytes = limit_bytes
        self._timeout_seconds = timeout_seconds
        self._waiting: dict[Request, asyncio.Task[object]] = {}
        self._late: set[Request] = set()
        self._look: asyncio.TimerHandle | None = None

    async def read(self, request: Request, receive: Receive) -> bytes:
        """Return the body as it was sent.

        Raises
        ------
        RequestTimeout
            If it did not arrive in time (408).
        PayloadTooLarge
            If it is too large (413); at most the limit is read.
        ClientGone
            If the client left half-way.
        """
        task = asyncio.current_task()
        if task is not None:
            self._waiting[request] = task
            if self._look is None:
                self._look = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._end_the_late)
        limit, announced = self.limit_bytes, request.headers.get(b"content-length")
        try:
            check_announced(announced, limit)
            # Nearly always the whole body came with the headers.
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                whole: bytes = message.get("body", b"")
                if len(whole) > limit:
                    raise too_large(limit)
                return whole
            return await read_on(message, receive, limit)
        except asyncio.CancelledError:
            if request not in self._late:
                raise
            self._late.discard(request)
            if task is not None:
                task.uncancel()
            raise RequestTimeout(
                f"The body did not arrive within {self._timeout_seconds:g} seconds.",
                hint="Send smaller requests over a slow line.",
            ) from None
        finally:
            self._waiting.pop(request, None)

    def close(self) -> None:
        """Stop looking."""
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _end_the_late(self) -> None:
        loop = asyncio.get_running_loop()
        overdue = time.perf_counter() - self._timeout_seconds
        for request, task in list(self._waiting.items()):
            if request.started <= overdue:
                self._late.add(request)
                task.cancel()
        self._look = loop.call_later(_LOOK_SECONDS, self._end_the_late) if self._waiting else None


def unpack(body: bytes, encoding: bytes, limit_bytes: int) -> bytes | None:
    """Return what a compressed body holds, or None if it is longer than the limit.

    Raises
    ------
    UnsupportedMediaType
        If it is packed in a way that is not known here.
    Invalid
        If it is not packed as it says.

    Examples
    --------
    >>> import gzip
    >>> unpack(gzip.compress(b"abc"), b"gzip", 10)
    b'abc'
    >>> unpack(gzip.compress(bytes(1_000_000)), b"gzip", 10) is None
    True
    """
    name = encoding.strip().lower()
    if name == b"identity":
        return body
    window_bits = _WINDOW_BITS.get(name)
    if window_bits is None:
        raise UnsupportedMediaType(
            f"The content encoding {encoding.decode('latin-1')!r} is not known here.",
            code="http.content_encoding",
            hint="Send the body as it is, or with Content-Encoding gzip or deflate.",
        )
    try:
        return _inflate(body, window_bits, limit_bytes)
    except zlib.error:
        if name != b"deflate":
            raise _not_packed(name) from None
    # Some clients mean a bare stream by "deflate", without zlib's header (RFC 9110, section 8.4.1.2).
    try:
        return _inflate(body, -zlib.MAX_WBITS, limit_bytes)
    except zlib.error:
        raise _not_packed(name) from None


def _inflate(body: bytes, window_bits: int, limit_bytes: int) -> bytes | None:
    stream = zlib.decompressobj(window_bits)
    content = stream.decompress(body, limit_bytes + 1)
    if len(content) > limit_bytes:
        return None
    if not stream.eof:
        raise zlib.error("cut short")
    return content


def check_unpacked(content: bytes | None, limit_bytes: int) -> bytes:
    """Return a body that was unpacked within the limit.

    Raises
    ------
    PayloadTooLarge
        If it was not.
    """
    if content is None:
        raise too_large(limit_bytes)
    return content


def _not_packed(name: bytes) -> Invalid:
    return Invalid(
        f"The body is not {name.decode('ascii')}, which its Content-Encoding says it is.",
        code="http.content_encoding",
        hint="Send it as it is, without the header, or compress it.",
        errors=[{"field": "body", "message": f"is not {name.decode('ascii')}"}],
    )
