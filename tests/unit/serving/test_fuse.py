"""When a data plane takes an arm's traffic by itself."""

from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.contracts import Fuse, Objectives, latency_bucket
from arkwright.contracts.window import N_BUCKETS
from arkwright.serving.fuse import blown_because
from arkwright.serving.windows import WindowSums

OBJECTIVES = Objectives(latency_ms_p95=50.0, latency_ms_p99=200.0, error_rate_pct=1.0)
FUSE = Fuse(min_requests=50)


def sums(latencies: dict[float, int], errors: int = 0) -> WindowSums:
    counts = [0] * N_BUCKETS
    for latency_ms, count in latencies.items():
        counts[latency_bucket(latency_ms)] += count
    return WindowSums(sum(counts), errors, counts)


def verdict(counted: WindowSums, *, alone: bool = True, objectives: Objectives = OBJECTIVES, fuse: Fuse = FUSE) -> str:
    return blown_because(counted, objectives, fuse, alone=alone)


def test_an_arm_within_its_objectives_keeps_its_traffic():
    assert verdict(sums({5.0: 1_000}, errors=9)) == ""


def test_errors_beyond_doubt_above_the_rate_blow_it_and_the_reason_names_the_figures():
    reason = verdict(sums({5.0: 100}, errors=15))
    assert "15 of 100 requests failed" in reason
    assert "1 %" in reason


def test_a_few_errors_more_than_the_rate_may_be_bad_luck_and_blow_nothing():
    assert verdict(sums({5.0: 300}, errors=7)) == ""
    assert verdict(sums({5.0: 90, 80.0: 10})) == ""


def test_a_slow_95th_or_99th_percentile_blows_it():
    assert "95th" in verdict(sums({5.0: 75, 80.0: 25}))
    assert "99th" in verdict(sums({5.0: 955, 300.0: 45}))


def test_too_few_requests_decide_nothing():
    assert verdict(sums({5.0: 49}, errors=49)) == ""


def test_one_outlier_or_one_error_decides_nothing():
    strict = Objectives(latency_ms_p95=50.0, error_rate_pct=0.0)
    assert verdict(sums({5.0: 49, 5_000.0: 2}, errors=2), objectives=strict) == ""
    assert verdict(sums({5.0: 100}, errors=3), objectives=strict)


def test_while_the_control_plane_answers_only_what_is_plain_blows_it():
    assert verdict(sums({5.0: 1_000}, errors=190), alone=False) == ""
    assert verdict(sums({9_000.0: 1_000}), alone=False) == ""
    assert verdict(sums({5.0: 50}, errors=25), alone=False)
    lenient = Objectives(error_rate_pct=50.0)
    assert verdict(sums({5.0: 200}, errors=130), alone=False, objectives=lenient) == ""
    assert verdict(sums({5.0: 200}, errors=200), alone=False, objectives=lenient)


def test_a_fuse_that_is_switched_off_never_blows():
    assert verdict(sums({9_000.0: 1_000}, errors=1_000), fuse=Fuse(enabled=False)) == ""


@pytest.mark.parametrize("alone", [True, False])
def test_an_objective_of_nothing_is_no_objective(alone):
    free = Objectives(latency_ms_p95=0.0, latency_ms_p99=0.0, error_rate_pct=100.0)
    assert verdict(sums({9_000.0: 1_000}, errors=1_000), alone=alone, objectives=free) == ""


@pytest.mark.parametrize("alone", [True, False])
@given(st.integers(0, 200), st.integers(0, 200))
def test_more_errors_never_unblow_a_fuse(alone, few, more):
    first, second = sorted((few, more))
    if verdict(sums({5.0: 200}, errors=first), alone=alone):
        assert verdict(sums({5.0: 200}, errors=second), alone=alone)


def seconds_to_blow(
    errors_share: float, slow_share: float, *, alone: bool, seed: int, seconds: int = 600
) -> int | None:
    """Let an arm answer ten requests a second and look each second; return the second at which it blew."""
    rng = random.Random(seed)
    kept: deque[tuple[int, int]] = deque(maxlen=30)
    for second in range(1, seconds + 1):
        drawn = [(rng.random() < errors_share, rng.random() < slow_share) for _ in range(10)]
        kept.append((sum(failed for failed, _ in drawn), sum(slow for _, slow in drawn)))
        n, slow = 10 * len(kept), sum(slow for _, slow in kept)
        if verdict(sums({5.0: n - slow, 80.0: slow}, errors=sum(failed for failed, _ in kept)), alone=alone):
            return second
    return None


@pytest.mark.parametrize(("errors_share", "slow_share"), [(0.005, 0.025), (0.01, 0.05)])
def test_an_arm_that_keeps_its_promise_for_ten_minutes_keeps_its_traffic(errors_share, slow_share):
    blown = [seconds_to_blow(errors_share, slow_share, alone=True, seed=seed) for seed in range(20)]
    assert blown == [None] * 20


@pytest.mark.parametrize("alone", [True, False])
def test_an_arm_that_fails_half_of_its_requests_is_cut_with_the_first_that_may_decide(alone):
    for seed in range(20):
        assert seconds_to_blow(0.5, 0.0, alone=alone, seed=seed) == FUSE.min_requests // 10


def test_an_arm_with_five_times_the_errors_allowed_is_cut_within_minutes_when_nobody_else_can():
    for seed in range(20):
        assert (seconds_to_blow(0.05, 0.0, alone=True, seed=seed) or 600) <= 180
