"""The plan a data plane serves by, and how it changes without a request noticing.

Two things happen to a new plan. Its *credentials* count at once. Its *endpoints* wait until every bundle is fetched,
verified, loaded and warmed in a thread of its own, and are then swapped in by one assignment. So a slow or broken
bundle delays neither a revocation nor another endpoint's traffic.

- A generation never goes backwards within an *epoch* (one control-plane database). A plan of another epoch, after
  ``arkwright reset`` or a restored database, replaces what there is whatever its number, and is logged as such.
- An endpoint whose bundle fails keeps answering with what it had; the acknowledgement says ``failed`` and why, and the
  preparation is tried again with growing pauses.
- What is served is written to ``plan.json`` after each swap, and is where a data plane starts when the control plane is
  away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec

from arkwright.contracts import Arm, Endpoint, EndpointStatus, PlanAcknowledgement, RoutePlan
from arkwright.core.errors import ArkwrightError, Unavailable
from arkwright.kit.logging import get_logger
from arkwright.serving import metrics
from arkwright.serving.ports import FetchedPlan, PlanSource
from arkwright.serving.state import LiveArm, LiveEndpoint, ServingState
from arkwright.serving.store import BundleStore

POLL_SECONDS = 0.5
_PULL_TIMEOUT_SECONDS = 2.0
_REFRESH_INTERVAL_SECONDS = 0.2
_MAX_REFRESH_WAITERS = 64
_FIRST_RETRY_SECONDS = 2.0
_LAST_RETRY_SECONDS = 60.0

log = get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class _SavedPlan(msgspec.Struct, frozen=True, kw_only=True):
    epoch: str
    plan: RoutePlan


class PlanHolder:
    """Keeps the plan current.

    Parameters
    ----------
    source
        Where plans come from.
    store
        Where bundles come from.
    state_file
        Where the last good plan is kept.
    replica
        Name of this data plane in its acknowledgements.
    poll_seconds
        Pause between two looks for a newer plan.
    """

    def __init__(
        self,
        source: PlanSource,
        store: BundleStore,
        state_file: Path,
        *,
        replica: str,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.state = ServingState()
        self._source = source
        self._store = store
        self._state_file = state_file
        self._replica = replica
        self._poll_seconds = poll_seconds
        self._wanted: FetchedPlan | None = None
        self._seen = -1
        self._work = asyncio.Event()
        self._settled = asyncio.Event()
        self._pull_lock = asyncio.Lock()
        self._pulled_at = float("-inf")
        self._waiters = 0
        self._owed: PlanAcknowledgement | None = None
        self._retry_seconds = _FIRST_RETRY_SECONDS
        self._reachable = True
        self._refused = -1
        self._tasks: list[asyncio.Task[None]] = []
        self._thread = ThreadPoolExecutor(1, "arkwright-plan")

    @property
    def ready(self) -> bool:
        """Whether a plan is in use."""
        return self.state.generation >= 0

    @property
    def reachable(self) -> bool:
        """Whether the control plane answered the last time it was asked."""
        return self._reachable

    async def start(self) -> None:
        """Serve the last good plan, if there is one, and begin to look for newer ones."""
        saved = await self._in_thread(self._read_saved)
        if saved is not None:
            await self._prepare(FetchedPlan(saved.plan, saved.epoch))
        self._tasks = [asyncio.create_task(self._poll()), asyncio.create_task(self._prepare_wanted())]

    async def stop(self) -> None:
        """Stop looking; what is served stays."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []
        self._thread.shutdown(wait=True)
        await self._source.close()

    async def refresh(self, *, endpoints: bool = False) -> None:
        """Look for a newer plan now: for a caller whose key or deployment is not in the one in use.

        Callers share one look, there are at most five looks a second, and when too many callers wait the rest is
        turned away without one, so that a flood of unknown keys costs the control plane nothing.

        Parameters
        ----------
        endpoints
            Also wait, for a few seconds, until the plan's bundles are ready.
        """
        if self._waiters >= _MAX_REFRESH_WAITERS:
            return
        self._waiters += 1
        asked_at = time.monotonic()
        try:
            async with self._pull_lock:
                if self._pulled_at < asked_at:
                    await asyncio.sleep(max(0.0, self._pulled_at + _REFRESH_INTERVAL_SECONDS - time.monotonic()))
                    await self._pull()
            if endpoints and self._seen >= 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PULL_TIMEOUT_SECONDS):
                        await self._settled.wait()
        finally:
            self._waiters -= 1

    async def _poll(self) -> None:
        while True:
            async with self._pull_lock:
                await self._pull()
            await self._pay_acknowledgement()
            await asyncio.sleep(self._poll_seconds)

    async def _pull(self) -> None:
        self._pulled_at = time.monotonic()
        try:
            # Not wait_for: in Python 3.11 it can swallow the cancellation that stops this task.
            async with asyncio.timeout(_PULL_TIMEOUT_SECONDS):
                fetched = await self._source.fetch(self._seen)
        except Exception as error:  # noqa: BLE001 - no fault of the control plane may stop the data plane
            if self._reachable:
                log.warning("control plane is away, serving the last plan", reason=str(error) or type(error).__name__)
            self._reachable = False
            return
        if not self._reachable:
            log.info("control plane is back")
        self._reachable = True
        if fetched is not None:
            self._admit(fetched)

    def _admit(self, fetched: FetchedPlan) -> None:
        """Let a plan in, unless it is older than the one in use."""
        plan, state = fetched.plan, self.state
        newest = self._seen if self._seen >= 0 else state.generation
        reset = bool(state.epoch) and bool(fetched.epoch) and fetched.epoch != state.epoch
        if plan.generation < newest and not reset:
            if self._refused != plan.generation:
                log.warning("plan refused: it is older than the one in use", offered=plan.generation, in_use=newest)
                self._refused = plan.generation
            return
        if reset:
            log.warning("control plane was reset, starting from its plan", epoch=fetched.epoch)
        self._seen = plan.generation
        self._wanted = fetched
        self._retry_seconds = _FIRST_RETRY_SECONDS
        self.state = replace(
            state,
            epoch=fetched.epoch or state.epoch,
            credentials={item.secret_sha256: item for item in plan.credentials},
            workspaces=plan.workspaces,
            protected_model_ids=frozenset(plan.protected_model_ids),
        )
        self._settled.clear()
        self._work.set()

    async def _prepare_wanted(self) -> None:
        while True:
            pause = self._retry_seconds if self.state.failed else None
            try:
                async with asyncio.timeout(pause):
                    await self._work.wait()
            except TimeoutError:
                self._retry_seconds = min(self._retry_seconds * 2, _LAST_RETRY_SECONDS)
            self._work.clear()
            if self._wanted is None:
                continue
            try:
                await self._prepare(self._wanted)
            except Exception as error:
                log.exception("plan could not be prepared", reason=str(error))

    async def _prepare(self, fetched: FetchedPlan) -> None:
        """Load what a plan names, swap, save, acknowledge."""
        endpoints, failed = await self._in_thread(self._load, fetched.plan, self.state.endpoints)
        newest = self._wanted or fetched
        self.state = ServingState(
            generation=fetched.plan.generation,
            epoch=newest.epoch or self.state.epoch,
            endpoints=endpoints,
            failed=failed,
            # A newer plan may have come in meanwhile: its credentials already count.
            credentials={item.secret_sha256: item for item in newest.plan.credentials},
            workspaces=newest.plan.workspaces,
            protected_model_ids=frozenset(newest.plan.protected_model_ids),
        )
        self._owed = _acknowledgement(self._replica, fetched.plan, self.state)
        _publish(self.state)
        await self._in_thread(self._save, self.state, fetched.plan)
        if fetched is newest:
            self._settled.set()
        await self._pay_acknowledgement()

    async def _pay_acknowledgement(self) -> None:
        owed = self._owed
        if owed is None or self._wanted is None:
            return
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_PULL_TIMEOUT_SECONDS):
                await self._source.acknowledge(owed)
            if self._owed is owed:
                self._owed = None

    def _load(
        self, plan: RoutePlan, previous: dict[str, LiveEndpoint]
    ) -> tuple[dict[str, LiveEndpoint], dict[str, str]]:
        """Return the endpoints that can answer, and why the others cannot; runs in the plan's thread."""
        loaded = {live.arm.bundle_digest: live for endpoint in previous.values() for live in endpoint.arms}
        endpoints: dict[str, LiveEndpoint] = {}
        failed: dict[str, str] = {}
        for deployment_id, endpoint in plan.endpoints.items():
            arms: list[LiveArm] = []
            for arm in endpoint.arms:
                try:
                    arms.append(self._load_arm(endpoint, arm, loaded))
                except Exception as error:  # noqa: BLE001 - whatever is wrong with one bundle must not stop the others
                    detail = error.detail if isinstance(error, ArkwrightError) else f"{type(error).__name__}: {error}"
                    failed[deployment_id] = f"version {arm.semver}: {detail}"
                    log.warning("bundle cannot be served", deployment=deployment_id, version=arm.semver, detail=detail)
            if deployment_id in failed and deployment_id in previous:
                endpoints[deployment_id] = previous[deployment_id]
            elif arms:
                endpoints[deployment_id] = LiveEndpoint(endpoint, tuple(arms))
        return endpoints, failed

    def _load_arm(self, endpoint: Endpoint, arm: Arm, loaded: dict[str, LiveArm]) -> LiveArm:
        known = loaded.get(arm.bundle_digest)
        if known is not None:
            return LiveArm(arm, known.bundle, known.feature_names)
        bundle = self._store.load(endpoint.workspace_id, arm.bundle_digest, arm.bundle_uri)
        # The first calls fill caches and prove that the predictor answers at all.
        bundle.predictor.predict_rows(list(bundle.example_rows))
        live = LiveArm(arm, bundle, tuple(column.name for column in bundle.signature.columns))
        loaded[arm.bundle_digest] = live
        return live

    def _save(self, state: ServingState, asked: RoutePlan) -> None:
        """Keep what is served, then drop the bundles nobody asks for; runs in the plan's thread."""
        saved = _SavedPlan(epoch=state.epoch, plan=state.plan())
        beside = self._state_file.with_suffix(".partial")
        try:
            self._state_file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(msgspec.json.encode(saved))
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(self._state_file)
        except OSError as error:
            log.warning("the plan could not be saved", file=str(self._state_file), reason=error.strerror or str(error))
        endpoints = [*asked.endpoints.values(), *saved.plan.endpoints.values()]
        keep = {arm.bundle_digest for endpoint in endpoints for arm in endpoint.arms}
        keep.update(digest for endpoint in endpoints for digest in endpoint.fallback_digests)
        self._store.evict(keep)

    def _read_saved(self) -> _SavedPlan | None:
        try:
            return msgspec.json.decode(self._state_file.read_bytes(), type=_SavedPlan)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("the saved plan cannot be read, waiting for the control plane", reason=str(error))
            return None

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *args, **kwargs))


def _acknowledgement(replica: str, asked: RoutePlan, state: ServingState) -> PlanAcknowledgement:
    statuses = {}
    for deployment_id in asked.endpoints:
        live = state.endpoints.get(deployment_id)
        digests = tuple(arm.arm.bundle_digest for arm in live.arms) if live else ()
        detail = state.failed.get(deployment_id, "")
        statuses[deployment_id] = EndpointStatus(state="failed" if detail else "ready", digests=digests, detail=detail)
    return PlanAcknowledgement(replica=replica, generation=state.generation, endpoints=statuses)


def _publish(state: ServingState) -> None:
    metrics.PLAN_GENERATION.set(state.generation)
    metrics.PLAN_FAILED_ENDPOINTS.set(len(state.failed))
    metrics.MODEL_VERSION_LOADED.clear()
    for deployment_id, endpoint in state.endpoints.items():
        for live in endpoint.arms:
            metrics.MODEL_VERSION_LOADED.labels(deployment_id, live.arm.semver, live.arm.name).set(1)
