"""Splits, limits, memory, shadows and fuses as a caller of the whole data plane meets them."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager

import msgspec
import pytest
import structlog
from tests.unit.serving.conftest import predict, until

from arkwright.contracts import Fallback, Fuse, Limits
from arkwright.kit.telemetry import exposition
from arkwright.serving.errors import TooManyRequests

ROW = {"tenure": 3, "contract": "month", "customer": "c-1"}


@pytest.fixture(autouse=True)
def quick_log():
    """Keep the log from drawing tracebacks on the terminal, which takes seconds."""
    with structlog.testing.capture_logs():
        yield


@asynccontextmanager
async def serving(platform, *arms, **changes):
    """Run a data plane with that endpoint."""
    plan = platform.publish(1, *arms)
    endpoint = msgspec.structs.replace(plan.endpoints["dep_1"], **changes)
    platform.control.plan = msgspec.structs.replace(plan, endpoints={"dep_1": endpoint})
    plane = platform.plane()
    await plane.start()
    await until(lambda: plane.holder.ready)
    try:
        yield plane
    finally:
        await plane.stop()


def halves(platform, name: str = "canary"):
    """Return two arms that share the traffic."""
    return (
        platform.arm(platform.bundle(1.0), traffic_percent=50.0),
        platform.arm(platform.bundle(2.0), "2.0.0", name=name, traffic_percent=50.0),
    )


def arm_of(plane, name: str):
    return next(live for live in plane.holder.state.endpoints["dep_1"].loaded() if live.arm.name == name)


def breaks(monkeypatch, plane, name: str) -> None:
    """Make an arm's model fail from now on."""

    def fail(_rows, **_how):
        raise RuntimeError("the library refused")

    for way in ("predict_rows", "answer_row"):
        monkeypatch.setattr(arm_of(plane, name).model, way, fail)


def total(name: str) -> float:
    lines = [line for line in exposition().decode().splitlines() if line.startswith(name)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def test_a_user_named_in_a_header_stays_with_an_arm(platform):
    async with serving(platform, *halves(platform), unit="header:X-User-Id", strategy="ab") as plane:
        by_user = {
            user: {(await predict(plane, [ROW], x_user_id=user)).json["arm"] for _ in range(5)}
            for user in (f"user-{index}" for index in range(20))
        }
    assert all(len(arms) == 1 for arms in by_user.values())
    assert set.union(*by_user.values()) == {"stable", "canary"}


async def test_a_customer_named_in_a_column_stays_with_an_arm_in_large_requests_too(platform):
    async with serving(platform, *halves(platform), unit="customer", strategy="ab") as plane:
        seen = set()
        for index in range(10):
            row = {**ROW, "customer": f"customer-{index}"}
            small = await predict(plane, [row])
            large = await predict(plane, [row, *[ROW] * 1_500])
            assert small.json["arm"] == large.json["arm"]
            seen.add(small.json["arm"])
    assert seen == {"stable", "canary"}


async def test_a_caller_beyond_its_rate_is_told_when_to_come_back(platform):
    limits = Limits(requests_per_second=0.5, burst=3)
    async with serving(platform, platform.arm(platform.bundle(1.0)), limits=limits) as plane:
        statuses = [(await predict(plane, [ROW])).status for _ in range(3)]
        refused = await predict(plane, [ROW])
    assert statuses == [200, 200, 200]
    assert refused.status == TooManyRequests.status
    assert refused.json["code"] == "inference.rate_limited"
    assert refused.headers["retry-after"] == "2"


async def test_an_identical_payload_is_answered_from_memory_under_its_own_request_id(platform, monkeypatch):
    async with serving(platform, platform.arm(platform.bundle(1.0)), cache_seconds=60.0) as plane:
        first = await predict(plane, [ROW], x_request_id="first")
        breaks(monkeypatch, plane, "stable")
        second = await predict(plane, [ROW], x_request_id="second")
        other = await predict(plane, [{**ROW, "tenure": 4}])
    assert second.json["predictions"] == first.json["predictions"]
    assert second.json["request_id"] == "second"
    assert other.status == 500


async def test_a_shadow_is_compared_and_reported_and_its_failures_reach_nobody(platform, monkeypatch):
    shadow = platform.arm(platform.bundle(2.0), "2.0.0", name="shadow", mode="shadow")
    scored = 'arkwright_shadow_rows_total{arm="shadow",deployment="dep_1"}'
    before = total(scored)
    async with serving(platform, platform.arm(platform.bundle(1.0)), shadow) as plane:
        for _ in range(5):
            assert (await predict(plane, [ROW, ROW])).json["arm"] == "stable"
        await until(lambda: total(scored) >= before + 10)
        breaks(monkeypatch, plane, "shadow")
        assert (await predict(plane, [ROW])).status == 200
    windows = [one for report in platform.control.reports for one in report.windows if one.arm == "shadow"]
    assert sum(one.compared for one in windows) == 10
    assert sum(one.difference_sum for one in windows) > 0


async def test_a_canary_that_fails_loses_its_traffic_here_and_the_control_plane_learns_why(platform, monkeypatch):
    async with serving(platform, *halves(platform), fuse=Fuse(min_requests=20)) as plane:
        breaks(monkeypatch, plane, "canary")
        answers = [await predict(plane, [ROW]) for _ in range(120)]
        await until(lambda: plane.holder.state.endpoints["dep_1"].runtime.blown)
        after = [await predict(plane, [ROW]) for _ in range(50)]
    failed = [answer for answer in answers if answer.status != 200]
    assert 0 < len(failed) <= 12
    assert {answer.json["arm"] for answer in after} == {"stable"}
    windows = [one for report in platform.control.reports for one in report.windows if one.arm == "canary"]
    assert any(one.blown for one in windows)
    assert sum(one.errors for one in windows) >= 20


async def test_bodies_that_are_no_rows_count_against_no_arm(platform):
    async with serving(platform, *halves(platform)) as plane:
        runtime = plane.holder.state.endpoints["dep_1"].runtime
        state = next(state for state in runtime._states.values() if state.arm.name == "canary")
        for _ in range(10):
            state.breaker.failed(time.monotonic())
        for _ in range(20):
            assert (await predict(plane, "no list")).status == 422
        assert sum(window.requests for window in runtime.close()) == 0


@pytest.mark.parametrize("rows", [1, 2_000])
async def test_when_a_model_fails_the_previous_version_answers_and_the_answer_says_so(platform, monkeypatch, rows):
    previous = platform.arm(platform.bundle(2.0), "0.9.0")
    arm = platform.arm(platform.bundle(1.0))
    async with serving(platform, arm, fallback=Fallback(arm=previous)) as plane:
        before = await predict(plane, [ROW] * rows)
        breaks(monkeypatch, plane, "stable")
        after = await predict(plane, [ROW] * rows)
    assert "fallback" not in before.json
    assert (after.json["arm"], after.json["fallback"], after.json["model_version"]) == (
        "fallback",
        "previous_version",
        "0.9.0",
    )
    assert len(after.json["predictions"]) == rows
    assert after.json["predictions"] != before.json["predictions"]


async def test_a_large_request_that_its_model_fails_is_one_failure_and_not_one_for_each_slice(platform, monkeypatch):
    failures = 'arkwright_model_failures_total{arm="stable",deployment="dep_1"}'
    arm, previous = platform.arm(platform.bundle(1.0)), platform.arm(platform.bundle(2.0), "0.9.0")
    async with serving(platform, arm, fallback=Fallback(arm=previous)) as plane:
        breaks(monkeypatch, plane, "stable")
        before = total(failures)
        answer = await predict(plane, [ROW] * 2_000)
        after = total(failures)
        monkeypatch.undo()
        small = await predict(plane, [ROW])
    assert answer.json["fallback"] == "previous_version"
    assert after == before + 1
    assert "fallback" not in small.json, "the breaker did not open for all"
