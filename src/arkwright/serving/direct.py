"""The shortest way from a socket to a prediction: no parser callbacks, no task, no event, one write.

uvicorn's HTTP protocol stays in charge of connections, and of every request but one kind: a small POST to ``:predict``
that arrived whole in one piece, whose head is plain (:mod:`~arkwright.serving.plain_head`), and that can be answered
without waiting. Whatever does not fit (a slow body, an unusual header, an unknown key, a model that must be awaited)
takes the ordinary way through the parser and ASGI, as if nothing had been tried, so that both ways lead through the
same core and give the same answers.

It also closes what uvicorn leaves open: a connection whose request head takes longer than ``HEAD_SECONDS`` to arrive,
or is larger than ``MAX_HEAD_BYTES``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from arkwright.serving.app import InferenceApp
from arkwright.serving.core import INLINE_BODY_BYTES
from arkwright.serving.exchange import is_traceparent
from arkwright.serving.plain_head import read_plain_head

HEAD_SECONDS = 30.0
MAX_HEAD_BYTES = 65_536

_HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])


def direct_protocol(inference: InferenceApp) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP protocol with the short way to an application, for ``uvicorn.Config(http=...)``."""
    return type("DirectProtocol", (_DirectProtocol,), {"inference": inference})


class _DirectProtocol(HttpToolsProtocol):
    inference: ClassVar[InferenceApp]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Whether the parser is between two requests.
        self._between = True
        self._in_head = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._answered_at = 0.0
        # The server's own headers as lines, and the list they were made of: it makes a new one when the date changes.
        self._defaults_of: object = None
        self._defaults = b""

    def connection_made(self, transport: Any) -> None:
        """Take a connection, and do not wait for its first request for ever."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of a connection."""
        self._stop_waiting()
        super().connection_lost(exc)
        # uvicorn leaves it to a connection that broke to time out; the timer would hold it until then.
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Answer a plain request at once; parse whatever else arrived."""
        if self._between and self._idle and not self.flow.write_paused and self._answer(data):
            return
        goes_on = self._in_head
        super().data_received(data)
        if self._in_head:
            # Of a piece in which the head begins, what came before it is no part of it.
            self._head_bytes += len(data) if goes_on else 0
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                # Behind an answer that is still to come, it would be taken for that answer.
                if self._idle:
                    self.transport.write(_HEAD_TOO_LARGE)
                self.transport.close()
            elif self._head_timer is None:
                self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)
        elif self._between and self._idle and self.timeout_keep_alive_task is None and self._head_timer is None:
            # What arrived was no request, such as an empty line, and uvicorn has stopped its timer for it.
            self._await_next()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._between = False
        self._in_head = True
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """Wait for the head no longer."""
        self._in_head = False
        if self._head_timer is not None:
            self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request."""
        self._between = True
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; one that was used the short way meanwhile is looked at again later."""
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0.0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _answer(self, data: bytes) -> bool:
        """Answer a plain request; return False, with nothing done, if it takes the ordinary way."""
        head = read_plain_head(data, INLINE_BODY_BYTES)
        if head is None or self.transport.is_closing():
            return False
        scope = {"type": "http", "method": "POST", "path": head.path, "query_string": b"", "headers": ()}
        answer = self.inference.answer_at_once(scope, head.headers, head.named, head.body)
        if answer is None:
            return False
        request, reply = answer
        content = reply.body
        trace = request.traceparent
        traced = b"traceparent: %b\r\n" % trace if trace is not None and is_traceparent(trace) else b""
        given = self.server_state.default_headers
        if given is not self._defaults_of:
            self._defaults_of, self._defaults = given, _lines(given)
        self.transport.write(
            b"%bcontent-type: %b\r\ncontent-length: %d\r\n%bx-request-id: %b\r\n%b%b\r\n%b"
            % (
                _STATUS_LINES[reply.status],
                reply.content_type,
                len(content),
                self._defaults,
                request.request_id.encode("ascii"),
                traced,
                _lines(reply.headers) if reply.headers else b"",
                content,
            )
        )
        self.server_state.total_requests += 1
        if self._head_timer is not None:
            self._stop_waiting()
        # One timer stays armed and looks when it is due, instead of one for each request.
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._await_next()
        return True

    @property
    def _idle(self) -> bool:
        """Whether every request so far has its answer."""
        return (self.cycle is None or self.cycle.response_complete) and not self.pipeline

    def _await_next(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _give_up(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
