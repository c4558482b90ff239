"""Events are delivered at least once, and a failing subscriber holds up nobody else."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from arkwright.core.clock import FixedClock
from arkwright.core.context import Context
from arkwright.core.events import Event
from arkwright.kit.db import Database, OutboxRow
from arkwright.kit.outbox import OutboxDispatcher, Subscriber

TYPE = "ml.model.promoted.v1"


def _broken(_event: Event) -> None:
    raise AssertionError("nobody should be told")


def emit(database: Database, context: Context, subject: str = "model_1") -> None:
    with database.write(context) as unit:
        unit.emit(TYPE, subject, {"n": 1})


def test_every_subscriber_of_the_type_gets_the_event_once(database: Database, context: Context) -> None:
    first: list[Event] = []
    second: list[Event] = []
    dispatcher = OutboxDispatcher(
        database,
        [
            Subscriber("first", frozenset({TYPE}), first.append),
            Subscriber("second", frozenset({TYPE, "other"}), second.append),
            Subscriber("deaf", frozenset({"other"}), _broken),
        ],
    )
    emit(database, context)
    dispatcher.deliver_due()
    dispatcher.deliver_due()
    assert [event.subject for event in first] == ["model_1"]
    assert [event.data for event in second] == [{"n": 1}]


def test_a_failed_delivery_is_tried_again_without_repeating_the_others(
    database: Database, context: Context, clock: FixedClock
) -> None:
    good: list[str] = []
    attempts: list[str] = []

    def fragile(event: Event) -> None:
        attempts.append(event.id)
        if len(attempts) < 3:
            raise ConnectionError("away")

    dispatcher = OutboxDispatcher(
        database,
        [
            Subscriber("good", frozenset({TYPE}), lambda event: good.append(event.id)),
            Subscriber("fragile", frozenset({TYPE}), fragile),
        ],
    )
    emit(database, context)
    for _ in range(4):
        dispatcher.deliver_due()
        clock.advance(60)
    assert len(attempts) == 3
    assert len(good) == 1
    with database.read_global() as unit:
        row = unit.session.scalars(select(OutboxRow)).one()
        assert (row.status, row.attempts) == ("done", 2)


def test_a_dispatcher_thread_delivers_and_stops(database: Database, context: Context) -> None:
    import threading

    arrived = threading.Event()
    dispatcher = OutboxDispatcher(
        database, [Subscriber("one", frozenset({TYPE}), lambda _event: arrived.set())], poll_seconds=0.01
    )
    dispatcher.start()
    emit(database, context)
    dispatcher.wake()
    assert arrived.wait(5)
    dispatcher.stop()


def test_what_two_dispatchers_delivered_is_kept_when_a_lease_runs_out(
    database: Database, context: Context, clock: FixedClock
) -> None:
    delivered: list[str] = []

    def overtaken(_event: Event) -> None:
        delivered.append("slow")
        clock.advance(31)
        other.deliver_due()
        raise ConnectionError("and then it fails")

    def note(name: str) -> Subscriber:
        return Subscriber(name, frozenset({TYPE}), lambda _event: delivered.append(name))

    other = OutboxDispatcher(database, [note("slow"), note("quick")])
    first = OutboxDispatcher(database, [Subscriber("slow", frozenset({TYPE}), overtaken), note("quick")])
    emit(database, context)
    first.deliver_due()
    with database.read_global() as unit:
        row = unit.session.scalars(select(OutboxRow)).one()
    assert (row.status, set(row.delivered)) == ("done", {"slow", "quick"})
    clock.advance(600)
    assert other.deliver_due() == 0


def test_an_event_whose_dispatcher_died_is_delivered_by_another(
    database: Database, context: Context, clock: FixedClock
) -> None:
    seen: list[Event] = []

    def killed(_event: Event) -> None:
        raise SystemExit

    emit(database, context)
    with pytest.raises(SystemExit):
        OutboxDispatcher(database, [Subscriber("one", frozenset({TYPE}), killed)]).deliver_due()
    survivor = OutboxDispatcher(database, [Subscriber("one", frozenset({TYPE}), seen.append)])
    assert survivor.deliver_due() == 0
    clock.advance(31)
    survivor.deliver_due()
    assert len(seen) == 1


def test_a_subscriber_that_fails_for_months_is_still_tried(
    database: Database, context: Context, clock: FixedClock
) -> None:
    def broken(_event: Event) -> None:
        raise ValueError("nul \0 byte")

    dispatcher = OutboxDispatcher(database, [Subscriber("one", frozenset({TYPE}), broken)])
    emit(database, context)
    with database.write_global() as unit:
        unit.session.scalars(select(OutboxRow)).one().attempts = 50_000
    dispatcher.deliver_due()
    with database.read_global() as unit:
        row = unit.session.scalars(select(OutboxRow)).one()
    assert (row.status, row.last_error) == ("pending", "one: nul  byte")
    assert (row.next_attempt_at - clock.now()).total_seconds() == 30


def test_what_is_told_twice_under_one_id_is_one_event(database: Database, context: Context) -> None:
    for number in range(3):
        with database.write(context) as unit:
            assert unit.emit(TYPE, "model_1", {"n": number}, event_id="evt_known").id == "evt_known"
    with database.read_global() as unit:
        rows = unit.session.scalars(select(OutboxRow)).all()
    assert [(row.id, row.data) for row in rows] == [("evt_known", {"n": 0})]
