"""The audit chain cannot be changed unnoticed."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, update

from arkwright.access import AuditTrail, ChainEntry, authorise, canonical, record, verify_chain
from arkwright.access.chain import GENESIS, entry_hash
from arkwright.access.tables import AuditRow
from arkwright.core.context import Actor, Context
from arkwright.core.errors import NotPermitted
from arkwright.kit.db import Database


def chain(n: int) -> list[tuple[ChainEntry, str]]:
    head, links = GENESIS, []
    for seq in range(1, n + 1):
        entry = ChainEntry(seq, f"aud_{seq}", "ws", "user", "a.b", "thing", str(seq), "req", {"n": seq}, "2026")
        head = entry_hash(head, entry)
        links.append((entry, head))
    return links


def audited(database: Database, context: Context, n: int) -> None:
    for i in range(n):
        with database.write(context) as unit:
            record(unit, "thing.change", "thing", str(i), {"share": 0.1 * i})


def test_an_untouched_chain_verifies(database: Database, context: Context) -> None:
    audited(database, context, 5)
    with database.read(context) as unit:
        verdict = AuditTrail().verify(unit)
    assert verdict.intact
    assert verdict.n_entries == 5


@pytest.mark.parametrize("tamper", [update(AuditRow).where(AuditRow.seq == 3).values(actor_id="someone else"),
                                    delete(AuditRow).where(AuditRow.seq == 3)])  # fmt: skip
def test_altering_or_removing_an_entry_shows(database: Database, context: Context, tamper: object) -> None:
    audited(database, context, 5)
    with database.write(context) as unit:
        unit.session.execute(tamper)  # type: ignore[call-overload]
    with database.read(context) as unit:
        verdict = AuditTrail().verify(unit)
    assert not verdict.intact
    assert verdict.broken_at == 3


def test_cutting_entries_off_the_end_shows(database: Database, context: Context) -> None:
    audited(database, context, 5)
    with database.write(context) as unit:
        unit.session.execute(delete(AuditRow).where(AuditRow.seq == 5))
    with database.read(context) as unit:
        assert AuditTrail().verify(unit).reason == "entries after 4 are missing"


@given(st.integers(1, 8), st.data())
def test_any_change_to_any_field_of_any_entry_is_found(n: int, data: st.DataObject) -> None:
    links = chain(n)
    index = data.draw(st.integers(0, n - 1))
    field = data.draw(st.sampled_from(["actor_id", "action", "entity_id", "created_at", "workspace_id"]))
    entry, recorded = links[index]
    links[index] = (replace(entry, **{field: getattr(entry, field) + "x"}), recorded)
    verdict = verify_chain(links)
    assert not verdict.intact
    assert verdict.broken_at == index + 1


def test_a_workspace_has_a_chain_of_its_own(database: Database, context: Context) -> None:
    audited(database, context, 2)
    other = Context(context.actor, "ws_other")
    audited(database, other, 3)
    for each, n in ((context, 2), (other, 3)):
        with database.read(each) as unit:
            assert AuditTrail().verify(unit).n_entries == n


def test_a_stranger_may_do_nothing(database: Database, context: Context) -> None:
    stranger = context.acting_as(Actor("user_x", "user", role="guest"))
    with pytest.raises(NotPermitted, match="user_x may not model.promote"), database.read(stranger) as unit:
        authorise(unit, "model.promote", "model", "m")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=10,
)


@given(JSON)
def test_everything_has_a_canonical_form_that_survives_being_stored(value: object) -> None:
    form = canonical(value)
    assert rfc8785.dumps(json.loads(json.dumps(form))) == rfc8785.dumps(form)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, 2**80, "half \ud800 a character", "nul \0", {1: {2}}, "ﬁ é e\u0301"]
)
def test_nothing_somebody_writes_breaks_the_chain(database: Database, context: Context, value: object) -> None:
    odd = replace(context, request_id="r" * 300)
    with database.write(odd) as unit:
        record(unit, "thing.change", "thing", str(value) * 50, {"comment": value})
    audited(database, context, 1)
    with database.read(context) as unit:
        verdict = AuditTrail().verify(unit)
    assert (verdict.intact, verdict.n_entries) == (True, 2)


def test_two_entries_in_one_commit_are_two_links(database: Database, context: Context) -> None:
    with database.write(context) as unit:
        AuditTrail().verify(unit)
        assert [record(unit, "a.b", "thing", "1").seq, record(unit, "a.b", "thing", "2").seq] == [1, 2]
    with database.read(context) as unit:
        assert AuditTrail().verify(unit).intact


def test_nothing_of_an_entry_is_left_when_its_commit_fails(database: Database, context: Context) -> None:
    with pytest.raises(ZeroDivisionError), database.write(context) as unit:
        record(unit, "a.b", "thing", "1")
        raise ZeroDivisionError
    with database.read(context) as unit:
        assert AuditTrail().verify(unit).n_entries == 0
