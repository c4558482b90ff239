"""The prediction path: bytes in, bytes out, before any framework.

``POST /v1/inference/{deployment_id}:predict`` with ``{"instances": [{...}]}`` answers ``{"predictions": [...],
"latency_ms", "model_version", "arm", "request_id"}``. A small request is scored where it arrives; a large one is
decoded, scored and encoded in a thread, a slice at a time, so that the others do not wait for it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from arkwright.core.errors import ArkwrightError, Invalid, NotFound, Unavailable
from arkwright.kit.logging import get_logger
from arkwright.serving import metrics
from arkwright.serving.asgi import (
    ClientGone,
    Receive,
    Scope,
    Send,
    header,
    read_body,
    request_id_of,
    respond,
    respond_problem,
)
from arkwright.serving.auth import Authenticator, Principal
from arkwright.serving.errors import MethodNotAllowed, RequestTimeout, UnsupportedMediaType
from arkwright.serving.instances import decode_instances, decode_slices
from arkwright.serving.log import LoggedRequest, PredictionLog
from arkwright.serving.plan import PlanHolder
from arkwright.serving.slots import Slots
from arkwright.serving.state import LiveArm, LiveEndpoint

PREFIX = "/v1/inference/"
_SUFFIX = ":predict"

# A body up to this size is scored on the event loop: about 100 rows, well under a millisecond.
_INLINE_BODY_BYTES = 32_768
_SLICE_ROWS = 100
_MAX_LARGE_REQUESTS = 16
_BODY_TIMEOUT_SECONDS = 30.0
_FIELD = re.compile(r"^instances\[(\d+)\]")

log = get_logger(__name__)
_encode = msgspec.json.Encoder().encode


class InferenceApp:
    """The raw ASGI application of the prediction path.

    Parameters
    ----------
    holder, authenticator, prediction_log
        The plan, who may call, and where rows are logged.
    max_body_bytes, max_rows, max_in_flight
        Limits of a request, and of all of them together.
    """

    def __init__(
        self,
        holder: PlanHolder,
        authenticator: Authenticator,
        prediction_log: PredictionLog,
        *,
        max_body_bytes: int,
        max_rows: int,
        max_in_flight: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._holder = holder
        self._authenticator = authenticator
        self._log = prediction_log
        self._max_body_bytes = max_body_bytes
        self._max_rows = max_rows
        self._slots = Slots(max_in_flight)
        self._large = 0
        self._now = now
        # One thread: two would only fight each other, and the event loop, for the interpreter.
        self._thread = ThreadPoolExecutor(1, "arkwright-score")

    def close(self) -> None:
        """Let go of the scoring thread."""
        self._thread.shutdown(wait=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request below ``/v1/inference/``."""
        started = time.perf_counter()
        request_id = request_id_of(scope)
        labels = ["unknown", "unknown"]
        status = 200
        try:
            body = await self._predict(scope, receive, request_id, started, labels)
            await respond(send, status, body, headers=((b"x-request-id", request_id.encode("ascii")),))
        except ClientGone:
            status = 499
        except ArkwrightError as error:
            status = error.status
            await respond_problem(send, error, request_id)
        except Exception as error:
            status = 500
            log.exception("prediction failed", request_id=request_id, path=scope["path"], reason=str(error))
            await respond_problem(
                send,
                ArkwrightError(
                    "The prediction failed; it is a defect, not your mistake.",
                    hint="The data plane's log has the reason under this request id.",
                ),
                request_id,
            )
        metrics.REQUESTS.labels(labels[0], labels[1], str(status)).inc()
        if status == 200:
            metrics.LATENCY.labels(labels[0], labels[1]).observe(time.perf_counter() - started)

    async def _predict(
        self, scope: Scope, receive: Receive, request_id: str, started: float, labels: list[str]
    ) -> bytes:
        deployment_id = _deployment_of(scope)
        if not self._holder.ready:
            raise Unavailable(
                "This data plane has no plan yet: it has just started and the control plane has not answered.",
                code="plan.missing",
                retry_after_seconds=1,
                hint="Try again in a second; if it lasts, GET /health/ready and the server's log say why.",
            )
        principal = await self._authenticator.authenticate(scope)
        live = await self._endpoint(deployment_id, principal)
        labels[0] = deployment_id
        with self._slots.take(principal.actor_id):
            _check_content_type(scope)
            try:
                async with asyncio.timeout(_BODY_TIMEOUT_SECONDS):
                    body = await read_body(scope, receive, self._max_body_bytes)
            except TimeoutError:
                raise RequestTimeout(
                    f"The body did not arrive within {_BODY_TIMEOUT_SECONDS:.0f} seconds.",
                    hint="Send smaller requests over a slow line.",
                ) from None
            arm = live.arm_for(request_id)
            labels[1] = arm.arm.semver
            if len(body) <= _INLINE_BODY_BYTES:
                rows = decode_instances(body, self._max_rows)
                predictions = arm.bundle.predictor.predict_rows(rows)
                return self._answer(live, arm, request_id, started, len(body), rows, predictions)
            if self._large >= _MAX_LARGE_REQUESTS:
                raise Unavailable(
                    "Too many large requests are waiting to be scored.",
                    code="inference.overloaded",
                    retry_after_seconds=2,
                    hint="Send fewer rows in each request, or score a file with a batch job (POST /v1/batches).",
                )
            self._large += 1
            try:
                return await asyncio.get_running_loop().run_in_executor(
                    self._thread, self._score_large, live, arm, request_id, started, body
                )
            finally:
                self._large -= 1

    async def _endpoint(self, deployment_id: str, principal: Principal) -> LiveEndpoint:
        state = self._holder.state
        live = state.endpoints.get(deployment_id)
        if live is None and deployment_id not in state.failed:
            await self._holder.refresh(endpoints=True)
            state = self._holder.state
            live = state.endpoints.get(deployment_id)
        # Another workspace's deployment does not exist for this caller.
        if live is not None and live.endpoint.workspace_id == principal.workspace_id:
            return live
        if live is None and deployment_id in state.failed:
            raise Unavailable(
                f"The deployment {deployment_id!r} has no model that can be served ({state.failed[deployment_id]}).",
                code="deployment.unavailable",
                hint="Promote or deploy a version whose bundle verifies; the preparation is also tried again.",
                retry_after_seconds=5,
            )
        raise NotFound(
            f"There is no deployment {deployment_id!r} in this workspace.",
            code="deployment.not_found",
            hint="List the deployments with GET /v1/deployments.",
        )

    def _score_large(self, live: LiveEndpoint, arm: LiveArm, request_id: str, started: float, body: bytes) -> bytes:
        """Score a large body; runs in the scoring thread."""
        rows: list[dict[str, Any]] = []
        predictions: list[dict[str, Any]] = []
        for some in decode_slices(body, self._max_rows, _SLICE_ROWS):
            try:
                predictions.extend(arm.bundle.predictor.predict_rows(some))
            except Invalid as error:
                raise _renumbered(error, len(rows)) from error
            rows.extend(some)
            # Hand the interpreter over: the event loop may have small requests to answer.
            time.sleep(0)
        return self._answer(live, arm, request_id, started, len(body), rows, predictions)

    def _answer(
        self,
        live: LiveEndpoint,
        arm: LiveArm,
        request_id: str,
        started: float,
        size_bytes: int,
        rows: list[dict[str, Any]],
        predictions: list[dict[str, Any]],
    ) -> bytes:
        latency_ms = round((time.perf_counter() - started) * 1000, 3)
        self._log.append(
            LoggedRequest(
                request_id=request_id,
                time=self._now(),
                endpoint=live.endpoint,
                live=arm,
                latency_ms=latency_ms,
                request_size_bytes=size_bytes,
                rows=rows,
                predictions=predictions,
            )
        )
        metrics.ROWS.labels(live.endpoint.deployment_id, arm.arm.semver).inc(len(rows))
        return _encode(
            {
                "predictions": predictions,
                "latency_ms": latency_ms,
                "model_version": arm.arm.semver,
                "arm": arm.arm.name,
                "request_id": request_id,
            }
        )


def _deployment_of(scope: Scope) -> str:
    path: str = scope["path"]
    if not (path.startswith(PREFIX) and path.endswith(_SUFFIX)):
        raise NotFound(
            f"There is nothing at {path!r}.",
            code="http.not_found",
            hint="Predictions are POST /v1/inference/{deployment_id}:predict.",
        )
    if scope["method"] != "POST":
        raise MethodNotAllowed(
            f"{scope['method']} is not allowed at {path!r}.",
            hint='Predictions are made with POST and a body of {"instances": [{...}]}.',
        )
    return path[len(PREFIX) : -len(_SUFFIX)]


def _check_content_type(scope: Scope) -> None:
    given = header(scope, b"content-type")
    if given is None:
        return
    media_type = given.partition(b";")[0].strip().lower()
    if media_type != b"application/json" and not media_type.endswith(b"+json"):
        raise UnsupportedMediaType(
            f"The content type {media_type.decode('latin-1')!r} is not JSON.",
            hint="Add the header 'Content-Type: application/json' (curl: -H 'Content-Type: application/json').",
        )


def _renumbered(error: Invalid, first: int) -> Invalid:
    """Return a slice's error with the row numbers of the whole request."""

    def shift(text: str) -> str:
        return _FIELD.sub(lambda found: f"instances[{int(found[1]) + first}]", text)

    error.detail = shift(error.detail)
    error.errors = [{**item, "field": shift(str(item["field"]))} if "field" in item else item for item in error.errors]
    return error
