"""Sending at an arrival rate, without a server: when requests are due, what is counted, and from when."""

from __future__ import annotations

import threading
import time

import pytest

from arkwright.core.errors import Invalid
from arkwright.sdk.load_test import Answer, Fired, LoadNews, LoadPlan, Shot, fire, summarise

GOOD = Answer("200", "1.0.0")


def summary(plan: LoadPlan, fired: Fired, **given: float):
    return summarise(plan, fired, deployment_id="dep_1", deployment="churn", **{"p95_limit_ms": 100.0, **given})


def shots(latencies_ms: list[float], *, every: float = 0.01, late: float = 0.0) -> list[Shot]:
    return [Shot(n * every, n * every + late, n * every + ms / 1000, GOOD) for n, ms in enumerate(latencies_ms)]


@pytest.mark.parametrize(
    ("rate", "seconds"), [(0, 1), (1, 0), (-1, 1), (float("nan"), 1), (float("inf"), 1), (1e6, 1e6)]
)
def test_a_plan_that_cannot_be_is_refused(rate: float, seconds: float) -> None:
    with pytest.raises(Invalid) as refused:
        LoadPlan(rate, seconds)
    assert refused.value.hint


def test_every_request_is_sent_once_and_none_before_it_is_due() -> None:
    plan = LoadPlan(200, 0.25)
    sent: list[int] = []
    fired = fire(plan, lambda number: sent.append(number) or GOOD)  # type: ignore[func-returns-value]
    assert sorted(sent) == list(range(50))
    assert all(shot.handed >= shot.due for shot in fired.shots)
    report = summary(plan, fired)
    assert (report.n_requests, report.statuses, report.versions) == (50, {"200": 50}, {"1.0.0": 50})
    assert report.achieved_per_second <= 200


def test_an_endpoint_that_stalls_is_seen_to_stall_by_those_who_had_to_wait() -> None:
    """One stall: a client that waited for it would have seen one slow request, of sixty."""
    plan = LoadPlan(100, 0.6)
    lock = threading.Lock()

    def send(number: int) -> Answer:
        with lock:  # one at a time, as behind an endpoint with one worker
            time.sleep(0.3 if number == 10 else 0.0)
        return GOOD

    fired = fire(plan, send)
    assert sum(shot.ended - shot.due > 0.05 for shot in fired.shots) >= 15
    assert summary(plan, fired).p95_ms > 150


def test_latency_counts_from_the_moment_a_request_was_due() -> None:
    report = summary(LoadPlan(100, 1), Fired(shots([5.0] * 94 + [40.0] * 6, late=0.02), 0.1))
    assert (report.p50_ms, report.p95_ms, report.max_ms) == pytest.approx((5.0, 40.0, 40.0))
    assert report.client_late_share == 1.0
    assert report.client_cpu_share == pytest.approx(0.1)


def test_a_straggler_at_the_end_is_one_answer_less_and_a_slow_endpoint_is_a_lower_rate() -> None:
    straggling = summary(LoadPlan(100, 1), Fired(shots([5.0] * 99 + [900.0]), 0.1))
    assert straggling.achieved_per_second == pytest.approx(99.0)
    overloaded = summary(LoadPlan(100, 1), Fired(shots([20.0 * n for n in range(100)]), 0.1))
    assert overloaded.achieved_per_second < 50


def test_answers_of_a_fallback_and_missing_answers_are_no_answers_of_the_model() -> None:
    kinds = [GOOD, Answer("fallback"), Answer("no answer"), Answer("503")]
    fired = Fired([Shot(n / 4, n / 4, n / 4 + 0.01, answer) for n, answer in enumerate(kinds)], 0.1)
    report = summary(LoadPlan(4, 1), fired)
    assert report.statuses == {"200": 1, "503": 1, "fallback": 1, "no answer": 1}
    assert report.versions == {"1.0.0": 1}
    assert report.achieved_per_second == pytest.approx(1.0)


def test_progress_is_told_until_the_end() -> None:
    told: list[tuple[int, int]] = []

    def on_progress(news: LoadNews) -> None:
        told.append((news.sent, news.statuses["200"]))

    fire(LoadPlan(100, 0.1), lambda _number: GOOD, on_progress=on_progress)
    assert told[-1] == (10, 10)


def test_progress_is_told_twice_a_second_and_no_more_while_answers_are_awaited() -> None:
    told: list[int] = []

    def send(_number: int) -> Answer:
        time.sleep(0.3)
        return GOOD

    fire(LoadPlan(1, 1), send, on_progress=lambda news: told.append(news.sent))
    assert told == [1]


def test_whoever_interrupts_leaves_at_once_although_an_endpoint_hangs() -> None:
    hanging = threading.Event()

    def send(_number: int) -> Answer:
        hanging.wait(30)
        return GOOD

    def interrupt(seconds: float) -> None:
        if seconds > 0.2:
            raise KeyboardInterrupt
        time.sleep(seconds)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fire(LoadPlan(2, 2), send, sleep=interrupt)
    assert time.monotonic() - started < 5
    hanging.set()
