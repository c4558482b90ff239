"""Queries over evidence and lineage."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from arkwright.governance.tables import EvidenceRow, GateDecisionRow, LineageRow


def evidence_of(session: Session, digest: str, kind: str = "") -> list[EvidenceRow]:
    """Return the evidence that cites a bundle, oldest first."""
    query = select(EvidenceRow).where(EvidenceRow.subject_digest == digest).order_by(EvidenceRow.id)
    return list(session.scalars(query.where(EvidenceRow.kind == kind) if kind else query))


def evidence_before(session: Session, kind: str, before: datetime, *, after: str, limit: int) -> list[EvidenceRow]:
    """Return evidence of a kind that was filed before a moment, oldest first, from the one after ``after``."""
    query = select(EvidenceRow).where(EvidenceRow.kind == kind, EvidenceRow.created_at < before, EvidenceRow.id > after)
    return list(session.scalars(query.order_by(EvidenceRow.id).limit(limit)))


def decisions_about(session: Session, entity_id: str) -> list[GateDecisionRow]:
    """Return what gates decided about a thing, oldest first."""
    query = select(GateDecisionRow).where(GateDecisionRow.entity_id == entity_id)
    return list(session.scalars(query.order_by(GateDecisionRow.id)))


def evidence_by_id(session: Session, evidence_id: str) -> EvidenceRow | None:
    """Return a piece of evidence, or None."""
    return session.scalar(select(EvidenceRow).where(EvidenceRow.id == evidence_id))


def edge(session: Session, source: tuple[str, str], target: tuple[str, str]) -> LineageRow | None:
    """Return an edge, or None."""
    return session.scalar(
        select(LineageRow).where(
            LineageRow.from_entity_type == source[0],
            LineageRow.from_id == source[1],
            LineageRow.to_entity_type == target[0],
            LineageRow.to_id == target[1],
        )
    )


def edges_from(session: Session, node: tuple[str, str]) -> list[LineageRow]:
    """Return the edges that leave a node."""
    query = select(LineageRow).where(LineageRow.from_entity_type == node[0], LineageRow.from_id == node[1])
    return list(session.scalars(query.order_by(LineageRow.id)))


def edges_to(session: Session, node: tuple[str, str]) -> list[LineageRow]:
    """Return the edges that reach a node."""
    query = select(LineageRow).where(LineageRow.to_entity_type == node[0], LineageRow.to_id == node[1])
    return list(session.scalars(query.order_by(LineageRow.id)))
