"""A rollout goes forward when it may, back when it must, and nowhere when it is paused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.deployments.analysis import Verdict
from arkwright.deployments.rollout import Course, Standing, State, next_move

FINE = Verdict("continue", "Every condition is met.")
OPEN = Verdict("wait", "canary answered 3 of 50 requests.")
BAD = Verdict("rollback", "canary failed 9 of 10 requests.")
CANARY = Course("canary", steps=(5.0, 50.0, 100.0), pauses=(60.0, 60.0, 60.0))
VERDICTS = st.sampled_from([FINE, OPEN, BAD])


def at(step: int, seconds: float, state: State = State.PROGRESSING) -> Standing:
    return Standing(state, step, seconds)


def test_a_canary_walks_through_its_steps_and_is_promoted_at_the_end() -> None:
    moves = [next_move(CANARY, at(step, 60.0), FINE) for step in range(3)]
    assert [(move.action, move.step) for move in moves] == [("step", 1), ("step", 2), ("promote", 2)]


def test_a_step_lasts_as_long_as_its_pause() -> None:
    assert next_move(CANARY, at(0, 12.0), FINE).reason == "The step lasts 48 s more."


def test_too_few_requests_hold_it_where_it_is() -> None:
    move = next_move(CANARY, at(0, 1e6), OPEN)
    assert (move.action, move.reason) == ("wait", OPEN.reason)


@pytest.mark.parametrize("state", [State.PROGRESSING, State.PAUSED])
def test_a_breach_leads_back_at_once_also_while_paused(state: State) -> None:
    move = next_move(CANARY, at(1, 0.0, state), BAD)
    assert (move.action, move.reason) == ("roll_back", BAD.reason)


def test_a_pause_without_an_end_waits_for_somebody() -> None:
    course = replace(CANARY, pauses=(None, 60.0, 60.0))
    assert next_move(course, at(0, 5.0), OPEN).action == "wait"
    assert next_move(course, at(0, 5.0), FINE).action == "pause"
    assert next_move(course, at(0, 5.0, State.PAUSED), FINE).action == "wait"
    assert next_move(course, replace(at(0, 5.0), released=True), FINE).action == "step"


def test_without_automatic_promotion_the_last_step_waits_for_somebody() -> None:
    course = replace(CANARY, automatic=False)
    assert next_move(course, at(2, 60.0), FINE).action == "pause"
    assert next_move(course, replace(at(2, 60.0), released=True), FINE).action == "promote"


def test_green_is_switched_to_when_every_data_plane_has_it() -> None:
    course = Course("blue_green", steps=(0.0, 100.0), pauses=(0.0, 60.0))
    loading = replace(at(0, 5.0), loaded=False)
    assert next_move(course, loading, OPEN).action == "wait"
    assert next_move(course, at(0, 5.0), OPEN).action == "step"
    assert next_move(course, at(1, 60.0), OPEN).action == "wait"
    assert next_move(course, at(1, 60.0), FINE).action == "promote"


@pytest.mark.parametrize("strategy", ["shadow", "ab"])
def test_a_shadow_and_arms_are_never_promoted_by_themselves(strategy: str) -> None:
    course = Course(strategy, steps=(100.0,), pauses=(None,))  # type: ignore[arg-type]
    assert next_move(course, at(0, 1e9), FINE).action == "wait"
    assert next_move(course, at(0, 0.0), BAD).action == "roll_back"


def test_a_candidate_that_cannot_be_loaded_has_failed() -> None:
    move = next_move(CANARY, replace(at(0, 1.0), loaded=False, load_problem="model.txt was altered"), FINE)
    assert (move.action, move.reason) == ("fail", "model.txt was altered")


def test_a_rollout_that_lost_its_subject_is_aborted_before_anything_else() -> None:
    move = next_move(CANARY, replace(at(0, 1.0), overtaken="Another version went into production."), BAD)
    assert move.action == "abort"


@given(
    verdicts=st.lists(VERDICTS, min_size=1, max_size=40),
    seconds=st.lists(st.floats(0, 200), min_size=1, max_size=40),
    steps=st.lists(st.floats(0.1, 100), min_size=1, max_size=6),
)
def test_whatever_happens_no_step_is_skipped_and_nothing_moves_on_a_breach(
    verdicts: list[Verdict], seconds: list[float], steps: list[float]
) -> None:
    course = Course("canary", steps=tuple(steps), pauses=(60.0,) * len(steps))
    step = 0
    for verdict, spent in zip(verdicts, seconds, strict=False):
        move = next_move(course, at(step, spent), verdict)
        if verdict is BAD:
            assert move.action == "roll_back"
            return
        if move.action == "promote":
            assert step == len(steps) - 1
            assert verdict is FINE
            return
        if move.action == "step":
            assert move.step == step + 1
            assert verdict is FINE
            assert spent >= 60.0
        else:
            assert move.step == step
        step = move.step
