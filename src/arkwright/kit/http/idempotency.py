"""``Idempotency-Key``: the same POST twice is done once and answered alike.

The key is remembered for 24 hours in the caller's workspace, with a hash of method, path and body. A second request
with the same key gets the first one's answer; with another body 422; while the first is in flight 409 (for at most
ten minutes: then it is taken for dead). Answers of 5xx are not remembered, so that the request can be tried again.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from anyio.to_thread import run_sync
from sqlalchemy.exc import IntegrityError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arkwright.core.context import Context
from arkwright.core.errors import ArkwrightError, Conflict, Invalid
from arkwright.core.problems import CONTENT_TYPE, problem_document
from arkwright.kit.db import Database
from arkwright.kit.http.dependencies import context_of
from arkwright.kit.http.tables import IdempotencyRow

LIFETIME = timedelta(hours=24)
IN_FLIGHT = timedelta(minutes=10)
_MAX_BODY_BYTES = 1_000_000
_MAX_KEY = 200
# A byte stream, addressed by its content: sending it twice costs a second upload id and nothing else.
_STREAMED = ("/v1/uploads",)


class IdempotencyMiddleware:
    """Remember the answers of POST requests that carry a key."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] in _STREAMED:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        key = request.headers.get("idempotency-key", "")
        if not key:
            await self.app(scope, receive, send)
            return
        database: Database = scope["app"].state.database
        try:
            body = await _read_body(request, key)
            context = await run_sync(context_of, request)
            digest = hashlib.sha256(f"POST {scope['path']}\n".encode() + body).hexdigest()
            known = await run_sync(_claim, database, context, key, digest)
        except ArkwrightError as error:
            document = problem_document(error, scope.get("state", {}).get("request_id", ""))
            await JSONResponse(document, error.status, media_type=CONTENT_TYPE)(scope, receive, send)
            return
        if known is not None:
            headers = {"Idempotent-Replayed": "true", **({"Location": known.location} if known.location else {})}
            answer = Response(known.body, known.status_code, headers, media_type=known.content_type)
            await answer(scope, receive, send)
            return
        await self._first(scope, body, send, database, context, key)

    async def _first(
        self, scope: Scope, body: bytes, send: Send, database: Database, context: Context, key: str
    ) -> None:
        answer: dict[str, Any] = {"status": 500, "headers": {}, "body": b""}

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                answer["headers"] = {name.decode().lower(): value.decode() for name, value in message["headers"]}
            elif message["type"] == "http.response.body":
                answer["body"] += message.get("body", b"")
                if not message.get("more_body"):
                    await run_sync(_remember, database, context, key, answer)
            await send(message)

        try:
            await self.app(scope, replay, watch)
        except BaseException:
            await run_sync(_forget, database, context, key)
            raise


async def _read_body(request: Request, key: str) -> bytes:
    if len(key) > _MAX_KEY:
        raise Invalid("The Idempotency-Key is longer than 200 characters.", code="idempotency.key")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise Invalid("A request with an Idempotency-Key may have at most 1 MB.", code="idempotency.body")
    return body


def _claim(database: Database, context: Context, key: str, digest: str) -> IdempotencyRow | None:
    """Return the remembered answer, or None when this request is the first and may go on."""
    try:
        with database.write(context) as unit:
            now = unit.clock.now()
            row = unit.session.get(IdempotencyRow, (context.workspace_id, key))
            if row is not None:
                expired = now - row.created_at > (LIFETIME if row.status_code else IN_FLIGHT)
                if not expired:
                    return _answer(row, digest)
                unit.session.delete(row)
                unit.session.flush()
            unit.session.add(IdempotencyRow(key=key, request_sha256=digest, created_at=now))
    except IntegrityError:
        raise _in_flight(key) from None
    return None


def _answer(row: IdempotencyRow, digest: str) -> IdempotencyRow:
    if row.request_sha256 != digest:
        raise Invalid(
            f"The Idempotency-Key {row.key!r} was used before with another request.",
            code="idempotency.mismatch",
            hint="Use a fresh key for each distinct request.",
        )
    if not row.status_code:
        raise _in_flight(row.key)
    return row


def _in_flight(key: str) -> Conflict:
    return Conflict(
        f"The first request with Idempotency-Key {key!r} is still being worked on.",
        code="idempotency.in_flight",
        hint="Wait a moment and send it again.",
    )


def _remember(database: Database, context: Context, key: str, answer: dict[str, Any]) -> None:
    if answer["status"] >= 500:
        _forget(database, context, key)
        return
    with database.write(context) as unit:
        row = unit.session.get(IdempotencyRow, (context.workspace_id, key))
        if row is not None:
            row.status_code = answer["status"]
            row.location = answer["headers"].get("location", "")
            row.content_type = answer["headers"].get("content-type", "application/json")
            row.body = answer["body"].decode("utf-8", errors="replace")


def _forget(database: Database, context: Context, key: str) -> None:
    with database.write(context) as unit:
        row = unit.session.get(IdempotencyRow, (context.workspace_id, key))
        if row is not None:
            unit.session.delete(row)
