"""One prediction request between a protocol and the core: what came in, what a protocol makes of it, what goes out."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

import msgspec

from arkwright.bundles.cells import Columns
from arkwright.core.errors import ArkwrightError
from arkwright.core.problems import CONTENT_TYPE, problem_document
from arkwright.serving.asgi import Scope
from arkwright.serving.auth import Principal
from arkwright.serving.request_ids import name_request
from arkwright.serving.state import LiveArm, LiveEndpoint

JSON_TYPE = b"application/json"
_PROBLEM_TYPE = CONTENT_TYPE.encode("ascii")
_encode = msgspec.json.Encoder().encode

is_traceparent = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch
"""Tells whether a header is a W3C trace context of version 00; anything else is not passed on."""


class Request(msgspec.Struct, eq=False, weakref=True):
    """A request on its way through the core; see :func:`begin`.

    Attributes
    ----------
    headers
        By lower-case name; of a name that comes twice the last one.
    started
        When its first byte was seen, on ``time.perf_counter``.
    read_at
        When its body was there, on the same clock: a slow line is not the model's slowness.
    named
        Id or name of the deployment, as far as it is known; empty if the request leaves it open.
    version
        The version that must answer; empty if any may.
    answering
        The version that was chosen, as soon as one is.
    document
        What the protocol parsed from the body, if it needs to look at it before the model is known.
    max_rows
        How many rows it may have.
    """

    scope: Scope
    headers: dict[bytes, bytes]
    request_id: str
    traceparent: bytes | None
    max_rows: int
    started: float
    read_at: float
    named: str = ""
    body: bytes = b""
    size_bytes: int = 0
    document: Any = None
    version: str = ""
    answering: str = "unknown"
    live: LiveEndpoint | None = None
    principal: Principal | None = None

    def query(self, name: bytes) -> str:
        """Return a query parameter's first value, or an empty text."""
        from urllib.parse import parse_qs  # noqa: PLC0415 - few requests have a query

        query: bytes = self.scope["query_string"]
        found = parse_qs(query).get(name, [b""])[0]
        return found.decode("utf-8", "replace")

    def response_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that every answer carries."""
        headers = [(b"x-request-id", self.request_id.encode("ascii"))]
        if self.traceparent is not None and is_traceparent(self.traceparent):
            headers.append((b"traceparent", self.traceparent))
        return headers


def begin(scope: Scope, headers: dict[bytes, bytes], max_rows: int) -> Request:
    """Begin a request: name it, and note the time."""
    now = time.perf_counter()
    request_id = name_request(headers.get(b"x-request-id"))
    return Request(scope, headers, request_id, headers.get(b"traceparent"), max_rows, now, now)


class Reply(msgspec.Struct, frozen=True, gc=False):
    """A response."""

    body: bytes
    status: int = HTTPStatus.OK
    content_type: bytes = JSON_TYPE
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Scored(msgspec.Struct, frozen=True, gc=False):
    """What a model said about a request's rows.

    ``arm_name`` is ``fallback`` where a fallback answered, and ``fallback`` says which one.
    """

    rows: Sequence[dict[str, Any]]
    predictions: Sequence[dict[str, Any]]
    version: str
    arm_name: str
    fallback: str
    latency_ms: float


class Adapter:
    """A protocol: where a request says what it wants, and in which shape it is answered.

    The core calls :meth:`select` before the body is read and :meth:`parse` after it, then, once the deployment is
    known, :meth:`rows` and :meth:`reply`. A subclass holds no state of a request.

    Attributes
    ----------
    name
        For the log.
    explains
        Whether rows are explained and not only scored.
    columnar
        Whether a body is a table, which a compiled model scores at once.
    typed
        Whether a body of one row is what a compiled model reads by itself, and its query asks for nothing more.
    """

    name: ClassVar[str]
    media_types: ClassVar[tuple[bytes, ...]] = (JSON_TYPE,)
    explains: ClassVar[bool] = False
    columnar: ClassVar[bool] = False
    typed: ClassVar[bool] = False

    def select(self, request: Request) -> None:
        """Set what the request says of its deployment before its body."""

    def accepts(self, media_type: bytes) -> bool:
        """Tell whether the protocol reads bodies of a type."""
        return media_type in self.media_types or media_type.endswith(b"+json")

    def parse(self, request: Request) -> None:
        """Read what must be known of the body before the model is."""

    def rows_at_most(self, request: Request) -> int:
        """Return a number of rows that a small body, parsed, does not exceed; here of a list of JSON objects."""
        return request.body.count(b"{")

    def rows(self, request: Request, live: LiveEndpoint) -> list[dict[str, Any]]:
        """Return the instances."""
        raise NotImplementedError

    def slices(self, request: Request, live: LiveEndpoint) -> Iterator[list[dict[str, Any]]]:
        """Yield the instances of a large body, some at a time where the protocol can."""
        yield self.rows(request, live)

    def columns(self, request: Request, chosen: LiveArm) -> Columns:
        """Return the body as a table; for columnar protocols only."""
        raise NotImplementedError

    def score_columns(self, columns: Columns, chosen: LiveArm) -> list[dict[str, Any]]:
        """Return the predictions of a table; for columnar protocols only."""
        raise NotImplementedError

    def with_scores(self, request: Request) -> bool:  # noqa: ARG002 - most protocols have no such word
        """Tell whether the request wants every class's score."""
        return False

    def reply(self, request: Request, scored: Scored) -> Reply:
        """Return the answer on the wire."""
        raise NotImplementedError

    def problem(self, error: ArkwrightError, request: Request) -> Reply:
        """Return an error on the wire."""
        return problem_reply(error, request.request_id)


def problem_reply(error: ArkwrightError, request_id: str) -> Reply:
    """Return an error as ``application/problem+json``."""
    document = problem_document(error, request_id)
    return Reply(_encode(document), error.status, _PROBLEM_TYPE, error_headers(error))


def error_headers(error: ArkwrightError) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that an error needs, whatever its body looks like."""
    headers = [(b"cache-control", b"no-store")]
    wait = error.extra().get("retry_after_seconds")
    if wait is not None:
        headers.append((b"retry-after", str(wait).encode("ascii")))
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b'Bearer realm="arkwright"'))
    return tuple(headers)
