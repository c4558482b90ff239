"""Around each request: an id, a log line, and the metrics."""

from __future__ import annotations

import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from arkwright.core.ids import new_id
from arkwright.kit.logging import bind_request, clear_request, get_logger
from arkwright.kit.telemetry import counter, histogram

_log = get_logger(__name__)
_ACCEPTABLE_ID = re.compile(r"[A-Za-z0-9._:-]{1,80}")
# A label of a metric must be bounded, and a caller may send any method it can spell.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUESTS = counter("arkwright_http_requests_total", "Requests answered.", ("method", "route", "status"))
_SECONDS = histogram("arkwright_http_request_seconds", "Time to answer.", ("method", "route"))


class RequestMiddleware:
    """Accept or make ``X-Request-Id``, return it, log the request and count it by route."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        offered = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = offered if _ACCEPTABLE_ID.fullmatch(offered) else new_id("request")
        scope.setdefault("state", {})["request_id"] = request_id
        status = 500

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        clear_request()
        bind_request(request_id=request_id)
        started = time.perf_counter()
        try:
            await self.app(scope, receive, with_id)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            _REQUESTS.labels(method, route, str(status)).inc()
            _SECONDS.labels(method, route).observe(seconds)
            if not route.startswith("/internal"):
                _log.info(
                    "request", method=method, path=scope["path"], status=status, latency_ms=round(seconds * 1e3, 1)
                )
