"""What an endpoint remembers from request to request, whatever plan is in use.

One :class:`EndpointRuntime` lives as long as its deployment is served. For each arm, by its name *and* its model
version, it keeps the last seconds (:mod:`~arkwright.serving.windows`), a circuit breaker and a fuse, so that a new
version under an old name begins clean while a new split of the same arms forgets nothing.

Where a request goes: its unit's arm (:mod:`~arkwright.serving.traffic`), unless that is not the first one and its fuse
is blown or its breaker open; then the first one. If the model fails, the endpoint's fallback version answers, then its
constant. A request that an open breaker kept from its arm counts as an error of that arm: it is what the model owes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from arkwright.contracts import Arm, ArmWindow
from arkwright.core.errors import Invalid, Unavailable
from arkwright.kit.logging import get_logger
from arkwright.serving import metrics
from arkwright.serving.breaker import NO_PROBE, Breaker
from arkwright.serving.cache import ResultCache
from arkwright.serving.counts import COUNTS
from arkwright.serving.fuse import blown_because
from arkwright.serving.shadow import ShadowQueue, ShadowResult
from arkwright.serving.state import LiveArm, LiveEndpoint
from arkwright.serving.windows import ArmWindows, Second

FALLBACK_ARM = "fallback"
# What a model that runs elsewhere says when its queue is full, and when it was replaced meanwhile.
_OVERLOADED = "inference.overloaded"
_CLOSED = "model.closed"

# How often a blown arm is mentioned again.
_REMIND_SECONDS = 10
# A model that fails every request must not fill the log.
_WARN_SECONDS = 1.0

log = get_logger(__name__)


class Answered(msgspec.Struct, frozen=True, gc=False):
    """An answer and who gave it.

    ``arm_name`` is ``fallback`` and ``fallback`` is ``previous_version`` or ``constant`` where the arm that the request
    belonged to, ``chosen``, could not answer; ``live`` is the version that did (for a constant: could not).
    """

    predictions: list[dict[str, Any]]
    live: LiveArm
    arm_name: str
    fallback: str
    chosen: LiveArm


class ArmState:
    """What one version under one name did and may do."""

    __slots__ = ("arm", "blown", "breaker", "counts", "score_name", "warned_at", "windows")

    def __init__(self, live: LiveArm, deployment_id: str) -> None:
        self.arm: Arm = live.arm
        self.counts = COUNTS.arm(deployment_id, live.arm.semver)
        self.score_name = "value" if live.bundle.signature.task == "regression" else "score"
        self.windows = ArmWindows()
        self.breaker = Breaker()
        self.blown = ""
        self.warned_at = float("-inf")

    def add_scores(self, second: Second, predictions: list[dict[str, Any]]) -> None:
        """Count what it predicted."""
        name = self.score_name
        if len(predictions) == 1:
            score = predictions[0].get(name)
            if score is not None:
                second.score_sum += score
                second.score_squares += score * score
            return
        scores = [score for prediction in predictions if (score := prediction.get(name)) is not None]
        second.score_sum += sum(scores)
        second.score_squares += sum([score * score for score in scores])


class EndpointRuntime:
    """Chooses arms, answers, and keeps count, for one deployment.

    Parameters
    ----------
    deployment_id, workspace_id
        Whose it is.
    shadows
        Where copies of requests go.
    cache
        Where answers to identical payloads are kept.
    alone
        Tells whether the control plane is away, so that the fuse decides in its place.
    monotonic, now
        Clocks in seconds: one that only goes forward, and one since the epoch.
    """

    def __init__(
        self,
        deployment_id: str,
        workspace_id: str,
        *,
        shadows: ShadowQueue | None = None,
        cache: ResultCache | None = None,
        alone: Callable[[], bool] = lambda: False,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._deployment_id = deployment_id
        self._workspace_id = workspace_id
        self._shadows = shadows
        self._cache = cache
        self._alone = alone
        self._monotonic = monotonic
        self._now = now
        self._live: LiveEndpoint | None = None
        self._states: dict[tuple[str, str], ArmState] = {}
        self._left_over: list[ArmWindow] = []

    def adopt(self, live: LiveEndpoint) -> None:
        """Serve by a new plan: keep what is known of arms that stay, forget the others."""
        states: dict[tuple[str, str], ArmState] = {}
        for one in (*live.arms, *live.shadows):
            key = (one.arm.name, one.arm.model_version_id)
            known = states.get(key) or self._states.get(key) or ArmState(one, self._deployment_id)
            if known.blown and known.arm != one.arm:
                # The control plane has said something new about this arm: it is judged afresh.
                known = ArmState(one, self._deployment_id)
            known.arm = one.arm
            states[key] = known
        for key, state in self._states.items():
            if states.get(key) is not state:
                self._leave(state)
        self._states = states
        self._live = live

    def choose(self, live: LiveEndpoint, request_id: str, unit: str | None) -> LiveArm:
        """Return the arm that answers a request.

        Parameters
        ----------
        live
            The endpoint as the caller knows it; a newer plan goes first.
        request_id, unit
            The unit is what stays with its arm; without one it is the request.
        """
        live = self._live or live
        first = live.arms[0]
        if len(live.arms) == 1:
            return first
        chosen = live.assigned(unit or request_id)
        if chosen is first:
            return first
        state = self._state(chosen)
        if state.blown:
            return first
        if not state.breaker.closed and not state.breaker.may_probe(self._monotonic()):
            self._count_diverted(state)
            return first
        return chosen

    def answer(
        self,
        live: LiveEndpoint,
        chosen: LiveArm,
        rows: list[dict[str, Any]],
        *,
        with_scores: bool = False,
        earlier: Answered | None = None,
    ) -> Answered:
        """Answer rows with models that run on the event loop.

        Parameters
        ----------
        live, chosen
            The endpoint and the arm that :meth:`choose` returned.
        rows, with_scores
            What is asked.
        earlier
            The answer to an earlier part of the same request, whose parts count as one: where a fallback gave it,
            this part goes to the fallback as well.

        Raises
        ------
        Invalid
            If the rows do not fit; the caller's fault, which counts against nobody.
        Unavailable
            If the model is left alone for a while because it kept failing, and there is no fallback.
        ArkwrightError
            Or whatever else the model raised, where there is no fallback.
        """
        state = self._state(chosen)
        breaker = state.breaker
        probe = NO_PROBE
        if earlier is not None:
            if earlier.fallback:
                return self._fall_back(live, chosen, rows, with_scores, None)
        elif not breaker.closed:
            probe = breaker.probe(self._monotonic())
            if not probe and not _may_try_anyway(live, chosen):
                return self._fall_back(live, chosen, rows, with_scores, None)
        try:
            predictions = chosen.model.predict_rows(rows, with_scores=with_scores)
        except Invalid:
            breaker.released(probe)
            raise
        except Exception as error:  # noqa: BLE001 - whatever a model does, the fallback answers
            self._count_failure(state, error, probe)
            return self._fall_back(live, chosen, rows, with_scores, error)
        if earlier is None:
            if breaker.closed:
                breaker.succeeded()
            else:
                self._count_recovery(state, probe)
        return Answered(predictions, chosen, chosen.arm.name, "", chosen)

    async def answer_async(
        self,
        live: LiveEndpoint,
        chosen: LiveArm,
        rows: list[dict[str, Any]],
        *,
        with_scores: bool = False,
        timeout_seconds: float,
    ) -> Answered:
        """Answer rows with models of any kind; raises as :meth:`answer` does."""
        failure: Exception | None = None
        state = self._state(chosen)
        closed = state.breaker.closed
        probe = NO_PROBE if closed else state.breaker.probe(self._monotonic())
        if closed or probe or _may_try_anyway(live, chosen):
            try:
                answer = await self._ask(chosen, rows, with_scores, timeout_seconds, state, probe)
            except Unavailable as error:
                successor = self._successor(chosen) if error.code == _CLOSED else None
                if successor is None:
                    raise
                return await self.answer_async(
                    live, successor, rows, with_scores=with_scores, timeout_seconds=timeout_seconds
                )
            if isinstance(answer, Answered):
                return answer
            failure = answer
        fallback = live.fallback
        if fallback is not None and not fallback.model.inline and fallback.model is not chosen.model:
            try:
                predictions = await fallback.model.predict_rows_async(
                    _known_to(fallback, rows), with_scores=with_scores, timeout_seconds=timeout_seconds
                )
            except Exception as error:  # noqa: BLE001 - the next in the chain answers
                log.warning("fallback failed", deployment=self._deployment_id, reason=str(error))
            else:
                return _fell_back(predictions, fallback, "previous_version", chosen)
        return self._fall_back(live, chosen, rows, with_scores, failure)

    def cached(self, live: LiveEndpoint, chosen: LiveArm, body: bytes, *, with_scores: bool = False) -> Answered | None:
        """Return the answer that an identical body had from this arm, while the endpoint allows it."""
        if live.endpoint.cache_seconds <= 0.0 or self._cache is None:
            return None
        predictions = self._cache.get(self._cache_key(chosen, body, with_scores))
        return None if predictions is None else Answered(predictions, chosen, chosen.arm.name, "", chosen)

    def remember(self, live: LiveEndpoint, body: bytes, answered: Answered, *, with_scores: bool = False) -> None:
        """Keep an answer for :meth:`cached`, if the endpoint allows it."""
        keep_seconds = live.endpoint.cache_seconds
        if keep_seconds <= 0.0 or self._cache is None or answered.fallback:
            return
        self._cache.put(self._cache_key(answered.live, body, with_scores), answered.predictions, keep_seconds)

    def observe(self, seen: Answered | LiveArm, latency_ms: float, n_rows: int, *, failed: bool) -> None:
        """Count a request that was answered, or one that the arm chosen for it failed without an answer."""
        second = int(self._now())
        chosen = seen.chosen.arm if isinstance(seen, Answered) else seen.arm
        state = self._states.get((chosen.name, chosen.model_version_id))
        if state is None:
            return  # the arm left the plan while it answered
        current = state.windows.current
        if current.second < second:
            current = self._turn(state, second)
        current.add(latency_ms, n_rows)
        if isinstance(seen, Answered):
            if not seen.fallback:
                state.add_scores(current, seen.predictions)
                return
            current.fallbacks += 1
            failed = True
            metrics.FALLBACKS.labels(self._deployment_id, seen.fallback).inc()
        if failed:
            current.errors += 1

    def undisturbed(self, live: LiveEndpoint, request_id: str, unit: str | None) -> tuple[LiveArm, ArmState] | None:
        """Return the arm that :meth:`choose` would, and its state, if no fuse and no breaker has a say in it."""
        live = self._live or live
        chosen = live.arms[0] if len(live.arms) == 1 else live.assigned(unit or request_id)
        state = self._states.get((chosen.arm.name, chosen.arm.model_version_id))
        return (chosen, state) if state is not None and state.breaker.closed and not state.blown else None

    def observe_row(
        self, state: ArmState, second: int, elapsed: float, seen_ms: float, prediction: dict[str, Any]
    ) -> None:
        """Count a request of one row that its arm answered: what :meth:`observe` and the metrics count, at once.

        Parameters
        ----------
        second
            When, in seconds since the epoch.
        elapsed, seen_ms
            Since its first byte, in seconds, and since its body was there.
        """
        state.breaker.succeeded()
        current = state.windows.current
        if current.second < second:
            current = self._turn(state, second)
        current.add(seen_ms, 1)
        score = prediction[state.score_name]
        current.score_sum += score
        current.score_squares += score * score
        state.counts.add_row(elapsed)

    def shadow(self, live: LiveEndpoint, request_id: str, rows: list[dict[str, Any]], answered: Answered) -> None:
        """Queue a copy of a request for the shadow arms; never waits, and drops it where the queue is full."""
        if not live.shadows or self._shadows is None or answered.fallback:
            return
        for arm in live.shadows:
            if not self._shadows.put(arm, request_id, rows, answered.predictions, self):
                metrics.SHADOW_DROPPED.labels(self._deployment_id).inc()

    def shadowed(self, arm: LiveArm, result: ShadowResult) -> None:
        """Count what a shadow arm said."""
        state = self._states.get((arm.arm.name, arm.arm.model_version_id))
        if state is None:
            return
        current = state.windows.at(int(self._now()))
        current.add(result.latency_ms, result.n_rows)
        if result.failed:
            current.errors += 1
            return
        state.add_scores(current, result.predictions)
        current.compared += result.compared
        current.agreed += result.agreed
        current.difference_sum += result.difference_sum
        metrics.SHADOW_ROWS.labels(self._deployment_id, arm.arm.name).inc(result.n_rows)

    def tick(self) -> list[ArmWindow]:
        """Check the fuses, and return each second that is over and was not returned before."""
        second = int(self._now())
        windows, self._left_over = self._left_over, []
        for state in self._states.values():
            self._check_fuse(state, second)
            if state.blown and second % _REMIND_SECONDS == 0:
                # It has no traffic any more, and the report that said so may be lost.
                state.windows.at(second - 1)
            windows.extend(self._finished(state, second))
        return windows

    @property
    def blown(self) -> Mapping[str, str]:
        """The arms whose fuse is blown, and why."""
        return {state.arm.name: state.blown for state in self._states.values() if state.blown}

    def close(self) -> list[ArmWindow]:
        """Forget every arm, as when the deployment is no longer served; return what was not reported."""
        for state in self._states.values():
            self._leave(state)
        self._states, self._live = {}, None
        windows, self._left_over = self._left_over, []
        return windows

    async def _ask(
        self,
        chosen: LiveArm,
        rows: list[dict[str, Any]],
        with_scores: bool,
        timeout_seconds: float,
        state: ArmState,
        probe: int,
    ) -> Answered | Exception:
        """Return a model's answer or its failure; what is not the model's fault is raised."""
        try:
            predictions = await chosen.model.predict_rows_async(
                rows, with_scores=with_scores, timeout_seconds=timeout_seconds
            )
        except Exception as error:
            # Too many callers, or a version that was replaced meanwhile: not a broken model.
            innocent = isinstance(error, Unavailable) and error.code in (_OVERLOADED, _CLOSED)
            if innocent or isinstance(error, Invalid):
                state.breaker.released(probe)
                raise
            self._count_failure(state, error, probe)
            return error
        except BaseException:
            state.breaker.released(probe)
            raise
        self._count_recovery(state, probe)
        return Answered(predictions, chosen, chosen.arm.name, "", chosen)

    def _successor(self, closed: LiveArm) -> LiveArm | None:
        """Return the arm that took the place of one whose model was closed under a request."""
        arms = self._live.arms if self._live is not None else ()
        named = [one for one in arms if one.arm.name == closed.arm.name] or list(arms[:1])
        return next((one for one in named if one.model is not closed.model), None)

    def _state(self, live: LiveArm) -> ArmState:
        arm = live.arm
        state = self._states.get((arm.name, arm.model_version_id))
        if state is None:
            # Its plan was replaced while the request was on its way: what it does counts for nobody.
            state = ArmState(live, self._deployment_id)
        return state

    def _turn(self, state: ArmState, second: int) -> Second:
        """Return the counts of a second; where it is a new one, after a look at those before."""
        if state.windows.current.second < second:
            self._check_fuse(state, second)
        return state.windows.at(second)

    def _check_fuse(self, state: ArmState, second: int) -> None:
        live = self._live
        if live is None or state.blown or not self._guarded(live, state):
            return
        endpoint = live.endpoint
        sums = state.windows.sums(second - math.ceil(endpoint.fuse.window_seconds), second)
        reason = blown_because(sums, endpoint.objectives, endpoint.fuse, alone=self._alone())
        if reason:
            state.blown = reason
            metrics.FUSE_BLOWN.labels(self._deployment_id, state.arm.name).set(1)
            log.warning(
                "fuse blown, the first arm answers",
                deployment=self._deployment_id,
                arm=state.arm.name,
                version=state.arm.semver,
                reason=reason,
            )

    def _guarded(self, live: LiveEndpoint, state: ArmState) -> bool:
        return state.arm.mode == "live" and any(state.arm is one.arm for one in live.arms[1:])

    def _count_failure(self, state: ArmState, error: Exception, probe: int) -> None:
        now = self._monotonic()
        state.breaker.failed(now, probe)
        metrics.MODEL_FAILURES.labels(self._deployment_id, state.arm.name).inc()
        if not state.breaker.closed:
            metrics.BREAKER_OPEN.labels(self._deployment_id, state.arm.name).set(1)
        if now - state.warned_at >= _WARN_SECONDS:
            state.warned_at = now
            log.warning(
                "model failed a request",
                deployment=self._deployment_id,
                arm=state.arm.name,
                version=state.arm.semver,
                reason=str(error) or type(error).__name__,
                breaker=state.breaker.state,
            )

    def _count_recovery(self, state: ArmState, probe: int) -> None:
        was_closed = state.breaker.closed
        state.breaker.succeeded(probe)
        if state.breaker.closed and not was_closed:
            metrics.BREAKER_OPEN.labels(self._deployment_id, state.arm.name).set(0)
            log.info(
                "model answers again",
                deployment=self._deployment_id,
                arm=state.arm.name,
                version=state.arm.semver,
            )

    def _count_diverted(self, state: ArmState) -> None:
        current = self._turn(state, int(self._now()))
        current.requests += 1
        current.errors += 1
        current.fallbacks += 1

    def _fall_back(
        self,
        live: LiveEndpoint,
        chosen: LiveArm,
        rows: list[dict[str, Any]],
        with_scores: bool,
        error: Exception | None,
    ) -> Answered:
        fallback = live.fallback
        if fallback is not None and fallback.model.inline and fallback.model is not chosen.model:
            try:
                predictions = fallback.model.predict_rows(_known_to(fallback, rows), with_scores=with_scores)
            except Exception as second_error:  # noqa: BLE001 - the next in the chain answers
                log.warning("fallback failed", deployment=self._deployment_id, reason=str(second_error))
            else:
                return _fell_back(predictions, fallback, "previous_version", chosen)
        constant = live.endpoint.fallback.constant
        if constant is not None:
            return _fell_back(list(_constant(chosen, constant, rows)), chosen, "constant", chosen)
        raise error or self._refusal(chosen)

    def _refusal(self, chosen: LiveArm) -> Unavailable:
        wait_seconds = self._state(chosen).breaker.retry_at - self._monotonic()
        return Unavailable(
            f"Version {chosen.arm.semver} of this deployment kept failing and is left alone for a moment.",
            code="model.failing",
            retry_after_seconds=max(1, math.ceil(wait_seconds)),
            hint="Try again then; give the deployment a fallback version or a constant to have an answer meanwhile.",
        )

    def _cache_key(self, arm: LiveArm, body: bytes, with_scores: bool) -> bytes:
        return ResultCache.key(self._deployment_id, arm.arm.bundle_digest, body, with_scores=with_scores)

    def _leave(self, state: ArmState) -> None:
        if state.blown:
            metrics.FUSE_BLOWN.labels(self._deployment_id, state.arm.name).set(0)
        if not state.breaker.closed:
            metrics.BREAKER_OPEN.labels(self._deployment_id, state.arm.name).set(0)
        self._left_over.extend(self._finished(state, int(self._now()) + 1))

    def _finished(self, state: ArmState, end: int) -> Iterator[ArmWindow]:
        for one in state.windows.take_finished(end):
            yield ArmWindow(
                deployment_id=self._deployment_id,
                workspace_id=self._workspace_id,
                arm=state.arm.name,
                model_version_id=state.arm.model_version_id,
                second=one.second,
                requests=one.requests,
                errors=one.errors,
                fallbacks=one.fallbacks,
                rows=one.rows,
                latency_counts=tuple(sorted(one.latencies.items())),
                score_sum=_finite(one.score_sum),
                score_squares=_finite(one.score_squares),
                compared=one.compared,
                agreed=one.agreed,
                difference_sum=_finite(one.difference_sum),
                blown=bool(state.blown),
            )


def _may_try_anyway(live: LiveEndpoint, chosen: LiveArm) -> bool:
    """Whether a request may go to a model that is left alone.

    Refusing spares a slow model work, and its callers the wait. A model that fails within microseconds has neither, so
    without a fallback each request may as well try.
    """
    return chosen.model.inline and live.fallback is None and live.endpoint.fallback.constant is None


def _fell_back(predictions: list[dict[str, Any]], live: LiveArm, kind: str, chosen: LiveArm) -> Answered:
    return Answered(predictions, live, FALLBACK_ARM, kind, chosen)


def _known_to(fallback: LiveArm, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the columns that came with a later version, which this one would refuse."""
    signature = fallback.bundle.signature
    known = {*fallback.feature_names, *signature.identifiers, *signature.ignored}
    return [{name: value for name, value in row.items() if name in known} for row in rows]


def _constant(chosen: LiveArm, constant: dict[str, Any], rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the constant for each row, with the identifiers the row carried, in the shape of the task."""
    signature = chosen.bundle.signature
    members = ("value",) if signature.task == "regression" else ("label", "score")
    answer = {name: constant.get(name) for name in members}
    for row in rows:
        yield {**{name: row[name] for name in signature.identifiers if name in row}, **answer}


def _finite(value: float) -> float:
    """Return a number that JSON can carry."""
    return value if math.isfinite(value) else 0.0
