"""Routers over a real database, as the control plane serves them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from arkwright.core.context import Context
from arkwright.kit.db import Database
from arkwright.kit.http import IdempotencyMiddleware, RequestMiddleware, install_problem_handlers
from arkwright.tenancy import TenancyService


def application(database: Database, services: list[Any], *routers: APIRouter) -> FastAPI:
    """Return an application in which the real keys and sessions of a database count."""
    app = FastAPI()
    tenancy = TenancyService()

    def authenticate(secret: str, request_id: str) -> Context:
        with database.read_global() as unit:
            return tenancy.authenticate(unit, secret, request_id)

    app.state.database = database
    app.state.services = {type(each): each for each in (tenancy, *services)}
    app.state.authenticate = authenticate
    install_problem_handlers(app)
    app.add_middleware(IdempotencyMiddleware)
    app.add_middleware(RequestMiddleware)
    for router in routers:
        app.include_router(router)
    return app


@contextmanager
def signed_in(app: FastAPI, secret: str) -> Iterator[TestClient]:
    """Yield a client with a key; a defect of the platform is an answer of 500, as it would be for a caller."""
    headers = {"Authorization": f"Bearer {secret}"}
    with TestClient(app, raise_server_exceptions=False, headers=headers) as client:
        yield client
