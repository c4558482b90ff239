"""Reading and verifying the audit log."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from arkwright.access.audit import AuditTrail, to_entry
from arkwright.access.authorisation import authorise
from arkwright.access.payloads import AuditEntry, AuditVerdict
from arkwright.kit.http import Limit, Page, PageCursor, Read, page_of, read_number_cursor, service

router = APIRouter(prefix="/v1/auditlogs", tags=["audit"])


@router.get("")
def list_audit_log(
    unit: Read,
    limit: Limit = 50,
    cursor: PageCursor = "",
    entity_id: Annotated[str, Query(description="Only entries about this id.")] = "",
    action: Annotated[str, Query(description="Only this action, for example model_version.stage.")] = "",
    trail: AuditTrail = service(AuditTrail),
) -> Page[AuditEntry]:
    """Return the workspace's audit entries, newest first."""
    authorise(unit, "audit.list", "audit_log")
    before = read_number_cursor(cursor)
    rows = trail.page(unit, limit=limit + 1, before_seq=before, entity_id=entity_id, action=action)
    return page_of(
        rows, limit, lambda row: str(row.seq), lambda row: AuditEntry(**asdict(to_entry(row)), hash=row.hash)
    )


@router.get("/verify")
def verify_audit_log(unit: Read, trail: AuditTrail = service(AuditTrail)) -> AuditVerdict:
    """Recompute the whole hash chain and say whether it holds."""
    authorise(unit, "audit.verify", "audit_log")
    return AuditVerdict(**asdict(trail.verify(unit)))
