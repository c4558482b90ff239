"""What a change of a rollout leaves behind: the row, its history, the audit chain, the event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from arkwright.access import record
from arkwright.core.events import (
    DEPLOYMENT_CHANGED,
    DEPLOYMENT_PROMOTED,
    DEPLOYMENT_ROLLED_BACK,
    DEPLOYMENT_ROLLOUT_STARTED,
    DEPLOYMENT_ROLLOUT_STEP,
)
from arkwright.core.ids import new_id
from arkwright.deployments.rollout import State
from arkwright.deployments.strategy import (
    PlannedArm,
    arms_from,
    arms_of,
    as_json,
    course_from,
    course_of,
    criteria_of,
    objectives_of,
    split,
)
from arkwright.deployments.tables import DeploymentRow, RolloutEventRow, RolloutRow
from arkwright.kit.db import UnitOfWork

ALL_STABLE = {"stable": 100.0}
_EVENTS = {
    "started": DEPLOYMENT_ROLLOUT_STARTED,
    "step": DEPLOYMENT_ROLLOUT_STEP,
    "promoted": DEPLOYMENT_PROMOTED,
    "rolled_back": DEPLOYMENT_ROLLED_BACK,
    "restored": DEPLOYMENT_ROLLED_BACK,
}
_MAX_REASON = 4000


def begin(unit: UnitOfWork, deployment: DeploymentRow, baseline_version_id: str) -> RolloutRow:
    """Start the rollout that a deployment's strategy asks for."""
    strategy: Mapping[str, Any] = deployment.spec["strategy"]
    course, arms = course_of(strategy), arms_of(strategy)
    analysis = strategy.get("analysis") or {}
    now = unit.clock.now()
    rollout = RolloutRow(
        id=new_id("rollout"),
        deployment_id=deployment.id,
        strategy=course.strategy,
        state=State.PROGRESSING.value,
        step=0,
        released=False,
        arms=as_json(arms),
        course={**as_json(course), "interval_seconds": float(analysis.get("interval_seconds", 5.0))},
        criteria=as_json(criteria_of(strategy, objectives_of(deployment.slos))),
        baseline_version_id=baseline_version_id,
        candidate_version_id=arms[0].version_id,
        conditions=[],
        created_by=unit.context.actor.id,
        started_at=now,
        step_started_at=now,
    )
    unit.session.add(rollout)
    unit.session.flush()
    note(unit, deployment, rollout, "started", f"A {course.strategy} rollout started.")
    return rollout


def to_step(unit: UnitOfWork, deployment: DeploymentRow, rollout: RolloutRow, step: int, reason: str) -> None:
    """Go on to a step: a new split, a fresh count."""
    rollout.step = step
    rollout.released = False
    rollout.state = State.PROGRESSING.value
    rollout.step_started_at = unit.clock.now()
    note(unit, deployment, rollout, "step", reason)


def pause(unit: UnitOfWork, deployment: DeploymentRow, rollout: RolloutRow, reason: str) -> None:
    """Stay where it is until somebody resumes."""
    rollout.state = State.PAUSED.value
    rollout.released = False
    note(unit, deployment, rollout, "paused", reason)


def resume(unit: UnitOfWork, deployment: DeploymentRow, rollout: RolloutRow, reason: str) -> None:
    """Go on; a pause without an end is over with it."""
    rollout.state = State.PROGRESSING.value
    rollout.released = True
    note(unit, deployment, rollout, "resumed", reason)


def finish(
    unit: UnitOfWork,
    deployment: DeploymentRow,
    rollout: RolloutRow,
    state: State,
    reason: str,
    evidence_id: str | None = None,
) -> None:
    """End a rollout; from now on the stable arm has all the traffic."""
    rollout.state = state.value
    rollout.decided_at = unit.clock.now()
    rollout.evidence_id = evidence_id
    note(unit, deployment, rollout, state.value, reason)


def restored(unit: UnitOfWork, deployment: DeploymentRow, rollout: RolloutRow, reason: str) -> None:
    """Write down that the version from before an ended rollout was put back; how the rollout ended stays as it was."""
    _write_down(unit, deployment, rollout, "restored", reason)


def note(unit: UnitOfWork, deployment: DeploymentRow, rollout: RolloutRow, action: str, reason: str) -> None:
    """Write down what just happened to a rollout."""
    rollout.reason = reason[:_MAX_REASON]
    deployment.traffic_split = split_of(rollout)
    _write_down(unit, deployment, rollout, action, rollout.reason)


def _write_down(unit: UnitOfWork, deployment: DeploymentRow, rollout: RolloutRow, action: str, reason: str) -> None:
    facts = {
        "rollout": rollout.id,
        "strategy": rollout.strategy,
        "state": rollout.state,
        "step": rollout.step,
        "traffic_split": deployment.traffic_split,
        "reason": reason[:_MAX_REASON],
        "candidate_version_id": rollout.candidate_version_id,
        "evidence_id": rollout.evidence_id,
    }
    unit.session.add(
        RolloutEventRow(
            id=new_id("rollout_event"),
            rollout_id=rollout.id,
            deployment_id=deployment.id,
            action=action,
            state=rollout.state,
            step=rollout.step,
            traffic_split=deployment.traffic_split,
            reason=reason[:_MAX_REASON],
            actor_id=unit.context.actor.id,
            created_at=unit.clock.now(),
        )
    )
    record(unit, f"rollout.{action}", "deployment", deployment.id, facts)
    unit.emit(_EVENTS.get(action, DEPLOYMENT_CHANGED), deployment.id, {"deployment_id": deployment.id, **facts})


def split_of(rollout: RolloutRow | None) -> dict[str, float]:
    """Return each arm's share under a rollout, or all for the stable arm where none is active."""
    if rollout is None or not State(rollout.state).active:
        return dict(ALL_STABLE)
    return split(course_from(rollout.course), rollout.step, arms_of_rollout(rollout))


def arms_of_rollout(rollout: RolloutRow) -> Sequence[PlannedArm]:
    """Return the arms beside the stable one."""
    return arms_from(rollout.arms)
