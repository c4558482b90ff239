"""Evidence is filed once, decisions are kept, lineage leads both ways."""

from __future__ import annotations

import math

import pytest
from sqlalchemy import select

from arkwright.access import AuditTrail
from arkwright.core.context import Actor, Context
from arkwright.core.errors import NotPermitted
from arkwright.governance import Condition, GovernanceService
from arkwright.governance.tables import GateDecisionRow
from arkwright.kit.db import BoundDatabase, Database

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def governance() -> GovernanceService:
    return GovernanceService()


@pytest.fixture
def units(database: Database, context: Context) -> BoundDatabase:
    return database.bound(context)


def test_the_same_evidence_twice_is_one_piece(governance: GovernanceService, units: BoundDatabase) -> None:
    with units.write() as unit:
        first = governance.file(unit, "evaluation", DIGEST, {"auc": 0.9, "n": 3})
        again = governance.file(unit, "evaluation", DIGEST, {"n": 3, "auc": 0.9})
        other = governance.file(unit, "evaluation", DIGEST, {"n": 4, "auc": 0.9})
    assert first.id == again.id
    with units.read() as unit:
        assert [row.id for row in governance.evidence(unit, DIGEST)] == [first.id, other.id]
        assert governance.evidence(unit, DIGEST, "fairness") == []
        assert governance.evidence(unit, "sha256:" + "b" * 64) == []


def test_evidence_that_json_cannot_hold_is_kept_as_text(governance: GovernanceService, units: BoundDatabase) -> None:
    with units.write() as unit:
        row = governance.file(unit, "evaluation", DIGEST, {"r2": math.nan, "rows": 2**60, "note": "\ud800"})
    assert row.body == {"r2": "nan", "rows": str(2**60), "note": "\ufffd"}
    with units.read() as unit:
        assert governance.evidence(unit, DIGEST)[0].body == row.body
        assert AuditTrail().verify(unit).intact


def test_a_decision_is_kept_with_what_it_was_made_from(governance: GovernanceService, units: BoundDatabase) -> None:
    conditions = [Condition("a", False, "A is off.")]
    with units.write() as unit:
        decision = governance.decide(unit, "promotion", ("model_version", "mv_1"), conditions, {"auc": math.inf})
    assert not decision.allowed
    with units.read() as unit:
        row = unit.session.scalars(select(GateDecisionRow)).one()
        assert (row.allowed, row.inputs, row.conditions[0]["detail"]) == (False, {"auc": "inf"}, "A is off.")
        newest = AuditTrail().page(unit, limit=1, before_seq=None)[0]
    assert (newest.action, newest.metadata_json["unmet"]) == ("gate.refuse", ["A is off."])


def test_lineage_leads_upstream_and_downstream_and_not_sideways(
    governance: GovernanceService, units: BoundDatabase
) -> None:
    edges = [("ds", "exp"), ("exp", "mv"), ("ds", "exp2"), ("mv", "dep1"), ("mv", "dep2")]
    with units.write() as unit:
        for source, target in [*edges, *edges]:
            governance.link(unit, ("thing", source), ("thing", target))
    with units.read() as unit:
        found = [(row.from_id, row.to_id) for row in governance.graph(unit, "thing", "mv")]
        assert governance.graph(unit, "thing", "stranger") == []
    assert found == [("exp", "mv"), ("ds", "exp"), ("mv", "dep1"), ("mv", "dep2")]


def test_a_circle_of_lineage_has_each_edge_once(governance: GovernanceService, units: BoundDatabase) -> None:
    with units.write() as unit:
        for source, target in (("a", "b"), ("b", "c"), ("c", "a")):
            governance.link(unit, ("thing", source), ("thing", target))
    with units.read() as unit:
        assert len(governance.graph(unit, "thing", "a")) == 3


def test_a_stranger_may_neither_file_nor_read(
    governance: GovernanceService, database: Database, context: Context
) -> None:
    stranger = database.bound(context.acting_as(Actor("user_x", "user", role="guest")))
    with pytest.raises(NotPermitted), stranger.write() as unit:
        governance.file(unit, "evaluation", DIGEST, {})
    with pytest.raises(NotPermitted), stranger.read() as unit:
        governance.evidence(unit, DIGEST)
    with pytest.raises(NotPermitted), stranger.read() as unit:
        governance.graph(unit, "thing", "a")


def test_evidence_is_found_by_its_id_or_not_at_all(governance: GovernanceService, units: BoundDatabase) -> None:
    with units.write() as unit:
        filed = governance.file(unit, "evaluation", DIGEST, {"n": 1}).id
    with units.read() as unit:
        found = governance.get(unit, filed)
        assert found is not None
        assert found.body == {"n": 1}
        assert governance.get(unit, "ev_none") is None
