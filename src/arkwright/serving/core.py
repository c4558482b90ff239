"""The life of a prediction request, whatever protocol it came by.

::

    authenticate -> deployment -> rate -> slot -> body -> rows -> arm -> [cache] -> answer -> log, counts, shadows

A protocol (:class:`~arkwright.serving.exchange.Adapter`) only says where a request keeps what, and how an answer looks.
A small request to compiled models is answered where it arrives; a large one is decoded, scored and encoded in a thread,
a slice at a time, so that the others do not wait for it; a model that is not compiled is awaited.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any, ParamSpec, TypeVar

from arkwright.bundles.cells import Columns
from arkwright.bundles.rows import to_rows
from arkwright.core.errors import ArkwrightError, Invalid, Unavailable
from arkwright.kit.logging import get_logger
from arkwright.kit.tracing import Tracer
from arkwright.serving.asgi import ClientGone, Receive, Scope, Send
from arkwright.serving.auth import Authenticator, Principal
from arkwright.serving.bodies import INLINE_BYTES, BodyReader, check_unpacked, unpack
from arkwright.serving.catalogue import Catalogue
from arkwright.serving.choice import choose_arm
from arkwright.serving.counts import COUNTS
from arkwright.serving.errors import UnsupportedMediaType
from arkwright.serving.exchange import JSON_TYPE, Adapter, Reply, Request, Scored, begin
from arkwright.serving.instances import check_count, decode_instances, renumbered
from arkwright.serving.log import LoggedRequest, PredictionLog
from arkwright.serving.logged import row_to_log
from arkwright.serving.plan import PlanHolder
from arkwright.serving.rate import RateLimiter
from arkwright.serving.runtime import Answered
from arkwright.serving.slots import Slots
from arkwright.serving.state import LiveArm, LiveEndpoint

# A body up to this size and these rows is scored on the event loop: about a millisecond.
INLINE_BODY_BYTES = 32_768
INLINE_ROWS = 200
_SLICE_ROWS = 100
_MAX_LARGE_REQUESTS = 16
_CLIENT_GONE = 499

log = get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class InferenceCore:
    """Answers requests; every protocol goes through here.

    Parameters
    ----------
    holder, authenticator, prediction_log, rate
        The plan, who may call, where rows are logged, how often a credential may call.
    max_body_bytes, max_rows, max_in_flight, timeout_seconds
        Limits of a request, of all of them together, and of a model that is awaited.
    tracer
        Records each request as a span.
    """

    def __init__(
        self,
        holder: PlanHolder,
        authenticator: Authenticator,
        prediction_log: PredictionLog,
        rate: RateLimiter,
        *,
        max_body_bytes: int,
        max_rows: int,
        max_in_flight: int,
        timeout_seconds: float,
        tracer: Tracer | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._holder = holder
        self._authenticator = authenticator
        self._log = prediction_log
        self._rate = rate
        self.max_in_flight = max_in_flight
        self._max_rows = max_rows
        self._timeout_seconds = timeout_seconds
        self._now = now
        self._large = 0
        self._awaited = 0
        self._tracer = tracer
        self._watched = tracer is not None or logging.getLogger().isEnabledFor(logging.DEBUG)
        self.bodies = BodyReader(max_body_bytes)
        self.slots = Slots(max_in_flight)
        self.catalogue = Catalogue(holder)
        # One thread: two would only fight each other, and the event loop, for the interpreter.
        self._thread = ThreadPoolExecutor(1, "arkwright-score")
        COUNTS.in_flight = lambda: self.slots.taken

    def close(self) -> None:
        """Let go of the scoring thread."""
        self.bodies.close()
        self._thread.shutdown(wait=True)

    @property
    def ready(self) -> bool:
        """Whether a plan is in use."""
        return self._holder.ready

    @property
    def able(self) -> bool:
        """Whether predictions can be made: a plan is in use, and of its endpoints, if it has any, one answers."""
        return self._holder.able

    def signals(self) -> tuple[int, int]:
        """Return the requests in flight, and those of them that wait for a model: what an autoscaler looks at."""
        return self.slots.taken, self._large + self._awaited

    def request(self, scope: Scope) -> Request:
        """Begin a request."""
        return begin(scope, dict(scope["headers"]), self._max_rows)

    async def serve(self, scope: Scope, receive: Receive, send: Send, adapter: Adapter) -> None:
        """Answer one HTTP request by a protocol."""
        request = self.request(scope)
        try:
            reply = await self._infer(request, adapter, receive)
        except ClientGone:
            self._refuse(request, _CLIENT_GONE)
            return
        except Exception as error:  # noqa: BLE001 - the edge of a request: whatever it was, it is answered
            reply = self._failed(request, adapter, error)
        body = reply.body
        headers = [
            (b"content-type", reply.content_type),
            (b"content-length", b"%d" % len(body)),
            *request.response_headers(),
            *reply.headers,
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def answer_at_once(
        self, scope: Scope, headers: dict[bytes, bytes], named: str, body: bytes, adapter: Adapter
    ) -> tuple[Request, Reply] | None:
        """Answer a small request whose body is there; None if it must be waited for, and nothing has happened yet.

        Parameters
        ----------
        headers
            By lower-case name.
        named
            The deployment, as the path names it.
        """
        principal = self._authenticator.recognise(headers)
        if (
            principal is None
            or headers.get(b"content-type") != JSON_TYPE
            or b"content-encoding" in headers
            # More objects than this take longer than the event loop should be kept.
            or (len(body) > INLINE_ROWS and body.count(b"{") > INLINE_ROWS)
            or not self._holder.ready
        ):
            return None
        live = self.catalogue.known(named, principal.workspace_id)
        if live is None or not live.inline:
            return None
        request = begin(scope, headers, self._max_rows)
        request.principal = principal
        request.named = named
        request.body = body
        request.size_bytes = len(body)
        try:
            self._admit(request, live)
            # Nothing else runs until it is answered, so no slot needs to be held.
            if self.slots.taken:
                self.slots.check(principal.actor_id)
            reply = self._answer_now(request, adapter, live)
        except Exception as error:  # noqa: BLE001 - the edge of a request: whatever it was, it is answered
            reply = self._failed(request, adapter, error)
        return request, reply

    async def attempt(self, request: Request, adapter: Adapter) -> Reply:
        """Return the answer to a request whose body is there, or the error in the protocol's shape."""
        try:
            return await self._infer(request, adapter, None)
        except Exception as error:  # noqa: BLE001 - as above
            return self._failed(request, adapter, error)

    def _failed(self, request: Request, adapter: Adapter, error: Exception) -> Reply:
        failure = error
        if not isinstance(failure, ArkwrightError):
            path = request.scope["path"]
            log.error("prediction failed", request_id=request.request_id, path=path, exc_info=error)
            failure = ArkwrightError(
                "The prediction failed; it is a defect, not your mistake.",
                hint="The data plane's log has the reason under this request id.",
            )
        self._refuse(request, failure.status)
        # Never "Connection: close", also for a body that was not read: the server discards the rest of it, whereas
        # closing would reset the connection under a client that still sends, and it would never see the answer.
        return adapter.problem(failure, request)

    async def _infer(self, request: Request, adapter: Adapter, receive: Receive | None) -> Reply:
        principal = await self._identify(request)
        adapter.select(request)
        if request.named:
            await self._settle(request)
        slots, caller = self.slots, principal.actor_id
        slots.acquire(caller)
        try:
            if receive is not None:
                _check_media_type(request, adapter)
                request.body = await self.bodies.read(request, receive)
                request.size_bytes = len(request.body)
                request.read_at = time.perf_counter()
                encoding = request.headers.get(b"content-encoding")
                if encoding is not None:
                    request.body = await self._unpack(request.body, encoding)
            if len(request.body) > INLINE_BODY_BYTES or adapter.explains or adapter.columnar:
                return await self._answer_large(request, adapter)
            return await self._answer_small(request, adapter)
        finally:
            slots.release(caller)

    async def refuse_unread(self, request: Request, adapter: Adapter) -> Reply | None:
        """Return the refusal of a request whose head is reason enough for one; None if its body is to be read."""
        try:
            principal = await self._identify(request)
            self.slots.check(principal.actor_id)
        except Exception as error:  # noqa: BLE001 - as above
            return self._failed(request, adapter, error)
        return None

    async def _identify(self, request: Request) -> Principal:
        """Find out who sent a request."""
        if not self._holder.ready:
            raise Unavailable(
                "This data plane has no plan yet: it has just started and the control plane has not answered.",
                code="plan.missing",
                retry_after_seconds=1,
                hint="Try again in a second; if it lasts, GET /health/ready and the server's log say why.",
            )
        principal = self._authenticator.recognise(request.headers)
        if principal is None:
            principal = await self._authenticator.authenticate(request.scope)
        request.principal = principal
        return principal

    async def _settle(self, request: Request) -> LiveEndpoint:
        """Find the deployment of a request, and let it pass its rate limit."""
        principal = request.principal
        assert principal is not None  # noqa: S101 - for the type checker; set when the request was authenticated
        live = self.catalogue.known(request.named, principal.workspace_id)
        if live is None:
            if request.named:
                live = await self.catalogue.find(request.named, principal)
            else:
                live = self.catalogue.only(principal)
        self._admit(request, live)
        return live

    def _admit(self, request: Request, live: LiveEndpoint) -> None:
        """Let a request pass the limits of its deployment."""
        principal = request.principal
        assert principal is not None  # noqa: S101 - as above
        request.live = live
        endpoint = live.endpoint
        self._rate.take(principal.actor_id, endpoint)
        if endpoint.limits.max_rows:
            request.max_rows = min(request.max_rows, endpoint.limits.max_rows)

    async def look_up(self, request: Request, named: str) -> LiveEndpoint:
        """Return a deployment that the caller of a request may know of; no prediction is made."""
        principal = await self._authenticator.authenticate(request.scope)
        return await self.catalogue.find(named, principal)

    async def _answer_small(self, request: Request, adapter: Adapter) -> Reply:
        """Decode and encode on the event loop."""
        adapter.parse(request)
        if len(request.body) > INLINE_ROWS and adapter.rows_at_most(request) > INLINE_ROWS:
            return await self._answer_large(request, adapter, parsed=True)
        live = request.live or await self._settle(request)
        if live.inline:
            return self._answer_now(request, adapter, live)
        rows = adapter.rows(request, live)
        chosen = choose_arm(live, request, rows)
        with_scores = adapter.with_scores(request)
        answered = self._cached(request, live, chosen, with_scores=with_scores)
        if answered is None:
            try:
                answered = await self._await_answer(live, chosen, rows, with_scores=with_scores)
            except Exception as error:
                self._observe_failure(request, chosen, rows, error)
                raise
            self._remember(request, live, answered, with_scores=with_scores)
        return adapter.reply(request, self._finish(request, live, rows, answered))

    def _answer_now(self, request: Request, adapter: Adapter, live: LiveEndpoint) -> Reply:
        """Answer a small request with models that run on the event loop."""
        if live.typed and adapter.typed and not request.scope["query_string"]:
            scored = self._answer_typed(request, live)
            if scored is not None:
                return adapter.reply(request, scored)
        rows = adapter.rows(request, live)
        chosen = choose_arm(live, request, rows)
        with_scores = adapter.with_scores(request)
        # Asked here and not only there: this is the path of nearly every request, and nearly none is kept.
        keeps = live.endpoint.cache_seconds > 0.0
        answered = self._cached(request, live, chosen, with_scores=with_scores) if keeps else None
        if answered is None:
            try:
                answered = live.runtime.answer(live, chosen, rows, with_scores=with_scores)
            except Exception as error:
                self._observe_failure(request, chosen, rows, error)
                raise
            if keeps:
                self._remember(request, live, answered, with_scores=with_scores)
        return adapter.reply(request, self._finish(request, live, rows, answered))

    def _answer_typed(self, request: Request, live: LiveEndpoint) -> Scored | None:
        """Answer the one row of a body that a compiled model reads by itself; None if it takes the general way.

        This is the path of nearly every request. Whatever is unusual, a failure included, happens again on the general
        way, where it is told, counted and mended; nothing has happened until the row is answered.
        """
        unit = request.headers.get(live.unit_header) if live.unit_header is not None else None
        found = live.runtime.undisturbed(live, request.request_id, unit.decode("latin-1") if unit else None)
        if found is None:
            return None
        chosen, state = found
        try:
            typed = chosen.model.read_row(request.body)
            if typed is None:
                return None
            prediction = chosen.model.answer_row(typed)
        except Exception:  # noqa: BLE001 - see above
            return None
        arm = chosen.arm
        request.answering = arm.semver
        elapsed = time.perf_counter() - request.started
        latency_ms = int(elapsed * 1e6) / 1000.0
        now = self._now()
        if typed.text:
            self._log.append_rows(
                row_to_log(
                    request.request_id,
                    now,
                    live.endpoint,
                    chosen,
                    latency_ms,
                    request.size_bytes,
                    typed.text,
                    prediction,
                )
            )
        else:
            self._log.append(
                LoggedRequest(
                    request_id=request.request_id,
                    time=now,
                    endpoint=live.endpoint,
                    live=chosen,
                    latency_ms=latency_ms,
                    request_size_bytes=request.size_bytes,
                    rows=decode_instances(request.body, 1),
                    predictions=(prediction,),
                )
            )
        seen_ms = (elapsed - (request.read_at - request.started)) * 1000.0
        live.runtime.observe_row(state, int(now), elapsed, seen_ms, prediction)
        if self._watched:
            self._tell(request, live.endpoint.deployment_id, HTTPStatus.OK, elapsed)
        return Scored((), (prediction,), arm.semver, arm.name, "", latency_ms)

    def _cached(self, request: Request, live: LiveEndpoint, chosen: LiveArm, *, with_scores: bool) -> Answered | None:
        if live.endpoint.cache_seconds <= 0.0:
            return None
        return live.runtime.cached(live, chosen, request.body, with_scores=with_scores)

    def _remember(self, request: Request, live: LiveEndpoint, answered: Answered, *, with_scores: bool) -> None:
        if live.endpoint.cache_seconds > 0.0:
            live.runtime.remember(live, request.body, answered, with_scores=with_scores)

    async def _answer_large(self, request: Request, adapter: Adapter, *, parsed: bool = False) -> Reply:
        """Decode, score and encode in the scoring thread."""
        if self._large >= _MAX_LARGE_REQUESTS:
            raise Unavailable(
                "Too many large requests are waiting to be scored.",
                code="inference.overloaded",
                retry_after_seconds=2,
                hint="Send fewer rows in each request, or score a file with a batch job (POST /v1/batches).",
            )
        self._large += 1
        try:
            if not parsed:
                await self._in_thread(adapter.parse, request)
            live = request.live or await self._settle(request)
            if adapter.explains:
                return await self._explain(request, adapter, live)
            rows: list[dict[str, Any]] = []
            if not live.inline or live.unit_column:
                rows = await self._in_thread(_gathered, request, adapter, live)
            chosen = choose_arm(live, request, rows)
            columns: Columns | None = None
            if live.inline and adapter.columnar:
                columns, rows = await self._in_thread(_tabulated, request, adapter, chosen)
            try:
                if not live.inline:
                    with_scores = adapter.with_scores(request)
                    answered = await self._await_answer(live, chosen, rows, with_scores=with_scores)
                elif columns is not None:
                    answered = await self._in_thread(self._score_columns, request, adapter, live, chosen, columns, rows)
                else:
                    slices = iter([rows]) if rows else _decoded(request, adapter, live)
                    rows, answered = await self._in_thread(self._score_slices, request, adapter, live, chosen, slices)
            except _NotDecodedError as failure:
                # The body's fault or the decoder's: it counts against no arm.
                raise failure.error from None
            except Exception as error:
                self._observe_failure(request, chosen, [], error)
                raise
            scored = self._finish(request, live, rows, answered)
            return await self._in_thread(adapter.reply, request, scored)
        finally:
            self._large -= 1

    def _score_slices(
        self,
        request: Request,
        adapter: Adapter,
        live: LiveEndpoint,
        chosen: LiveArm,
        slices: Iterator[list[dict[str, Any]]],
    ) -> tuple[list[dict[str, Any]], Answered]:
        """Decode and score a large body slice by slice; runs in the scoring thread."""
        rows: list[dict[str, Any]] = []
        predictions: list[dict[str, Any]] = []
        answered: Answered | None = None
        with_scores = adapter.with_scores(request)
        for some in slices:
            for first in range(0, len(some), _SLICE_ROWS):
                piece = some[first : first + _SLICE_ROWS]
                try:
                    latest = live.runtime.answer(live, chosen, piece, with_scores=with_scores, earlier=answered)
                except Invalid as error:
                    raise renumbered(error, len(rows)) from error
                predictions.extend(latest.predictions)
                # If any part came from a fallback, the whole answer is marked with it.
                if answered is None or latest.fallback:
                    answered = latest
                rows.extend(piece)
                # Hand the interpreter over: the event loop may have small requests to answer.
                time.sleep(0)
        assert answered is not None  # noqa: S101 - a request without rows was refused
        whole = Answered(predictions, answered.live, answered.arm_name, answered.fallback, answered.chosen)
        return rows, whole

    def _score_columns(
        self,
        request: Request,
        adapter: Adapter,
        live: LiveEndpoint,
        chosen: LiveArm,
        columns: Columns,
        rows: list[dict[str, Any]],
    ) -> Answered:
        """Score a table at once; where that fails, row by row with all that a failure entails."""
        try:
            predictions = adapter.score_columns(columns, chosen)
        except Invalid:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a model does, the fallback answers
            log.warning("table could not be scored at once", request_id=request.request_id, reason=str(error))
            return self._score_slices(request, adapter, live, chosen, iter([rows]))[1]
        return Answered(predictions, chosen, chosen.arm.name, "", chosen)

    async def _await_answer(
        self, live: LiveEndpoint, chosen: LiveArm, rows: list[dict[str, Any]], *, with_scores: bool
    ) -> Answered:
        """Wait for a model that does not run on the event loop."""
        self._awaited += 1
        try:
            return await live.runtime.answer_async(
                live, chosen, rows, with_scores=with_scores, timeout_seconds=self._patience(live)
            )
        finally:
            self._awaited -= 1

    async def _explain(self, request: Request, adapter: Adapter, live: LiveEndpoint) -> Reply:
        """Explain rows in the scoring thread; nothing of it is logged as a prediction."""
        rows = await self._in_thread(adapter.rows, request, live)
        check_count(len(rows), request.max_rows)
        chosen = choose_arm(live, request, rows)
        explained = await self._in_thread(_explained, chosen, rows)
        elapsed = time.perf_counter() - request.started
        COUNTS.arm(live.endpoint.deployment_id, chosen.arm.semver).add(elapsed, len(rows))
        scored = Scored(rows, explained, chosen.arm.semver, chosen.arm.name, "", round(elapsed * 1000.0, 3))
        return await self._in_thread(adapter.reply, request, scored)

    def _finish(self, request: Request, live: LiveEndpoint, rows: list[dict[str, Any]], answered: Answered) -> Scored:
        """Write down what was answered."""
        elapsed = time.perf_counter() - request.started
        latency_ms = round(elapsed * 1000.0, 3)
        version = answered.live.arm.semver
        n_rows = len(rows)
        self._log.append(
            LoggedRequest(
                request_id=request.request_id,
                time=self._now(),
                endpoint=live.endpoint,
                live=answered.live,
                latency_ms=latency_ms,
                request_size_bytes=request.size_bytes,
                rows=rows,
                predictions=answered.predictions,
                arm_name=answered.arm_name,
            )
        )
        seen_ms = latency_ms - (request.read_at - request.started) * 1000.0
        live.runtime.observe(answered, seen_ms, n_rows, failed=False)
        COUNTS.arm(live.endpoint.deployment_id, version).add(elapsed, n_rows)
        if self._watched:
            self._tell(request, live.endpoint.deployment_id, HTTPStatus.OK, elapsed)
        if live.shadows:
            live.runtime.shadow(live, request.request_id, rows, answered)
        return Scored(rows, answered.predictions, version, answered.arm_name, answered.fallback, latency_ms)

    def _observe_failure(self, request: Request, chosen: LiveArm, rows: list[dict[str, Any]], error: Exception) -> None:
        """Count a failure that is the model's and not the caller's."""
        live = request.live
        if live is None or isinstance(error, Invalid):
            return
        if isinstance(error, Unavailable) and error.code == "inference.overloaded":
            return
        elapsed = time.perf_counter() - request.read_at
        live.runtime.observe(chosen, elapsed * 1000.0, len(rows), failed=True)

    def _refuse(self, request: Request, status: int) -> None:
        live = request.live
        # A name that nobody knows must not become a label: a stranger could make any number of them.
        deployment_id = live.endpoint.deployment_id if live else "unknown"
        COUNTS.refuse(deployment_id, request.answering, status)
        if self._watched:
            self._tell(request, deployment_id, status, time.perf_counter() - request.started)

    def _tell(self, request: Request, deployment_id: str, status: int, elapsed: float) -> None:
        """Write the line of an access log, and a span where somebody collects them."""
        _note(request, deployment_id, status, elapsed * 1000.0)
        if self._tracer is None:
            return
        end = self._now()
        self._tracer.record(
            "predict",
            start=end - elapsed,
            end=end,
            traceparent=request.traceparent.decode("latin-1") if request.traceparent else "",
            failed=status >= HTTPStatus.INTERNAL_SERVER_ERROR,
            attributes={
                "arkwright.deployment.id": deployment_id,
                "arkwright.model.version": request.answering,
                "arkwright.request.id": request.request_id,
                "http.request.body.size": request.size_bytes,
                "http.response.status_code": int(status),
            },
        )

    def _patience(self, live: LiveEndpoint) -> float:
        return live.endpoint.limits.timeout_ms / 1000.0 or self._timeout_seconds

    async def _unpack(self, body: bytes, encoding: bytes) -> bytes:
        limit = self.bodies.limit_bytes
        content = unpack(body, encoding, min(limit, INLINE_BYTES))
        if content is None and limit > INLINE_BYTES:
            content = await self._in_thread(unpack, body, encoding, limit)
        return check_unpacked(content, limit)

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *args, **kwargs))


def _explained(chosen: LiveArm, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Explain rows, some at a time; runs in the scoring thread."""
    explained: list[dict[str, Any]] = []
    for first in range(0, len(rows), _SLICE_ROWS):
        try:
            explained.extend(chosen.model.explain_rows(rows[first : first + _SLICE_ROWS]))
        except Invalid as error:
            raise renumbered(error, first) from error
        time.sleep(0)
    return explained


def _note(request: Request, deployment_id: str, status: int, latency_ms: float) -> None:
    """Write the line of an access log."""
    log.debug(
        "prediction request",
        request_id=request.request_id,
        deployment=deployment_id,
        version=request.answering,
        status=int(status),
        latency_ms=round(latency_ms, 3),
        size_bytes=request.size_bytes,
        traceparent=request.traceparent.decode("latin-1") if request.traceparent else None,
    )


def _gathered(request: Request, adapter: Adapter, live: LiveEndpoint) -> list[dict[str, Any]]:
    """Decode all of a large body, before its arm is known; runs in the scoring thread."""
    return [row for some in adapter.slices(request, live) for row in some]


def _tabulated(request: Request, adapter: Adapter, chosen: LiveArm) -> tuple[Columns, list[dict[str, Any]]]:
    """Decode a table, as columns for the model and as rows for the log; runs in the scoring thread."""
    columns = adapter.columns(request, chosen)
    return columns, to_rows(columns)


class _NotDecodedError(Exception):
    """A large body could not be decoded to its end while its first rows were scored already."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _decoded(request: Request, adapter: Adapter, live: LiveEndpoint) -> Iterator[list[dict[str, Any]]]:
    """Yield the slices of a large body, and say of a failure that it is not the model's."""
    try:
        yield from adapter.slices(request, live)
    except Exception as error:
        raise _NotDecodedError(error) from error


def _check_media_type(request: Request, adapter: Adapter) -> None:
    given = request.headers.get(b"content-type")
    if given is None or given == JSON_TYPE:
        return
    media_type = given.partition(b";")[0].strip().lower()
    if not adapter.accepts(media_type):
        raise UnsupportedMediaType(
            f"The content type {media_type.decode('latin-1')!r} is not JSON.",
            hint="Add the header 'Content-Type: application/json' (curl: -H 'Content-Type: application/json').",
        )
