"""What moves rollouts: looks at the windows, decides, applies, and leaves the evidence.

Any number of control planes may run it on one database, and people step in meanwhile. Each looks without a lock, and
before it applies a move it locks the rollout's row and checks that it is still where it was seen: the second one finds
that it is not, and does nothing. A promotion moves the stage, the deployment and the rollout in that one commit, so
there is never a version in production that a rollout did not end with, or the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from arkwright.access import authorise, record
from arkwright.core.context import system_context
from arkwright.core.errors import ArkwrightError, Conflict, Invalid, PolicyRefused
from arkwright.core.events import DEPLOYMENT_CHANGED
from arkwright.deployments import repository, rollouts
from arkwright.deployments.analysis import ArmCounts, Criteria, Finding, Verdict, analyse, conclude
from arkwright.deployments.errors import deployment_not_found, no_rollout
from arkwright.deployments.evidence import ROLLOUT_EVIDENCE, evidence_body
from arkwright.deployments.ports import ArmOutcomes, OutcomeSource
from arkwright.deployments.publishing import PlanPublisher
from arkwright.deployments.rollout import Course, Move, Standing, State, next_move
from arkwright.deployments.routing import DEPLOYABLE, Release, missing_digest
from arkwright.deployments.service import DeploymentService
from arkwright.deployments.strategy import PlannedArm, course_from, criteria_from
from arkwright.deployments.tables import DeploymentRow, RolloutRow
from arkwright.deployments.windows import WindowService
from arkwright.governance import GovernanceService
from arkwright.kit.db import Database, UnitOfWork, Units
from arkwright.kit.logging import get_logger
from arkwright.registry import UNDER_EVALUATION, RegistryService, Stage

LOAD_GRACE_SECONDS = 30.0  # a data plane tries a bundle again before its failure ends a rollout
_PRUNE_EVERY = timedelta(minutes=10)
# Somebody was quicker, or it is not known yet: nothing is wrong with the candidate, and the next look asks again.
_MOVED = ("rollout.moved", "promotion.overtaken", UNDER_EVALUATION)
_log = get_logger(__name__)


@dataclass(frozen=True)
class Look:
    """A rollout as it was found, with everything the decision needs."""

    deployment_id: str
    rollout_id: str
    name: str
    model_id: str
    pinned: bool
    course: Course
    criteria: Criteria
    arms: Sequence[PlannedArm]
    releases: Mapping[str, Release]
    baseline: Release | None
    standing: Standing
    started_at: datetime
    step_started_at: datetime
    counts: Mapping[str, ArmCounts]
    outcomes: Mapping[str, ArmOutcomes] = field(default_factory=dict)

    @property
    def candidate(self) -> Release:
        """The version that would take over."""
        return self.releases[self.arms[0].name]


class RolloutController:
    """Advances the rollouts of every workspace, and does what people ask of them.

    Parameters
    ----------
    outcomes
        What became of the predictions; None where nobody collects it.
    workspaces
        Returns the ids of all workspaces.
    """

    def __init__(
        self,
        database: Database,
        registry: RegistryService,
        governance: GovernanceService,
        deployments: DeploymentService,
        windows: WindowService,
        publisher: PlanPublisher,
        outcomes: OutcomeSource | None,
        workspaces: Callable[[], Sequence[str]],
    ) -> None:
        self._database = database
        self._registry = registry
        self._governance = governance
        self._deployments = deployments
        self._windows = windows
        self._publisher = publisher
        self._outcomes = outcomes
        self._workspaces = workspaces
        self._pruned_at: datetime | None = None

    # By itself

    def tick(self) -> list[Move]:
        """Advance every rollout that is due; the control plane calls it each second."""
        moves: list[Move] = []
        now = self._database.clock.now()
        prune = self._pruned_at is None or now - self._pruned_at >= _PRUNE_EVERY
        for workspace_id in self._workspaces():
            units = self._database.bound(system_context(workspace_id))
            with units.read() as unit:
                due = [row.id for row in repository.active_rollouts(unit.session) if _is_due(row, now)]
            for rollout_id in due:
                try:
                    moves.append(self.advance(units, workspace_id, rollout_id))
                except ArkwrightError as error:
                    _log.warning("a rollout could not be advanced", rollout=rollout_id, reason=error.detail)
                except Exception:  # noqa: BLE001 - whatever is wrong with one rollout must not stop the others
                    _log.exception("a rollout could not be advanced", rollout=rollout_id)
            if prune:
                with units.write() as unit:
                    self._windows.forget_old(unit)
        if prune:
            self._pruned_at = now
        return moves

    def advance(self, units: Units, workspace_id: str, rollout_id: str) -> Move:
        """Judge one rollout and do what follows."""
        with units.read() as unit:
            look = self._look(unit, rollout_id)
        verdict = judge(look)
        if verdict.decision != "rollback":
            # Reading outcomes takes a while and needs the object store: what is plain without them does not wait.
            look = self._with_outcomes(workspace_id, look)
            verdict = judge(look)
        move = next_move(look.course, look.standing, verdict)
        if look.baseline is not None and look.baseline.version_id == look.candidate.version_id:
            move = Move("promote", look.standing.step, "The candidate is in production.")
        if move.action == "promote":
            refusal = self._promote(units, look, look.candidate, verdict, move.reason)
            if refusal is not None:
                return Move("wait" if refusal.code in _MOVED else "pause", look.standing.step, refusal.detail)
        else:
            self._apply(units, look, verdict, move)
        return move

    # By somebody

    def promote(self, units: Units, id_or_name: str, *, arm: str = "", comment: str = "") -> str:
        """Give a candidate everything now, if the registry's gate agrees; return the rollout's id.

        Raises
        ------
        PolicyRefused
            If the gate refuses; the rollout goes on as before.
        Conflict
            If no rollout is active, or it or the version in production has moved meanwhile.
        Invalid
            If it is a test of several arms and none of them is named.
        """
        look = self._look_at(units, id_or_name, "deployment.promote")
        if arm and arm not in look.releases:
            raise Invalid(
                f"There is no arm {arm!r}.", code="rollout.arm", hint=f"Arms are {', '.join(sorted(look.releases))}."
            )
        if not arm and len(look.arms) > 1:
            raise Invalid("Which arm?", code="rollout.arm", hint=f"Name one: {', '.join(sorted(look.releases))}.")
        chosen = look.releases[arm or look.arms[0].name]
        refusal = self._promote(units, look, chosen, judge(look), _asked("Promoted", units, comment), asked=True)
        if refusal is not None:
            raise refusal
        return look.rollout_id

    def pause(self, units: Units, id_or_name: str, *, comment: str = "") -> str:
        """Hold a rollout at its step; a breach still takes it back."""
        look = self._look_at(units, id_or_name, "deployment.pause")
        if look.standing.state is not State.PROGRESSING:
            raise Conflict(
                "The rollout is paused already.", code="rollout.paused", hint="arkwright deployment resume goes on."
            )
        with units.write() as unit:
            deployment, rollout = self._claim(unit, look)
            rollouts.pause(unit, deployment, rollout, _asked("Paused", units, comment))
        return look.rollout_id

    def resume(self, units: Units, id_or_name: str, *, comment: str = "") -> str:
        """Let a rollout go on: a pause is over, a refused promotion is tried again."""
        look = self._look_at(units, id_or_name, "deployment.resume")
        with units.write() as unit:
            deployment, rollout = self._claim(unit, look)
            rollout.assessed_at = None
            rollouts.resume(unit, deployment, rollout, _asked("Resumed", units, comment))
        return look.rollout_id

    def abort(self, units: Units, id_or_name: str, *, comment: str = "") -> str:
        """Stop a rollout without a judgement: the candidate loses its traffic and keeps its stage."""
        look = self._look_at(units, id_or_name, "deployment.abort")
        with units.write() as unit:
            deployment, rollout = self._claim(unit, look)
            rollouts.finish(unit, deployment, rollout, State.ABORTED, _asked("Aborted", units, comment))
        self._publisher.publish()
        return look.rollout_id

    def roll_back(self, units: Units, id_or_name: str, *, comment: str = "") -> str | None:
        """Go back to what answered before: out of the active rollout, or to the version before the present one.

        Returns
        -------
        str or None
            The rollout that was rolled back; None where there was none and the version before was put back.

        Raises
        ------
        Conflict
            If there is nothing to go back to.
        """
        with units.read() as unit:
            authorise(unit, "deployment.roll_back", "deployment", id_or_name)
            row = _found(unit, id_or_name)
            active = repository.active_rollout(unit.session, row.id)
            look = self._look(unit, active.id) if active is not None else None
        reason = _asked("Rolled back", units, comment)
        if look is not None:
            self._apply(units, look, judge(look), Move("roll_back", look.standing.step, reason), enforce=True)
            return look.rollout_id
        if row.model_version_id is None:
            self._registry.roll_back(units, row.model_id, comment=comment or reason)
        else:
            self._unpin(units, row.id, reason)
        self._publisher.publish()
        with units.write() as unit:
            ended = repository.rollouts(unit.session, row.id, limit=1)
            deployment = repository.deployment(unit.session, row.id)
            if ended and deployment is not None:
                rollouts.restored(unit, deployment, ended[0], reason)
        return None

    # Looking

    def look(self, unit: UnitOfWork, rollout_id: str) -> Look:
        """Return a rollout as it stands, for a report."""
        return self._look(unit, rollout_id)

    def _look_at(self, units: Units, id_or_name: str, action: str) -> Look:
        with units.read() as unit:
            authorise(unit, action, "deployment", id_or_name)
            row = _found(unit, id_or_name)
            active = repository.active_rollout(unit.session, row.id)
            if active is None:
                raise no_rollout(row.name)
            look = self._look(unit, active.id)
            workspace_id = unit.context.workspace_id
        return self._with_outcomes(workspace_id, look)

    def _look(self, unit: UnitOfWork, rollout_id: str) -> Look:
        rollout = repository.rollout(unit.session, rollout_id)
        deployment = repository.deployment(unit.session, rollout.deployment_id) if rollout is not None else None
        if rollout is None or deployment is None:
            raise deployment_not_found(rollout_id)
        arms = rollouts.arms_of_rollout(rollout)
        releases = {arm.name: self._deployments.release(unit, arm.version_id) for arm in arms}
        baseline = self._deployments.serving(unit, deployment)
        now = rollout.decided_at or unit.clock.now()
        seconds = (now - rollout.step_started_at).total_seconds()
        live = [releases[arm.name].bundle_digest for arm in arms if arm.mode == "live"]
        loaded, problem = missing_digest(deployment.id, live, self._deployments.planes(unit))
        # A later step is passed on requests of its own; before the first one the candidate had none.
        counted = self._windows.counts(
            unit, deployment.id, rollout.step_started_at, rollout.decided_at, fresh=rollout.step > 0
        )
        versions = {"stable": rollout.baseline_version_id, **{arm.name: arm.version_id for arm in arms}}
        return Look(
            deployment_id=deployment.id,
            rollout_id=rollout.id,
            name=deployment.name,
            model_id=deployment.model_id,
            pinned=deployment.model_version_id is not None,
            course=course_from(rollout.course),
            criteria=criteria_from(rollout.criteria),
            arms=arms,
            releases=releases,
            baseline=baseline,
            standing=Standing(
                state=State(rollout.state),
                step=rollout.step,
                seconds_in_step=seconds,
                released=rollout.released,
                loaded=loaded,
                load_problem=problem if seconds >= LOAD_GRACE_SECONDS else "",
                overtaken=_overtaken(deployment, rollout, baseline, arms, releases),
            ),
            started_at=rollout.started_at,
            step_started_at=rollout.step_started_at,
            counts={name: counted.get((name, version), ArmCounts()) for name, version in versions.items()},
        )

    def _with_outcomes(self, workspace_id: str, look: Look) -> Look:
        if self._outcomes is None or not look.criteria.metrics:
            return look
        found = self._outcomes.compare(workspace_id, look.deployment_id, look.started_at, list(look.counts))
        return replace(look, outcomes=found)

    # Doing

    def _apply(self, units: Units, look: Look, verdict: Verdict, move: Move, *, enforce: bool = False) -> None:
        with units.write() as unit:
            held = self._claim(unit, look) if enforce else self._hold(unit, look)
            if held is None:
                return
            deployment, rollout = held
            _keep(unit, rollout, verdict)
            if move.action == "wait":
                rollout.reason = move.reason
            elif move.action == "step":
                rollouts.to_step(unit, deployment, rollout, move.step, move.reason)
            elif move.action == "pause":
                rollouts.pause(unit, deployment, rollout, move.reason)
            elif move.action == "abort":
                rollouts.finish(unit, deployment, rollout, State.ABORTED, move.reason)
            else:
                state = State.ROLLED_BACK if move.action == "roll_back" else State.FAILED
                self._end(unit, deployment, rollout, look, look.candidate, verdict, state, move.reason)
                self._withdraw(unit, look, move.reason)
        if move.action != "wait":
            self._publisher.publish()

    def _promote(
        self, units: Units, look: Look, chosen: Release, verdict: Verdict, reason: str, *, asked: bool = False
    ) -> ArkwrightError | None:
        """Promote, or say why not; a promotion that came by itself and was refused leaves the rollout paused.

        The gate takes seconds and is asked first, without a lock. Then one commit checks that nobody has moved anything
        since the look, and moves all of it.
        """
        try:
            if look.pinned or chosen.stage != Stage.PRODUCTION:
                self._registry.check_promotion(units, chosen.version_id)
            with units.write() as unit:
                deployment, rollout = self._claim(unit, look)
                _keep(unit, rollout, verdict)
                if look.pinned:
                    self._move_pin(unit, deployment, look, chosen)
                else:
                    self._registry.promote_within(
                        unit,
                        look.model_id,
                        chosen.version_id,
                        seen_in=Stage(chosen.stage),
                        replacing=look.baseline.version_id if look.baseline is not None else None,
                        comment=f"Rollout {look.rollout_id} of {look.name}: {reason}"[:1000],
                    )
                self._end(unit, deployment, rollout, look, chosen, verdict, State.PROMOTED, reason)
        except (PolicyRefused, Conflict) as refusal:
            if not asked and refusal.code not in _MOVED:
                self._refused(units, look, verdict, refusal)
            return refusal
        self._publisher.publish()
        return None

    def _move_pin(self, unit: UnitOfWork, deployment: DeploymentRow, look: Look, chosen: Release) -> None:
        seen = look.baseline.version_id if look.baseline is not None else None
        if deployment.model_version_id != seen or self._deployments.release(unit, chosen.version_id) != chosen:
            raise _moved()
        deployment.model_version_id = chosen.version_id

    def _refused(self, units: Units, look: Look, verdict: Verdict, refusal: PolicyRefused | Conflict) -> None:
        unmet = refusal.unmet if isinstance(refusal, PolicyRefused) else [refusal.detail]
        findings = [
            Finding("promotion_gate", look.arms[0].name, "open", None, 0.0, 0, 0, sentence) for sentence in unmet
        ]
        with units.write() as unit:
            held = self._hold(unit, look)
            if held is not None:
                deployment, rollout = held
                _keep(unit, rollout, replace(verdict, findings=(*verdict.findings, *findings)))
                rollouts.pause(unit, deployment, rollout, f"The promotion was refused: {' '.join(unmet)}")

    def _hold(self, unit: UnitOfWork, look: Look) -> tuple[DeploymentRow, RolloutRow] | None:
        """Lock a rollout, if it is still where it was seen.

        Whoever changes one locks the deployment first, then the rollout, then the model, and so waits in no circle.
        """
        deployment = repository.deployment(unit.session, look.deployment_id, lock=True)
        rollout = repository.rollout(unit.session, look.rollout_id, lock=True)
        seen = (look.standing.state.value, look.standing.step, look.step_started_at)
        if rollout is None or deployment is None:
            return None
        return (deployment, rollout) if (rollout.state, rollout.step, rollout.step_started_at) == seen else None

    def _claim(self, unit: UnitOfWork, look: Look) -> tuple[DeploymentRow, RolloutRow]:
        """Lock a rollout for somebody who asked, or for what must not be done by halves.

        Raises
        ------
        Conflict
            If it has moved since it was looked at.
        """
        held = self._hold(unit, look)
        if held is None:
            raise _moved()
        return held

    def _end(
        self,
        unit: UnitOfWork,
        deployment: DeploymentRow,
        rollout: RolloutRow,
        look: Look,
        candidate: Release,
        verdict: Verdict,
        state: State,
        reason: str,
    ) -> None:
        """End a rollout and file why, as evidence on the candidate's bundle that the deployment is linked to."""
        baseline = self._deployments.release(unit, rollout.baseline_version_id)
        facts = {
            "rollout": rollout.id,
            "deployment": deployment.id,
            "deployment_name": deployment.name,
            "strategy": rollout.strategy,
            "outcome": state.value,
            "reason": reason,
            "decided_by": unit.context.actor.id,
            "bundle_digest": candidate.bundle_digest,
            "candidate": {"model_version_id": candidate.version_id, "semver": candidate.semver},
            "baseline": {
                "model_version_id": baseline.version_id,
                "semver": baseline.semver,
                "bundle_digest": baseline.bundle_digest,
            },
            "step": rollout.step,
            "traffic_split": rollouts.split_of(rollout),
            "criteria": rollout.criteria,
        }
        body = evidence_body(facts, verdict, look.counts, look.outcomes, unit.clock.now())
        filed = self._governance.file(unit, ROLLOUT_EVIDENCE, candidate.bundle_digest, body)
        self._governance.link(unit, ("evidence", filed.id), ("deployment", deployment.id), {"rollout": rollout.id})
        rollouts.finish(unit, deployment, rollout, state, reason, filed.id)

    def _withdraw(self, unit: UnitOfWork, look: Look, reason: str) -> None:
        """Take the candidates back to staged, except those that another rollout still tries."""
        elsewhere = {
            arm.version_id
            for other in repository.active_rollouts(unit.session)
            if other.id != look.rollout_id
            for arm in rollouts.arms_of_rollout(other)
        }
        for release in look.releases.values():
            if release.version_id not in elsewhere:
                self._registry.withdraw(unit, release.version_id, comment=f"Rolled back from {look.name}: {reason}")

    def _unpin(self, units: Units, deployment_id: str, reason: str) -> None:
        """Pin the version that was pinned before the last rollout."""
        with units.write() as unit:
            row = repository.deployment(unit.session, deployment_id, lock=True)
            ended = repository.rollouts(unit.session, deployment_id)
            promoted = [rollout for rollout in ended if rollout.state == State.PROMOTED]
            back = next((each for each in promoted if row and each.candidate_version_id == row.model_version_id), None)
            if row is None or back is None:
                raise Conflict(
                    "There is no earlier version to go back to.",
                    code="rollback.nowhere",
                    hint="Pin another one: arkwright deploy, or PUT the deployment.",
                )
            row.model_version_id = back.baseline_version_id
            row.revision += 1
            facts = {"model_version_id": back.baseline_version_id, "reason": reason}
            record(unit, "deployment.roll_back", "deployment", row.id, facts)
            unit.emit(DEPLOYMENT_CHANGED, row.id, {"deployment_id": row.id, **facts})


def judge(look: Look) -> Verdict:
    """Judge every arm of a rollout beside the stable one."""
    baseline = look.outcomes.get("stable")
    findings = [
        finding
        for arm in look.arms
        for finding in analyse(
            look.criteria, arm.name, look.counts[arm.name], look.outcomes.get(arm.name), baseline
        ).findings
    ]
    return conclude(findings)


def _keep(unit: UnitOfWork, rollout: RolloutRow, verdict: Verdict) -> None:
    rollout.conditions = [asdict(finding) for finding in verdict.findings]
    rollout.decision = verdict.decision
    rollout.assessed_at = unit.clock.now()


def _is_due(rollout: RolloutRow, now: datetime) -> bool:
    interval = timedelta(seconds=float(rollout.course.get("interval_seconds", 5.0)))
    return rollout.assessed_at is None or now - rollout.assessed_at >= interval


def _overtaken(
    deployment: DeploymentRow,
    rollout: RolloutRow,
    baseline: Release | None,
    arms: Sequence[PlannedArm],
    releases: Mapping[str, Release],
) -> str:
    if deployment.status != "active":
        return "The deployment was stopped."
    if baseline is None:
        return "The model has no version in production any more."
    if baseline.version_id != rollout.baseline_version_id:
        return f"Version {baseline.semver} went into production meanwhile."
    for arm in arms:
        release = releases[arm.name]
        allowed = DEPLOYABLE if arm.mode == "live" else (*DEPLOYABLE, "staged")
        if release.stage not in allowed:
            return f"Version {release.semver} was moved to the stage {release.stage}."
    return ""


def _found(unit: UnitOfWork, id_or_name: str) -> DeploymentRow:
    row = repository.deployment(unit.session, id_or_name)
    if row is None or row.status != "active":
        raise deployment_not_found(id_or_name)
    return row


def _moved() -> Conflict:
    return Conflict("The rollout has just moved.", code="rollout.moved", hint="Look at where it is now, and ask again.")


def _asked(what: str, units: Units, comment: str) -> str:
    with units.read() as unit:
        actor = unit.context.actor.id
    return f"{what} by {actor}{': ' + comment if comment else '.'}"
