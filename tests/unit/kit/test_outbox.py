"""Events are delivered at least once, and a failing subscriber holds up nobody else."""

from __future__ import annotations

from sqlalchemy import select

from arkwright.core.clock import FixedClock
from arkwright.core.context import Context
from arkwright.core.events import Event
from arkwright.kit.db import Database, OutboxRow
from arkwright.kit.outbox import OutboxDispatcher, Subscriber

TYPE = "ml.model.promoted.v1"


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
            Subscriber("deaf", frozenset({"other"}), lambda _event: 1 / 0),
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
