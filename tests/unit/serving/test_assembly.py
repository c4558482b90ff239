"""From plans and models in memory to endpoints, whatever order they come in."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.serving.arms import BUNDLE, StubModel

from arkwright.contracts import Arm, Endpoint, Fallback, RoutePlan
from arkwright.serving.assembly import Assembly, needed, reserved

DIGESTS = ["d1", "d2", "d3", "d4"]


@dataclass
class Pool:
    """Models that are there, and those that failed."""

    loaded: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def get(self, digest: str) -> Any:
        return self.loaded.get(digest)

    def failure(self, digest: str) -> str:
        return self.failed.get(digest, "")

    def arrive(self, digest: str) -> None:
        self.failed.pop(digest, None)
        self.loaded.setdefault(digest, SimpleNamespace(bundle=BUNDLE, feature_names=(), model=StubModel()))

    def fail(self, digest: str) -> None:
        if digest not in self.loaded:
            self.failed[digest] = "it is broken"


def arm(name: str, digest: str, percent: float, mode: str = "live") -> Arm:
    return Arm(
        name=name,
        mode=mode,  # type: ignore[arg-type]
        model_version_id=f"mv_{digest}",
        number=1,
        semver=digest,
        bundle_digest=digest,
        bundle_uri="x",
        traffic_percent=percent,
    )


def endpoint(deployment_id: str, *arms: Arm, **changes: Any) -> Endpoint:
    return Endpoint(
        deployment_id=deployment_id,
        workspace_id="ws",
        project_id="p",
        name="n",
        model_name="m",
        arms=arms,
        **changes,
    )


def plan_of(*endpoints: Endpoint) -> RoutePlan:
    return RoutePlan(generation=1, endpoints={one.deployment_id: one for one in endpoints})


digests = st.sampled_from(DIGESTS)


@st.composite
def endpoints(draw, deployment_id: str) -> Endpoint:
    stable, canary, shadow = draw(digests), draw(st.none() | digests), draw(st.none() | digests)
    percent = draw(st.sampled_from([0.0, 10.0, 50.0]))
    arms = [arm("stable", stable, 100.0 - percent if canary else 100.0)]
    if canary:
        arms.append(arm("canary", canary, percent))
    if shadow:
        arms.append(arm("shadow", shadow, 100.0, "shadow"))
    fallback = draw(st.none() | digests)
    return endpoint(deployment_id, *arms, fallback=Fallback(arm=arm("stable", fallback, 100.0) if fallback else None))


@st.composite
def events(draw) -> Any:
    kind = draw(st.sampled_from(["plan", "arrive", "arrive", "fail"]))
    if kind != "plan":
        return kind, draw(digests)
    names = draw(st.lists(st.sampled_from(["dep_1", "dep_2"]), unique=True, max_size=2))
    return kind, plan_of(*(draw(endpoints(name)) for name in names))


@given(st.lists(events(), max_size=30))
def test_an_endpoint_that_answered_goes_on_and_ends_up_with_what_its_plan_says(history):
    pool = Pool()
    assembly = Assembly(pool)  # type: ignore[arg-type]
    plan, live = plan_of(), {}
    for kind, what in history:
        if kind == "plan":
            plan = what
        elif kind == "arrive":
            pool.arrive(what)
        else:
            pool.fail(what)
        before = live
        live, failed = assembly.build(plan, before)
        assert set(live) <= set(plan.endpoints)
        for name, wanted in plan.endpoints.items():
            asked = [one for one in wanted.arms if one.mode == "live"]
            ready = [one for one in asked if pool.get(one.bundle_digest)]
            if name in before:
                assert name in live
            if ready == asked:
                assert [one.arm for one in live[name].arms] == asked
                assert live[name].endpoint == wanted
            if any(pool.failure(one.bundle_digest) for one in wanted.arms):
                assert name in failed
            if name in live:
                found = live[name]
                assert found.arms
                assert all(one.model.predict_rows([{}]) for one in found.loaded())
                assert found.runtime.choose(found, "req", None) in found.arms
                assert found.runtime is before[name].runtime if name in before else found.runtime


def test_models_that_answer_are_asked_for_before_those_that_nobody_waits_for():
    assembly = Assembly(Pool())  # type: ignore[arg-type]
    plan = plan_of(
        endpoint("dep_1", arm("stable", "d1", 100.0), arm("shadow", "d2", 100.0, "shadow")),
        endpoint("dep_2", arm("stable", "d3", 100.0), fallback=Fallback(arm=arm("stable", "d4", 100.0))),
    )
    assert [one.digest for one in assembly.missing(plan)] == ["d1", "d3", "d2", "d4"]


def test_each_endpoints_likeliest_rollback_comes_before_anybodys_second():
    plan = plan_of(
        endpoint("dep_1", arm("stable", "d1", 100.0), fallback_digests=("a1", "a2", "a3")),
        endpoint("dep_2", arm("stable", "d2", 100.0), fallback_digests=("b1", "d1")),
    )
    assert reserved(plan) == ["a1", "b1", "a2", "a3"]
    assert needed(plan) == {"d1", "d2"}
