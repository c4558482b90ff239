"""When a data plane takes an arm's traffic by itself."""

from __future__ import annotations

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


def test_an_arm_within_its_objectives_keeps_its_traffic():
    assert blown_because(sums({5.0: 1_000}, errors=9), OBJECTIVES, FUSE) == ""


def test_errors_beyond_the_rate_blow_it_and_the_reason_names_the_figures():
    reason = blown_because(sums({5.0: 100}, errors=5), OBJECTIVES, FUSE)
    assert "5 of 100 requests failed" in reason
    assert "1 %" in reason


def test_a_slow_95th_or_99th_percentile_blows_it():
    assert "95th" in blown_because(sums({5.0: 90, 80.0: 10}), OBJECTIVES, FUSE)
    assert "99th" in blown_because(sums({5.0: 960, 300.0: 40}), OBJECTIVES, FUSE)


def test_too_few_requests_decide_nothing():
    assert blown_because(sums({5.0: 49}, errors=49), OBJECTIVES, FUSE) == ""


def test_one_outlier_or_one_error_decides_nothing():
    assert blown_because(sums({5.0: 49, 5_000.0: 2}, errors=2), OBJECTIVES, FUSE) == ""


def test_a_fuse_that_is_switched_off_never_blows():
    assert blown_because(sums({9_000.0: 1_000}, errors=1_000), OBJECTIVES, Fuse(enabled=False)) == ""


def test_an_objective_of_nothing_is_no_objective():
    free = Objectives(latency_ms_p95=0.0, latency_ms_p99=0.0, error_rate_pct=100.0)
    assert blown_because(sums({9_000.0: 1_000}, errors=1_000), free, FUSE) == ""


@given(st.integers(0, 200), st.integers(0, 200))
def test_more_errors_never_unblow_a_fuse(few, more):
    first, second = sorted((few, more))
    if blown_because(sums({5.0: 200}, errors=first), OBJECTIVES, FUSE):
        assert blown_because(sums({5.0: 200}, errors=second), OBJECTIVES, FUSE)
