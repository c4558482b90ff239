"""Takes events out of the outbox and hands them to their subscribers.

Each subscriber gets an event at least once; one that fails is tried again with back-off while the others go on.
Subscribers bring things in line with the present state rather than replay history, so order and repetition do not
matter to them. A handler that outlasts the lease of its event may see it delivered a second time, by another
dispatcher; what either of them delivered is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update

from arkwright.core.events import Event
from arkwright.kit.db import Database, OutboxRow
from arkwright.kit.logging import get_logger
from arkwright.kit.telemetry import counter

_log = get_logger(__name__)
_DELIVERED = counter("arkwright_outbox_deliveries_total", "Deliveries by outcome.", ("subscriber", "outcome"))

_BATCH = 50
_LEASE = timedelta(seconds=30)
_LONGEST_DELAY_SECONDS = 30


@dataclass(frozen=True)
class Subscriber:
    """Somebody who wants events: a stable name, the types, and what to do."""

    name: str
    types: frozenset[str]
    handle: Callable[[Event], None]


class OutboxDispatcher:
    """A thread that delivers what the outbox holds.

    Parameters
    ----------
    poll_seconds
        How long to wait when there is nothing to do; :meth:`wake` cuts it short.
    """

    def __init__(self, database: Database, subscribers: Sequence[Subscriber], poll_seconds: float = 0.5) -> None:
        self._database = database
        self._subscribers = tuple(subscribers)
        self._poll_seconds = poll_seconds
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        """Start delivering."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the delivery at hand and stop."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout=10)

    def wake(self) -> None:
        """Look at the outbox now."""
        self._wake.set()

    def deliver_due(self) -> int:
        """Deliver what is due; return how many events were looked at."""
        events = self._claim()
        for row in events:
            self._deliver(row)
        return len(events)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                busy = self.deliver_due()
            except Exception:  # noqa: BLE001
                # The process edge of this thread: a database that is away for a while must not end delivery.
                _log.exception("outbox delivery failed")
                busy = 0
            if not busy:
                self._wake.wait(self._poll_seconds)
                self._wake.clear()

    def _claim(self) -> list[OutboxRow]:
        with self._database.read_global() as unit:
            now = unit.clock.now()
            due = unit.session.scalars(
                select(OutboxRow.position)
                .where(OutboxRow.status == "pending", OutboxRow.next_attempt_at <= now)
                .order_by(OutboxRow.position)
                .limit(_BATCH)
            ).all()
        if not due:
            return []
        claimed = []
        with self._database.write_global() as unit:
            now = unit.clock.now()
            for position in due:
                # The lease: another dispatcher that saw the same row finds it no longer due.
                taken = unit.session.execute(
                    update(OutboxRow)
                    .where(
                        OutboxRow.position == position,
                        OutboxRow.status == "pending",
                        OutboxRow.next_attempt_at <= now,
                    )
                    .values(next_attempt_at=now + _LEASE)
                    .execution_options(synchronize_session=False)
                )
                if taken.rowcount == 1:  # type: ignore[attr-defined]
                    row = unit.session.get(OutboxRow, position)
                    if row is not None:
                        claimed.append(row)
        return claimed

    def _deliver(self, row: OutboxRow) -> None:
        event = Event(row.id, row.type, row.subject, row.workspace_id, row.time, row.data)
        delivered = list(row.delivered)
        failure = ""
        for subscriber in self._subscribers:
            if event.type not in subscriber.types or subscriber.name in delivered:
                continue
            try:
                subscriber.handle(event)
            except Exception as error:  # noqa: BLE001
                # A subscriber may fail in any way; the event stays and is tried again.
                failure = f"{subscriber.name}: {error}".replace("\0", "")
                _DELIVERED.labels(subscriber.name, "failed").inc()
                _log.warning("delivery failed", subscriber=subscriber.name, event_type=event.type, error=str(error))
            else:
                delivered.append(subscriber.name)
                _DELIVERED.labels(subscriber.name, "delivered").inc()
        self._save(row.position, delivered, failure)

    def _save(self, position: int, delivered: list[str], failure: str) -> None:
        with self._database.write_global() as unit:
            row = unit.session.get(OutboxRow, position)
            if row is None or row.status == "done":
                return
            row.delivered = sorted({*row.delivered, *delivered})
            row.last_error = failure
            if not failure:
                row.status = "done"
                return
            row.attempts += 1
            row.next_attempt_at = _next_attempt(unit.clock.now(), row.attempts)


def _next_attempt(now: datetime, attempts: int) -> datetime:
    """Return when to try again: 1, 2, 4, ... seconds, half a minute at most: who is back is served soon."""
    return now + timedelta(seconds=min(2 ** min(attempts - 1, 20), _LONGEST_DELAY_SECONDS))
