"""What every route uses: the request's unit of work, services, pages, problems and idempotency."""

from arkwright.kit.http.dependencies import Caller, Read, Write, context_of, service
from arkwright.kit.http.idempotency import IdempotencyMiddleware, forget_in_flight
from arkwright.kit.http.middleware import RequestMiddleware
from arkwright.kit.http.pages import Limit, Page, PageCursor, page_of, read_cursor, read_number_cursor
from arkwright.kit.http.responses import Accepted, ProblemResponse, accepted, install_problem_handlers

__all__ = [
    "Accepted",
    "Caller",
    "IdempotencyMiddleware",
    "Limit",
    "Page",
    "PageCursor",
    "ProblemResponse",
    "Read",
    "RequestMiddleware",
    "Write",
    "accepted",
    "context_of",
    "forget_in_flight",
    "install_problem_handlers",
    "page_of",
    "read_cursor",
    "read_number_cursor",
    "service",
]
