"""The few ASGI shapes the data planes need, without a framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec

from arkwright.core.errors import ArkwrightError, Invalid, PayloadTooLarge
from arkwright.core.problems import CONTENT_TYPE, problem_document
from arkwright.core.units import format_bytes
from arkwright.serving.request_ids import name_request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_JSON = b"application/json"
_encode = msgspec.json.Encoder().encode


class ClientGone(Exception):
    """The client closed the connection before its request was complete; nobody waits for an answer."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header of that lower-case name."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


def request_id_of(scope: Scope) -> str:
    """Return the caller's ``X-Request-Id`` if it is 1-128 plain characters, else a fresh id."""
    return name_request(header(scope, b"x-request-id"))


async def read_body(scope: Scope, receive: Receive, limit_bytes: int) -> bytes:
    """Read a whole request body.

    Raises
    ------
    PayloadTooLarge
        If it is, or announces to be, larger than the limit; at most the limit is read.
    ClientGone
        If the client left half-way.
    """
    check_announced(header(scope, b"content-length"), limit_bytes)
    return await read_on(await receive(), receive, limit_bytes)


def check_announced(announced: bytes | None, limit_bytes: int) -> None:
    """Refuse a body by its Content-Length.

    Raises
    ------
    PayloadTooLarge
        If it announces to be larger than the limit.
    Invalid
        If it is no number.
    """
    if announced is not None:
        try:
            size_bytes = int(announced)
        except ValueError:
            raise Invalid(
                "The Content-Length header is not a number.",
                code="http.content_length",
                hint="Leave it to the HTTP client.",
            ) from None
        if size_bytes > limit_bytes:
            raise too_large(limit_bytes)


async def read_on(message: Message, receive: Receive, limit_bytes: int) -> bytes:
    """Read a body of which one message has arrived; raises as :func:`read_body` does."""
    chunks: list[bytes] = []
    size_bytes = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size_bytes += len(chunk)
        if size_bytes > limit_bytes:
            raise too_large(limit_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)
        message = await receive()


async def respond(
    send: Send,
    status: int,
    body: bytes,
    content_type: bytes = _JSON,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Send a whole response."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", str(len(body)).encode("ascii")),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def respond_json(send: Send, status: int, document: object, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Send a JSON response."""
    await respond(send, status, _encode(document), _JSON, headers)


async def respond_problem(send: Send, error: ArkwrightError, request_id: str) -> None:
    """Send an error as ``application/problem+json``."""
    document = problem_document(error, request_id)
    headers = [(b"x-request-id", request_id.encode("ascii")), (b"cache-control", b"no-store")]
    if "retry_after_seconds" in document:
        headers.append((b"retry-after", str(document["retry_after_seconds"]).encode("ascii")))
    if error.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="arkwright"'))
    # Never "Connection: close", also for a body that was not read: the server discards the rest of it, whereas closing
    # would reset the connection under a client that still sends, and it would never see the answer.
    await respond(send, error.status, _encode(document), CONTENT_TYPE.encode("ascii"), headers)


def too_large(limit_bytes: int) -> PayloadTooLarge:
    """Return the refusal of a body over the limit."""
    return PayloadTooLarge(
        f"The request body is larger than the {format_bytes(limit_bytes)} allowed here.",
        hint="Send fewer rows in each request, or score a file with a batch job (POST /v1/batches).",
    )
