"""Reading evidence and lineage."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from arkwright.governance.payloads import Evidence, LineageEdge, LineageGraph, LineageNode
from arkwright.governance.service import GovernanceService
from arkwright.governance.tables import EvidenceRow
from arkwright.kit.http import Read, service

router = APIRouter(prefix="/v1", tags=["governance"])


@router.get("/evidence")
def list_evidence(
    unit: Read,
    digest: Annotated[str, Query(description="The bundle's digest, sha256:...")],
    kind: Annotated[str, Query(description="Only this kind, for example evaluation.")] = "",
    governance: GovernanceService = service(GovernanceService),
) -> list[Evidence]:
    """Return the evidence that cites a bundle, oldest first."""
    return [_evidence(row) for row in governance.evidence(unit, digest, kind)]


@router.get("/lineage/{entity_type}/{entity_id}")
def read_lineage(
    unit: Read, entity_type: str, entity_id: str, governance: GovernanceService = service(GovernanceService)
) -> LineageGraph:
    """Return everything upstream and downstream of a thing."""
    rows = governance.graph(unit, entity_type, entity_id)
    nodes = {(entity_type, entity_id): LineageNode(entity_type=entity_type, id=entity_id)}
    for row in rows:
        for node in ((row.from_entity_type, row.from_id), (row.to_entity_type, row.to_id)):
            nodes.setdefault(node, LineageNode(entity_type=node[0], id=node[1]))
    edges = [
        LineageEdge(
            from_entity_type=row.from_entity_type,
            from_id=row.from_id,
            to_entity_type=row.to_entity_type,
            to_id=row.to_id,
            metadata=row.metadata_json,
        )
        for row in rows
    ]
    return LineageGraph(nodes=list(nodes.values()), edges=edges)


def _evidence(row: EvidenceRow) -> Evidence:
    return Evidence(
        id=row.id,
        kind=row.kind,
        subject_digest=row.subject_digest,
        sha256=row.sha256,
        body=row.body,
        created_by=row.created_by,
        created_at=row.created_at,
    )
