"""A model that keeps failing is left alone for a while."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from arkwright.serving.breaker import (
    CONSECUTIVE,
    FIRST_PAUSE_SECONDS,
    LAST_PAUSE_SECONDS,
    MIN_REQUESTS,
    NO_PROBE,
    PROBES,
    WINDOW_SECONDS,
    Breaker,
)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(CONSECUTIVE):
        breaker.failed(now)
    return breaker


def probing(breaker: Breaker, now: float) -> int:
    number = breaker.probe(now)
    assert number
    return number


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
    assert not breaker.probe(100.0 + FIRST_PAUSE_SECONDS / 2)
    later = 100.0 + FIRST_PAUSE_SECONDS
    assert breaker.may_probe(later)
    assert breaker.probe(later)
    assert breaker.state == "half-open"
    assert not breaker.probe(later)


def test_enough_probes_that_succeed_close_it():
    breaker = opened()
    for _ in range(PROBES):
        assert not breaker.closed
        breaker.succeeded(probing(breaker, FIRST_PAUSE_SECONDS))
    assert breaker.state == "closed"


def test_each_probe_that_fails_doubles_the_pause_up_to_a_limit():
    breaker, now = opened(), 0.0
    pauses = []
    for _ in range(8):
        pauses.append(breaker.retry_at - now)
        now = breaker.retry_at
        breaker.failed(now, probing(breaker, now))
    assert pauses[:3] == [FIRST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2, FIRST_PAUSE_SECONDS * 4]
    assert pauses[-1] == LAST_PAUSE_SECONDS


def test_requests_on_their_way_when_it_opens_neither_lengthen_its_pause_nor_close_it():
    breaker = opened(now=0.0)
    for _ in range(64):
        breaker.failed(0.1)
    assert breaker.retry_at == FIRST_PAUSE_SECONDS
    for _ in range(64):
        breaker.succeeded()
    assert breaker.state == "open"
    number = probing(breaker, FIRST_PAUSE_SECONDS)
    breaker.failed(FIRST_PAUSE_SECONDS)
    breaker.released(NO_PROBE)
    assert not breaker.may_probe(FIRST_PAUSE_SECONDS), "the probe still holds its place"
    breaker.succeeded(number)
    assert breaker.may_probe(FIRST_PAUSE_SECONDS)


def test_a_probe_whose_caller_was_at_fault_gives_its_place_to_the_next():
    breaker = opened()
    breaker.released(probing(breaker, FIRST_PAUSE_SECONDS))
    assert breaker.probe(FIRST_PAUSE_SECONDS)


def test_a_probe_that_nobody_ended_does_not_hold_its_place_forever():
    breaker = opened()
    late = probing(breaker, FIRST_PAUSE_SECONDS)
    assert not breaker.probe(FIRST_PAUSE_SECONDS + 10)
    now = FIRST_PAUSE_SECONDS + 20
    assert breaker.probe(now)
    breaker.failed(now, late)
    assert breaker.retry_at == FIRST_PAUSE_SECONDS, "one that lost its place decides nothing"
    assert not breaker.may_probe(now)


@given(st.lists(st.sampled_from(["fail", "succeed", "stray failure", "stray success", "wait"]), max_size=200))
def test_it_always_lets_something_through_again(events):
    breaker, now = Breaker(), 0.0
    for event in events:
        now += 0.1 if event != "wait" else 5.0
        number = NO_PROBE if event.startswith("stray") else breaker.probe(now)
        if event.endswith(("fail", "failure")):
            breaker.failed(now, number)
        elif event != "wait":
            breaker.succeeded(number)
    assert breaker.may_probe(now + LAST_PAUSE_SECONDS + 60)
