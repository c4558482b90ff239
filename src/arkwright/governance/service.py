"""Filing evidence, deciding gates, linking lineage."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any

import rfc8785
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from arkwright.access import authorise, canonical, record
from arkwright.core.ids import new_id
from arkwright.governance import repository
from arkwright.governance.gates import Condition, GateDecision, decide_gate
from arkwright.governance.tables import EvidenceRow, GateDecisionRow, LineageRow
from arkwright.kit.db import UnitOfWork

_MAX_NODES = 500
_Edges = Callable[[Session, tuple[str, str]], list[LineageRow]]


class GovernanceService:
    """Evidence, gates and lineage of a workspace."""

    def file(self, unit: UnitOfWork, kind: str, subject_digest: str, body: dict[str, Any]) -> EvidenceRow:
        """File evidence about a bundle; the same content twice is one piece.

        Parameters
        ----------
        kind
            What sort of evidence, for example ``evaluation``.
        subject_digest
            Digest of the bundle it is about.
        body
            JSON; kept, and hashed, in its canonical form: what JSON cannot hold (NaN) becomes text.
        """
        authorise(unit, "evidence.file", "bundle", subject_digest)
        body = canonical(body)
        digest = hashlib.sha256(rfc8785.dumps(body)).hexdigest()
        for known in repository.evidence_of(unit.session, subject_digest, kind):
            if known.sha256 == digest:
                return known
        row = EvidenceRow(
            id=new_id("evidence"),
            kind=kind,
            subject_digest=subject_digest,
            body=body,
            sha256=digest,
            created_by=unit.context.actor.id,
            created_at=unit.clock.now(),
        )
        unit.session.add(row)
        record(unit, "evidence.file", "evidence", row.id, {"kind": kind, "subject": subject_digest, "sha256": digest})
        return row

    def evidence(self, unit: UnitOfWork, subject_digest: str, kind: str = "") -> list[EvidenceRow]:
        """Return the evidence about a bundle, oldest first."""
        authorise(unit, "evidence.list", "bundle", subject_digest)
        return repository.evidence_of(unit.session, subject_digest, kind)

    def evidence_before(
        self, unit: UnitOfWork, kind: str, before: datetime, *, after: str = "", limit: int = 200
    ) -> list[EvidenceRow]:
        """Return evidence of a kind filed before a moment, about any bundle, oldest first."""
        authorise(unit, "evidence.list", "workspace", unit.context.workspace_id)
        return repository.evidence_before(unit.session, kind, before, after=after, limit=limit)

    def cited_by_gates(self, unit: UnitOfWork, entity_id: str) -> frozenset[str]:
        """Return the ids of the evidence that gates looked at when they decided about a thing."""
        authorise(unit, "evidence.list", "workspace", unit.context.workspace_id)
        return frozenset(
            str(cited["id"])
            for decision in repository.decisions_about(unit.session, entity_id)
            for cited in decision.inputs.get("evidence") or ()
        )

    def get(self, unit: UnitOfWork, evidence_id: str) -> EvidenceRow | None:
        """Return a piece of evidence by its id, or None."""
        authorise(unit, "evidence.read", "evidence", evidence_id)
        return repository.evidence_by_id(unit.session, evidence_id)

    def decide(
        self,
        unit: UnitOfWork,
        gate: str,
        entity: tuple[str, str],
        conditions: Sequence[Condition],
        inputs: dict[str, Any],
    ) -> GateDecision:
        """Decide a gate and keep the decision with its inputs; it is not enforced here.

        Parameters
        ----------
        entity
            Type and id of what wants to pass.
        inputs
            What the conditions were computed from, so that the decision can be checked later.
        """
        decision = decide_gate(gate, conditions)
        row = GateDecisionRow(
            id=new_id("gate_decision"),
            gate=gate,
            entity_type=entity[0],
            entity_id=entity[1],
            allowed=decision.allowed,
            conditions=canonical([asdict(condition) for condition in decision.conditions]),
            inputs=canonical(inputs),
            actor_id=unit.context.actor.id,
            created_at=unit.clock.now(),
        )
        unit.session.add(row)
        outcome = "gate.allow" if decision.allowed else "gate.refuse"
        record(unit, outcome, entity[0], entity[1], {"gate": gate, "decision": row.id, "unmet": decision.unmet})
        return decision

    def link(
        self, unit: UnitOfWork, source: tuple[str, str], target: tuple[str, str], metadata: dict[str, Any] | None = None
    ) -> None:
        """Say that ``target`` was made from, or with, ``source``; saying it twice is saying it once."""
        if repository.edge(unit.session, source, target) is not None:
            return
        # Another transaction may say the same at this moment; the savepoint keeps this one's other work.
        with suppress(IntegrityError), unit.session.begin_nested():
            unit.session.add(
                LineageRow(
                    id=new_id("lineage"),
                    from_entity_type=source[0],
                    from_id=source[1],
                    to_entity_type=target[0],
                    to_id=target[1],
                    metadata_json=canonical(metadata or {}),
                    created_at=unit.clock.now(),
                )
            )

    def graph(self, unit: UnitOfWork, entity_type: str, entity_id: str) -> list[LineageRow]:
        """Return every edge upstream and downstream of a thing, nearest first."""
        authorise(unit, "lineage.read", entity_type, entity_id)
        start = (entity_type, entity_id)
        upstream = _walk(unit, start, repository.edges_to, lambda row: (row.from_entity_type, row.from_id))
        downstream = _walk(unit, start, repository.edges_from, lambda row: (row.to_entity_type, row.to_id))
        return list({row.id: row for row in (*upstream, *downstream)}.values())


def _walk(
    unit: UnitOfWork, start: tuple[str, str], edges: _Edges, onward: Callable[[LineageRow], tuple[str, str]]
) -> list[LineageRow]:
    seen = {start}
    waiting = [start]
    found: list[LineageRow] = []
    while waiting and len(seen) <= _MAX_NODES:
        for row in edges(unit.session, waiting.pop(0)):
            found.append(row)
            node = onward(row)
            if node not in seen:
                seen.add(node)
                waiting.append(node)
    return found
