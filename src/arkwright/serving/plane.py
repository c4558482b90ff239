"""The data plane as one thing that starts and stops."""

from __future__ import annotations

from http import HTTPStatus

from arkwright.core.errors import NotFound
from arkwright.kit.objects import ObjectStore
from arkwright.kit.settings import Settings
from arkwright.kit.telemetry import exposition
from arkwright.serving.app import PREFIX, InferenceApp
from arkwright.serving.asgi import Receive, Scope, Send, request_id_of, respond, respond_json, respond_problem
from arkwright.serving.auth import Authenticator
from arkwright.serving.log import PredictionLog
from arkwright.serving.plan import PlanHolder
from arkwright.serving.ports import PlanSource
from arkwright.serving.store import BundleStore

METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class DataPlane:
    """Everything needed to answer predictions; also a raw ASGI application of its own.

    Parameters
    ----------
    settings
        Where the home is, and the limits.
    source
        Where plans come from.
    replica
        Name of this data plane: lower-case letters, digits and underscores.
    """

    def __init__(self, settings: Settings, source: PlanSource, replica: str) -> None:
        folder = settings.home / "serving"
        store = BundleStore(folder / "bundles", ObjectStore(settings.objects_url))
        self.holder = PlanHolder(source, store, folder / "plan.json", replica=replica)
        self.authenticator = Authenticator(self.holder)
        self.log = PredictionLog(folder / "log", replica)
        self.inference = InferenceApp(
            self.holder,
            self.authenticator,
            self.log,
            max_body_bytes=settings.predict_max_body_bytes,
            max_rows=settings.predict_max_rows,
            max_in_flight=settings.predict_max_in_flight,
        )

    async def start(self) -> None:
        """Serve the last good plan, and follow the control plane."""
        self.log.start()
        await self.holder.start()

    async def stop(self) -> None:
        """Stop following and write out the log; call it when no request is left."""
        await self.holder.stop()
        self.inference.close()
        self.log.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer predictions, health and metrics: what ``arkwright serve`` offers on its port."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
        elif scope["path"].startswith(PREFIX):
            await self.inference(scope, receive, send)
        elif scope["path"] == "/health/live":
            await respond_json(send, HTTPStatus.OK, {"status": "alive"})
        elif scope["path"] == "/health/ready":
            ready = self.holder.ready
            status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
            await respond_json(send, status, {"status": "ready" if ready else "starting", "serving": self.health()})
        elif scope["path"] == "/metrics":
            await respond(send, HTTPStatus.OK, exposition(), METRICS_TYPE)
        else:
            problem = NotFound(
                f"There is nothing at {scope['path']!r} on a data plane.",
                code="http.not_found",
                hint="Predictions are POST /v1/inference/{deployment_id}:predict.",
            )
            await respond_problem(send, problem, request_id_of(scope))

    def health(self) -> dict[str, object]:
        """Return what this data plane serves, for a person or a probe."""
        state = self.holder.state
        return {
            "generation": state.generation,
            "endpoints": len(state.endpoints),
            "failed_endpoints": len(state.failed),
            "control_plane_reachable": self.holder.reachable,
        }

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})
