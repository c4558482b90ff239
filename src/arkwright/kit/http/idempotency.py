"""``Idempotency-Key``: the same POST twice is done once and answered alike.

The key is remembered for 24 hours for the caller who sent it, with a hash of method, path, query and body. A second
request with the same key gets the first one's answer, a refusal (4xx) included; with another body 422; while the first
is in flight 409 (for at most ten minutes: then it is taken for dead; sooner where a control plane that has its database
for itself was restarted). Answers of 5xx are not remembered, so that the request can be tried again. An answer that
holds a secret (``Cache-Control: no-store``) is not kept: the second request is told that the first was done.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

from anyio.to_thread import run_sync
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arkwright.core.context import Context, system_context
from arkwright.core.errors import ArkwrightError, Conflict, Invalid, PayloadTooLarge
from arkwright.core.problems import CONTENT_TYPE, problem_document
from arkwright.kit.db import Database
from arkwright.kit.http.dependencies import context_of
from arkwright.kit.http.responses import ProblemResponse
from arkwright.kit.http.tables import IdempotencyRow
from arkwright.kit.logging import get_logger

LIFETIME = timedelta(hours=24)
IN_FLIGHT = timedelta(minutes=10)
_MAX_BODY_BYTES = 1_000_000
_MAX_KEY = 200
# A byte stream, addressed by its content: sending it twice costs a second upload id and nothing else.
_STREAMED = ("/v1/uploads",)
_log = get_logger(__name__)


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
        offered = request.headers.get("idempotency-key", "")
        if not offered:
            await self.app(scope, receive, send)
            return
        database: Database = scope["app"].state.database
        try:
            body = await _read_body(request, offered)
            context = await run_sync(context_of, request)
            key = _key_of(context, offered)
            known = await run_sync(_claim, database, context, key, _digest(scope, body))
        except ArkwrightError as error:
            await ProblemResponse(error, scope.get("state", {}).get("request_id", ""))(scope, receive, send)
            return
        if known is not None:
            headers = {"Idempotent-Replayed": "true", **({"Location": known.location} if known.location else {})}
            answer = Response(known.body, known.status_code, headers, media_type=known.content_type)
            await answer(scope, receive, send)
            return
        scope.setdefault("state", {})["idempotency_key"] = key
        await self._first(scope, receive, send, body, _Memory(database, context, key))

    async def _first(self, scope: Scope, receive: Receive, send: Send, body: bytes, memory: _Memory) -> None:
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        answer: dict[str, Any] = {"status": 0, "headers": {}, "body": b""}

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                answer["headers"] = {
                    name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message["headers"]
                }
            elif message["type"] == "http.response.body":
                answer["body"] += message.get("body", b"")
                if not message.get("more_body"):
                    await run_sync(memory.keep, answer)
            await send(message)

        try:
            await self.app(scope, replay, watch)
        except Exception:
            # Nothing was answered, so nothing was committed. A cancelled request is another thing: it may go on in
            # its thread and commit, so its key stays taken until it counts as dead.
            if not answer["status"]:
                await run_sync(memory.forget)
            raise


class _Memory:
    """Where the answer of one request goes."""

    def __init__(self, database: Database, context: Context, key: str) -> None:
        self._database = database
        self._context = context
        self._key = key

    def keep(self, answer: dict[str, Any]) -> None:
        """Remember an answer; the caller gets it even where that fails, because it is true."""
        try:
            if answer["status"] >= 500:
                self.forget()
            else:
                self._write(answer)
        except ArkwrightError as error:
            _log.warning("the answer to an Idempotency-Key could not be kept", error=error.detail)

    def forget(self) -> None:
        """Free the key, so that the request can be tried again."""
        with self._database.write(self._context) as unit:
            row = unit.session.get(IdempotencyRow, (self._context.workspace_id, self._key))
            if row is not None:
                unit.session.delete(row)

    def _write(self, answer: dict[str, Any]) -> None:
        headers = answer["headers"]
        status, content_type, body = answer["status"], headers.get("content-type", "application/json"), answer["body"]
        if "no-store" in headers.get("cache-control", ""):
            told = _told_once()
            status, content_type, body = told.status, CONTENT_TYPE, json.dumps(problem_document(told)).encode()
        with self._database.write(self._context) as unit:
            row = unit.session.get(IdempotencyRow, (self._context.workspace_id, self._key))
            if row is not None:
                row.status_code = status
                row.location = headers.get("location", "")
                row.content_type = content_type
                row.body = body.decode("utf-8", errors="replace")


def forget_in_flight(database: Database, workspace_id: str) -> int:
    """Take back the claims of requests that died with their process before they committed; return how many.

    Only for a control plane that has its database for itself, before it takes requests.
    """
    with database.write(system_context(workspace_id)) as unit:
        dead = unit.session.scalars(select(IdempotencyRow).where(IdempotencyRow.status_code == 0)).all()
        for row in dead:
            unit.session.delete(row)
        return len(dead)


async def _read_body(request: Request, key: str) -> bytes:
    if len(key) > _MAX_KEY:
        raise Invalid(
            "The Idempotency-Key is longer than 200 characters.",
            code="idempotency.key",
            hint="Use a fresh UUID for each distinct request.",
        )
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise PayloadTooLarge(
                "A request with an Idempotency-Key may have at most 1 MB.",
                code="idempotency.body",
                hint="Send it without the key.",
            )
    return body


def _key_of(context: Context, offered: str) -> str:
    """Return the key under which a caller's key is kept: two callers may use the same one and share no answer."""
    return hashlib.sha256(f"{context.actor.id}\n{offered}".encode()).hexdigest()


def _digest(scope: Scope, body: bytes) -> str:
    target = f"POST {scope['path']}?".encode() + scope.get("query_string", b"")
    return hashlib.sha256(target + b"\n" + body).hexdigest()


def _claim(database: Database, context: Context, key: str, digest: str) -> IdempotencyRow | None:
    """Return the remembered answer, or None when this request is the first and may go on."""
    try:
        with database.write(context) as unit:
            now = unit.clock.now()
            unit.session.execute(
                delete(IdempotencyRow)
                .where(IdempotencyRow.created_at < now - LIFETIME)
                .execution_options(synchronize_session=False)
            )
            row = unit.session.get(IdempotencyRow, (context.workspace_id, key))
            if row is not None:
                if row.status_code or now - row.created_at <= IN_FLIGHT:
                    return _answer(row, digest)
                unit.session.delete(row)
                unit.session.flush()
            unit.session.add(IdempotencyRow(key=key, request_sha256=digest, created_at=now))
    except IntegrityError:
        raise _in_flight() from None
    return None


def _answer(row: IdempotencyRow, digest: str) -> IdempotencyRow:
    if row.request_sha256 != digest:
        raise Invalid(
            "This Idempotency-Key was used before with another request.",
            code="idempotency.mismatch",
            hint="Use a fresh key for each distinct request.",
        )
    if not row.status_code:
        raise _in_flight()
    return row


def _in_flight() -> Conflict:
    return Conflict(
        "The first request with this Idempotency-Key is still being worked on.",
        code="idempotency.in_flight",
        hint="Wait a moment and send it again.",
    )


def _told_once() -> Conflict:
    return Conflict(
        "The first request with this Idempotency-Key was done, and its answer held a secret that is shown only once.",
        code="idempotency.told_once",
        hint="If that answer was lost, revoke what it made and send the request again with a fresh key.",
    )
