"""Which protocol answers which path: the inference paths of a data plane, before any framework.

=====================================  ====================================================
``/v1/inference/{deployment}:predict``  the platform's own protocol, also ``:explain``, ``:feedback``
``/predict /models /reload``           the model server's (SRV-03)
``/invocations /ping /version``        MLflow's scoring server's
``/v2/*``                              the Open Inference Protocol's, version 2
=====================================  ====================================================
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from arkwright.core.errors import ArkwrightError, NotFound
from arkwright.serving.asgi import ClientGone, Receive, Scope, Send, respond
from arkwright.serving.core import InferenceCore
from arkwright.serving.errors import MethodNotAllowed
from arkwright.serving.exchange import Adapter, Reply, Request
from arkwright.serving.protocols.arrow import MEDIA_TYPE as ARROW_TYPE
from arkwright.serving.protocols.arrow import ArrowPredict
from arkwright.serving.protocols.mlflow import Invocations, Ping, Version
from arkwright.serving.protocols.model_server import Models, PredictSync, Reload
from arkwright.serving.protocols.open_inference import OpenInference
from arkwright.serving.protocols.v1 import PREFIX, Explain, Predict

Handler = Callable[[Request, Receive], Awaitable[Reply]]

_V2 = "/v2"


class InferenceApp:
    """The raw ASGI application of the inference paths.

    Parameters
    ----------
    core
        Answers the predictions.
    models, reload
        What answers ``GET /models`` and ``POST /reload``.
    feedback
        What answers ``:feedback``.
    """

    def __init__(self, core: InferenceCore, models: Models, reload: Reload, feedback: Handler | None = None) -> None:
        self.core = core
        self._predict = Predict()
        self._v1: dict[str, Adapter] = {"predict": self._predict, "explain": Explain()}
        self._arrow = ArrowPredict(core.bodies.limit_bytes)
        self._feedback = feedback
        self._by_path: dict[str, Adapter] = {"/predict": PredictSync(), "/invocations": Invocations()}
        self._open_inference = OpenInference(core)
        # What answers without a model: by path, the method and the handler.
        self._plain: dict[str, tuple[str, Handler]] = {
            "/models": ("GET", models),
            "/reload": ("POST", reload),
            "/ping": ("GET", Ping(core)),
            "/version": ("GET", Version()),
        }

    def owns(self, path: str) -> bool:
        """Tell whether a path is answered here."""
        return path.startswith((PREFIX, f"{_V2}/")) or path in self._by_path or path in self._plain or path == _V2

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        if path.startswith(PREFIX):
            adapter = self._v1.get(path[path.rfind(":") + 1 :])
            if adapter is not None and scope["method"] == "POST":
                await self.core.serve(scope, receive, send, self._for_body(scope, adapter))
                return
            if self._feedback is not None and path.endswith(":feedback") and scope["method"] == "POST":
                await self._answer(scope, receive, send, self._feedback)
                return
        elif path in self._by_path and scope["method"] == "POST":
            await self.core.serve(scope, receive, send, self._for_body(scope, self._by_path[path]))
            return
        elif path in self._plain and scope["method"] in (self._plain[path][0], "HEAD"):
            await self._answer(scope, receive, send, self._plain[path][1])
            return
        elif path == _V2 or path.startswith(f"{_V2}/"):
            await self._open_inference(scope, receive, send)
            return
        await self._answer(scope, receive, send, _nothing_here(self._methods(path)))

    def answer_at_once(
        self, scope: Scope, headers: dict[bytes, bytes], named: str, body: bytes
    ) -> tuple[Request, Reply] | None:
        """Answer a ``:predict`` of a deployment; None if it cannot be answered without waiting."""
        return self.core.answer_at_once(scope, headers, named, body, self._predict)

    def _for_body(self, scope: Scope, adapter: Adapter) -> Adapter:
        """Return the adapter for the type of a body, where a path takes more than one."""
        if (b"content-type", ARROW_TYPE) in scope["headers"] and adapter.name in ("v1", "model_server"):
            return self._arrow
        return adapter

    async def _answer(self, scope: Scope, receive: Receive, send: Send, handler: Handler) -> None:
        await answer_plainly(self.core, scope, receive, send, handler)

    def _methods(self, path: str) -> str:
        """Return the method a path is for, or an empty text if there is no such path."""
        if path.startswith(PREFIX):
            return "POST" if path[path.rfind(":") + 1 :] in {*self._v1, "feedback"} else ""
        if path in self._by_path:
            return "POST"
        return self._plain[path][0] if path in self._plain else ""


async def answer_plainly(core: InferenceCore, scope: Scope, receive: Receive, send: Send, handler: Handler) -> None:
    """Answer a request that is no prediction."""
    request = core.request(scope)
    try:
        reply = await handler(request, receive)
    except ClientGone:
        return
    except ArkwrightError as error:
        reply = Adapter().problem(error, request)
    headers = (*request.response_headers(), *reply.headers)
    body = b"" if scope["method"] == "HEAD" else reply.body
    await respond(send, reply.status, body, reply.content_type, headers)


def _nothing_here(method: str) -> Handler:
    async def refuse(request: Request, _receive: Any) -> Reply:
        path, used = request.scope["path"], request.scope["method"]
        if method:
            raise MethodNotAllowed(
                f"{used} is not allowed at {path!r}.",
                hint=f'It answers {method}; predictions are made with a body of {{"instances": [{{...}}]}}.',
            )
        raise NotFound(
            f"There is nothing at {path!r}.",
            code="http.not_found",
            hint="Predictions are POST /v1/inference/{deployment_id}:predict.",
        )

    return refuse
