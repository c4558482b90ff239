"""The control plane's HTTP application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Event as StopSignal
from threading import Thread
from typing import Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi

from arkwright import __version__
from arkwright.access.routes import router as audit_router
from arkwright.automl.routes import router as automl_router
from arkwright.core.context import Context
from arkwright.data.routes import router as data_router
from arkwright.deployments.routes import batch_router, rollout_router
from arkwright.deployments.routes import router as deployments_router
from arkwright.evaluation.routes import router as evaluation_router
from arkwright.evaluation.routes import version_router
from arkwright.governance.routes import router as governance_router
from arkwright.kit.http import IdempotencyMiddleware, RequestMiddleware, install_problem_handlers
from arkwright.kit.jobs.routes import router as jobs_router
from arkwright.kit.logging import get_logger
from arkwright.kit.telemetry import exposition
from arkwright.monitoring.routes import router as monitoring_router
from arkwright.registry.routes import router as registry_router
from arkwright.server.composition import Platform
from arkwright.server.internal import router as internal_router
from arkwright.server.landing import router as landing_router
from arkwright.server.prediction_api import describe_prediction
from arkwright.server.request_bodies import RequestGuard
from arkwright.tenancy.routes import router as tenancy_router

_log = get_logger(__name__)
_RECONCILE_SECONDS = 5.0
_ROLLOUT_SECONDS = 1.0
_ROUTERS = (
    tenancy_router,
    data_router,
    automl_router,
    registry_router,
    evaluation_router,
    version_router,
    deployments_router,
    rollout_router,
    batch_router,
    monitoring_router,
    governance_router,
    audit_router,
    jobs_router,
    internal_router,
    landing_router,
)


def create_app(platform: Platform) -> FastAPI:
    """Return the application over a platform; starting it migrates the database and delivers the outbox."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        platform.start()
        stop = StopSignal()
        threads = [
            Thread(target=_reconcile, args=(platform, stop), name="reconciler", daemon=True),
            Thread(target=_advance, args=(platform, stop), name="rollouts", daemon=True),
        ]
        for thread in threads:
            thread.start()
        yield
        stop.set()
        for thread in threads:
            thread.join(timeout=10)
        platform.stop()

    app = FastAPI(
        title="Arkwright",
        version=__version__,
        summary="From raw data to a governed, monitored model in production.",
        lifespan=lifespan,
        separate_input_output_schemas=False,
    )
    app.state.database = platform.database
    app.state.services = platform.services
    app.state.settings = platform.settings
    app.state.objects = platform.objects
    app.state.internal_token = platform.settings.internal_token.get_secret_value()
    app.state.authenticate = _authenticator(platform)
    install_problem_handlers(app)
    app.add_middleware(IdempotencyMiddleware)
    app.add_middleware(RequestGuard)
    app.add_middleware(RequestMiddleware)
    for router in _ROUTERS:
        app.include_router(router)

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes, openapi_version="3.1.0"
            )
            app.openapi_schema = describe_prediction(schema)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _authenticator(platform: Platform) -> Any:
    def authenticate(secret: str, request_id: str) -> Context:
        with platform.database.read_global() as unit:
            return platform.tenancy.authenticate(unit, secret, request_id)

    return authenticate


def _reconcile(platform: Platform, stop: StopSignal) -> None:
    """Repair what an event could not: jobs that were committed but not queued, a plan that lags."""
    while not stop.wait(_RECONCILE_SECONDS):
        try:
            platform.reconcile()
        except Exception:  # noqa: BLE001
            # The edge of this thread: a database that is away must not end the repairs.
            _log.exception("reconciliation failed")


def _advance(platform: Platform, stop: StopSignal) -> None:
    """Move every rollout that is due."""
    while not stop.wait(_ROLLOUT_SECONDS):
        try:
            platform.rollouts.tick()
        except Exception:  # noqa: BLE001
            # The edge of this thread: a database that is away must not end the rollouts for good.
            _log.exception("rollouts could not be advanced")
