"""Filing what is attested of a version, and saying how far it is from done now.

Everything it says is read when it is asked: an evaluation's own list of the eleven items is of the time it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from arkwright.access import authorise, record
from arkwright.bundles import BundleCorrupt, to_rows
from arkwright.contracts import BundleManifest, Signature
from arkwright.evaluation.attestation import (
    ATTESTATION,
    Attestation,
    FiledAttestation,
    LoadTestAttestation,
    body_of,
    content_of,
    slot_of,
)
from arkwright.evaluation.definition_of_done import (
    DefinitionOfDone,
    Fact,
    ScopeOutcome,
    check_definition_of_done,
    shown_facts,
)
from arkwright.evaluation.errors import no_rows_to_send, not_served
from arkwright.evaluation.headline import EVIDENCE_KIND as MODEL_EVALUATION
from arkwright.evaluation.holdout import read_rows
from arkwright.evaluation.service import EVIDENCE_KIND, ModelEvaluationService
from arkwright.evaluation.version_facts import VersionFacts, filed_attestation
from arkwright.features import to_columns
from arkwright.governance import GovernanceService
from arkwright.kit.db import UnitOfWork
from arkwright.kit.objects import ObjectStore
from arkwright.registry import RegistryService


class VersionDone(msgspec.Struct, frozen=True, kw_only=True):
    """How far a version is from done.

    ``evaluation_id`` is its newest evaluation and ``decision`` what that ended in; both are empty where there is none.
    """

    model_version_id: str
    model_name: str
    version: str
    evaluation_id: str
    decision: str
    definition_of_done: DefinitionOfDone


class AttestationService:
    """Attestations about versions, and the definition of done that they and everything else known make.

    Parameters
    ----------
    evaluations
        Knows which rows were kept.
    objects
        Where they lie.
    facts
        Gathers what is known of a version beside its evaluations.
    """

    def __init__(
        self,
        registry: RegistryService,
        governance: GovernanceService,
        evaluations: ModelEvaluationService,
        objects: ObjectStore,
        facts: VersionFacts,
    ) -> None:
        self._registry = registry
        self._governance = governance
        self._evaluations = evaluations
        self._objects = objects
        self._facts = facts

    def attest(self, unit: UnitOfWork, model_version_id: str, content: Attestation) -> FiledAttestation:
        """File an attestation; the same one again, with none of its kind in between, is the same piece.

        Raises
        ------
        NotFound
            If there is no such version.
        Invalid
            If it is a load test of a deployment that does not answer with the version.
        """
        authorise(unit, "model_version.attest", "model_version", model_version_id)
        version = self._registry.version_by_id(unit, model_version_id)
        if isinstance(content, LoadTestAttestation):
            report = content.report
            if report.deployment_id not in {each.deployment_id for each in self._facts.serving(unit, version.id)}:
                raise not_served(report.deployment or report.deployment_id, version.semver)
        kind, scope = slot_of(content)
        filed = self._facts.attestations(unit, version.bundle_digest)
        newest = next((each for each in reversed(filed) if slot_of(each.content) == (kind, scope)), None)
        if newest is not None and newest.content == content:
            return newest
        body = body_of(content, newest.id if newest is not None else "")
        row = self._governance.file(unit, ATTESTATION, version.bundle_digest, body)
        self._governance.link(unit, ("model_version", version.id), ("evidence", row.id), {"kind": ATTESTATION})
        record(unit, "model_version.attest", "model_version", version.id, {"evidence": row.id, "kind": kind} | (
            {"scope": scope} if scope else {}
        ))  # fmt: skip
        return filed_attestation(row, content_of(row.body), counts=True)

    def list(
        self, unit: UnitOfWork, model_version_id: str, *, limit: int, before: str = ""
    ) -> Sequence[FiledAttestation]:
        """Return the attestations about a version's bundle, newest first, older than the one ``before``."""
        authorise(unit, "model_version.read", "model_version", model_version_id)
        version = self._registry.version_by_id(unit, model_version_id)
        filed = self._facts.attestations(unit, version.bundle_digest)
        return [each for each in reversed(filed) if not before or each.id < before][:limit]

    def definition_of_done(self, unit: UnitOfWork, model_version_id: str) -> VersionDone:
        """Judge the eleven items of a version by what is known now.

        What an evaluation shows counts as long as no later one looked at it again: leaving the sensitive columns or the
        behaviour tests out of an evaluation does not undo what an earlier one found.
        """
        authorise(unit, "model_version.read", "model_version", model_version_id)
        version = self._registry.version_by_id(unit, model_version_id)
        digest = version.bundle_digest
        evaluations = [(row.id, row.body) for row in self._governance.evidence(unit, digest, MODEL_EVALUATION)][::-1]
        trained = [(row.id, row.body) for row in self._governance.evidence(unit, digest, EVIDENCE_KIND)][::-1]
        facts = self._shown(evaluations, trained)
        manifest: BundleManifest | None = None
        try:
            manifest = self._registry.bundles.verify(unit.context.workspace_id, digest)
        except BundleCorrupt as error:
            facts["signature"] = Fact(met=False, evidence=(digest,), reason=error.detail)
        facts |= self._facts.of(unit, version.id, manifest, _behaviour(evaluations))
        return VersionDone(
            model_version_id=version.id,
            model_name=self._registry.get(unit, version.model_id).name,
            version=version.semver,
            evaluation_id=evaluations[0][0] if evaluations else "",
            decision=str(evaluations[0][1]["decision"]) if evaluations else "",
            definition_of_done=check_definition_of_done(facts),
        )

    def rows(self, unit: UnitOfWork, model_version_id: str, *, limit: int) -> Sequence[dict[str, Any]]:
        """Return rows that were kept out of a version's training, as a request carries them: its inputs only.

        Raises
        ------
        Invalid
            If none were kept.
        """
        authorise(unit, "model_version.read_rows", "model_version", model_version_id)
        version = self._registry.version_by_id(unit, model_version_id)
        kept = self._evaluations.kept_data(unit, version.bundle_digest)
        if kept is None:
            raise no_rows_to_send(f"{self._registry.get(unit, version.model_id).name} {version.semver}")
        signature = msgspec.convert(version.signature, Signature)
        table = read_rows(self._objects.for_workspace(unit.context.workspace_id), kept.holdout)
        return to_rows(to_columns(table.slice(0, limit), signature.columns))

    def _shown(
        self, evaluations: Sequence[tuple[str, dict[str, Any]]], trained: Sequence[tuple[str, dict[str, Any]]]
    ) -> dict[str, Fact]:
        """Return what the newest evaluations show, or the report that was made at training, newest first."""
        newest_id, newest = next(iter((*evaluations, *trained)), ("", {}))
        compared_id, compared = next(((each, body) for each, body in evaluations if body.get("fairness")), ("", {}))
        stated_id, stated = next(((each, body) for each, body in evaluations if body.get("no_people")), ("", {}))
        why_not = str((newest.get("not_done") or {}).get("fairness", "")) if evaluations else ""
        facts = shown_facts(
            n_metrics=len(newest.get("metrics") or ()),
            metrics_in=newest_id,
            fairness=compared.get("fairness"),
            fairness_in=compared_id,
            no_people=stated.get("no_people", ""),
            no_people_in=stated_id,
            why_not=why_not or "no evaluation has compared groups",
        )
        if not newest_id:
            facts["multiple_metrics"] = Fact(met=None, reason="it has not been evaluated")
        return facts


def _behaviour(evaluations: Sequence[tuple[str, dict[str, Any]]]) -> ScopeOutcome | None:
    """Return what the newest behaviour tests ended in, from evaluations, newest first."""
    for evaluation_id, body in evaluations:
        passed = body.get("behaviour_passed")
        if passed is not None:
            reason = "" if passed else "behaviour tests of the evaluation fail"
            return ScopeOutcome(passed=bool(passed), evidence=evaluation_id, reason=reason)
    return None
