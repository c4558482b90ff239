"""The plan a data plane serves by, and how it changes without a request noticing.

Two things happen to a new plan. Its *credentials* count at once, and so does every endpoint whose models are in memory
already: a canary step, a rollback and a change of limits are one assignment, whatever else the plan brings. An endpoint
that needs another model goes on with what it had until that one is fetched, verified, loaded and warm. So a slow or
broken bundle delays neither a revocation nor another endpoint's traffic.

- A generation never goes backwards within an *epoch* (one control-plane database). A plan of another epoch, after
  ``arkwright reset`` or a restored database, replaces what there is whatever its number, and is logged as such.
- An endpoint of which a live arm fails keeps answering with what it had; the acknowledgement says ``failed`` and why,
  and the preparation is tried again with growing pauses. A shadow arm or a fallback that fails is only reported.
- What is served is written to ``plan.json`` after each swap, and is where a data plane starts when the control plane is
  away.
- The models of ``fallback_digests`` stay on disk and, as far as a budget goes, in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec

from arkwright.contracts import EndpointStatus, PlanAcknowledgement, RoutePlan, SavedPlan
from arkwright.core.errors import Unavailable
from arkwright.kit.logging import get_logger
from arkwright.serving import metrics
from arkwright.serving.assembly import Assembly, needed, reserved
from arkwright.serving.pool import GeneralFactory, ModelPool
from arkwright.serving.ports import FetchedPlan, PlanSource
from arkwright.serving.reporter import Reporter
from arkwright.serving.state import ServingState
from arkwright.serving.store import BundleStore

POLL_SECONDS = 0.25
_PULL_TIMEOUT_SECONDS = 2.0
_REFRESH_INTERVAL_SECONDS = 0.2
_MAX_REFRESH_WAITERS = 64
_FIRST_RETRY_SECONDS = 2.0
_LAST_RETRY_SECONDS = 60.0
# An acknowledgement of what is ready goes out before the rest, where the rest takes longer than this.
_INTERIM_SECONDS = 0.5
# A model that takes longer than this to load is reported as failed, and comes in when it is there.
_PATIENCE_SECONDS = 60.0
# A start waits so long for the saved plan's models; those that take longer come in by themselves.
_START_SECONDS = 5.0
# A control plane that has been silent for longer is away, and the fuses decide in its place.
_ALONE_SECONDS = 3.0
# Memory for the models of possible rollbacks, all endpoints together.
_SPARE_BYTES = 512_000_000

log = get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


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
    general
        Makes the model of a bundle that was not compiled.
    poll_seconds
        Pause between two looks for a newer plan.

    Attributes
    ----------
    state
        What is served now.
    reporter
        Tells the control plane what the arms did.
    """

    def __init__(
        self,
        source: PlanSource,
        store: BundleStore,
        state_file: Path,
        *,
        replica: str,
        general: GeneralFactory | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self.state = ServingState()
        self.pool = ModelPool(store, general)
        self._assembly = Assembly(self.pool, lambda: self.alone)
        self.reporter = Reporter(source, self._assembly.tick, replica=replica)
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
        self._reached_at = time.monotonic()
        self._refused = -1
        self._preloading: asyncio.Task[None] | None = None
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

    @property
    def alone(self) -> bool:
        """Whether the control plane has not answered for some seconds, and decides nothing for now."""
        return not self._reachable and time.monotonic() - self._reached_at > _ALONE_SECONDS

    @property
    def able(self) -> bool:
        """Whether a plan is in use and, if it has endpoints, at least one of them answers."""
        return self.ready and (bool(self.state.endpoints) or not self.state.failed)

    async def start(self) -> None:
        """Serve the last good plan, if there is one, and begin to look for newer ones."""
        self._assembly.start()
        saved = await self._in_thread(self._read_saved)
        self._tasks = [asyncio.create_task(self._prepare_wanted(saved))]
        if saved is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_START_SECONDS):
                    await self._settled.wait()
        self._tasks.append(asyncio.create_task(self._poll()))
        self.reporter.start()

    async def stop(self) -> None:
        """Stop looking; what is served stays until then, and models that run elsewhere are closed."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []
        self._stop_preloading()
        await self._assembly.stop()
        await self.reporter.stop()
        await self.pool.close()
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
        self._reached_at = time.monotonic()
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
        self._trust(plan, fetched.epoch)
        self._swap(plan)
        self._settled.clear()
        self._work.set()

    def _swap(self, plan: RoutePlan) -> None:
        """Serve what a plan says as far as the models in memory allow."""
        endpoints, failed = self._assembly.build(plan, self.state.endpoints)
        self.state = replace(self.state, endpoints=endpoints, failed=failed)

    async def _prepare_wanted(self, saved: SavedPlan | None) -> None:
        if saved is not None and self._wanted is None:
            await self._prepare(FetchedPlan(saved.plan, saved.epoch))
        while True:
            pause = self._retry_seconds if self.state.failed else None
            try:
                async with asyncio.timeout(pause):
                    await self._work.wait()
            except TimeoutError:
                self._retry_seconds = min(self._retry_seconds * 2, _LAST_RETRY_SECONDS)
            self._work.clear()
            if self._wanted is not None:
                await self._prepare(self._wanted)

    async def _prepare(self, fetched: FetchedPlan) -> None:
        """Serve a plan; nothing that goes wrong with one may stop the data plane from taking the next."""
        self._stop_preloading()
        try:
            if await self._load(fetched):
                await self._finish(fetched)
        except Exception as error:
            log.exception("plan could not be prepared", reason=str(error))

    async def _load(self, fetched: FetchedPlan) -> bool:
        """Load what a plan names, swapping as models become ready; return False if a newer plan came in meanwhile."""
        plan = fetched.plan
        loading = {
            self.pool.load(one.workspace_id, one.digest, one.uri): one.digest for one in self._assembly.missing(plan)
        }
        started = time.monotonic()
        deadlines = [_INTERIM_SECONDS, _PATIENCE_SECONDS]
        while pending := [task for task in loading if not task.done()]:
            newer = asyncio.create_task(self._work.wait())
            timeout = started + deadlines[0] - time.monotonic()
            await asyncio.wait([*pending, newer], timeout=max(0.0, timeout), return_when=asyncio.FIRST_COMPLETED)
            newer.cancel()
            if self._superseded(fetched):
                return False
            self._work.clear()
            self._swap(plan)
            if time.monotonic() < started + deadlines[0]:
                continue
            if len(deadlines) == 1:
                for task in pending:
                    self.pool.note_late(loading[task], _PATIENCE_SECONDS)
                    task.add_done_callback(lambda _: self._work.set())
                break
            deadlines.pop(0)
            self._owed = _acknowledgement(self._replica, plan, self.state, self._assembly.settled(plan))
            await self._pay_acknowledgement()
        if self._superseded(fetched):
            return False
        self._swap(plan)
        return True

    async def _finish(self, fetched: FetchedPlan) -> None:
        """Let go of what is no longer needed, save, acknowledge."""
        plan = fetched.plan
        self.state = replace(self.state, generation=plan.generation)
        if self._wanted is None:
            self._trust(plan, fetched.epoch)
        kept = {live.arm.bundle_digest for one in self.state.endpoints.values() for live in one.loaded()}
        spare = reserved(plan)
        self.pool.retain(needed(plan) | kept | self.pool.affordable(spare, _SPARE_BYTES))
        _publish(self.state)
        self._settled.set()
        await self._in_thread(self._save, self.state, plan, self.pool.digests())
        self._owed = _acknowledgement(self._replica, plan, self.state, set(plan.endpoints))
        await self._pay_acknowledgement()
        self._preloading = asyncio.create_task(self._preload(spare))

    async def _preload(self, spare: list[str]) -> None:
        """Load what only a rollback would need; the next plan's models do not wait for it."""
        try:
            await self.pool.preload(spare, _SPARE_BYTES)
        except Exception as error:
            log.exception("models of possible rollbacks could not be loaded", reason=str(error))

    def _stop_preloading(self) -> None:
        """Drop what is being preloaded: the plan that asked for it is over."""
        if self._preloading is not None:
            self._preloading.cancel()
            self._preloading = None

    def _superseded(self, fetched: FetchedPlan) -> bool:
        return self._wanted is not None and self._wanted is not fetched

    def _trust(self, plan: RoutePlan, epoch: str) -> None:
        """Let a plan's credentials count."""
        self.state = replace(
            self.state,
            epoch=epoch or self.state.epoch,
            credentials={item.secret_sha256: item for item in plan.credentials},
            workspaces=plan.workspaces,
            protected_model_ids=frozenset(plan.protected_model_ids),
        )

    async def _pay_acknowledgement(self) -> None:
        owed = self._owed
        if owed is None or self._wanted is None:
            return
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_PULL_TIMEOUT_SECONDS):
                await self._source.acknowledge(owed)
            if self._owed is owed:
                self._owed = None

    def _save(self, state: ServingState, asked: RoutePlan, in_memory: set[str]) -> None:
        """Keep what is served, then drop the bundles nobody asks for; runs in the plan's thread."""
        saved = SavedPlan(epoch=state.epoch, plan=state.plan())
        # Processes that share a home each write their own, and the last rename wins: they hold the same plan.
        beside = self._state_file.with_suffix(f".{self._replica}-{os.getpid()}.partial")
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
        plans = (asked, saved.plan)
        self._store.evict(in_memory.union(*(needed(plan) for plan in plans), *(reserved(plan) for plan in plans)))

    def _read_saved(self) -> SavedPlan | None:
        for left_over in self._state_file.parent.glob(f"{self._state_file.stem}.{self._replica}-*.partial"):
            left_over.unlink(missing_ok=True)
        try:
            return msgspec.json.decode(self._state_file.read_bytes(), type=SavedPlan)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("the saved plan cannot be read, waiting for the control plane", reason=str(error))
            return None

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *args, **kwargs))


def _acknowledgement(
    replica: str, asked: RoutePlan, state: ServingState, settled: Collection[str]
) -> PlanAcknowledgement:
    statuses = {}
    for deployment_id in settled:
        live = state.endpoints.get(deployment_id)
        digests = tuple(arm.arm.bundle_digest for arm in live.arms) if live else ()
        failure = state.failed.get(deployment_id)
        detail = failure.reason if failure else ""
        statuses[deployment_id] = EndpointStatus(state="failed" if detail else "ready", digests=digests, detail=detail)
    return PlanAcknowledgement(replica=replica, generation=asked.generation, endpoints=statuses)


def _publish(state: ServingState) -> None:
    metrics.PLAN_GENERATION.set(state.generation)
    metrics.PLAN_FAILED_ENDPOINTS.set(len(state.failed))
    metrics.MODEL_VERSION_LOADED.clear()
    for deployment_id, endpoint in state.endpoints.items():
        for live in endpoint.arms:
            metrics.MODEL_VERSION_LOADED.labels(deployment_id, live.arm.semver, live.arm.name).set(1)
