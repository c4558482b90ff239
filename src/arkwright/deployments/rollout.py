"""The steps of a rollout, and what comes next: a state machine without a clock.

::

    progressing ──> promoted       every step passed, and the registry's gate agreed
      │   ▲   └───> rolled_back    a condition was breached, or somebody asked
      ▼   │    └──> aborted        stopped without a judgement: by somebody, or because the versions changed
    paused ┘    └─> failed         the candidate could not be served

A canary walks through shares of the traffic; blue/green is a canary whose first step has no traffic at all and waits
until every data plane has loaded it; a shadow and the arms of an A/B test have one step that nobody but a person ends.
A paused rollout goes nowhere by itself, except back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from arkwright.core.structs import prepared
from arkwright.deployments.analysis import Verdict
from arkwright.deployments.resource import DEFAULT_PAUSE_SECONDS, DEFAULT_STEPS


class State(StrEnum):
    """Where a rollout stands."""

    PROGRESSING = "progressing"
    PAUSED = "paused"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    ABORTED = "aborted"
    FAILED = "failed"

    @property
    def active(self) -> bool:
        """Whether the rollout may still move."""
        return self in (State.PROGRESSING, State.PAUSED)


ACTIVE_STATES = tuple(state.value for state in State if state.active)


@dataclass(frozen=True, slots=True)
class Course:
    """The steps a rollout takes.

    Parameters
    ----------
    strategy
        ``canary``, ``blue_green``, ``shadow`` or ``ab``.
    steps
        The candidate's share of the live traffic at each step, in percent; one step for a shadow or A/B arms.
    pauses
        How long each step lasts at least, in seconds; None lasts until somebody resumes.
    automatic
        Whether the last step ends in a promotion by itself.
    """

    strategy: Literal["canary", "blue_green", "shadow", "ab"]
    steps: tuple[float, ...] = DEFAULT_STEPS
    pauses: tuple[float | None, ...] = (DEFAULT_PAUSE_SECONDS,) * len(DEFAULT_STEPS)
    automatic: bool = True

    @property
    def walks(self) -> bool:
        """Whether the steps lead to a promotion."""
        return self.strategy in ("canary", "blue_green")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a rollout is.

    Parameters
    ----------
    seconds_in_step
        Since the step began.
    released
        Whether somebody resumed this step: a pause without an end is over, a refused promotion is tried again.
    loaded
        Whether every data plane has the candidate ready.
    load_problem
        Why a data plane cannot serve the candidate; empty if it can.
    overtaken
        Why the rollout has lost its subject: another version went into production, the candidate was taken out of its
        stage. Empty if it has not.
    """

    state: State
    step: int
    seconds_in_step: float
    released: bool = False
    loaded: bool = True
    load_problem: str = ""
    overtaken: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """What to do next; ``step`` is the one to be in afterwards."""

    action: Literal["wait", "step", "pause", "promote", "roll_back", "fail", "abort"]
    step: int
    reason: str


def next_move(course: Course, standing: Standing, verdict: Verdict) -> Move:
    """Decide what a rollout does next.

    Examples
    --------
    >>> course = Course("canary", steps=(10.0, 100.0), pauses=(60.0, 60.0))
    >>> fine = Verdict("continue", "Every condition is met.")
    >>> next_move(course, Standing(State.PROGRESSING, 0, 59.0), fine).action
    'wait'
    >>> next_move(course, Standing(State.PROGRESSING, 0, 60.0), fine)
    Move(action='step', step=1, reason='Every condition is met.')
    >>> next_move(course, Standing(State.PROGRESSING, 1, 60.0), fine).action
    'promote'
    >>> next_move(course, Standing(State.PAUSED, 1, 1.0), Verdict("rollback", "canary failed.")).action
    'roll_back'
    """
    step = standing.step
    if standing.overtaken:
        return Move("abort", step, standing.overtaken)
    if standing.load_problem:
        return Move("fail", step, standing.load_problem)
    if verdict.decision == "rollback":
        return Move("roll_back", step, verdict.reason)
    held = _held(course, standing)
    return Move("wait", step, held) if held else _onward(course, standing, verdict)


def _held(course: Course, standing: Standing) -> str:
    """Return why a rollout stays where it is whatever the verdict; empty if it may go on."""
    if standing.state is State.PAUSED:
        return "It is paused."
    if not standing.loaded:
        return "Not every data plane has loaded the candidate yet."
    return "" if course.walks else "It runs until somebody promotes, rolls back or aborts it."


def _onward(course: Course, standing: Standing, verdict: Verdict) -> Move:
    step = standing.step
    pause = course.pauses[step]
    without_traffic = course.steps[step] <= 0
    if pause is not None and standing.seconds_in_step < pause and not standing.released:
        left = pause - standing.seconds_in_step
        return Move("wait", step, f"The step lasts {left:.0f} s more.")
    if verdict.decision == "wait" and not without_traffic:
        return Move("wait", step, verdict.reason)
    reason = "The candidate is loaded everywhere." if without_traffic else verdict.reason
    if pause is None and not standing.released:
        return Move("pause", step, f"{reason} The step waits for somebody to resume.")
    if step + 1 < len(course.steps):
        return Move("step", step + 1, reason)
    if not course.automatic and not standing.released:
        return Move("pause", step, f"{reason} It waits for somebody to promote it.")
    return Move("promote", step, reason)


prepared(Course)
