"""A streaming reverse proxy to a child on a unix socket.

Bodies pass through in both directions in pieces; nothing is held in memory. A client that leaves ends its request to
the child. Names and contents are passed on as they came, except for hop-by-hop headers (RFC 9110, section 7.6.1).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import httpx

from arkwright.core.errors import PayloadTooLarge, Unavailable
from arkwright.core.units import format_bytes
from arkwright.serving import ClientGone, Receive, Scope, Send, header, unix_transport

Headers = list[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# The edge adds its own.
_NOT_PASSED_BACK = _HOP_BY_HOP | {b"date", b"server"}

_CONNECT_SECONDS = 2.0
_POOL_SECONDS = 5.0
# Below the five seconds after which a child closes an idle connection, so that none is closed under a request.
_KEEP_ALIVE_SECONDS = 2.0
_MAX_CONNECTIONS = 256
_RETRY_AFTER_SECONDS = 2

_ANYWHERE = httpx.URL("http://localhost/")


class UnixProxy:
    """Passes requests on to one child.

    Parameters
    ----------
    socket
        Where the child listens.
    name
        What to call the child when it is away.
    """

    def __init__(self, socket: Path, name: str) -> None:
        self._name = name
        self._transport = unix_transport(
            socket,
            httpx.Limits(
                max_connections=_MAX_CONNECTIONS,
                max_keepalive_connections=32,
                keepalive_expiry=_KEEP_ALIVE_SECONDS,
            ),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def forward(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        target: bytes,
        headers: Headers,
        max_body_bytes: int | None = None,
        rewrite: Callable[[Headers], Headers] = list,
    ) -> None:
        """Pass a request on and its answer back.

        Parameters
        ----------
        target
            Path and query for the child, as they go on the wire.
        headers
            What the child is told, hop-by-hop headers already left out (see ``passed_on``).
        max_body_bytes
            Largest request body; None for no limit.
        rewrite
            Changes the answer's headers.

        Raises
        ------
        Unavailable
            If the child is away, or goes away before it answers.
        PayloadTooLarge
            If the body is larger than allowed.
        ClientGone
            If the client left; nothing can be answered.
        """
        _check_announced_size(scope, max_body_bytes)
        body = _RequestBody(scope, receive, max_body_bytes)
        relay = asyncio.create_task(self._relay(scope, send, target, headers, body, rewrite))
        watch = asyncio.create_task(body.until_client_leaves())
        try:
            await asyncio.wait({relay, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not relay.done():
                raise ClientGone
            relay.result()
        finally:
            relay.cancel()
            watch.cancel()
            await asyncio.gather(relay, watch, return_exceptions=True)

    async def fetch(
        self,
        path: str,
        timeout_seconds: float,
        headers: Iterable[tuple[bytes, bytes]] = (),
        *,
        missing: bytes | None = None,
    ) -> bytes | None:
        """Return what the child answers to a GET, ``missing`` for a 404, or None if it does not answer 200 in time."""
        request = httpx.Request("GET", _ANYWHERE.join(path), headers=[(b"host", b"localhost"), *headers])
        try:
            async with asyncio.timeout(timeout_seconds):
                response = await self._transport.handle_async_request(request)
                try:
                    content = await response.aread()
                finally:
                    await response.aclose()
        except (httpx.TransportError, TimeoutError):
            return None
        if response.status_code == httpx.codes.NOT_FOUND:
            return missing
        return content if response.status_code == httpx.codes.OK else None

    async def _relay(
        self,
        scope: Scope,
        send: Send,
        target: bytes,
        headers: Headers,
        body: _RequestBody,
        rewrite: Callable[[Headers], Headers],
    ) -> None:
        if body.expected and header(scope, b"content-length") is None:
            headers = [*headers, (b"transfer-encoding", b"chunked")]
        request = httpx.Request(
            scope["method"],
            _ANYWHERE,
            headers=headers,
            stream=body,
            extensions={
                # The target goes out byte for byte: a URL object would tidy it up after it was checked.
                "target": target,
                "timeout": {"connect": _CONNECT_SECONDS, "pool": _POOL_SECONDS, "read": None, "write": None},
            },
        )
        try:
            response = await self._transport.handle_async_request(request)
        except httpx.TransportError as error:
            raise self._away() from error
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - what an asynchronous transport returns
        try:
            answer = [(key.lower(), value) for key, value in response.headers.raw]
            kept = _without(answer, _NOT_PASSED_BACK)
            await send({"type": "http.response.start", "status": response.status_code, "headers": rewrite(kept)})
            async for chunk in response.stream:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except httpx.TransportError:
            # The answer has begun and cannot be taken back. Ending without its last part makes the server close the
            # connection, so that the client sees a broken answer and not a short one.
            return
        finally:
            await response.stream.aclose()

    def _away(self) -> Unavailable:
        return Unavailable(
            f"The {self._name} is not answering; it is starting or being restarted.",
            code=f"{self._name.replace(' ', '_')}.away",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
            hint="Try again in a few seconds; GET /health/ready shows the state of each process.",
        )


class _RequestBody(httpx.AsyncByteStream):
    """The client's body, piece by piece, and the moment it leaves."""

    def __init__(self, scope: Scope, receive: Receive, max_body_bytes: int | None) -> None:
        self._receive = receive
        self._max_body_bytes = max_body_bytes
        length = header(scope, b"content-length")
        chunked = header(scope, b"transfer-encoding") is not None
        self.expected = chunked or (length is not None and length != b"0")
        self._complete = asyncio.Event()
        if not self.expected:
            self._complete.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size_bytes = 0
        while self.expected and not self._complete.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunk: bytes = message.get("body", b"")
            size_bytes += len(chunk)
            if self._max_body_bytes is not None and size_bytes > self._max_body_bytes:
                raise _too_large(self._max_body_bytes)
            if not message.get("more_body", False):
                self._complete.set()
            if chunk:
                yield chunk

    async def until_client_leaves(self) -> None:
        """Return when the client has gone; while its body is still being read, the reader notices."""
        await self._complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


def passed_on(scope: Scope, dropped: Iterable[bytes] = ()) -> Headers:
    """Return a request's headers without hop-by-hop headers and those named."""
    return _without([(bytes(key), bytes(value)) for key, value in scope["headers"]], _HOP_BY_HOP | set(dropped))


def _without(headers: Headers, dropped: frozenset[bytes] | set[bytes]) -> Headers:
    """Leave headers out, and those that ``Connection`` names."""
    named = {token.strip().lower() for key, value in headers if key == b"connection" for token in value.split(b",")}
    return [(key, value) for key, value in headers if key not in dropped and key not in named]


def _check_announced_size(scope: Scope, max_body_bytes: int | None) -> None:
    length = header(scope, b"content-length")
    if max_body_bytes is not None and length is not None and length.isdigit() and int(length) > max_body_bytes:
        raise _too_large(max_body_bytes)


def _too_large(max_body_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The request body is larger than the {format_bytes(max_body_bytes)} allowed here.",
        hint="Send it in smaller parts; only artifacts may be large.",
    )
