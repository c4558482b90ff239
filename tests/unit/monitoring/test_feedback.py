"""Outcomes as rollouts ask for them."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.monitoring.conftest import Watched, customers

ARMS = ["stable", "canary"]


def compared(watched: Watched, seconds: float = 3600.0, arms: list[str] = ARMS):
    since = watched.clock.now() - timedelta(seconds=seconds)
    return watched.outcomes.compare(watched.context.workspace_id, watched.deployment_id, since, arms)


def test_arms_are_compared_on_what_was_told(watched: Watched) -> None:
    watched.predict(customers(30, seed=1))
    watched.tell({f"req_1_{index}": "No" for index in range(10)})
    found = compared(watched)
    assert set(found) == {"stable"}
    assert found["stable"].n == 10
    assert set(found["stable"].metrics) == {"accuracy", "brier", "log_loss"}
    assert found["stable"].metrics["accuracy"].n == 10


def test_an_answer_is_kept_for_a_few_seconds_and_then_made_afresh(watched: Watched) -> None:
    since = watched.clock.now() - timedelta(hours=1)

    def n_told() -> int:
        found = watched.outcomes.compare(watched.context.workspace_id, watched.deployment_id, since, ARMS)
        return found["stable"].n

    watched.predict(customers(30, seed=1))
    assert n_told() == 0
    watched.tell({"req_1_0": "No"})
    assert n_told() == 0
    watched.clock.advance(5)
    assert n_told() == 1


def test_predictions_from_before_the_question_do_not_count(watched: Watched) -> None:
    watched.predict(customers(30, seed=1))
    watched.tell({f"req_1_{index}": "No" for index in range(30)})
    assert compared(watched, 10.0)["stable"].n == 10


def test_arms_that_nobody_asked_for_are_left_out(watched: Watched) -> None:
    watched.predict(customers(5, seed=1))
    assert compared(watched, arms=["canary"]) == {}


def test_a_deployment_that_does_not_exist_has_no_outcomes(watched: Watched) -> None:
    since = watched.clock.now()
    assert watched.outcomes.compare(watched.context.workspace_id, "dep_nobody", since, ARMS) == {}
