"""Who did what, what came from what, and who may: audit, lineage, evidence, keys and projects."""

from __future__ import annotations

from datetime import datetime

from arkwright.sdk.transport import Items, Transport, segment
from arkwright.sdk.types import ApiKey, AuditEntry, AuditVerdict, CreatedApiKey, Evidence, LineageGraph, Project


class Audit:
    """``client.audit``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, entity_id: str = "", action: str = "", limit: int | None = 50) -> Items[AuditEntry]:
        """Return audit entries, newest first; ``limit=None`` for all of them."""
        return self._transport.pages("/v1/auditlogs", limit=limit, entity_id=entity_id, action=action)

    def verify(self) -> AuditVerdict:
        """Have the whole hash chain recomputed."""
        verdict: AuditVerdict = self._transport.get("/v1/auditlogs/verify")
        return verdict


class ApiKeys:
    """``client.api_keys``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, *, expires_at: datetime | None = None) -> CreatedApiKey:
        """Create a key; its secret is in this answer and nowhere else."""
        body = {"name": name, "expires_at": expires_at.isoformat() if expires_at else None}
        created: CreatedApiKey = self._transport.post("/v1/api-keys", body)
        return created

    def list(self) -> Items[ApiKey]:
        """Return the workspace's keys, without their secrets."""
        found: Items[ApiKey] = self._transport.get("/v1/api-keys")
        return found

    def revoke(self, key_id: str) -> ApiKey:
        """Revoke a key."""
        revoked: ApiKey = self._transport.delete(f"/v1/api-keys/{segment(key_id)}")
        return revoked


class Projects:
    """``client.projects``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, *, limit: int | None = None) -> Items[Project]:
        """Return the workspace's projects, oldest first."""
        return self._transport.pages("/v1/projects", limit=limit)


def read_lineage(transport: Transport, entity_type: str, entity_id: str) -> LineageGraph:
    """Return everything upstream and downstream of a thing."""
    found: LineageGraph = transport.get(f"/v1/lineage/{segment(entity_type)}/{segment(entity_id)}")
    return found


def list_evidence(transport: Transport, digest: str, kind: str = "") -> Items[Evidence]:
    """Return the evidence that cites a bundle's digest, oldest first."""
    found: Items[Evidence] = transport.get("/v1/evidence", digest=digest, kind=kind)
    return found
