"""Wire shapes of the audit log."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel


class AuditEntry(BaseModel):
    """One entry of the chain; hash it as :mod:`arkwright.access.chain` says to verify it."""

    seq: int
    id: str
    workspace_id: str
    actor_id: str
    action: str
    entity_type: str
    entity_id: str
    request_id: str
    metadata: dict[str, Any]
    created_at: str
    hash: str


class AuditVerdict(BaseModel):
    """Whether the chain holds."""

    intact: bool
    n_entries: int
    head: str
    broken_at: int | None = None
    reason: str = ""
