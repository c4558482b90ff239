"""FastAPI dependencies: who is calling, and the unit of work that ends before the answer leaves.

The composition root puts three things on ``app.state``: ``database``, ``authenticate`` (a secret and a request id to
a context) and ``services`` (a mapping of service class to instance).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from fastapi import Depends, Request

from arkwright.core.context import Context
from arkwright.core.errors import NotAuthenticated, NotPermitted
from arkwright.kit.db import Database, UnitOfWork
from arkwright.kit.http.claims import mark_done

SESSION_COOKIE = "arkwright_session"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_Service = TypeVar("_Service")


def context_of(request: Request) -> Context:
    """Return the caller's context, from a bearer key or a browser's session cookie.

    Raises
    ------
    NotAuthenticated
        If there is no credential, or a bad one.
    NotPermitted
        If another site's page sent the browser's cookie with a changing request.
    """
    known: Context | None = getattr(request.state, "context", None)
    if known is not None:
        return known
    request_id: str = getattr(request.state, "request_id", "")
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        secret = request.cookies.get(SESSION_COOKIE, "")
        if secret and request.method not in _SAFE:
            _refuse_other_sites(request)
    if not secret:
        raise NotAuthenticated(
            "This needs an API key.",
            code="credential.missing",
            hint="Send 'Authorization: Bearer <key>'; the local admin's key is in <home>/credentials/admin.key.",
        )
    context: Context = request.app.state.authenticate(secret.strip(), request_id)
    request.state.context = context
    return context


Caller = Annotated[Context, Depends(context_of)]


def _read(request: Request, context: Caller) -> Iterator[UnitOfWork]:
    database: Database = request.app.state.database
    with database.read(context) as unit:
        yield unit


def _write(request: Request, context: Caller) -> Iterator[UnitOfWork]:
    database: Database = request.app.state.database
    with database.write(context) as unit:
        yield unit
        key: str = getattr(request.state, "idempotency_key", "")
        if key:
            mark_done(unit, key)


# scope="function": the commit happens before the answer is sent, so what a client was told is true.
Read = Annotated[UnitOfWork, Depends(_read, scope="function")]
Write = Annotated[UnitOfWork, Depends(_write, scope="function")]


def service(kind: type[_Service]) -> Any:
    """Return a dependency that yields the platform's instance of a service class."""

    def find(request: Request) -> _Service:
        services: dict[type, Any] = request.app.state.services
        found: _Service = services[kind]
        return found

    finder: Callable[[Request], _Service] = find
    return Depends(finder)


def _refuse_other_sites(request: Request) -> None:
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    same = site in (None, "same-origin", "none") and (
        origin is None or _host_of(origin) == request.headers.get("host", "").lower()
    )
    if not same or (site is None and origin is None):
        raise NotPermitted(
            "A page of another site tried to use this browser's session.",
            code="csrf.refused",
            hint="Use an API key for calls that come from elsewhere.",
        )


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower() or "none"
    except ValueError:
        return "none"
