"""A version reaches production through its gate, one at a time, and can be taken back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from arkwright.access import AuditTrail
from arkwright.core.errors import Conflict, Invalid, NotFound, PolicyRefused
from arkwright.core.events import MODEL_PROMOTED
from arkwright.governance.tables import GateDecisionRow
from arkwright.kit.db import OutboxRow
from arkwright.registry import AliasProjection, Stage
from arkwright.tenancy import TenancyService, bootstrap
from tests.unit.shelf import Shelf


def test_a_registered_bundle_is_version_one_here_and_in_the_logbook(shelf: Shelf) -> None:
    digest = shelf.stored()
    version = shelf.register(digest)
    assert (version.number, version.semver, version.stage) == (1, "1.0.0", "staged")
    assert version.metrics == {"roc_auc": 0.9}
    assert version.dataset_version_id == "dsv_test"
    assert version.mlflow_version == "1"


def test_registering_the_same_bundle_again_changes_nothing(shelf: Shelf) -> None:
    digest = shelf.stored()
    first = shelf.register(digest)
    assert shelf.register(digest).id == first.id
    with shelf.units.read() as unit:
        assert shelf.registry.get(unit, "churn").latest_number == 1


def test_the_same_recipe_on_other_data_is_a_patch(shelf: Shelf) -> None:
    shelf.register(shelf.stored())
    assert shelf.register(shelf.stored(weight=-0.06)).semver == "1.0.1"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"evaluation": None}, "No evaluation of this bundle has been filed."),
        ({"lineage": {"run_id": "r"}}, "The bundle's lineage lacks experiment_id and dataset_version_id."),
        ({"environment": {}}, "The bundle does not record the environment it was built in."),
    ],
)
def test_a_bundle_of_unknown_origin_is_not_registered(shelf: Shelf, changes: dict[str, Any], reason: str) -> None:
    digest = shelf.stored(**changes)
    with pytest.raises(PolicyRefused) as refusal:
        shelf.register(digest)
    assert refusal.value.unmet == [reason]
    with shelf.units.read() as unit:
        assert shelf.registry.versions(unit, "churn", limit=10) == []


def test_promotion_archives_the_old_production_version_and_says_why(shelf: Shelf) -> None:
    old, new = shelf.register(shelf.stored()), shelf.register(shelf.stored(weight=-0.06))
    shelf.promote(old)
    shelf.promote(new)
    assert (shelf.stage_of(old), shelf.stage_of(new)) == ("archived", "production")
    with shelf.units.read() as unit:
        assert shelf.registry.version_by_id(unit, old.id).stage_comment == "Superseded by 1.0.1"
        production = shelf.registry.production_of(unit, "churn")
        assert production is not None
        assert production.id == new.id


def test_promotion_is_an_event_and_an_audited_decision(shelf: Shelf) -> None:
    version = shelf.register(shelf.stored())
    shelf.promote(version)
    with shelf.database.read_global() as unit:
        event = unit.session.scalars(select(OutboxRow).where(OutboxRow.type == MODEL_PROMOTED)).one()
    assert event.data["model_version_id"] == version.id
    assert event.data["from_version_id"] is None
    with shelf.units.read() as unit:
        decision = unit.session.scalars(select(GateDecisionRow).where(GateDecisionRow.gate == "promotion")).one()
        assert decision.allowed
        assert decision.inputs["bundle_digest"] == version.bundle_digest
        actions = [row.action for row in AuditTrail().page(unit, limit=50, before_seq=None)]
        assert {"gate.allow", "model_version.stage", "model.create"} <= set(actions)
        assert AuditTrail().verify(unit).intact


def test_a_model_that_does_not_beat_its_baseline_is_refused_and_the_refusal_is_kept(shelf: Shelf) -> None:
    verdict = {"met": False, "detail": "ROC AUC is not better than the majority model's."}
    version = shelf.register(shelf.stored({"metrics": {}, "beats_baseline": verdict}))
    with pytest.raises(PolicyRefused) as refusal:
        shelf.promote(version)
    assert refusal.value.unmet == [verdict["detail"]]
    assert shelf.stage_of(version) == "staged"
    with shelf.units.read() as unit:
        actions = [row.action for row in AuditTrail().page(unit, limit=50, before_seq=None)]
    assert "gate.refuse" in actions


def test_an_altered_bundle_is_refused_by_the_gate(shelf: Shelf) -> None:
    version = shelf.register(shelf.stored())
    with shelf.bundles.folder(version.workspace_id, version.bundle_digest) as folder:
        (folder / "signature.json").write_bytes(b"{}")
    with pytest.raises(PolicyRefused, match="signature.json"):
        shelf.promote(version)
    assert shelf.stage_of(version) == "staged"


def test_an_illegal_step_is_a_conflict(shelf: Shelf) -> None:
    version = shelf.register(shelf.stored())
    shelf.promote(version)
    with pytest.raises(Conflict, match="cannot go to staged"):
        shelf.promote(version, Stage.STAGED)


def test_promoting_twice_is_promoting_once(shelf: Shelf) -> None:
    version = shelf.promote(shelf.register(shelf.stored()))
    again = shelf.promote(version)
    assert (again.id, again.stage) == (version.id, "production")
    with shelf.units.read() as unit:
        steps = [step.to_stage for step in shelf.registry.history(unit, "churn")]
    assert steps == ["staged", "production"]


def test_rolling_back_restores_the_previous_production_version(shelf: Shelf) -> None:
    old, new = shelf.register(shelf.stored()), shelf.register(shelf.stored(weight=-0.06))
    shelf.promote(old)
    shelf.promote(new)
    restored = shelf.registry.roll_back(shelf.units, "churn", comment="errors")
    assert restored.id == old.id
    assert (shelf.stage_of(old), shelf.stage_of(new)) == ("production", "archived")
    with shelf.units.read() as unit:
        kinds = [step.kind for step in shelf.registry.history(unit, "churn")]
    assert kinds[-2:] == ["superseded", "rollback"]


def test_a_second_rollback_goes_further_back_and_never_forward(shelf: Shelf) -> None:
    versions = [shelf.register(shelf.stored(weight=-0.05 - 0.01 * n)) for n in range(3)]
    for version in versions:
        shelf.promote(version)
    assert shelf.registry.roll_back(shelf.units, "churn").id == versions[1].id
    assert shelf.registry.roll_back(shelf.units, "churn").id == versions[0].id
    with pytest.raises(Conflict, match="no earlier production version"):
        shelf.registry.roll_back(shelf.units, "churn")


def test_rolling_back_without_an_earlier_version_is_a_conflict(shelf: Shelf) -> None:
    shelf.promote(shelf.register(shelf.stored()))
    with pytest.raises(Conflict, match="no earlier production version"):
        shelf.registry.roll_back(shelf.units, "churn")


@pytest.mark.parametrize("address", ["1", "1.0.0", "v1.0.0"])
def test_a_version_has_several_addresses(shelf: Shelf, address: str) -> None:
    version = shelf.register(shelf.stored())
    with shelf.units.read() as unit:
        assert shelf.registry.version(unit, "churn", address).id == version.id
        assert shelf.registry.version(unit, version.model_id, version.id).id == version.id


def test_unknown_models_and_versions_are_not_found(shelf: Shelf) -> None:
    shelf.register(shelf.stored())
    with shelf.units.read() as unit:
        with pytest.raises(NotFound, match="no model 'fraud'"):
            shelf.registry.get(unit, "fraud")
        with pytest.raises(NotFound, match="has no version '7'"):
            shelf.registry.version(unit, "churn", "7")


def test_the_name_generate_is_reserved(shelf: Shelf) -> None:
    with pytest.raises(Invalid, match="reserved"), shelf.units.write() as unit:
        shelf.registry.create(unit, "generate")


def test_mlflow_s_aliases_follow_the_stages(shelf: Shelf, tmp_path: object) -> None:
    bootstrap(shelf.database, tmp_path / "admin.key")  # type: ignore[operator]
    old, new = shelf.register(shelf.stored()), shelf.register(shelf.stored(weight=-0.06))
    projection = AliasProjection(shelf.database, TenancyService(), shelf.tracking)

    def project() -> dict[str, int]:
        with shelf.database.read_global() as unit:
            row = unit.session.scalars(select(OutboxRow).order_by(OutboxRow.position.desc())).first()
        assert row is not None
        from arkwright.core.events import Event

        projection.handle(Event(row.id, row.type, row.subject, row.workspace_id, row.time, row.data))
        return shelf.tracking.aliases("default", "churn")

    shelf.promote(old)
    assert project() == {"champion": 1}
    shelf.promote(new, Stage.CANARY)
    assert project() == {"champion": 1, "challenger": 2}
    shelf.promote(new)
    assert project() == {"champion": 2}


def test_a_rollback_that_was_overtaken_does_not_undo_somebody_s_promotion(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, newest = (shelf.register(shelf.stored(weight=weight)) for weight in (-0.05, -0.06, -0.07))
    shelf.promote(old)
    shelf.promote(new)
    verify = shelf.bundles.verify

    def meanwhile(workspace_id: str, digest: str) -> object:
        monkeypatch.setattr(shelf.bundles, "verify", verify)
        shelf.promote(newest)
        return verify(workspace_id, digest)

    monkeypatch.setattr(shelf.bundles, "verify", meanwhile)
    with pytest.raises(Conflict, match="in the meantime"):
        shelf.registry.roll_back(shelf.units, "churn")
    assert [shelf.stage_of(each) for each in (old, new, newest)] == ["archived", "archived", "production"]


def test_many_promotions_at_once_leave_one_version_in_production(shelf: Shelf) -> None:
    versions = [shelf.register(shelf.stored(weight=-0.05 - i / 100)) for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(shelf.promote, versions))
    stages = sorted(shelf.stage_of(version) for version in versions)
    assert stages == ["archived", "archived", "archived", "production"]
    with shelf.units.read() as unit:
        production = shelf.registry.production_of(unit, "churn")
        assert production is not None
        assert production.stage == "production"
        assert AuditTrail().verify(unit).intact


def test_the_registration_gate_decides_about_the_model_s_id(shelf: Shelf) -> None:
    version = shelf.register(shelf.stored(), "m" * 120)
    with shelf.units.read() as unit:
        decision = unit.session.scalars(select(GateDecisionRow)).one()
    assert decision.entity_id == version.model_id


@pytest.mark.parametrize("address", ["²", "9" * 5000, "9" * 12, "", "1.0", "mv_none", "nul\0"])
def test_an_address_that_is_none_is_not_found(shelf: Shelf, address: str) -> None:
    shelf.register(shelf.stored())
    with pytest.raises(NotFound), shelf.units.read() as unit:
        shelf.registry.version(unit, "churn", address)


def test_an_evaluation_that_says_no_go_is_refused_with_its_reasons_until_a_newer_one_says_otherwise(
    shelf: Shelf,
) -> None:
    version = shelf.register(shelf.stored())

    def file(decision: str, *reasons: str) -> None:
        with shelf.units.write() as unit:
            body = {"decision": decision, "reasons": list(reasons)}
            shelf.governance.file(unit, "model_evaluation", version.bundle_digest, body)

    file("no-go", "Fairness (Fail): women are given it half as often.")
    with pytest.raises(PolicyRefused) as refusal:
        shelf.promote(version)
    assert refusal.value.unmet == [
        "The evaluation of this bundle says no-go. Fairness (Fail): women are given it half as often."
    ]
    file("conditional", "Look at the weak slices.")
    assert shelf.promote(version).stage == "production"


def test_an_evaluation_without_a_decision_is_a_no_go(shelf: Shelf) -> None:
    version = shelf.register(shelf.stored())
    with shelf.units.write() as unit:
        shelf.governance.file(unit, "model_evaluation", version.bundle_digest, {})
    with pytest.raises(PolicyRefused, match="It does not say why"):
        shelf.promote(version)


def test_rolling_back_does_not_ask_for_the_verdict(shelf: Shelf) -> None:
    old, new = shelf.register(shelf.stored()), shelf.register(shelf.stored(weight=-0.06))
    shelf.promote(old)
    shelf.promote(new)
    with shelf.units.write() as unit:
        shelf.governance.file(unit, "model_evaluation", old.bundle_digest, {"decision": "no-go", "reasons": ["old"]})
    assert shelf.registry.roll_back(shelf.units, "churn").id == old.id
