"""A good candidate is left alone however often it is judged; a bad one is found."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.contracts import ArmWindow, latency_bucket, latency_percentile
from arkwright.contracts.window import N_BUCKETS
from arkwright.deployments.analysis import (
    ArmCounts,
    Criteria,
    MetricLimit,
    add_windows,
    analyse,
    difference_interval,
    evidence_against_share,
)
from arkwright.deployments.ports import ArmOutcomes, MetricSums
from arkwright.evaluation import wilson_interval


def timed(latencies_ms: dict[float, int], **counts: float) -> ArmCounts:
    buckets = [0] * N_BUCKETS
    for latency, count in latencies_ms.items():
        buckets[latency_bucket(latency)] += count
    requests = sum(latencies_ms.values())
    return ArmCounts(**{"requests": requests, "latency_counts": tuple(buckets), **counts})  # type: ignore[arg-type]


def finding(counts: ArmCounts, name: str, criteria: Criteria | None = None) -> str:
    verdict = analyse(criteria or Criteria(), "canary", counts)
    return next(each.status for each in verdict.findings if each.name == name)


@pytest.mark.parametrize(
    ("failed", "requests", "decision"),
    [
        (0, 0, "wait"),
        (1, 3, "wait"),
        (3, 3, "wait"),
        (10, 10, "rollback"),
        (1, 49, "wait"),
        (0, 50, "continue"),
        (2, 100, "wait"),
        (5, 50, "rollback"),
        (9, 1000, "continue"),
        (30, 1000, "rollback"),
    ],
)
def test_errors_are_judged_by_what_they_prove(failed: int, requests: int, decision: str) -> None:
    verdict = analyse(Criteria(), "canary", replace(timed({1.0: requests}), errors=failed))
    assert verdict.decision == decision, verdict.reason


def test_an_answer_of_the_fallback_is_a_failure_of_the_arm_counted_once() -> None:
    assert ArmCounts(requests=10, errors=4, fallbacks=4).failed == 4
    assert ArmCounts(requests=10, errors=0, fallbacks=7).failed == 7


def test_no_error_is_allowed_where_none_was_promised() -> None:
    assert finding(timed({1.0: 100}, errors=1), "error_rate_pct", Criteria(error_rate_pct=0.0)) == "breached"
    assert finding(timed({1.0: 100}), "error_rate_pct", Criteria(error_rate_pct=0.0)) == "met"


def test_a_slow_candidate_is_found_and_one_slow_request_forgiven() -> None:
    criteria = Criteria(latency_ms_p95=120.0)
    assert finding(timed({5.0: 10, 400.0: 50}), "latency_ms_p95", criteria) == "breached"
    assert finding(timed({5.0: 100, 400.0: 3}), "latency_ms_p95", criteria) == "met"
    assert finding(timed({5.0: 40, 400.0: 9}), "latency_ms_p95", criteria) == "open"


def test_the_tail_has_a_limit_of_its_own() -> None:
    counts = timed({5.0: 950, 400.0: 50})
    assert finding(counts, "latency_ms_p95", Criteria(latency_ms_p95=120.0, latency_ms_p99=300.0)) == "met"
    assert finding(counts, "latency_ms_p99", Criteria(latency_ms_p95=120.0, latency_ms_p99=300.0)) == "breached"


def accuracy(right: int, n: int) -> ArmOutcomes:
    return ArmOutcomes(n, {"accuracy": MetricSums(n, right, right)})


@pytest.mark.parametrize(
    ("canary", "stable", "decision"),
    [
        (accuracy(0, 0), accuracy(90, 100), "wait"),
        (accuracy(20, 20), accuracy(900, 1000), "wait"),
        (accuracy(88, 100), accuracy(90, 100), "continue"),
        (accuracy(80, 100), accuracy(90, 100), "wait"),
        (accuracy(110, 200), accuracy(180, 200), "rollback"),
        (accuracy(99, 100), accuracy(80, 100), "continue"),
    ],
)
def test_a_metric_that_is_subtly_worse_leads_back(canary: ArmOutcomes, stable: ArmOutcomes, decision: str) -> None:
    criteria = Criteria(metrics=(MetricLimit("accuracy", max_worse=0.03),))
    verdict = analyse(criteria, "canary", timed({1.0: 500}), canary, stable)
    assert verdict.decision == decision, verdict.reason


def test_lower_is_better_for_an_error() -> None:
    def errors(mean: float) -> ArmOutcomes:
        return ArmOutcomes(400, {"absolute_error": MetricSums(400, 400 * mean, 400 * (mean**2 + 1.0))})

    criteria = Criteria(metrics=(MetricLimit("absolute_error", max_worse=0.5, higher_is_better=False),))
    assert analyse(criteria, "canary", timed({1.0: 500}), errors(5.0), errors(3.0)).decision == "rollback"
    assert analyse(criteria, "canary", timed({1.0: 500}), errors(3.0), errors(5.0)).decision == "continue"


def test_a_shadow_is_compared_with_the_live_answers() -> None:
    criteria = Criteria(min_agreement_pct=95.0, max_score_difference=0.1)
    same = timed({1.0: 100}, compared=100, agreed=99, difference_sum=1.0)
    assert analyse(criteria, "shadow", same).decision == "continue"
    assert analyse(criteria, "shadow", replace(same, agreed=60)).decision == "rollback"
    assert analyse(criteria, "shadow", replace(same, difference_sum=30.0)).decision == "rollback"
    assert analyse(criteria, "shadow", replace(same, compared=3, agreed=3)).decision == "wait"


def test_a_blown_fuse_is_reason_enough() -> None:
    verdict = analyse(Criteria(), "canary", ArmCounts(blown=True))
    assert verdict.decision == "rollback"
    assert "fuse" in verdict.reason


def window(second: int, **counts: object) -> ArmWindow:
    return ArmWindow(
        deployment_id="dep_1",
        workspace_id="ws_1",
        arm="canary",
        model_version_id="mv_1",
        second=second,
        **counts,  # type: ignore[arg-type]
    )


def test_a_fuse_that_recovered_is_not_blown() -> None:
    assert add_windows([window(1, blown=True), window(2)]).blown is False
    assert add_windows([window(2, blown=True), window(1)]).blown is True


def test_windows_of_many_seconds_and_data_planes_are_added() -> None:
    windows = [window(second, requests=2, rows=3, latency_counts=((10, 1), (40, 1))) for second in (1, 1, 2)]
    total = add_windows(windows)
    assert (total.requests, total.rows, total.timed) == (6, 9, 6)
    assert latency_percentile(total.latency_counts, 50) < latency_percentile(total.latency_counts, 99)


def test_looking_after_every_request_rarely_condemns_a_candidate_that_keeps_its_promise() -> None:
    dice = random.Random(7)
    condemned = 0
    for _ in range(300):
        hits = 0
        for n in range(1, 401):
            hits += dice.random() < 0.05
            if evidence_against_share(hits, n, 0.05) >= 20:
                condemned += 1
                break
    assert condemned / 300 <= 0.05


def test_the_interval_of_a_difference_holds_at_every_look() -> None:
    dice = random.Random(11)
    wrong = 0
    for _ in range(200):
        sums = [[0, 0], [0, 0]]
        for n in range(1, 301):
            for each in sums:
                each[0] += 1
                each[1] += dice.random() < 0.8
            if n >= 30 and n % 5 == 0:
                interval = difference_interval(*(MetricSums(a, b, b) for a, b in sums), alpha=0.05)  # type: ignore[call-arg]
                if not interval.low <= 0 <= interval.high:
                    wrong += 1
                    break
    assert wrong / 200 <= 0.05


@given(n=st.integers(1, 5000), share=st.floats(0.0, 1.0), allowed=st.floats(0.0001, 0.9999))
def test_more_hits_are_more_evidence_and_it_is_a_number(n: int, share: float, allowed: float) -> None:
    hits = round(n * share)
    evidence = evidence_against_share(hits, n, allowed)
    assert math.isfinite(evidence)
    assert evidence >= 0
    if hits < n:
        assert evidence_against_share(hits + 1, n, allowed) >= evidence * (1 - 1e-9)


@given(n=st.integers(0, 10_000), share=st.floats(0.0, 1.0))
def test_an_interval_holds_its_estimate(n: int, share: float) -> None:
    hits = round(n * share)
    low, high = wilson_interval(hits, n)
    assert 0.0 <= low <= high <= 1.0
    if n:
        assert low - 1e-12 <= hits / n <= high + 1e-12


@given(
    right=st.integers(0, 300),
    other=st.integers(0, 300),
    alpha=st.floats(0.001, 0.2),
)
def test_the_difference_lies_in_its_interval_and_turns_with_the_arms(right: int, other: int, alpha: float) -> None:
    one, two = MetricSums(300, right, right), MetricSums(300, other, other)
    low, high = difference_interval(one, two, alpha)
    mirrored = difference_interval(two, one, alpha)
    assert low <= high
    assert math.isclose(low, -mirrored.high, abs_tol=1e-12)
    assert math.isclose(high, -mirrored.low, abs_tol=1e-12)
