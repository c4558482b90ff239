"""Writing and reading the audit chain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from arkwright.access.chain import GENESIS, ChainEntry, ChainVerdict, canonical, entry_hash, verify_chain
from arkwright.access.tables import AuditHeadRow, AuditRow
from arkwright.core.clock import isoformat
from arkwright.core.ids import new_id
from arkwright.kit.db import UnitOfWork

_BATCH = 1000


def record(
    unit: UnitOfWork, action: str, entity_type: str, entity_id: str, metadata: dict[str, Any] | None = None
) -> AuditRow:
    """Add an entry to the workspace's chain, in the unit's own commit.

    Parameters
    ----------
    action
        Dotted verb such as ``model_version.stage``.
    metadata
        JSON that a later reader needs; ids and numbers, no personal data, no secrets. What has no canonical form is
        kept as text.
    """
    session = unit.session
    moment = unit.clock.now()
    head = _locked_head(session, unit.context.workspace_id)
    entry = ChainEntry(
        seq=head.seq + 1,
        id=new_id("audit"),
        workspace_id=unit.context.workspace_id,
        actor_id=unit.context.actor.id,
        action=action,
        entity_type=entity_type,
        entity_id=_fitting(entity_id, 120),
        request_id=_fitting(unit.context.request_id, 80),
        metadata=canonical(metadata or {}),
        created_at=isoformat(moment),
    )
    row = AuditRow(
        id=entry.id,
        seq=entry.seq,
        actor_id=entry.actor_id,
        action=entry.action,
        entity_type=entry.entity_type,
        entity_id=entry.entity_id,
        request_id=entry.request_id,
        metadata_json=entry.metadata,
        created_at=moment,
        hash=entry_hash(head.hash, entry),
    )
    head.seq, head.hash = entry.seq, row.hash
    session.add(row)
    session.flush()
    return row


def _locked_head(session: Session, workspace_id: str) -> AuditHeadRow:
    def locked() -> AuditHeadRow | None:
        return session.get(AuditHeadRow, workspace_id, with_for_update=True, populate_existing=True)

    head = locked()
    if head is not None:
        return head
    # On PostgreSQL another transaction may begin the workspace's chain at the same time; it has then committed it.
    with suppress(IntegrityError), session.begin_nested():
        session.add(AuditHeadRow(workspace_id=workspace_id, seq=0, hash=GENESIS))
    head = locked()
    if head is None:
        raise RuntimeError(f"the audit chain of {workspace_id} has no head")
    return head


def _fitting(text: str, length: int) -> str:
    """Return text that its column holds: an entry is never refused for the name somebody gave a thing."""
    clean = str(canonical(text)).replace("\0", "\ufffd")
    return clean[:length]


class AuditTrail:
    """Reading a workspace's chain."""

    def page(
        self, unit: UnitOfWork, *, limit: int, before_seq: int | None, entity_id: str = "", action: str = ""
    ) -> list[AuditRow]:
        """Return entries, newest first."""
        query = select(AuditRow).order_by(AuditRow.seq.desc()).limit(limit)
        if before_seq is not None:
            query = query.where(AuditRow.seq < before_seq)
        if entity_id:
            query = query.where(AuditRow.entity_id == entity_id)
        if action:
            query = query.where(AuditRow.action == action)
        return list(unit.session.scalars(query))

    def verify(self, unit: UnitOfWork) -> ChainVerdict:
        """Recompute the whole chain and compare it with its recorded head."""
        head = unit.session.get(AuditHeadRow, unit.context.workspace_id)
        if head is None:
            return verify_chain(self.entries(unit), expected_head=GENESIS)
        return verify_chain(self.entries(unit, until=head.seq), expected_head=head.hash)

    def entries(self, unit: UnitOfWork, until: int | None = None) -> Iterator[tuple[ChainEntry, str]]:
        """Yield every entry with its hash, oldest first, up to a number: others may be added meanwhile."""
        seq = 0
        while True:
            query = select(AuditRow).where(AuditRow.seq > seq).order_by(AuditRow.seq).limit(_BATCH)
            if until is not None:
                query = query.where(AuditRow.seq <= until)
            rows = list(unit.session.scalars(query))
            for row in rows:
                yield to_entry(row), row.hash
            if len(rows) < _BATCH:
                return
            seq = rows[-1].seq


def to_entry(row: AuditRow) -> ChainEntry:
    """Return a row as it is hashed and exported."""
    return ChainEntry(
        seq=row.seq,
        id=row.id,
        workspace_id=row.workspace_id,
        actor_id=row.actor_id,
        action=row.action,
        entity_type=row.entity_type,
        entity_id=row.entity_id,
        request_id=row.request_id,
        metadata=row.metadata_json,
        created_at=isoformat(row.created_at),
    )
