"""The data plane as one thing that starts and stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from arkwright.bundles import LoadedBundle
from arkwright.kit.objects import ObjectStore
from arkwright.kit.settings import Settings
from arkwright.kit.telemetry import exposition
from arkwright.kit.tracing import make_tracer
from arkwright.serving.app import InferenceApp, answer_plainly
from arkwright.serving.asgi import Receive, Scope, Send, respond, respond_json
from arkwright.serving.auth import Authenticator
from arkwright.serving.core import InferenceCore
from arkwright.serving.errors import NotOnADataPlane
from arkwright.serving.exchange import Reply, Request
from arkwright.serving.general import GeneralModel
from arkwright.serving.log import PredictionLog
from arkwright.serving.plan import PlanHolder
from arkwright.serving.ports import PlanSource, ServableModel
from arkwright.serving.protocols.feedback import Feedback
from arkwright.serving.protocols.model_server import Models, Reload
from arkwright.serving.protocols.v1 import PREFIX
from arkwright.serving.rate import RateLimiter
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
    processes
        How many processes share the traffic, and with it the rate limits.

    Attributes
    ----------
    exposition
        Returns what ``/metrics`` answers: this process's metrics, unless somebody knows of others.
    """

    def __init__(self, settings: Settings, source: PlanSource, replica: str, *, processes: int = 1) -> None:
        folder = settings.home / "serving"
        store = BundleStore(folder / "bundles", ObjectStore(settings.objects_url))
        self.replica = replica
        self.exposition: Callable[[], bytes] = exposition
        self.holder = PlanHolder(
            source, store, folder / "plan.json", replica=replica, general=partial(_general_model, settings)
        )
        self.authenticator = Authenticator(self.holder)
        self.tracer = make_tracer(settings, "serving")
        self.log = PredictionLog(folder / "log", replica, max_folder_bytes=settings.prediction_log_max_bytes)
        self.core = InferenceCore(
            self.holder,
            self.authenticator,
            self.log,
            RateLimiter(processes=processes),
            max_body_bytes=settings.predict_max_body_bytes,
            max_rows=settings.predict_max_rows,
            max_in_flight=settings.predict_max_in_flight,
            timeout_seconds=settings.predict_timeout_seconds,
            tracer=self.tracer,
        )
        self.holder.reporter.signals = self.core.signals
        catalogue = self.core.catalogue
        self.inference = InferenceApp(
            self.core,
            Models(self.authenticator, catalogue),
            Reload(self.authenticator, catalogue, self.holder),
            Feedback(self.authenticator, self.core, self.log),
        )

    async def start(self) -> None:
        """Serve the last good plan, and follow the control plane."""
        self.log.start()
        await self.holder.start()

    async def stop(self) -> None:
        """Stop following and write out the log; call it when no request is left."""
        await self.holder.stop()
        self.core.close()
        self.log.close()
        if self.tracer is not None:
            await asyncio.to_thread(self.tracer.close)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer predictions, health and metrics: what ``arkwright serve`` offers on its port."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._lifespan(receive, send)
            else:
                await send({"type": "websocket.close", "code": 1000})
            return
        path: str = scope["path"]
        if path.startswith(PREFIX):
            await self.inference(scope, receive, send)
        elif path in ("/health", "/health/ready"):
            await self._answer_ready(send)
        elif path == "/health/live":
            await respond_json(send, HTTPStatus.OK, {"status": "alive"})
        elif path == "/metrics":
            await respond(send, HTTPStatus.OK, self.exposition(), METRICS_TYPE)
        elif path == "/batch":
            await answer_plainly(self.core, scope, receive, send, _no_batches)
        else:
            await self.inference(scope, receive, send)

    async def _answer_ready(self, send: Send) -> None:
        """Answer 503 as well where not one endpoint of the plan answers: there is nothing here to send callers to."""
        status, document = self.readiness()
        if status == HTTPStatus.OK and not self.holder.able:
            status, document = HTTPStatus.SERVICE_UNAVAILABLE, {**document, "status": "failed"}
        await respond_json(send, status, document)

    def readiness(self) -> tuple[int, dict[str, object]]:
        """Return the status and the document of a readiness probe of a whole platform: it has a plan."""
        ready = self.holder.ready
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return status, {"status": "ready" if ready else "starting", "serving": self.health()}

    def health(self) -> dict[str, object]:
        """Return what this data plane serves, for a person or a probe."""
        state = self.holder.state
        return {
            "replica": self.replica,
            "generation": state.generation,
            "endpoints": len(state.endpoints),
            # Not which and why: whoever asks has shown no key. The acknowledgement and the log have it.
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


async def _no_batches(_request: Request, _receive: Receive) -> Reply:
    raise NotOnADataPlane(
        "Batch jobs run on the control plane, not here.",
        hint="Send POST /batch (or /v1/batches) to the address of `arkwright up`.",
    )


def _general_model(settings: Settings, bundle: LoadedBundle) -> ServableModel:
    """Return what answers for a bundle that was not compiled: a process of its own."""
    return GeneralModel(
        bundle.folder,
        bundle.digest,
        bundle.signature,
        max_rows=settings.micro_batch_max_rows,
        max_queued=settings.micro_batch_max_queued,
        timeout_seconds=settings.predict_timeout_seconds,
    )
