"""The shortest way from a socket to a prediction: no task, no event, one write.

uvicorn's HTTP protocol stays in charge of connections, and of every request but one kind: a small POST to ``:predict``
that arrived whole in one piece and can be answered without waiting. That one is answered from within the parser's
callback. Whatever does not fit (a slow body, an unknown key, a model that must be awaited) takes the ordinary way
through ASGI, as if nothing had been tried, so that both ways lead through the same core and give the same answers.

It also closes what uvicorn leaves open: a connection whose request head takes longer than ``HEAD_SECONDS`` to arrive,
or is larger than ``MAX_HEAD_BYTES``.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from arkwright.serving.app import InferenceApp
from arkwright.serving.core import INLINE_BODY_BYTES

HEAD_SECONDS = 30.0
MAX_HEAD_BYTES = 65_536

_PREFIX = b"/v1/inference/"
_SUFFIX = b":predict"
_HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


def direct_protocol(inference: InferenceApp) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP protocol with the short way to an application, for ``uvicorn.Config(http=...)``."""
    return type("DirectProtocol", (_DirectProtocol,), {"inference": inference})


class _DirectProtocol(HttpToolsProtocol):
    inference: ClassVar[InferenceApp]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The body of a request that may go the short way; None where none is being read.
        self._direct_body: bytes | None = None
        self._in_head = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Take a connection, and do not wait for its first request for ever."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; a request that is not complete by then takes the ordinary way."""
        super().data_received(data)
        if self._direct_body is not None:
            self._take_ordinary_way()
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(_HEAD_TOO_LARGE)
                self.transport.close()
            elif self._head_timer is None:
                self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Choose the way of a request."""
        self._in_head = False
        if self._head_timer is not None:
            self._stop_waiting()
        url = self.url
        if (
            url.startswith(_PREFIX)
            and url.endswith(_SUFFIX)
            and self.parser.get_method() == b"POST"
            and b"%" not in url
            and b"?" not in url
            and (self.cycle is None or self.cycle.response_complete)
            and not self.pipeline
            and not self.flow.write_paused
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and self.parser.get_http_version() == "1.1"
        ):
            self._direct_body = b""
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        if self._direct_body is None:
            super().on_body(body)
            return
        self._direct_body += body
        if len(self._direct_body) > INLINE_BODY_BYTES:
            self._take_ordinary_way()

    def on_message_complete(self) -> None:
        """Answer a request that arrived whole."""
        body = self._direct_body
        if body is None:
            super().on_message_complete()
            return
        scope: Any = self.scope
        scope["method"] = "POST"
        scope["path"] = self.url.decode("ascii")
        scope["query_string"] = b""
        answer = self.inference.answer_at_once(scope, body)
        if answer is None:
            self._take_ordinary_way()
            super().on_message_complete()
            return
        self._direct_body = None
        reply, headers = answer
        parts = [
            _STATUS_LINES[reply.status],
            b"content-type: ",
            reply.content_type,
            b"\r\ncontent-length: %d\r\n" % len(reply.body),
        ]
        for name, value in (*self.server_state.default_headers, *headers, *reply.headers):
            parts += (name, b": ", value, b"\r\n")
        keep_alive = self.parser.should_keep_alive()
        if not keep_alive:
            parts.append(b"connection: close\r\n")
        parts += (b"\r\n", reply.body)
        self.transport.write(b"".join(parts))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _take_ordinary_way(self) -> None:
        """Hand a request to ASGI, with what of its body has arrived."""
        body, self._direct_body = self._direct_body, None
        super().on_headers_complete()
        if body:
            super().on_body(body)

    def _give_up(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
