"""What is known of a version beside its evaluation, for the definition of done.

Three sources: the bundle's manifest, what was attested, and where the version serves. An evaluation and the current
state of a version take their facts from here alike; they differ only in when they ask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from arkwright.contracts import BundleManifest
from arkwright.core.written_numbers import counted
from arkwright.evaluation.attestation import (
    ATTESTATION,
    Attestation,
    DashboardAttestation,
    FiledAttestation,
    LoadTestAttestation,
    RollbackAttestation,
    TestsAttestation,
    content_of,
    counting,
    in_short,
    slot_of,
)
from arkwright.evaluation.definition_of_done import SCOPES, Fact, Scope, ScopeOutcome, fact_of_tests
from arkwright.evaluation.ports import Operations, ServingDeployment
from arkwright.governance import GovernanceService
from arkwright.kit.db import UnitOfWork
from arkwright.registry import RegistryService

ROLLBACK_PAGE = "docs/rollouts.md"
_Counting = Mapping[tuple[str, str], FiledAttestation]


class Fallback(NamedTuple):
    """The version in production, where it is another one."""

    version_id: str
    semver: str


class VersionFacts:
    """Gathers what is known of versions.

    Parameters
    ----------
    operations
        Knows where they serve.
    """

    def __init__(self, registry: RegistryService, governance: GovernanceService, operations: Operations) -> None:
        self._registry = registry
        self._governance = governance
        self._operations = operations

    def of(
        self,
        unit: UnitOfWork,
        model_version_id: str,
        manifest: BundleManifest | None,
        behaviour: ScopeOutcome | None = None,
    ) -> dict[str, Fact]:
        """Return the facts, by key of the definition of done.

        Parameters
        ----------
        manifest
            Of the version's bundle; None where its files are not what they were, and show nothing.
        behaviour
            What the newest behaviour tests of an evaluation ended in; None where none were run.
        """
        version = self._registry.version_by_id(unit, model_version_id)
        production = self._registry.production_of(unit, version.model_id)
        other = None
        if production is not None and production.id != version.id:
            other = Fallback(production.id, production.semver)
        attested = counting(self.attestations(unit, version.bundle_digest))
        serving = self.serving(unit, version.id)
        n_inputs = len(version.signature["columns"])
        shown = {} if manifest is None else manifest_facts(manifest, version.id, version.bundle_digest, n_inputs)
        return {
            **shown,
            **attested_facts(attested, behaviour),
            "drift_detection": drift_fact(serving),
            "dashboards": dashboard_fact(attested, serving),
            "rollback": rollback_fact(attested, other, serving),
        }

    def serving(self, unit: UnitOfWork, model_version_id: str) -> Sequence[ServingDeployment]:
        """Return the active deployments that answer with a version."""
        return self._operations.serving(unit, model_version_id)

    def attestations(self, unit: UnitOfWork, bundle_digest: str) -> list[FiledAttestation]:
        """Return the attestations about a bundle, oldest first."""
        rows = self._governance.evidence(unit, bundle_digest, ATTESTATION)
        contents = [content_of(row.body) for row in rows]
        newest = {slot_of(content): row.id for row, content in zip(rows, contents, strict=True)}
        return [
            filed_attestation(row, content, counts=newest[slot_of(content)] == row.id)
            for row, content in zip(rows, contents, strict=True)
        ]


def filed_attestation(row: Any, content: Attestation, *, counts: bool) -> FiledAttestation:
    """Return what was attested, with the id, the author and the time of its evidence."""
    return FiledAttestation(
        id=row.id,
        content=content,
        counts=counts,
        bundle_digest=row.subject_digest,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def manifest_facts(manifest: BundleManifest, version_id: str, digest: str, n_inputs: int) -> dict[str, Fact]:
    """Return what the bundle's table of contents shows."""
    facts = {
        "signature": Fact(
            met=True,
            evidence=(version_id, digest),
            reason=f"{counted(n_inputs, 'input')}; every file of the bundle is listed with its hash",
        )
    }
    if run_id := manifest.lineage.get("run_id"):
        imported = manifest.lineage.get("origin") == "import"
        facts["experiment_tracked"] = Fact(
            met=None if imported else True,
            evidence=(run_id,),
            reason="it was trained elsewhere: what its run holds is not known" if imported else "",
        )
    if manifest.parity is not None and manifest.predictor == "compiled":
        facts["feature_engineering"] = Fact(
            met=bool(manifest.parity.passed),
            evidence=(digest,),
            reason=f"the encoder is in the bundle; it agreed with the pipeline on {manifest.parity.n_rows:,} rows",
        )
    if dataset_version_id := manifest.lineage.get("dataset_version_id"):
        facts["data_schema"] = Fact(
            met=True,
            evidence=(dataset_version_id,),
            reason="the dataset version holds its schema, and requests are checked against the signature",
        )
    return facts


def attested_facts(attested: _Counting, behaviour: ScopeOutcome | None = None) -> dict[str, Fact]:
    """Return what was attested of tests and load tests, together with the behaviour tests of an evaluation."""
    outcomes: dict[Scope, list[ScopeOutcome]] = {scope: [] for scope in SCOPES}
    if behaviour is not None:
        outcomes["model"].append(behaviour)
    facts = {}
    for scope in SCOPES:
        filed = attested.get(("tests", scope))
        if filed is not None and isinstance(filed.content, TestsAttestation):
            outcomes[scope].append(_outcome(filed.id, filed.content))
    if any(outcomes.values()):
        facts["tests"] = fact_of_tests(outcomes)
    else:
        facts["tests"] = Fact(met=None, reason=f"no outcome is known of {', '.join(SCOPES)} tests")
    load = attested.get(("load_test", ""))
    if load is not None and isinstance(load.content, LoadTestAttestation):
        where = f"endpoint {load.content.report.deployment!r}, {in_short(load.content)}"
        facts["load_tested"] = Fact(met=load.content.passed, evidence=(load.id,), reason=where)
    else:
        facts["load_tested"] = Fact(met=None, reason="no load test of an endpoint that it answered was filed")
    return facts


def drift_fact(serving: Sequence[ServingDeployment]) -> Fact:
    """Say whether the traffic of a version is compared with what it was trained on.

    A monitor compares what the version answered that everybody gets; the candidate of a rollout is not watched for
    drift until it is that version.
    """
    if not serving:
        return Fact(met=False, reason="no deployment answers with it, so there is no traffic to compare")
    watched = [each for each in serving if each.monitor_status == "active"]
    if watched:
        named = ", ".join(f"{each.name!r} ({each.monitor_schedule}, UTC)" for each in watched)
        return Fact(
            met=True,
            evidence=tuple(each.monitor_id for each in watched),
            reason=f"its traffic is compared with the training data by the monitor of {named}",
        )
    reasons = [
        f"the monitor of {each.name!r} is {each.monitor_status}: {each.monitor_reason}"
        if each.monitor_status
        else f"{each.name!r} has no monitor yet"
        for each in serving
    ]
    return Fact(
        met=False, evidence=tuple(each.monitor_id for each in serving if each.monitor_id), reason="; ".join(reasons)
    )


def dashboard_fact(attested: _Counting, serving: Sequence[ServingDeployment]) -> Fact:
    """Say which page shows the model in operation.

    The platform answers with figures (``/v1/deployments/{id}/metrics``, drift reports), and has no page of them: those
    are what a dashboard is made of, and are not one.
    """
    filed = attested.get(("dashboard", ""))
    if filed is not None and isinstance(filed.content, DashboardAttestation):
        return Fact(met=True, evidence=(filed.id, filed.content.url), reason=filed.content.title)
    if not serving:
        return Fact(met=None, reason="no dashboard was named, and no deployment answers with it")
    place = f"/v1/deployments/{serving[0].deployment_id}/metrics"
    return Fact(met=None, reason=f"no dashboard was named; the figures to show on one are at {place}")


def rollback_fact(attested: _Counting, other: Fallback | None, serving: Sequence[ServingDeployment]) -> Fact:
    """Say how to go back from the version, if that is known."""
    found: list[tuple[tuple[str, ...], str]] = []
    filed = attested.get(("rollback_procedure", ""))
    if filed is not None and isinstance(filed.content, RollbackAttestation):
        found.append(((filed.id,), filed.content.text))
    if other is not None:
        said = f"`arkwright deployment rollback` goes back to version {other.semver}, which is in production"
        found.append(((other.version_id, ROLLBACK_PAGE), said))
    for each in serving:
        if each.back_to:
            said = f"`arkwright deployment rollback {each.name}` puts version {each.back_to} back"
            found.append(((each.back_to_id, ROLLBACK_PAGE), said))
    if not found:
        return Fact(met=None, reason="there is no other version to go back to, and no procedure was named")
    evidence = dict.fromkeys(name for names, _ in found for name in names)
    return Fact(met=True, evidence=tuple(evidence), reason="; ".join(said for _, said in found))


def _outcome(evidence_id: str, content: TestsAttestation) -> ScopeOutcome:
    named = f": {', '.join(content.failing[:3])}" if content.failing else ""
    return ScopeOutcome(passed=content.passed, evidence=evidence_id, reason=f"{in_short(content)}{named}")
