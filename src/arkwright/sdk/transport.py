"""HTTP with one platform: the key, problems as errors, retries, and pages.

A request is tried again only when that cannot do its work twice: reads and deletions, POSTs that carry an
``Idempotency-Key`` (all of them do, except uploads and predictions, which are tried again only where the platform
refused them unseen). Tried again are lost connections and the answers 429, 502, 503 and 504, with growing pauses or as
``Retry-After`` says.
"""

from __future__ import annotations

import ipaddress
import json
import os
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from arkwright.core.errors import AdapterError, ArkwrightError, Conflict, Invalid, Unavailable
from arkwright.core.problems import error_from_document
from arkwright.sdk.connection import URL_VARIABLE, Connection

MAX_TRIES = 5
MAX_PAUSE_SECONDS = 8.0
_PAGE = 200
_AGAIN = frozenset({429, 502, 503, 504})
# The public port belongs to one process: while it is closed there is no platform, and waiting long would not help.
_PAUSES_WHEN_REFUSED = (0.2, 0.6)
_Item = TypeVar("_Item")
Items = list[_Item]
"""A list, in classes that have a method of that name."""


class Transport:
    """A connection pool to one platform.

    Parameters
    ----------
    connection
        Where it is, and the key.
    timeout_seconds
        How long one answer may take.
    handler
        Replaces the network, to talk to an application in this process.
    sleep
        Waits between tries.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        timeout_seconds: float = 60.0,
        handler: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connection = connection
        self._sleep = sleep
        self._handler = handler
        self._http = self._pool(timeout_seconds)

    def close(self) -> None:
        """Close the pool's connections."""
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """Read a resource; empty query values are left out."""
        return _body(self._send("GET", path, params=_given(query)))

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, again: bool = True) -> Any:
        """Send JSON; ``again=False`` for endpoints that do not honour an idempotency key."""
        headers = {"Content-Type": "application/json"}
        if again:
            headers["Idempotency-Key"] = uuid.uuid4().hex
        content = json.dumps(body or {}, ensure_ascii=False, allow_nan=False).encode("utf-8")
        return _body(self._send("POST", path, again=again, content=content, headers=headers))

    def change(self, method: str, path: str, body: Mapping[str, Any], *, if_match: str = "") -> Any:
        """Send JSON with PUT or PATCH; with ``if_match``, only if the thing is still of that ETag."""
        headers = {"Content-Type": "application/json", **({"If-Match": if_match} if if_match else {})}
        content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode("utf-8")
        return _body(self._send(method, path, content=content, headers=headers))

    def delete(self, path: str) -> Any:
        """Delete a resource."""
        return _body(self._send("DELETE", path))

    def pages(self, path: str, *, limit: int | None = None, **query: Any) -> Items[Any]:
        """Read a list, page by page, up to ``limit`` items (None: all of them)."""
        items: Items[Any] = []
        cursor: str | None = ""
        while cursor is not None and (limit is None or len(items) < limit):
            wanted = _PAGE if limit is None else min(_PAGE, limit - len(items))
            page = self.get(path, limit=wanted, cursor=cursor, **query)
            items += page["items"]
            cursor = page.get("next_cursor")
        return items

    def upload(self, path: str, stream: BinaryIO, filename: str) -> Any:
        """Send a file's bytes as they are read from an open, seekable stream."""
        headers = {"X-Filename": quote(filename), "Content-Type": "application/octet-stream"}
        return _body(self._send("POST", path, again=False, content=stream, headers=headers))

    def download(self, path: str, target: Path, **query: Any) -> int:
        """Save an answer to a file, whole or not at all; return its size in bytes."""
        partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
        size_bytes = 0
        with self._streamed(path, _given(query)) as answer:
            try:
                with partial.open("wb") as file:
                    for chunk in answer.iter_bytes():
                        file.write(chunk)
                        size_bytes += len(chunk)
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
        return size_bytes

    @contextmanager
    def sender(
        self, path: str, *, connections: int, timeout_seconds: float
    ) -> Iterator[Callable[[bytes], tuple[int, bytes]]]:
        """Give a way to post JSON to one path, once and never again, on connections of its own: for measuring.

        It returns the status and the answer; the status is 0 where none came, and the text then says why.
        """
        headers = {"Content-Type": "application/json"}
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        pool = self._pool(timeout_seconds, limits)

        def send(content: bytes) -> tuple[int, bytes]:
            try:
                answer = pool.post(path, content=content, headers=headers)
            except (httpx.HTTPError, RuntimeError) as error:  # a closed pool is a RuntimeError
                return 0, str(error).encode()
            return answer.status_code, answer.content

        try:
            yield send
        finally:
            pool.close()

    def _pool(self, timeout_seconds: float, limits: httpx.Limits | None = None) -> httpx.Client:
        headers = {"Accept": "application/json", "User-Agent": "arkwright-sdk"}
        if self.connection.key:
            headers["Authorization"] = f"Bearer {self.connection.key}"
        return httpx.Client(
            base_url=self.connection.url,
            headers=headers,
            timeout=httpx.Timeout(timeout_seconds, connect=5.0),
            limits=limits or httpx.Limits(max_connections=100, max_keepalive_connections=20),
            transport=self._handler,
            # Reading the certificates takes a while, and a plain connection has no use for them.
            verify=self.connection.url.startswith("https:"),
            # A proxy that is set for the outside world knows nothing of this machine.
            trust_env=not _is_loopback(self.connection.url),
        )

    @contextmanager
    def _streamed(self, path: str, query: Mapping[str, Any]) -> Iterator[httpx.Response]:
        try:
            with self._http.stream("GET", path, params=query) as answer:
                if answer.is_error:
                    answer.read()
                    raise _error_of(answer)
                yield answer
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _send(
        self, method: str, path: str, *, again: bool = True, headers: Mapping[str, str] | None = None, **request: Any
    ) -> httpx.Response:
        if self._http.is_closed:
            raise Conflict(
                "This client is closed.",
                code="sdk.closed",
                hint="Use it, and what it returned, inside its with block, or make another one.",
            )
        for attempt in range(1, MAX_TRIES + 1):
            _rewind(request.get("content"))
            try:
                answer = self._http.request(method, path, headers=headers, **request)
            except httpx.TransportError as error:
                pause = _pause_after_failure(error, attempt, again=again)
                if pause is None:
                    raise self._unreachable(error) from error
            else:
                if not answer.is_error:
                    return answer
                problem = _error_of(answer)
                pause = _pause_after_answer(answer, problem, attempt)
                if pause is None:
                    raise problem
            self._sleep(pause)
        message = "the last try either returns or raises"
        raise AssertionError(message)

    def _unreachable(self, error: httpx.TransportError) -> Unavailable:
        url = self.connection.url
        if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
            return Unavailable(
                f"{url} did not answer in time.",
                code="platform.timeout",
                hint="It may be busy: try again, or give Client a larger timeout_seconds.",
            )
        if not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return Unavailable(
                f"The connection to {url} was lost ({_reason(error)}).",
                code="platform.connection_lost",
                hint="It may be restarting: try again in a few seconds.",
            )
        start = f"arkwright up --home {self.connection.home}" if self.connection.home else "arkwright up"
        return Unavailable(
            f"Nothing answers at {url} ({_reason(error)}).",
            code="platform.unreachable",
            hint=f"Start the platform with `{start}`, or name another one in {URL_VARIABLE}.",
        )


def segment(text: str) -> str:
    """Return a name or an id as one segment of a path.

    Examples
    --------
    >>> segment("telco churn/2")
    'telco%20churn%2F2'

    Raises
    ------
    Invalid
        If it is empty, or means another place in a path.
    """
    if text in ("", ".", ".."):
        raise Invalid(f"{text!r} is no name and no id.", code="sdk.address", hint="Say which one is meant.")
    return quote(text, safe="")


def _pause_after_failure(error: httpx.TransportError, attempt: int, *, again: bool) -> float | None:
    """Return how long to wait before another try, or None to give up."""
    if isinstance(error, httpx.ConnectError):
        return _PAUSES_WHEN_REFUSED[attempt - 1] if attempt <= len(_PAUSES_WHEN_REFUSED) else None
    # Slow is not lost: a request that timed out would be slow again, and is still being worked on.
    lost = isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError | httpx.ConnectTimeout)
    if not (lost and again) or attempt >= MAX_TRIES:
        return None
    return _back_off(attempt)


def _pause_after_answer(answer: httpx.Response, problem: ArkwrightError, attempt: int) -> float | None:
    if attempt >= MAX_TRIES:
        return None
    if problem.code == "idempotency.in_flight":
        # Our own earlier try arrived after all and is being worked on.
        return _back_off(attempt) if attempt > 1 else None
    if answer.status_code not in _AGAIN or _reached_the_work(answer):
        return None
    told = answer.headers.get("retry-after", "")
    return min(max(float(told), _back_off(attempt)), MAX_PAUSE_SECONDS) if told.isdigit() else _back_off(attempt)


def _reached_the_work(answer: httpx.Response) -> bool:
    """Tell whether a gateway's answer leaves open if a request that must not run twice has run."""
    sent = answer.request
    repeatable = sent.method in ("GET", "DELETE") or "idempotency-key" in sent.headers
    return answer.status_code in (502, 504) and not repeatable


def _back_off(attempt: int) -> float:
    # Jitter keeps many clients from coming back at the same instant.
    return float(min(0.25 * 2 ** (attempt - 1), MAX_PAUSE_SECONDS) * random.uniform(0.8, 1.2))  # noqa: S311


def _error_of(answer: httpx.Response) -> ArkwrightError:
    try:
        document = answer.json()
    except ValueError:
        document = None
    if isinstance(document, dict) and "detail" in document:
        return error_from_document({"status": answer.status_code, **document})
    return AdapterError(
        f"{answer.request.url.path} answered {answer.status_code} without saying why.",
        code="platform.answer",
        hint="Is this address an Arkwright platform? Look at it in a browser.",
    )


def _body(answer: httpx.Response) -> Any:
    if answer.status_code == 204 or not answer.content:
        return None
    try:
        return answer.json()
    except ValueError:
        raise AdapterError(
            f"{answer.request.url.path} answered with something that is not JSON.",
            code="platform.answer",
            hint="Is this address an Arkwright platform? Look at it in a browser.",
        ) from None


def _given(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value not in (None, "")}


def _rewind(content: object) -> None:
    if hasattr(content, "seek"):
        content.seek(0, os.SEEK_SET)


def _reason(error: httpx.TransportError) -> str:
    text = str(error).partition("] ")[2] or str(error)
    return text.rstrip(".").lower() or type(error).__name__


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
