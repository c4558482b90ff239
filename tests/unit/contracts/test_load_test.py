"""The rule that judges a load test: what failed, what was slow, and what was the client's own fault."""

import msgspec
import pytest

from arkwright.contracts import LoadTestReport, judge_load

GOOD = LoadTestReport(
    deployment_id="dep_1", deployment="churn", rate_per_second=50, seconds=10, p95_limit_ms=100, n_requests=500,
    statuses={"200": 500}, achieved_per_second=49.9, p50_ms=3, p95_ms=8, p99_ms=12, max_ms=30,
)  # fmt: skip
BUSY = {"client_cpu_share": 0.97}


def judged(**change):
    return judge_load(msgspec.structs.replace(GOOD, **change))


def test_an_endpoint_that_keeps_up_passes_with_its_numbers():
    found = judged()
    assert found.outcome == "passed"
    said = "50 requests a second for 10 s: p95 is 8 ms of at most 100 ms, none of 500 failed."
    assert found.reasons == (said,)


@pytest.mark.parametrize(
    ("change", "outcome", "words"),
    [
        ({"p95_ms": 101.0}, "failed", "p95 is 101 ms"),
        ({"achieved_per_second": 47.0}, "failed", "47 answers a second"),
        ({"achieved_per_second": 47.5}, "passed", ""),
        ({"statuses": {"200": 499, "503": 1}}, "failed", "1 of 500 requests were not answered by the model (503: 1)"),
        ({"statuses": {"200": 498, "fallback": 2}}, "failed", "fallback: 2"),
        ({"statuses": {"200": 499, "503": 1}, "max_error_share": 0.002}, "passed", "1 of 500 failed"),
        (
            {"n_requests": 100, "statuses": {"200": 71, "503": 29}, "max_error_share": 0.29},
            "passed",
            "29 of 100 failed",
        ),
        ({"n_requests": 100, "statuses": {"200": 70, "503": 30}, "max_error_share": 0.29}, "failed", "503: 30"),
        ({"statuses": {"no answer": 500}, "achieved_per_second": 0.0}, "failed", "no answer: 500"),
        ({"n_requests": 50, "statuses": {"200": 50}}, "inconclusive", "too few"),
        ({"n_requests": 50, "statuses": {"200": 49, "500": 1}}, "failed", "500: 1"),
        ({"p95_ms": 300.0, **BUSY}, "inconclusive", "client could not keep the rate"),
        ({"achieved_per_second": 20.0, "client_late_share": 0.4}, "inconclusive", "40%"),
        ({"statuses": {"200": 490, "no answer": 10}, **BUSY}, "inconclusive", "client could not keep the rate"),
        ({"statuses": {"200": 490, "503": 10}, **BUSY}, "failed", "503: 10"),
        (BUSY, "passed", ""),
    ],
)
def test_what_speaks_against_it_is_said_and_a_slow_client_is_not_a_slow_endpoint(change, outcome, words):
    found = judged(**change)
    assert found.outcome == outcome
    assert words in " ".join(found.reasons)


def test_a_slow_client_s_latencies_are_not_held_against_an_endpoint_that_fails_anyway():
    found = judged(statuses={"200": 400, "500": 100}, p95_ms=900.0, **BUSY)
    assert found.outcome == "failed"
    assert not any("p95" in reason for reason in found.reasons)
