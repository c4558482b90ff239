"""The one public port: each path to the process that answers it.

==============================  =========================================================
``/v1/inference/*``             the data plane, in this process
``/predict /models /reload``    the same: the model server's paths,
``/invocations /ping /version``   MLflow's scoring server's,
``/v2/*``                         and the Open Inference Protocol's
``/mlflow``, ``/mlflow/*``      MLflow's server, behind our authentication
``/health*``, ``/metrics``      answered here
``/internal/*``                 nothing: what the processes say to each other stays inside
everything else                 the control plane
==============================  =========================================================

Nothing here waits for the control plane, so predictions, health and metrics go on while it is busy or away.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from http import HTTPStatus

from arkwright.core.errors import ArkwrightError, Invalid, NotFound
from arkwright.front.mlflow_proxy import PREFIX as MLFLOW_PREFIX
from arkwright.front.mlflow_proxy import MlflowProxy
from arkwright.front.proxy import UnixProxy, passed_on
from arkwright.kit.settings import Settings
from arkwright.kit.telemetry import counter, exposition, gauge
from arkwright.serving import (
    ClientGone,
    DataPlane,
    Receive,
    Scope,
    Send,
    header,
    request_id_of,
    respond,
    respond_json,
    respond_problem,
)

_METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_METRICS_TIMEOUT_SECONDS = 1.0
# Set here, or meant for nobody outside.
_DROPPED = (
    b"forwarded",
    b"x-arkwright-internal",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-prefix",
    b"x-forwarded-proto",
    b"x-real-ip",
    b"x-request-id",
)

_REFUSED = counter("arkwright_edge_refused_total", "Requests the edge answered with an error itself.", ("status",))
_CHILD_UP = gauge("arkwright_child_up", "Whether a process behind the edge answers.", ("child",))

ChildStates = Callable[[], dict[str, str]]


class Edge:
    """The raw ASGI application of the public port.

    Parameters
    ----------
    plane
        The data plane, started and stopped by whoever made it.
    server
        The control plane.
    mlflow
        MLflow, or None where the user runs their own server.
    child_states
        State of each child process: ``waiting``, ``starting``, ``ready`` or ``restarting``.
    """

    def __init__(
        self, plane: DataPlane, server: UnixProxy, mlflow: MlflowProxy | None, child_states: ChildStates
    ) -> None:
        self._plane = plane
        self._server = server
        self._mlflow = mlflow
        self._child_states = child_states

    async def close(self) -> None:
        """Close the connections to the children."""
        await self._server.close()
        if self._mlflow is not None:
            await self._mlflow.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or see to it that it is answered."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1000})
            return
        path: str = scope["path"]
        if self._plane.inference.owns(path):
            await self._plane.inference(scope, receive, send)
            return
        try:
            await self._route(scope, receive, send, path)
        except ClientGone:
            return
        except ArkwrightError as error:
            _REFUSED.labels(str(error.status)).inc()
            await respond_problem(send, error, request_id_of(scope))

    async def _route(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        if path == MLFLOW_PREFIX or path.startswith(f"{MLFLOW_PREFIX}/"):
            if self._mlflow is None:
                raise NotFound(
                    "This platform uses an MLflow server of yours; it is not passed through here.",
                    code="mlflow.external",
                    hint="Use the address in ARKWRIGHT_TRACKING_URL.",
                )
            await self._mlflow(scope, receive, send)
        elif path == "/health/live":
            await respond_json(send, HTTPStatus.OK, {"status": "alive"})
        elif path in ("/health", "/health/ready"):
            await self._answer_ready(send)
        elif path == "/metrics":
            await self._answer_metrics(send)
        elif _is_internal(path):
            raise NotFound(f"There is nothing at {path!r}.", code="http.not_found", hint="The API is at /docs.")
        elif not path.startswith("/"):
            raise Invalid(f"{path!r} is not a path.", code="http.path")
        else:
            await self._forward(scope, receive, send)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = passed_on(scope, _DROPPED)
        client = scope.get("client")
        headers += [
            (b"x-request-id", request_id_of(scope).encode("ascii")),
            (b"x-forwarded-for", (client[0] if client else "unknown").encode("ascii")),
            (b"x-forwarded-proto", scope.get("scheme", "http").encode("ascii")),
            (b"x-forwarded-host", header(scope, b"host") or b"localhost"),
        ]
        query: bytes = scope["query_string"]
        target: bytes = scope["raw_path"] + (b"?" + query if query else b"")
        await self._server.forward(scope, receive, send, target=target, headers=headers)

    async def _answer_ready(self, send: Send) -> None:
        """Answer 200 once predictions can be made; the processes' states are for the reader."""
        status, document = self._plane.readiness()
        await respond_json(send, status, {**document, "processes": self._child_states()})

    async def _answer_metrics(self, send: Send) -> None:
        for child, state in self._child_states().items():
            _CHILD_UP.labels(child).set(state == "ready")
        own = exposition()
        theirs = await self._server.fetch("/metrics", _METRICS_TIMEOUT_SECONDS)
        await respond(send, HTTPStatus.OK, own + _other_families(theirs or b"", own), _METRICS_TYPE)


def create_edge(settings: Settings, plane: DataPlane, child_states: ChildStates) -> Edge:
    """Return the application of the public port for a platform with these settings."""
    mlflow = None
    if not settings.tracking_url:
        mlflow = MlflowProxy(plane, UnixProxy(settings.mlflow_socket, "tracking server"))
    return Edge(plane, UnixProxy(settings.server_socket, "control plane"), mlflow, child_states)


def _is_internal(path: str) -> bool:
    """Tell whether a path would be an internal one to any reader, however it is written."""
    plain = posixpath.normpath("/" + path.replace("\\", "/").lstrip("/")).casefold()
    return plain == "/internal" or plain.startswith("/internal/")


def _other_families(exposed: bytes, known: bytes) -> bytes:
    """Return the metric families of an exposition that another one does not have: a family may appear only once."""
    names = {line.split(b" ")[2] for line in known.splitlines() if line.startswith(b"# HELP ")}
    kept: list[bytes] = []
    keep = True
    for line in exposed.splitlines(keepends=True):
        if line.startswith(b"# HELP "):
            keep = line.split(b" ")[2] not in names
        if keep:
            kept.append(line)
    return b"".join(kept)
