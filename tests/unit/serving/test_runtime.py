"""Choosing, protecting and counting, for one endpoint."""

from __future__ import annotations

import asyncio
import math

import pytest
from tests.unit.serving.arms import Broken, Clock, Stage, StubModel, stub_arm

from arkwright.contracts import Fuse, Objectives
from arkwright.core.errors import Invalid, Unavailable
from arkwright.serving.breaker import CONSECUTIVE, FIRST_PAUSE_SECONDS, PROBES
from arkwright.serving.cache import ResultCache
from arkwright.serving.runtime import Answered
from arkwright.serving.windows import KEEP_SECONDS

REQUESTS = [f"req_{index}" for index in range(400)]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def canary(stage: Stage, percent: float = 50.0, model: StubModel | None = None, **changes):
    """Serve a canary of that share."""
    return stage.serve(stub_arm("stable", 100.0 - percent), stub_arm("canary", percent, model), **changes)


def canary_requests(stage: Stage) -> list[str]:
    return [one for one in REQUESTS if stage.live.assigned(one).arm.name == "canary"]


def test_a_unit_stays_with_its_arm_whatever_its_requests_are_called(stage):
    live = canary(stage)
    arms = {stage.runtime.choose(live, request_id, "user_7").arm.name for request_id in REQUESTS}
    assert len(arms) == 1
    assert {stage.runtime.choose(live, one, None).arm.name for one in REQUESTS} == {"stable", "canary"}


def test_a_request_without_its_unit_is_assigned_by_its_own_id(stage):
    live = canary(stage)
    for one in REQUESTS:
        assert stage.runtime.choose(live, one, "") is stage.runtime.choose(live, one, None)


def test_what_each_arm_did_is_counted_second_by_second(stage):
    stage.serve(stub_arm(model=StubModel(score=0.5)))
    for _ in range(3):
        stage.ask(rows=[{}, {}], latency_ms=4.0)
    window = stage.windows()["stable"]
    assert (window.requests, window.errors, window.rows) == (3, 0, 6)
    assert (window.score_sum, window.score_squares) == (3.0, 1.5)
    assert sum(count for _, count in window.latency_counts) == 3
    assert (window.second, window.deployment_id, window.model_version_id) == (1_000, "dep_1", "mv_stable")
    assert stage.windows() == {}


def test_a_score_that_is_no_number_does_not_spoil_the_report(stage):
    stage.serve(stub_arm(model=StubModel(score=math.inf)))
    stage.ask()
    assert stage.windows()["stable"].score_sum == 0.0


def test_a_callers_mistake_is_no_error_of_the_model(stage):
    stage.serve(stub_arm())
    for _ in range(CONSECUTIVE * 3):
        assert isinstance(stage.ask(rows=[{"wrong": 1}]), Invalid)
    assert isinstance(stage.ask(), Answered)
    assert stage.windows()["stable"].errors == 0


# The fuse


def blow(stage: Stage, **changes) -> None:
    canary(stage, model=StubModel(error=Broken("no")), fuse=Fuse(min_requests=20, **changes))
    for one in canary_requests(stage)[:60]:
        stage.ask(one)
    stage.clock.now += 1.0
    stage.runtime.tick()


def test_a_failing_canary_loses_its_traffic_to_the_first_arm(stage):
    blow(stage)
    assert set(stage.runtime.blown) == {"canary"}
    assert {stage.ask(one).arm_name for one in REQUESTS} == {"stable"}


def test_a_slow_canary_loses_its_traffic_too_where_the_control_plane_is_away(stage):
    canary(stage, objectives=Objectives(latency_ms_p95=50.0), fuse=Fuse(min_requests=20))
    for one in canary_requests(stage):
        stage.ask(one, latency_ms=80.0)
    stage.windows()
    assert not stage.runtime.blown, "while the control plane answers, it decides"
    stage.alone = True
    stage.windows()
    assert "95th" in stage.runtime.blown["canary"]


def test_a_fuse_blows_without_anybody_asking_for_a_report(stage):
    canary(stage, model=StubModel(error=Broken("no")), fuse=Fuse(min_requests=20))
    for index, one in enumerate(canary_requests(stage)):
        stage.clock.now = 1_000.0 + index * 0.05
        stage.ask(one)
    assert stage.runtime.blown


def test_a_blown_fuse_stays_blown_when_the_trouble_is_over(stage):
    blow(stage)
    stage.clock.now += 3_600.0
    stage.runtime.tick()
    assert {stage.ask(one).arm_name for one in REQUESTS} == {"stable"}


def test_a_plan_that_says_nothing_new_of_the_arm_leaves_its_fuse_blown(stage):
    blow(stage)
    stable, arm = stage.live.arms
    stage.serve(stable, arm, fuse=Fuse(min_requests=20), cache_seconds=1.0)
    assert stage.runtime.blown


def test_a_plan_with_a_new_share_or_version_of_the_arm_begins_clean(stage):
    blow(stage)
    canary(stage, percent=25.0)
    assert not stage.runtime.blown
    blow(stage)
    stage.serve(stub_arm("stable", 50.0), stub_arm("canary", 50.0, version="mv_new"))
    assert not stage.runtime.blown
    assert "canary" in {stage.ask(one).arm_name for one in REQUESTS}


def test_the_first_arm_has_no_fuse_there_is_nobody_to_take_its_traffic(stage):
    stage.serve(stub_arm(model=StubModel(error=Broken("no"))), fuse=Fuse(min_requests=1))
    for one in REQUESTS:
        stage.ask(one)
    stage.windows()
    assert not stage.runtime.blown


def test_a_blown_arm_says_so_in_its_last_windows(stage):
    canary(stage, model=StubModel(error=Broken("no")), fuse=Fuse(min_requests=20))
    for one in canary_requests(stage)[:60]:
        stage.ask(one)
    assert stage.windows()["canary"].blown


def test_a_blown_arm_is_mentioned_again_and_again_because_a_report_may_be_lost(stage):
    blow(stage)
    stage.windows()
    mentioned = [window for _ in range(60) if (window := stage.windows().get("canary"))]
    assert len(mentioned) == 6
    assert all(window.blown and not window.requests for window in mentioned)


def test_a_new_split_of_the_same_versions_forgets_nothing(stage):
    canary(stage, percent=50.0)
    for one in REQUESTS:
        stage.ask(one)
    before = len(canary_requests(stage))
    canary(stage, percent=60.0)
    assert stage.windows()["canary"].requests == before


def test_the_windows_of_an_arm_that_left_are_still_reported(stage):
    canary(stage)
    for one in REQUESTS:
        stage.ask(one)
    expected = len(canary_requests(stage))
    stage.serve(stage.live.arms[0])
    assert stage.windows()["canary"].requests == expected


def test_an_answer_that_arrives_after_its_arm_left_counts_for_nobody(stage):
    live = canary(stage)
    chosen = live.arms[1]
    answered = stage.runtime.answer(live, chosen, [{}])
    stage.serve(live.arms[0])
    stage.runtime.observe(answered, 1.0, 1, failed=False)
    stage.runtime.observe(chosen, 1.0, 1, failed=True)
    assert stage.windows() == {}


def test_a_request_that_began_under_the_last_plan_goes_by_the_newest(stage):
    old = canary(stage, percent=100.0)
    new = stage.serve(stub_arm("stable", 100.0, version="mv_2"))
    assert stage.runtime.choose(old, "req_1", None) is new.arms[0]


def test_an_error_of_a_version_that_was_replaced_does_not_count_against_the_new_one(stage):
    canary(stage)
    old = stage.live.arms[1]
    stage.serve(stage.live.arms[0], stub_arm("canary", 50.0, version="mv_new"))
    stage.runtime.observe(old, 1.0, 1, failed=True)
    assert stage.windows() == {}


# The breaker


def test_a_large_request_counts_once_for_the_breaker_and_goes_to_its_fallback_as_a_whole(stage):
    model = StubModel(error=Broken("no"))
    live = stage.serve(stub_arm(model=model), fallback=stub_arm("stable", version="mv_0"))
    answered = None
    for _ in range(CONSECUTIVE * 3):
        answered = stage.runtime.answer(live, live.arms[0], [{}] * 100, earlier=answered)
        assert answered.fallback == "previous_version"
    assert model.calls == 1
    model.error = None
    assert stage.ask().fallback == ""


def test_the_parts_of_one_large_request_are_one_probe(stage):
    model = StubModel(error=Broken("no"))
    live = stage.serve(stub_arm(model=model), constant={"label": "No", "score": 0.0})
    for _ in range(CONSECUTIVE):
        stage.ask()
    model.error = None
    stage.clock.now += FIRST_PAUSE_SECONDS
    answered = None
    for _ in range(PROBES * 2):
        answered = stage.runtime.answer(live, live.arms[0], [{}] * 100, earlier=answered)
        assert not answered.fallback
    assert stage.runtime._states["stable", "mv_stable"].breaker.state == "half-open"


async def test_requests_in_flight_when_a_child_dies_are_one_failure_and_not_sixty():
    stage = Stage()
    gate = asyncio.Event()

    class Dying(StubModel):
        async def predict_rows_async(self, rows, *, with_scores=False, timeout_seconds):
            await gate.wait()
            return self.predict_rows(rows)

    model = Dying(error=Broken("died"), inline=False)
    live = stage.serve(stub_arm(model=model))
    requests = [stage.runtime.answer_async(live, live.arms[0], [{}], timeout_seconds=1.0) for _ in range(64)]
    running = asyncio.gather(*requests, return_exceptions=True)
    await asyncio.sleep(0)
    gate.set()
    assert {type(one) for one in await running} == {Broken}
    breaker = stage.runtime._states["stable", "mv_stable"].breaker
    assert breaker.retry_at == stage.clock.now + FIRST_PAUSE_SECONDS


def test_a_canary_whose_breaker_is_open_is_not_asked_and_owes_its_requests(stage):
    model = StubModel(error=Broken("no"))
    canary(stage, model=model, fuse=Fuse(enabled=False))
    answers = [stage.ask(one) for one in canary_requests(stage)]
    assert model.calls == CONSECUTIVE
    assert [isinstance(one, Broken) for one in answers[:CONSECUTIVE]] == [True] * CONSECUTIVE
    assert {one.arm_name for one in answers[CONSECUTIVE:]} == {"stable"}
    windows = stage.windows()
    assert windows["canary"].errors == windows["canary"].requests == len(answers)
    assert windows["canary"].fallbacks == len(answers) - CONSECUTIVE
    assert windows["stable"].requests == len(answers) - CONSECUTIVE


def test_a_canary_that_recovers_gets_its_units_back(stage):
    model = StubModel(error=Broken("no"))
    canary(stage, model=model, fuse=Fuse(enabled=False))
    mine = canary_requests(stage)
    for one in mine[:CONSECUTIVE]:
        stage.ask(one)
    model.error = None
    stage.clock.now += FIRST_PAUSE_SECONDS
    assert {stage.ask(one).arm_name for one in mine[: PROBES + 3]} == {"canary"}


def test_a_slow_model_without_fallback_is_spared_and_its_callers_told_when_to_come_back(stage):
    stage.serve(stub_arm(model=StubModel(error=Broken("no"), inline=False)))
    for _ in range(CONSECUTIVE):
        assert isinstance(stage.ask(), Broken)
    refusal = stage.ask()
    assert isinstance(refusal, Unavailable)
    assert refusal.code == "model.failing"
    assert refusal.retry_after_seconds >= 1


def test_a_quick_model_without_fallback_may_always_try(stage):
    model = StubModel(error=Broken("no"))
    stage.serve(stub_arm(model=model))
    for _ in range(CONSECUTIVE * 2):
        assert isinstance(stage.ask(), Broken)
    model.error = None
    assert isinstance(stage.ask(), Answered)


# The fallback chain


def test_the_previous_version_answers_for_a_model_that_fails(stage):
    previous = stub_arm("stable", version="mv_0", model=StubModel(score=0.75))
    stage.serve(stub_arm(model=StubModel(error=Broken("no"))), fallback=previous)
    answered = stage.ask()
    assert (answered.arm_name, answered.fallback) == ("fallback", "previous_version")
    assert answered.live is previous
    assert answered.predictions == [{"label": "Yes", "score": 0.75}]
    window = stage.windows()["stable"]
    assert (window.requests, window.errors, window.fallbacks) == (1, 1, 1)
    assert window.score_sum == 0.0


def test_the_constant_answers_when_the_previous_version_fails_as_well(stage):
    stage.serve(
        stub_arm(model=StubModel(error=Broken("no"))),
        fallback=stub_arm("stable", version="mv_0", model=StubModel(error=Broken("neither"))),
        constant={"label": "No", "score": 0.0},
    )
    answered = stage.ask(rows=[{"customer": "c1"}, {}])
    assert (answered.arm_name, answered.fallback) == ("fallback", "constant")
    assert answered.predictions == [{"customer": "c1", "label": "No", "score": 0.0}, {"label": "No", "score": 0.0}]


@pytest.mark.parametrize("inline", [True, False])
async def test_a_fallback_that_is_the_failing_model_itself_is_not_asked(inline):
    stage = Stage()
    model = StubModel(error=Broken("no"), inline=inline)
    same = stub_arm("stable", version="mv_0", model=model)
    live = stage.serve(stub_arm(model=model), fallback=same, constant={"label": "No", "score": 0.0})
    answered = await stage.runtime.answer_async(live, live.arms[0], [{}], timeout_seconds=1.0)
    assert answered.fallback == "constant"
    assert model.calls == 1


def test_a_constant_always_has_the_members_of_a_prediction(stage):
    stage.serve(stub_arm(model=StubModel(error=Broken("no"))), constant={"label": "No"})
    assert stage.ask().predictions == [{"label": "No", "score": None}]


def test_rows_that_the_previous_version_refuses_get_the_constant(stage):
    stage.serve(
        stub_arm(model=StubModel(error=Broken("no"))),
        fallback=stub_arm("stable", version="mv_0", model=StubModel(error=Invalid("no such column"))),
        constant={"label": "No", "score": 0.0},
    )
    assert stage.ask().fallback == "constant"


def test_the_previous_version_is_not_shown_columns_that_came_later(stage):
    seen = []
    previous = StubModel()
    answer = previous.predict_rows
    previous.predict_rows = lambda rows, **how: (seen.extend(rows), answer(rows, **how))[1]
    stage.serve(
        stub_arm(model=StubModel(error=Broken("no"))), fallback=stub_arm("stable", version="mv_0", model=previous)
    )
    assert stage.ask(rows=[{"customer": "c1", "brand_new": 3}]).fallback == "previous_version"
    assert seen == [{"customer": "c1"}]


def test_with_a_fallback_an_open_breaker_spares_the_model_and_no_caller_sees_an_error(stage):
    model = StubModel(error=Broken("no"))
    stage.serve(stub_arm(model=model), fallback=stub_arm("stable", version="mv_0"))
    answers = [stage.ask() for _ in range(50)]
    assert {one.fallback for one in answers} == {"previous_version"}
    assert model.calls == CONSECUTIVE
    window = stage.windows()["stable"]
    assert (window.requests, window.errors, window.fallbacks) == (50, 50, 50)


async def test_general_models_fall_back_as_well_and_their_full_queue_is_no_failure():
    stage = Stage()
    model = StubModel(error=Broken("no"), inline=False)
    previous = stub_arm("stable", version="mv_0", model=StubModel(score=0.75, inline=False))
    live = stage.serve(stub_arm(model=model), fallback=previous)
    assert not live.inline
    answered = await stage.runtime.answer_async(live, live.arms[0], [{}], timeout_seconds=1.0)
    assert (answered.fallback, answered.live) == ("previous_version", previous)
    model.error = Unavailable("full", code="inference.overloaded")
    for _ in range(CONSECUTIVE * 2):
        with pytest.raises(Unavailable, match="full"):
            await stage.runtime.answer_async(live, live.arms[0], [{}], timeout_seconds=1.0)
    model.error = None
    answered = await stage.runtime.answer_async(live, live.arms[0], [{}], timeout_seconds=1.0)
    assert answered.fallback == ""


async def test_a_request_whose_version_was_replaced_under_it_is_answered_by_the_new_one():
    stage = Stage()
    old = stage.serve(stub_arm(model=StubModel(inline=False, error=Unavailable("gone", code="model.closed"))))
    new = stage.serve(stub_arm(version="mv_2", model=StubModel(inline=False)))
    answered = await stage.runtime.answer_async(old, old.arms[0], [{}], timeout_seconds=1.0)
    assert answered.live is new.arms[0]
    new.arms[0].model.error = Unavailable("gone", code="model.closed")
    with pytest.raises(Unavailable):
        await stage.runtime.answer_async(new, new.arms[0], [{}], timeout_seconds=1.0)


# The result cache


def test_an_identical_payload_is_answered_from_memory_while_the_endpoint_allows_it():
    clock = Clock()
    stage = Stage(clock, cache=ResultCache(monotonic=clock))
    live = stage.serve(stub_arm(model=StubModel(score=0.5)), cache_seconds=10.0)
    arm = live.arms[0]
    assert stage.runtime.cached(live, arm, b"body") is None
    stage.runtime.remember(live, b"body", stage.runtime.answer(live, arm, [{}]))
    found = stage.runtime.cached(live, arm, b"body")
    assert found.predictions == [{"label": "Yes", "score": 0.5}]
    assert (found.arm_name, found.fallback) == ("stable", "")
    newer = stage.serve(stub_arm(version="mv_2"), cache_seconds=10.0)
    assert stage.runtime.cached(newer, newer.arms[0], b"body") is None


def test_nothing_is_kept_unless_the_endpoint_says_so_and_never_a_fallback():
    stage = Stage(cache=ResultCache())
    live = stage.serve(stub_arm())
    stage.runtime.remember(live, b"body", stage.runtime.answer(live, live.arms[0], [{}]))
    assert stage.runtime.cached(live, live.arms[0], b"body") is None
    live = stage.serve(
        stub_arm(model=StubModel(error=Broken("no"))), constant={"label": "No", "score": 0.0}, cache_seconds=9.0
    )
    stage.runtime.remember(live, b"body", stage.runtime.answer(live, live.arms[0], [{}]))
    assert stage.runtime.cached(live, live.arms[0], b"body") is None


# Memory


def test_an_hour_of_traffic_takes_no_more_memory_than_two_minutes_of_it():
    stage = Stage()
    canary(stage, fuse=Fuse(enabled=False))
    answered = stage.runtime.answer(stage.live, stage.live.arms[0], [{}])
    sizes = []
    for second in range(3_600):
        stage.clock.now = 1_000.0 + second
        for latency_ms in (0.1, 1.0, 10.0, 100.0, 1_000.0):
            stage.runtime.observe(answered, latency_ms, 1, failed=False)
        stage.runtime.tick()
        state = stage.runtime._states["stable", "mv_stable"]
        sizes.append(sum(len(one.latencies) for one in state.windows._seconds))
    assert max(sizes) == max(sizes[:KEEP_SECONDS])
