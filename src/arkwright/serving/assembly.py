"""From a plan and the models in memory to endpoints that answer.

Assembling is quick and happens on the event loop: an endpoint of which every live arm is in memory is put together at
once, and one that did not change is left as it is. What an endpoint remembers (its
:class:`~arkwright.serving.runtime.EndpointRuntime`) goes from one plan to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from arkwright.contracts import Arm, ArmWindow, Endpoint, RoutePlan
from arkwright.serving.cache import ResultCache
from arkwright.serving.pool import ModelPool
from arkwright.serving.runtime import EndpointRuntime
from arkwright.serving.shadow import ShadowQueue
from arkwright.serving.state import Failure, LiveArm, LiveEndpoint


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model that a plan names."""

    workspace_id: str
    digest: str
    uri: str


class Assembly:
    """Puts endpoints together, and keeps what they remember.

    Parameters
    ----------
    pool
        The models in memory.
    alone
        Tells whether the control plane is away.
    """

    def __init__(self, pool: ModelPool, alone: Callable[[], bool] = lambda: False) -> None:
        self._pool = pool
        self._alone = alone
        self._shadows = ShadowQueue()
        self._cache = ResultCache()
        self._runtimes: dict[str, EndpointRuntime] = {}
        self._left_over: list[ArmWindow] = []

    def start(self) -> None:
        """Begin to score for shadow arms."""
        self._shadows.start()

    async def stop(self) -> None:
        """Stop scoring for shadow arms, and hand out the running second at the next tick: no request is left."""
        await self._shadows.stop()
        for runtime in self._runtimes.values():
            self._left_over.extend(runtime.close())

    def tick(self) -> list[ArmWindow]:
        """Check every fuse, and return the seconds that are over."""
        windows, self._left_over = self._left_over, []
        for runtime in self._runtimes.values():
            windows.extend(runtime.tick())
        return windows

    def missing(self, plan: RoutePlan) -> list[Wanted]:
        """Return the models a plan names that are not in memory, those that answer first."""
        answering: dict[str, Wanted] = {}
        others: dict[str, Wanted] = {}
        for endpoint in plan.endpoints.values():
            for arm in _named(endpoint):
                if self._pool.get(arm.bundle_digest) is None:
                    group = answering if arm.mode == "live" and arm is not endpoint.fallback.arm else others
                    group[arm.bundle_digest] = Wanted(endpoint.workspace_id, arm.bundle_digest, arm.bundle_uri)
        return list((answering | others).values())

    def settled(self, plan: RoutePlan) -> set[str]:
        """Return the endpoints of a plan of which each model is in memory or has failed."""
        return {
            deployment_id
            for deployment_id, endpoint in plan.endpoints.items()
            if all(
                self._pool.get(arm.bundle_digest) or self._pool.failure(arm.bundle_digest) for arm in _named(endpoint)
            )
        }

    def build(
        self, plan: RoutePlan, previous: dict[str, LiveEndpoint]
    ) -> tuple[dict[str, LiveEndpoint], dict[str, Failure]]:
        """Return the endpoints that can answer, and why others cannot or not with all their arms."""
        endpoints: dict[str, LiveEndpoint] = {}
        failed: dict[str, Failure] = {}
        for deployment_id, endpoint in plan.endpoints.items():
            current = previous.get(deployment_id)
            built = self._build(endpoint, current, failed)
            if built is not None:
                endpoints[deployment_id] = built
                if built is not current:
                    built.runtime.adopt(built)
        for deployment_id in [key for key in self._runtimes if key not in endpoints]:
            self._left_over.extend(self._runtimes.pop(deployment_id).close())
        return endpoints, failed

    def _build(
        self, endpoint: Endpoint, current: LiveEndpoint | None, failed: dict[str, Failure]
    ) -> LiveEndpoint | None:
        live: list[LiveArm] = []
        shadows: list[LiveArm] = []
        n_waiting = n_failed = 0
        for arm in endpoint.arms:
            found = self._live_arm(arm)
            if found is not None:
                (live if arm.mode == "live" else shadows).append(found)
                continue
            self._explain(endpoint, arm, "" if arm.mode == "live" else "shadow ", failed)
            if arm.mode == "live":
                if self._pool.failure(arm.bundle_digest):
                    n_failed += 1
                else:
                    n_waiting += 1
        asked = endpoint.fallback.arm
        fallback = self._live_arm(asked) if asked is not None else None
        if asked is not None and fallback is None:
            self._explain(endpoint, asked, "fallback ", failed)
        if n_waiting or not live or (n_failed and current is not None):
            return current
        if current is not None and current.endpoint == endpoint and _same(current, live, shadows, fallback):
            return current
        runtime = self._runtimes.get(endpoint.deployment_id)
        if runtime is None:
            runtime = self._runtimes[endpoint.deployment_id] = EndpointRuntime(
                endpoint.deployment_id,
                endpoint.workspace_id,
                shadows=self._shadows,
                cache=self._cache,
                alone=self._alone,
            )
        return LiveEndpoint(endpoint, tuple(live), tuple(shadows), fallback, runtime)

    def _live_arm(self, arm: Arm) -> LiveArm | None:
        loaded = self._pool.get(arm.bundle_digest)
        return None if loaded is None else LiveArm(arm, loaded.bundle, loaded.feature_names, loaded.model)

    def _explain(self, endpoint: Endpoint, arm: Arm, kind: str, failed: dict[str, Failure]) -> None:
        reason = self._pool.failure(arm.bundle_digest)
        if reason:
            failure = Failure(endpoint.workspace_id, endpoint.name, f"{kind}version {arm.semver}: {reason}")
            failed.setdefault(endpoint.deployment_id, failure)


def needed(plan: RoutePlan) -> set[str]:
    """Return the digests a plan needs in memory."""
    return {arm.bundle_digest for endpoint in plan.endpoints.values() for arm in _named(endpoint)}


def reserved(plan: RoutePlan) -> list[str]:
    """Return the digests that only a rollback would need: each endpoint's likeliest first, then their second ones."""
    ranks = zip_longest(*(endpoint.fallback_digests for endpoint in plan.endpoints.values()))
    used = needed(plan)
    return list(dict.fromkeys(digest for rank in ranks for digest in rank if digest and digest not in used))


def _named(endpoint: Endpoint) -> Iterator[Arm]:
    yield from endpoint.arms
    if endpoint.fallback.arm is not None:
        yield endpoint.fallback.arm


def _same(current: LiveEndpoint, live: list[LiveArm], shadows: list[LiveArm], fallback: LiveArm | None) -> bool:
    """Whether an endpoint has the same arms loaded."""
    before = [*current.arms, *current.shadows, current.fallback]
    after = [*live, *shadows, fallback]
    return [one and one.model for one in before] == [one and one.model for one in after]
