"""One unit of work: a request or a job's step, committed whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from arkwright.core.clock import Clock
from arkwright.core.context import Context
from arkwright.core.events import Event
from arkwright.core.ids import new_id
from arkwright.kit.db.outbox_table import OutboxRow


@dataclass
class UnitOfWork:
    """A session in a workspace, with what services need beside it."""

    context: Context
    session: Session
    clock: Clock
    _after_commit: list[Callable[[], None]] = field(default_factory=list)

    def emit(self, event_type: str, subject: str, data: dict[str, Any], *, event_id: str = "") -> Event:
        """Put an event into the outbox of this same commit.

        Parameters
        ----------
        event_id
            Given where something that may be told twice is one event: the second one is not put there again.
        """
        event = Event(
            id=event_id or new_id("event"),
            type=event_type,
            subject=subject,
            workspace_id=self.context.workspace_id,
            time=self.clock.now(),
            data=data,
        )
        if event_id and self.session.scalar(select(OutboxRow.id).where(OutboxRow.id == event_id)):
            return event
        self.session.add(
            OutboxRow(
                id=event.id,
                type=event.type,
                subject=event.subject,
                workspace_id=event.workspace_id,
                time=event.time,
                data=event.data,
                next_attempt_at=event.time,
            )
        )
        return event

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run an action once the commit has succeeded; it must be safe to lose."""
        self._after_commit.append(action)

    def committed(self) -> None:
        """Run what waited for the commit."""
        for action in self._after_commit:
            action()
        self._after_commit.clear()
