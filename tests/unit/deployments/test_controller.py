"""Rollouts that decide by themselves, on a real database and registry, with windows made up."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from arkwright.access import AuditTrail
from arkwright.contracts import EndpointStatus, PlanAcknowledgement
from arkwright.core.clock import FixedClock
from arkwright.core.errors import Conflict, Invalid, PolicyRefused, PreconditionFailed
from arkwright.core.events import DEPLOYMENT_PROMOTED, DEPLOYMENT_ROLLED_BACK
from arkwright.deployments import WindowService
from arkwright.deployments.controller import judge
from arkwright.deployments.ports import ArmOutcomes, MetricSums
from arkwright.deployments.rollout import Move
from arkwright.deployments.service import DeploymentRequest
from arkwright.deployments.tables import DeploymentRow
from arkwright.registry import Stage
from tests.unit.deployments.stand import Stand, stand_on
from tests.unit.shelf import Shelf


@pytest.fixture
def stand(shelf: Shelf, clock: FixedClock, tmp_path: Path) -> Stand:
    return stand_on(shelf, clock, tmp_path)


def test_a_good_canary_walks_to_production_by_itself(stand: Stand) -> None:
    row = stand.canary()
    assert stand.split(row) == {"stable": 90.0, "canary": 10.0}
    stand.clock.advance(10)
    stand.traffic(row, "canary", 100)
    assert stand.after(10) == ["wait"]
    assert stand.rollout(row).reason == "The step lasts 40 s more."
    assert stand.after(40) == ["step"]
    assert stand.split(row) == {"stable": 0.0, "canary": 100.0}
    assert stand.after(60) == ["wait"], "the new step has no requests yet"
    stand.traffic(row, "canary", 100)
    assert stand.after(5) == ["promote"]
    assert stand.shelf.stage_of(stand.candidate) == "production"
    assert stand.shelf.stage_of(stand.stable) == "archived"
    endpoint = stand.endpoint(row)
    assert [(arm.name, arm.bundle_digest) for arm in endpoint.arms] == [("stable", stand.candidate.bundle_digest)]
    assert endpoint.fallback_digests == (stand.stable.bundle_digest,)
    ended = stand.rollout(row)
    assert (ended.state, ended.step) == ("promoted", 1)
    assert stand.history(row) == ["started", "step", "promoted"]
    assert len(stand.events(DEPLOYMENT_PROMOTED)) == 1
    assert stand.after(60) == []


def test_a_failing_canary_is_rolled_back_with_the_evidence_attached(stand: Stand) -> None:
    row = stand.canary()
    stand.clock.advance(6)
    stand.traffic(row, "stable", 100)
    stand.traffic(row, "canary", 12, errors=9)
    assert stand.after(1) == ["roll_back"]
    assert stand.split(row) == {"stable": 100.0}
    assert stand.shelf.stage_of(stand.candidate) == "staged"
    ended = stand.rollout(row)
    assert ended.state == "rolled_back"
    assert "failed 9 of 12 requests" in ended.reason
    with stand.shelf.units.read() as unit:
        evidence = stand.shelf.governance.evidence(unit, stand.candidate.bundle_digest, "rollout")
        graph = stand.shelf.governance.graph(unit, "deployment", row.id)
        trail = AuditTrail()
        actions = [entry.action for entry in trail.page(unit, limit=50, before_seq=None, entity_id=row.id)]
        assert trail.verify(unit).intact
        version = stand.shelf.registry.version_by_id(unit, stand.candidate.id)
    assert [each.id for each in evidence] == [ended.evidence_id]
    body = evidence[0].body
    assert (body["outcome"], body["bundle_digest"]) == ("rolled_back", stand.candidate.bundle_digest)
    assert body["windows"]["canary"]["errors"] == 9
    assert body["windows"]["stable"]["requests"] == 100
    assert body["conditions"][0]["name"] == "error_rate_pct"
    assert ("evidence", ended.evidence_id) in [(edge.from_entity_type, edge.from_id) for edge in graph]
    assert "rollout.rolled_back" in actions
    assert "failed 9 of 12 requests" in version.stage_comment
    assert stand.events(DEPLOYMENT_ROLLED_BACK)[0].data["evidence_id"] == ended.evidence_id


def test_a_slow_canary_is_rolled_back(stand: Stand) -> None:
    row = stand.canary(analysis={"interval_seconds": 1, "latency_ms_p95": 120})
    stand.clock.advance(6)
    stand.traffic(row, "canary", 60, latency_ms=400.0)
    assert stand.after(1) == ["roll_back"]
    assert "slower than 120 ms" in stand.rollout(row).reason


def test_a_canary_that_is_subtly_worse_on_feedback_is_rolled_back(stand: Stand) -> None:
    row = stand.canary(analysis={"interval_seconds": 1, "metrics": [{"name": "accuracy", "max_worse": 0.02}]})
    stand.clock.advance(6)
    stand.traffic(row, "canary", 400)
    stand.outcomes.known = {
        "stable": ArmOutcomes(2000, {"accuracy": MetricSums(2000, 1600, 1600)}),
        "canary": ArmOutcomes(400, {"accuracy": MetricSums(400, 252, 252)}),
    }
    assert stand.after(1) == ["roll_back"]
    assert "accuracy of canary is 0.63 and of stable 0.8" in stand.rollout(row).reason


def test_a_rollout_whose_outcomes_cannot_be_read_is_still_taken_back_for_errors_and_stops_no_other(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_question: object) -> dict[str, ArmOutcomes]:
        raise OSError("the store is away")

    monkeypatch.setattr(stand.outcomes, "compare", broken)
    measured = {"interval_seconds": 1, "metrics": [{"name": "accuracy", "max_worse": 0.02}]}
    row = stand.canary(analysis=measured)
    other = stand.deploy(
        {
            "type": "canary",
            "model_version_id": stand.candidate.id,
            "steps": [10, 100],
            "pause_seconds": 0,
            "analysis": {"interval_seconds": 1},
        },
        name="other",
    )
    stand.clock.advance(6)
    stand.traffic(row, "canary", 100)
    stand.traffic(other, "canary", 100)
    assert stand.after(1) == ["step"]
    stand.traffic(row, "canary", 100, errors=90)
    assert "roll_back" in stand.after(1)
    assert stand.rollout(row).state == "rolled_back"
    assert stand.shelf.stage_of(stand.candidate) == "canary", "another rollout still tries it"


def test_too_little_feedback_holds_the_canary(stand: Stand) -> None:
    row = stand.canary(analysis={"interval_seconds": 1, "metrics": [{"name": "accuracy", "max_worse": 0.02}]})
    stand.clock.advance(6)
    stand.traffic(row, "canary", 400)
    stand.outcomes.known = {"canary": ArmOutcomes(3, {"accuracy": MetricSums(3, 3, 3)})}
    assert stand.after(60) == ["wait"]
    assert "cannot be compared yet" in stand.rollout(row).reason


def test_a_blown_fuse_of_a_data_plane_leads_back(stand: Stand) -> None:
    row = stand.canary()
    stand.clock.advance(6)
    stand.traffic(row, "canary", 5, blown=True)
    assert stand.after(1) == ["roll_back"]
    assert "fuse" in stand.rollout(row).reason


def test_errors_from_before_the_step_do_not_count_against_it(stand: Stand) -> None:
    row = stand.canary()
    stand.clock.advance(-20)
    stand.traffic(row, "canary", 50, errors=50)
    stand.clock.advance(20)
    assert stand.after(1) == ["wait"]


def test_a_gate_that_refuses_leaves_the_rollout_paused_at_its_last_step(stand: Stand) -> None:
    stand.shelf.promote(stand.candidate, Stage.STAGED)
    weak = stand.shelf.register(stand.shelf.stored(weight=-0.07))
    stand.shelf.promote(weak, Stage.CANARY)
    stand.candidate = weak
    row = stand.canary(steps=[100], pause_seconds=0)
    with stand.shelf.units.write() as unit:
        verdict = {"beats_baseline": {"met": False, "detail": "It is no better than guessing."}, "metrics": {}}
        stand.shelf.governance.file(unit, "evaluation", weak.bundle_digest, verdict)
    stand.clock.advance(6)
    stand.traffic(row, "canary", 100)
    assert stand.after(1) == ["pause"]
    held = stand.rollout(row)
    assert (held.state, held.step) == ("paused", 0)
    assert "It is no better than guessing." in held.reason
    assert held.conditions[-1]["name"] == "promotion_gate"
    assert stand.split(row) == {"stable": 0.0, "canary": 100.0}
    assert stand.after(60) == ["wait"]
    with pytest.raises(PolicyRefused):
        stand.controller.promote(stand.shelf.units, row.id)
    assert stand.rollout(row).state == "paused"


def test_people_pause_resume_abort_and_promote(stand: Stand) -> None:
    row = stand.canary()
    stand.controller.pause(stand.shelf.units, "churn", comment="Lunch.")
    with pytest.raises(Conflict, match="paused already"):
        stand.controller.pause(stand.shelf.units, "churn")
    stand.clock.advance(6)
    stand.traffic(row, "canary", 100)
    assert stand.after(600) == ["wait"]
    stand.controller.resume(stand.shelf.units, "churn")
    assert stand.after(1) == ["step"]
    stand.controller.abort(stand.shelf.units, "churn", comment="Another time.")
    assert stand.split(row) == {"stable": 100.0}
    assert stand.shelf.stage_of(stand.candidate) == "canary", "abort is no judgement"
    with pytest.raises(Conflict, match="no rollout"):
        stand.controller.promote(stand.shelf.units, "churn")
    assert stand.history(row) == ["started", "paused", "resumed", "step", "aborted"]
    again = stand.deployments.request_of(row)
    stand.deployments.update(stand.shelf.units, "churn", again, again=True)
    stand.controller.promote(stand.shelf.units, "churn", comment="Good.")
    assert stand.shelf.stage_of(stand.candidate) == "production"
    assert stand.rollout(row).reason == "Promoted by user_test: Good."


def before(stand: Stand, row: DeploymentRow) -> str | None:
    """Return the version that a rollback is said to put back."""
    with stand.shelf.units.read() as unit:
        release = stand.deployments.before(unit, stand.deployments.get(unit, row.id))
    return release.version_id if release else None


def test_rolling_back_by_hand_out_of_a_rollout_and_after_it(stand: Stand) -> None:
    row = stand.canary()
    assert stand.controller.roll_back(stand.shelf.units, "churn", comment="No.") == stand.rollout(row).id
    assert stand.rollout(row).state == "rolled_back"
    assert before(stand, row) is None, "nothing was in production before"
    stand.shelf.promote(stand.candidate)
    assert stand.endpoint(row).arms[0].bundle_digest == stand.candidate.bundle_digest
    assert before(stand, row) == stand.stable.id
    assert stand.controller.roll_back(stand.shelf.units, "churn") is None
    assert stand.endpoint(row).arms[0].bundle_digest == stand.stable.bundle_digest
    assert before(stand, row) is None
    assert stand.history(row) == ["started", "rolled_back", "restored"]
    with pytest.raises(Conflict):
        stand.controller.roll_back(stand.shelf.units, "churn")


def test_a_pinned_deployment_moves_its_pin_and_back(stand: Stand) -> None:
    row = stand.deploy(
        {"type": "canary", "model_version_id": stand.candidate.id, "steps": [50]},
        model="",
        name="pinned",
        model_version_id=stand.stable.id,
    )
    assert before(stand, row) is None
    stand.controller.promote(stand.shelf.units, "pinned")
    assert before(stand, row) == stand.stable.id
    assert stand.endpoint(row).arms[0].bundle_digest == stand.candidate.bundle_digest
    assert stand.shelf.stage_of(stand.stable) == "production", "others follow it"
    assert stand.endpoint(row).fallback_digests == (stand.stable.bundle_digest,)
    stand.controller.roll_back(stand.shelf.units, "pinned")
    assert stand.endpoint(row).arms[0].bundle_digest == stand.stable.bundle_digest


def test_blue_green_switches_once_green_is_loaded_and_keeps_blue(stand: Stand) -> None:
    row = stand.deploy(
        {
            "type": "blue_green",
            "model_version_id": stand.candidate.id,
            "pause_seconds": 30,
            "analysis": {"interval_seconds": 1},
        },
        fallback={"previous": True},
    )
    assert stand.split(row) == {"stable": 100.0, "green": 0.0}
    stand.acknowledge(row, without="green")
    assert stand.after(1) == ["wait"]
    stand.acknowledge(row)
    assert stand.after(1) == ["step"]
    endpoint = stand.endpoint(row)
    assert {arm.name: arm.traffic_percent for arm in endpoint.arms} == {"stable": 0.0, "green": 100.0}
    assert endpoint.fallback.arm is not None
    assert endpoint.fallback.arm.bundle_digest == stand.stable.bundle_digest
    stand.clock.advance(6)
    stand.traffic(row, "green", 30, errors=20)
    assert stand.after(1) == ["roll_back"]
    assert stand.split(row) == {"stable": 100.0}


def test_green_that_cannot_be_loaded_fails_and_is_never_switched_to(stand: Stand) -> None:
    row = stand.deploy({"type": "blue_green", "model_version_id": stand.candidate.id})
    stand.acknowledge(row, without="green", detail="version 1.0.1: model.txt was altered")
    assert stand.after(1) == ["wait"]
    assert stand.after(40) == ["fail"]
    ended = stand.rollout(row)
    assert (ended.state, ended.reason) == ("failed", "version 1.0.1: model.txt was altered")
    assert stand.split(row) == {"stable": 100.0}


def test_a_shadow_takes_no_traffic_and_is_compared(stand: Stand) -> None:
    row = stand.deploy(
        {
            "type": "shadow",
            "model_version_id": stand.candidate.id,
            "percent": 50,
            "analysis": {"interval_seconds": 1, "min_agreement_pct": 95},
        }
    )
    endpoint = stand.endpoint(row)
    assert [(arm.name, arm.mode, arm.traffic_percent) for arm in endpoint.arms] == [
        ("stable", "live", 100.0),
        ("shadow", "shadow", 50.0),
    ]
    stand.clock.advance(6)
    stand.traffic(row, "shadow", 200, compared=200, agreed=198, difference_sum=4.0)
    assert stand.after(1) == ["wait"]
    assert stand.rollout(row).decision == "continue"
    stand.traffic(row, "shadow", 400, compared=400, agreed=200)
    assert stand.after(1) == ["roll_back"]


def test_a_shadow_may_be_staged_and_a_canary_may_not(stand: Stand) -> None:
    stand.shelf.promote(stand.candidate, Stage.STAGED)
    with pytest.raises(PolicyRefused):
        stand.canary()
    row = stand.deploy({"type": "shadow", "model_version_id": stand.candidate.id})
    assert [arm.mode for arm in stand.endpoint(row).arms] == ["live", "shadow"]


def test_the_arms_of_a_test_keep_their_split_until_somebody_decides(stand: Stand) -> None:
    arms = [{"name": "stable", "percent": 60}, {"name": "b", "percent": 40, "model_version_id": stand.candidate.id}]
    row = stand.deploy({"type": "ab", "arms": arms, "unit": "customer", "analysis": {"interval_seconds": 1}})
    endpoint = stand.endpoint(row)
    assert (endpoint.strategy, endpoint.unit) == ("ab", "customer")
    stand.clock.advance(6)
    stand.traffic(row, "b", 1000)
    assert stand.after(100_000) == ["wait"]
    assert stand.split(row) == {"stable": 60.0, "b": 40.0}
    with pytest.raises(Invalid, match="no arm"):
        stand.controller.promote(stand.shelf.units, row.id, arm="c")
    stand.controller.promote(stand.shelf.units, row.id, arm="b")
    assert stand.shelf.stage_of(stand.candidate) == "production"


def _about_to_be_promoted(stand: Stand, **changes: Any) -> DeploymentRow:
    """Return a deployment whose canary the next look would promote, with feedback that takes a while to read."""
    measured = {"interval_seconds": 1, "metrics": [{"name": "accuracy", "max_worse": 0.02}]}
    strategy = {
        "type": "canary",
        "model_version_id": stand.candidate.id,
        "steps": [100],
        "pause_seconds": 0,
        "analysis": measured,
    }
    row = stand.deploy(strategy, **changes)
    stand.clock.advance(6)
    stand.traffic(row, "canary", 400)
    good = ArmOutcomes(2000, {"accuracy": MetricSums(2000, 1600, 1600)})
    stand.outcomes.known = {"stable": good, "canary": good}
    return row


_ACTIONS = [("abort", "aborted", "canary"), ("roll_back", "rolled_back", "staged"), ("pause", "paused", "canary")]


@pytest.mark.parametrize(("action", "state", "stage"), _ACTIONS)
def test_what_somebody_does_while_the_controller_looks_wins_over_the_promotion(
    stand: Stand, action: str, state: str, stage: str
) -> None:
    row = _about_to_be_promoted(stand)
    stand.outcomes.meanwhile = lambda: getattr(stand.controller, action)(stand.shelf.units, "churn", comment="No!")
    assert stand.after(1) == ["wait"]
    _assert_not_promoted(stand, row, state, stage)


@pytest.mark.parametrize(("action", "state", "stage"), _ACTIONS)
def test_what_somebody_does_while_the_gate_is_asked_wins_over_the_promotion(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, action: str, state: str, stage: str
) -> None:
    row = _about_to_be_promoted(stand)
    verify = stand.shelf.bundles.verify

    def slow(workspace_id: str, digest: str) -> object:
        monkeypatch.undo()
        getattr(stand.controller, action)(stand.shelf.units, "churn", comment="No!")
        return verify(workspace_id, digest)

    monkeypatch.setattr(stand.shelf.bundles, "verify", slow)
    assert stand.after(1) == ["wait"]
    _assert_not_promoted(stand, row, state, stage)


def _assert_not_promoted(stand: Stand, row: DeploymentRow, state: str, stage: str) -> None:
    assert stand.shelf.stage_of(stand.candidate) == stage
    assert stand.shelf.stage_of(stand.stable) == "production"
    assert stand.endpoint(row).arms[0].bundle_digest == stand.stable.bundle_digest
    assert stand.rollout(row).state == state
    assert stand.history(row) == ["started", state]
    assert stand.events(DEPLOYMENT_PROMOTED) == []
    stand.after(5)
    assert stand.history(row) == ["started", state], "and so it stays"


def test_a_promotion_by_hand_does_not_overtake_an_abort(stand: Stand) -> None:
    row = _about_to_be_promoted(stand)
    stand.outcomes.meanwhile = lambda: stand.controller.abort(stand.shelf.units, "churn")
    with pytest.raises(Conflict, match="just moved"):
        stand.controller.promote(stand.shelf.units, "churn")
    _assert_not_promoted(stand, row, "aborted", "canary")


def test_a_pin_that_somebody_keeps_by_aborting_is_not_moved(stand: Stand) -> None:
    row = _about_to_be_promoted(stand, model="", name="pinned", model_version_id=stand.stable.id)
    stand.outcomes.meanwhile = lambda: stand.controller.abort(stand.shelf.units, "pinned")
    assert stand.after(1) == ["wait"]
    _assert_not_promoted(stand, row, "aborted", "canary")


def test_a_version_that_somebody_promotes_while_the_controller_looks_stays_in_production(stand: Stand) -> None:
    row = _about_to_be_promoted(stand)
    third = stand.shelf.register(stand.shelf.stored(weight=-0.08))
    stand.outcomes.meanwhile = lambda: stand.shelf.promote(third)
    assert stand.after(1) == ["wait"]
    assert stand.after(1) == ["abort"]
    assert stand.shelf.stage_of(third) == "production"
    assert stand.shelf.stage_of(stand.candidate) == "canary"
    assert stand.history(row) == ["started", "aborted"]


def test_a_candidate_that_somebody_archives_while_the_controller_looks_is_not_promoted(stand: Stand) -> None:
    row = _about_to_be_promoted(stand)
    stand.outcomes.meanwhile = lambda: stand.shelf.promote(stand.candidate, Stage.ARCHIVED)
    assert stand.after(1) == ["wait"]
    assert stand.after(1) == ["abort"]
    assert stand.shelf.stage_of(stand.candidate) == "archived"
    assert stand.shelf.stage_of(stand.stable) == "production"
    assert stand.rollout(row).state == "aborted"


def test_a_promotion_that_breaks_off_has_moved_nothing_and_is_made_up_for(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = _about_to_be_promoted(stand)

    def broken(*_arguments: object, **_named: object) -> None:
        raise OSError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr(stand.shelf.governance, "file", broken)
        assert stand.after(1) == []
    assert stand.shelf.stage_of(stand.candidate) == "canary"
    assert stand.shelf.stage_of(stand.stable) == "production"
    assert stand.rollout(row).state == "progressing"
    assert stand.after(1) == ["promote"]
    assert stand.shelf.stage_of(stand.candidate) == "production"
    assert stand.history(row) == ["started", "promoted"]


def test_an_earlier_version_answers_for_the_stable_one_during_a_rollout_and_not_one_that_was_rolled_back(
    stand: Stand,
) -> None:
    third = stand.shelf.register(stand.shelf.stored(weight=-0.08))
    stand.shelf.promote(third)
    row = stand.deploy(
        {"type": "canary", "model_version_id": stand.candidate.id, "steps": [10, 100]}, fallback={"previous": True}
    )
    behind = stand.endpoint(row).fallback.arm
    assert behind is not None
    assert behind.bundle_digest == stand.stable.bundle_digest, "the one in production before"
    stand.controller.abort(stand.shelf.units, "churn")
    stand.shelf.registry.roll_back(stand.shelf.units, "churn")
    assert stand.endpoint(row).fallback.arm is None


def test_the_fuse_goes_by_the_looser_of_the_objectives_and_the_rollouts_own_limits(stand: Stand) -> None:
    row = stand.canary(
        analysis={"interval_seconds": 1, "max_error_rate_pct": 5.0, "latency_ms_p95": 100.0, "min_requests": 80}
    )
    endpoint = stand.endpoint(row)
    assert endpoint.objectives.error_rate_pct == 5.0, "looser than the SLO"
    assert endpoint.objectives.latency_ms_p95 == 500.0, "the SLO is looser"
    assert endpoint.fuse.min_requests == 80
    stand.controller.abort(stand.shelf.units, "churn")
    assert stand.endpoint(row).objectives.error_rate_pct == 1.0


def test_another_version_in_production_ends_the_rollout_without_a_judgement(stand: Stand) -> None:
    row = stand.canary()
    third = stand.shelf.register(stand.shelf.stored(weight=-0.08))
    stand.shelf.promote(third)
    assert stand.after(1) == ["abort"]
    assert stand.rollout(row).state == "aborted"
    assert stand.shelf.stage_of(stand.candidate) == "canary"


def test_a_candidate_that_somebody_promoted_is_promoted(stand: Stand) -> None:
    row = stand.canary()
    stand.shelf.promote(stand.candidate)
    assert stand.after(1) == ["promote"]
    assert stand.rollout(row).state == "promoted"


def test_two_control_planes_move_a_rollout_once(stand: Stand) -> None:
    row = stand.canary()
    stand.clock.advance(6)
    stand.traffic(row, "canary", 12, errors=12)
    with stand.shelf.units.read() as unit:
        seen = stand.controller.look(unit, stand.rollout(row).id)
    assert stand.after(1) == ["roll_back"]
    stand.controller._apply(stand.shelf.units, seen, judge(seen), Move("roll_back", 0, "again"))
    assert stand.history(row) == ["started", "rolled_back"]


def test_the_same_report_twice_is_counted_once_and_a_restarted_data_plane_again(stand: Stand) -> None:
    row = stand.canary()
    stand.clock.advance(6)
    for requests in (10, 10):
        stand.sequence = 0
        stand.traffic(row, "canary", requests)
    stand.sequence = 0
    stand.traffic(row, "canary", 7)
    with stand.shelf.units.read() as unit:
        counts = stand.windows.counts(unit, row.id, stand.rollout(row).started_at)
    assert counts["canary", stand.candidate.id].requests == 17


def test_counts_are_the_same_however_often_they_are_asked_for_and_late_reports_are_in_them(stand: Stand) -> None:
    row = stand.canary()
    total = 0
    for minute in range(8):
        stand.traffic(row, "canary", 10 + minute, errors=minute)
        total += 10 + minute
        stand.clock.advance(-100)
        stand.traffic(row, "canary", 1)
        stand.clock.advance(160)
        with stand.shelf.units.read() as unit:
            asked = stand.windows.counts(unit, row.id, stand.rollout(row).started_at - timedelta(minutes=5))
            fresh = WindowService(stand.shelf.database).counts(
                unit, row.id, stand.rollout(row).started_at - timedelta(minutes=5)
            )
        assert asked == fresh
    assert asked["canary", stand.candidate.id].requests == total + 8


def test_old_windows_are_forgotten(stand: Stand) -> None:
    row = stand.canary()
    stand.clock.advance(6)
    stand.traffic(row, "canary", 10)
    stand.after(1)
    started = stand.rollout(row).started_at
    stand.after(7 * 3600)
    with stand.shelf.units.read() as unit:
        assert WindowService(stand.shelf.database).counts(unit, row.id, started) == {}


def test_a_data_plane_that_went_away_stops_counting(stand: Stand) -> None:
    row = stand.canary()
    gone = PlanAcknowledgement(
        replica="gone", generation=1, endpoints={row.id: EndpointStatus(state="failed", detail="old news")}
    )
    stand.publisher.acknowledge(gone)

    def state() -> str:
        with stand.shelf.units.read() as unit:
            return stand.deployments.state(unit, stand.deployments.get(unit, row.id)).state

    assert state() == "failed"
    stand.after(30)
    assert state() == "failed"
    stand.after(40)
    assert state() == "ready"


def test_applying_the_same_again_changes_nothing_and_does_not_retry_what_was_rolled_back(stand: Stand) -> None:
    row = stand.canary()
    wanted = stand.deployments.request_of(row)
    assert stand.deployments.update(stand.shelf.units, "churn", wanted).revision == 1
    stand.controller.roll_back(stand.shelf.units, "churn")
    assert stand.deployments.update(stand.shelf.units, "churn", wanted).revision == 1
    assert stand.history(row) == ["started", "rolled_back"]


def test_a_changed_strategy_replaces_the_rollout(stand: Stand) -> None:
    row = stand.canary()
    wanted = stand.deployments.request_of(row)
    strategy = {**(wanted.strategy or {}), "steps": [25, 100]}
    changed = stand.deployments.update(
        stand.shelf.units, "churn", DeploymentRequest(**{**vars(wanted), "strategy": strategy}), expected_revision=1
    )
    assert changed.revision == 2
    assert stand.split(row) == {"stable": 75.0, "canary": 25.0}
    assert stand.history(row) == ["started", "aborted", "started"]
    with pytest.raises(PreconditionFailed):
        stand.deployments.update(stand.shelf.units, "churn", wanted, expected_revision=1)


def test_slos_limits_and_the_rest_reach_the_plan(stand: Stand) -> None:
    row = stand.deploy(
        None,
        slos={"latency_class": "tabular-fast", "error_rate_pct": 0.5},
        limits={"requests_per_second": 5.0, "burst": 10, "timeout_ms": 50.0, "max_rows": 7},
        log={"sample_percent": 10.0, "redact": ["customer"]},
        fallback={"previous": True, "constant": {"label": "No", "score": 0.0}},
        cache_seconds=2.0,
    )
    endpoint = stand.endpoint(row)
    assert (endpoint.objectives.latency_ms_p95, endpoint.objectives.error_rate_pct) == (120.0, 0.5)
    assert (endpoint.limits.requests_per_second, endpoint.limits.max_rows) == (5.0, 7)
    assert (endpoint.log.sample_percent, endpoint.log.redact) == (10.0, ("customer",))
    assert endpoint.fallback.constant == {"label": "No", "score": 0.0}
    assert endpoint.fallback.arm is None, "nothing answered before"
    assert endpoint.cache_seconds == 2.0
