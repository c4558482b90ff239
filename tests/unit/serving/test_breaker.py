"""A model that keeps failing is left alone for a while."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arkwright.serving.breaker import (
    CONSECUTIVE,
    FIRST_PAUSE_SECONDS,
    LAST_PAUSE_SECONDS,
    MIN_REQUESTS,
    PROBES,
    WINDOW_SECONDS,
    Breaker,
)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(CONSECUTIVE):
        breaker.failed(now)
    return breaker


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not():
    assert opened().state == "open"
    breaker = Breaker()
    for _ in range(CONSECUTIVE - 1):
        breaker.failed(0.0)
    breaker.succeeded()
    breaker.failed(0.0)
    assert breaker.closed


def test_more_than_half_failing_opens_it_even_if_never_many_in_a_row():
    breaker = Breaker()
    for index in range(MIN_REQUESTS * 2):
        if index % 3:
            breaker.failed(1.0)
        else:
            breaker.succeeded()
    assert not breaker.closed


def test_failures_far_apart_do_not_add_up():
    breaker = Breaker()
    for index in range(100):
        breaker.failed(index * (WINDOW_SECONDS + 1))
        breaker.succeeded()
    assert breaker.closed


def test_an_open_one_lets_nothing_through_until_the_pause_is_over_and_then_one_at_a_time():
    breaker = opened(now=100.0)
    assert not breaker.allow(100.0 + FIRST_PAUSE_SECONDS / 2)
    later = 100.0 + FIRST_PAUSE_SECONDS
    assert breaker.may_allow(later)
    assert breaker.allow(later)
    assert breaker.state == "half-open"
    assert not breaker.allow(later)


def test_enough_probes_that_succeed_close_it():
    breaker = opened()
    for _ in range(PROBES):
        assert not breaker.closed
        assert breaker.allow(FIRST_PAUSE_SECONDS)
        breaker.succeeded()
    assert breaker.state == "closed"


def test_each_probe_that_fails_doubles_the_pause_up_to_a_limit():
    breaker, now = opened(), 0.0
    pauses = []
    for _ in range(8):
        pauses.append(breaker.retry_at - now)
        now = breaker.retry_at
        assert breaker.allow(now)
        breaker.failed(now)
    assert pauses[:3] == [FIRST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2, FIRST_PAUSE_SECONDS * 4]
    assert pauses[-1] == LAST_PAUSE_SECONDS


def test_a_probe_whose_caller_was_at_fault_gives_its_place_to_the_next():
    breaker = opened()
    assert breaker.allow(FIRST_PAUSE_SECONDS)
    breaker.released()
    assert breaker.allow(FIRST_PAUSE_SECONDS)


def test_a_probe_that_nobody_ended_does_not_hold_its_place_forever():
    breaker = opened()
    assert breaker.allow(FIRST_PAUSE_SECONDS)
    assert not breaker.allow(FIRST_PAUSE_SECONDS + 10)
    assert breaker.allow(FIRST_PAUSE_SECONDS + 20)


@given(st.lists(st.sampled_from(["fail", "succeed", "wait"]), max_size=200))
def test_it_always_lets_something_through_again(events):
    breaker, now = Breaker(), 0.0
    for event in events:
        now += 0.1 if event != "wait" else 5.0
        if event == "fail" and breaker.allow(now):
            breaker.failed(now)
        elif event == "succeed" and breaker.allow(now):
            breaker.succeeded()
    assert breaker.may_allow(now + LAST_PAUSE_SECONDS + 60)
