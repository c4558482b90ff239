"""What a request must be before any route sees it: of bounded length, and JSON where it says so.

Python's own JSON reader takes more than JSON: NaN, infinities, numbers too large for a double, halves of surrogate
pairs. Each would be stored and fail later, in another place. A NUL character is JSON, but no database keeps it.
"""

from __future__ import annotations

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arkwright.core.errors import ArkwrightError, Invalid, PayloadTooLarge
from arkwright.core.units import format_bytes
from arkwright.kit.http import ProblemResponse

MAX_BODY_BYTES = 4_000_000
MAX_PATH_BYTES = 2_000
MAX_QUERY_BYTES = 8_000

# A file of any size, which its route streams to the store.
_STREAMED = ("/v1/uploads",)
_NUL_HINT = "Leave the NUL character (\\u0000) out: no text column can hold it."


class PathTooLong(Invalid):
    """The address exceeds a stated limit."""

    code = "http.address_too_long"
    title = "The address is too long"
    status = 414


class RequestGuard:
    """Refuse addresses and bodies that no route could make sense of."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            _check_address(scope)
            if scope["method"] not in ("POST", "PUT", "PATCH", "DELETE") or scope["path"] in _STREAMED:
                await self.app(scope, receive, send)
                return
            messages = [await _read(scope, receive)]
        except ArkwrightError as error:
            request_id = scope.get("state", {}).get("request_id", "")
            await ProblemResponse(error, request_id)(scope, receive, send)
            return

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        await self.app(scope, replay, send)


def _check_address(scope: Scope) -> None:
    query: bytes = scope["query_string"]
    if len(scope["path"]) > MAX_PATH_BYTES or len(query) > MAX_QUERY_BYTES:
        raise PathTooLong(
            f"The address is longer than {MAX_PATH_BYTES:,} characters, or its query than {MAX_QUERY_BYTES:,}.",
            hint="Names and ids have 200 characters at the most; send what is longer in the body.",
        )
    if "\x00" in scope["path"] or b"%00" in query or b"\x00" in query:
        raise Invalid("The address holds a NUL character.", code="http.address_nul", hint=_NUL_HINT)


async def _read(scope: Scope, receive: Receive) -> Message:
    """Return the whole body as one message."""
    headers = dict(scope["headers"])
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced[:20]) > MAX_BODY_BYTES:
        raise _too_large()
    chunks: list[bytes] = []
    size_bytes = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        chunk = message.get("body", b"")
        size_bytes += len(chunk)
        if size_bytes > MAX_BODY_BYTES:
            raise _too_large()
        chunks.append(chunk)
        if not message.get("more_body"):
            break
    body = b"".join(chunks)
    media_type = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    if body and (media_type == b"application/json" or media_type.endswith(b"+json")):
        check_json(body)
    return {"type": "http.request", "body": body, "more_body": False}


def check_json(body: bytes) -> None:
    r"""Refuse what is no JSON, and NUL characters in texts.

    Raises
    ------
    Invalid
        Naming what is wrong and, where it is known, at which byte.

    Examples
    --------
    >>> check_json(b'{"budget_seconds": NaN}')
    Traceback (most recent call last):
    arkwright.core.errors.Invalid: The body is not JSON: JSON is malformed: invalid character (byte 19).
    """
    hint = "Check quotes, commas and brackets; JSON has no NaN and no Infinity, and its numbers fit a double."
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        raise Invalid("The body is nested too deeply.", code="json.malformed", hint=hint) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"The body is not JSON: {error}.", code="json.malformed", hint=hint) from None
    if b"\\u0000" in body and (place := _nul_in(value, "")) is not None:
        raise Invalid(
            f"{place or 'The body'} holds a NUL character.",
            code="request.nul",
            hint=_NUL_HINT,
            errors=[{"field": place or "body", "message": "holds a NUL character"}],
        )


def _nul_in(value: object, place: str) -> str | None:
    """Return where the first text with a NUL is; None if there is none."""
    if isinstance(value, str):
        return place if "\x00" in value else None
    if isinstance(value, dict):
        if any("\x00" in name for name in value):
            return place
        members = [(f"{place}.{name}" if place else name, member) for name, member in value.items()]
    elif isinstance(value, list):
        members = [(f"{place}[{index}]", member) for index, member in enumerate(value)]
    else:
        return None
    return next((found for name, member in members if (found := _nul_in(member, name)) is not None), None)


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The body is larger than the {format_bytes(MAX_BODY_BYTES)} allowed here.",
        hint="Send tables as files: POST /v1/uploads.",
    )
