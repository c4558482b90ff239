"""Models, versions and their way into production."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from arkwright.access import authorise, record
from arkwright.bundles import LoadedBundle
from arkwright.contracts import Signature
from arkwright.core.errors import ArkwrightError, Conflict
from arkwright.core.events import MODEL_PROMOTED, MODEL_STAGE_CHANGED, MODEL_VERSION_REGISTERED
from arkwright.core.ids import new_id
from arkwright.governance import GovernanceService
from arkwright.kit.db import UnitOfWork, Units
from arkwright.registry import gate, repository
from arkwright.registry.bundle_store import BundleStore
from arkwright.registry.errors import model_not_found, under_evaluation, version_not_found
from arkwright.registry.names import check_model_name
from arkwright.registry.semver import SemanticVersion, next_version
from arkwright.registry.stages import Stage, check_transition
from arkwright.registry.tables import ModelRow, ModelVersionRow, StageChangeRow
from arkwright.tenancy import require_project
from arkwright.tracking.ports import ModelPublication, PublishedVersion, TrackingStore

EVALUATION = "evaluation"
MODEL_EVALUATION = "model_evaluation"


class RegistryService:
    """The one registry: what there is, in which stage, and how it came there.

    Parameters
    ----------
    evaluating
        Given a version's id, the id of the job that is evaluating it, or nothing: its promotion waits for the outcome.
    """

    def __init__(
        self,
        bundles: BundleStore,
        governance: GovernanceService,
        tracking: TrackingStore,
        *,
        evaluating: Callable[[UnitOfWork, str], str] | None = None,
    ) -> None:
        self.bundles = bundles
        self._governance = governance
        self._tracking = tracking
        self._evaluating = evaluating

    # Models

    def create(
        self, unit: UnitOfWork, name: str, *, description: str = "", project_id: str = "", experiment_id: str = ""
    ) -> ModelRow:
        """Create a model.

        Raises
        ------
        Conflict
            If the name is taken.
        Invalid
            If the name cannot be a model's.
        """
        authorise(unit, "model.create", "model", name)
        check_model_name(name)
        if repository.model(unit.session, name) is not None:
            raise Conflict(
                f"There is a model {name!r} already.",
                code="model.exists",
                hint="Add a version to it, or choose another name.",
            )
        now = unit.clock.now()
        row = ModelRow(
            id=new_id("model"),
            project_id=require_project(unit, project_id),
            experiment_id=experiment_id or None,
            name=name,
            description=description,
            created_at=now,
            updated_at=now,
        )
        unit.session.add(row)
        unit.session.flush()
        record(unit, "model.create", "model", row.id, {"name": name})
        return row

    def ensure(self, unit: UnitOfWork, name: str, *, project_id: str = "", experiment_id: str = "") -> ModelRow:
        """Return the model of that name, created if there is none."""
        known = repository.model(unit.session, name)
        return known or self.create(unit, name, project_id=project_id, experiment_id=experiment_id)

    def get(self, unit: UnitOfWork, id_or_name: str) -> ModelRow:
        """Return a model."""
        authorise(unit, "model.read", "model", id_or_name)
        row = repository.model(unit.session, id_or_name)
        if row is None:
            raise model_not_found(id_or_name)
        return row

    def list(self, unit: UnitOfWork, *, limit: int, after: str = "") -> Sequence[ModelRow]:
        """Return models, oldest first."""
        authorise(unit, "model.list", "model")
        return repository.models(unit.session, limit=limit, after=after)

    # Versions

    def register(
        self,
        units: Units,
        model: str,
        bundle_digest: str,
        *,
        workspace_name: str,
        description: str = "",
        tags: dict[str, str] | None = None,
    ) -> ModelVersionRow:
        """Make a stored bundle the next version of a model, in MLflow and here; doing it twice does it once.

        Works in several commits, because publishing to MLflow takes seconds and must not hold the database.

        Raises
        ------
        PolicyRefused
            If what must be known about a version is missing (REG-02).
        BundleCorrupt
            If the bundle is not what its digest says.
        """
        with units.read() as unit:
            authorise(unit, "model_version.register", "model", model)
            row = self.get(unit, model)
            known = repository.version_by_digest(unit.session, row.id, bundle_digest)
            if known is not None:
                return known
            evidence = self._governance.evidence(unit, bundle_digest, EVALUATION)
            workspace_id = unit.context.workspace_id
            model_id, name = row.id, row.name
        bundle = self.bundles.load(workspace_id, bundle_digest)
        conditions = gate.registration_conditions(bundle.manifest, bundle.signature, gate.newest(evidence))
        with units.write() as unit:
            inputs = {"bundle_digest": bundle_digest, "lineage": dict(bundle.manifest.lineage)}
            decision = self._governance.decide(unit, gate.REGISTRATION_GATE, ("model", model_id), conditions, inputs)
        decision.enforce(f"Registering {bundle_digest} as a version of {name!r}")
        with units.read() as unit:
            semver = self._next_semver(unit, self.get(unit, model), bundle)
        with self.bundles.folder(workspace_id, bundle_digest) as folder:
            published = self._tracking.publish_model(
                workspace_name,
                ModelPublication(
                    name=name,
                    run_id=bundle.manifest.lineage.get("run_id", ""),
                    bundle=folder,
                    signature=bundle.signature,
                    digest=bundle_digest,
                    semver=str(semver),
                    example_rows=tuple(bundle.example_rows),
                    tags=tags or {},
                ),
            )
        with units.write() as unit:
            return self._insert(unit, model, bundle_digest, bundle, published, description=description, tags=tags or {})

    def version(self, unit: UnitOfWork, model: str, address: str) -> ModelVersionRow:
        """Return a version by number, semantic version or id."""
        row = self.get(unit, model)
        found = repository.version(unit.session, row.id, address)
        if found is None:
            raise version_not_found(row.name, address)
        return found

    def version_by_id(self, unit: UnitOfWork, version_id: str) -> ModelVersionRow:
        """Return a version by its id alone."""
        authorise(unit, "model_version.read", "model_version", version_id)
        found = repository.version_by_id(unit.session, version_id)
        if found is None:
            raise version_not_found("", version_id)
        return found

    def versions(
        self, unit: UnitOfWork, model: str, *, limit: int, before: int | None = None
    ) -> Sequence[ModelVersionRow]:
        """Return a model's versions, newest first."""
        row = self.get(unit, model)
        return repository.versions(unit.session, row.id, limit=limit, before=before)

    def all_versions(self, unit: UnitOfWork) -> Sequence[ModelVersionRow]:
        """Return every version of the workspace."""
        authorise(unit, "model_version.list", "model_version")
        return repository.every_version(unit.session)

    def production_of(self, unit: UnitOfWork, model: str) -> ModelVersionRow | None:
        """Return the version in production, or None."""
        row = self.get(unit, model)
        return repository.version_by_id(unit.session, row.production_version_id) if row.production_version_id else None

    def previous_production(self, unit: UnitOfWork, model: str) -> ModelVersionRow | None:
        """Return the version that a rollback of the model would put back, or None."""
        row = self.get(unit, model)
        for version_id in reversed(production_line(repository.history(unit.session, row.id))):
            if version_id == row.production_version_id:
                continue
            version = repository.version_by_id(unit.session, version_id)
            if version is not None and version.stage == Stage.ARCHIVED:
                return version
        return None

    def history(self, unit: UnitOfWork, model: str, until: datetime | None = None) -> Sequence[StageChangeRow]:
        """Return a model's stage changes, oldest first: what was in production when."""
        row = self.get(unit, model)
        return repository.history(unit.session, row.id, until)

    # Stages

    def promote(self, units: Units, model: str, address: str, stage: Stage, *, comment: str = "") -> ModelVersionRow:
        """Move a version to a stage; production and canary pass the gate first.

        The refusal, like the permission, is kept, so the decision has a commit of its own. A version that is in the
        stage already is answered as it is: a script may ask again.

        Raises
        ------
        Conflict
            If the state machine has no such step, or an evaluation of the version has not ended.
        PolicyRefused
            If the gate refuses, with every unmet condition.
        """
        with units.read() as unit:
            authorise(unit, "model_version.promote", "model_version", address)
            version = self.version(unit, model, address)
            if version.stage == stage:
                return version
            check_transition(Stage(version.stage), stage)
        if stage in (Stage.PRODUCTION, Stage.CANARY):
            self._pass_gate(units, version, "promotion", f"Promoting version {version.semver} of {model!r} to {stage}")
        with units.write() as unit:
            return self._move(unit, version.model_id, version.id, stage, "promotion", comment)

    def roll_back(self, units: Units, model: str, *, comment: str = "") -> ModelVersionRow:
        """Put the version that was in production before back, and archive the present one.

        Raises
        ------
        Conflict
            If there is no earlier one, or another version went into production in the meantime.
        """
        with units.read() as unit:
            authorise(unit, "model.roll_back", "model", model)
            row = self.get(unit, model)
            previous = self._previous_production(unit, row)
            present_id = row.production_version_id
        self._pass_gate(units, previous, "rollback", f"Rolling {row.name!r} back to version {previous.semver}")
        with units.write() as unit:
            model_now = repository.model(unit.session, row.id, lock=True)
            if model_now is None or model_now.production_version_id != present_id:
                raise Conflict(
                    f"Another version of {row.name!r} went into production in the meantime.",
                    code="rollback.overtaken",
                    hint="Look at what is in production now, and roll back again if it is still wanted.",
                )
            return self._move(unit, row.id, previous.id, Stage.PRODUCTION, "rollback", comment)

    def check_promotion(self, units: Units, version_id: str) -> None:
        """Ask the promotion gate about a version without moving it: for a deployment that pins what it serves.

        Raises
        ------
        Conflict
            If an evaluation of the version has not ended.
        PolicyRefused
            If the gate refuses, with every unmet condition.
        """
        with units.read() as unit:
            authorise(unit, "model_version.promote", "model_version", version_id)
            version = repository.version_by_id(unit.session, version_id)
        if version is None:
            raise version_not_found("", version_id)
        self._pass_gate(units, version, "promotion", f"Serving version {version.semver} to everybody")

    def promote_within(
        self,
        unit: UnitOfWork,
        model_id: str,
        version_id: str,
        *,
        seen_in: Stage,
        replacing: str | None,
        comment: str = "",
    ) -> None:
        """Move a version that :meth:`check_promotion` let pass to production, in the unit's own commit.

        A version that is in production already stays there.

        Parameters
        ----------
        seen_in
            The stage it was in when that was decided.
        replacing
            The version that was in production then.

        Raises
        ------
        Conflict
            If either has changed since.
        """
        authorise(unit, "model_version.promote", "model_version", version_id)
        model = repository.model(unit.session, model_id, lock=True)
        version = repository.version_by_id(unit.session, version_id)
        if model is None or version is None:
            raise version_not_found("", version_id)
        if model.production_version_id == version.id:
            return
        if version.stage != seen_in or model.production_version_id != replacing:
            raise Conflict(
                f"The versions of {model.name!r} have moved in the meantime.",
                code="promotion.overtaken",
                hint="Look at what is in production now, and promote again if it is still wanted.",
            )
        self._move(unit, model.id, version.id, Stage.PRODUCTION, "promotion", comment)

    def withdraw(self, unit: UnitOfWork, version_id: str, *, comment: str) -> bool:
        """Take a canary back to ``staged``, in the unit's own commit, and tell whether it was one.

        A rollout that failed leaves its candidate where it was before: it may be tried again, with the evidence of the
        failure on its bundle.
        """
        authorise(unit, "model_version.withdraw", "model_version", version_id)
        version = repository.version_by_id(unit.session, version_id)
        if version is None or version.stage != Stage.CANARY:
            return False
        self._move(unit, version.model_id, version_id, Stage.STAGED, "rollback", comment[:1000])
        return True

    def cite(
        self,
        unit: UnitOfWork,
        version_id: str,
        *,
        model_card_uri: str,
        fairness_report_uri: str,
        explainability_uri: str,
    ) -> None:
        """Say where a version's card and reports are; empty keeps what was said before."""
        authorise(unit, "model_version.cite", "model_version", version_id)
        version = repository.version_by_id(unit.session, version_id)
        if version is None:
            raise version_not_found("", version_id)
        version.model_card_uri = model_card_uri or version.model_card_uri
        version.fairness_report_uri = fairness_report_uri or version.fairness_report_uri
        version.explainability_uri = explainability_uri or version.explainability_uri

    def _pass_gate(self, units: Units, version: ModelVersionRow, kind: str, what: str) -> None:
        with units.read() as unit:
            # Asked before the evidence is read: an evaluation that ends in between is then among it.
            job_id = self._evaluating(unit, version.id) if self._evaluating and kind == "promotion" else ""
            if job_id:
                raise under_evaluation(version.semver, job_id)
            evidence = self._governance.evidence(unit, version.bundle_digest, EVALUATION)
            whole = self._governance.evidence(unit, version.bundle_digest, MODEL_EVALUATION)
            workspace_id = unit.context.workspace_id
        try:
            self.bundles.verify(workspace_id, version.bundle_digest)
            problem = ""
        except ArkwrightError as error:
            problem = error.detail
        if kind == "rollback":
            conditions = gate.rollback_conditions(problem)
        else:
            conditions = gate.promotion_conditions(gate.newest(evidence), problem, gate.standing_conditions(whole))
        inputs = {
            "bundle_digest": version.bundle_digest,
            "evidence": [{"id": row.id, "sha256": row.sha256} for row in (*evidence, *whole)],
        }
        with units.write() as unit:
            decision = self._governance.decide(
                unit, gate.PROMOTION_GATE, ("model_version", version.id), conditions, inputs
            )
        decision.enforce(what)

    def _move(
        self, unit: UnitOfWork, model_id: str, version_id: str, stage: Stage, kind: str, comment: str
    ) -> ModelVersionRow:
        model = repository.model(unit.session, model_id, lock=True)
        version = repository.version_by_id(unit.session, version_id)
        if model is None or version is None:
            raise model_not_found(model_id)
        check_transition(Stage(version.stage), stage)
        replaced_id = model.production_version_id if stage is Stage.PRODUCTION else None
        if replaced_id:
            replaced = repository.version_by_id(unit.session, replaced_id)
            if replaced is not None:
                reason = f"Superseded by {version.semver}"
                self._step(unit, replaced, Stage.ARCHIVED, "superseded", reason, None)
        self._step(unit, version, stage, kind, comment, replaced_id)
        if stage is Stage.PRODUCTION:
            model.production_version_id = version.id
        elif model.production_version_id == version.id:
            model.production_version_id = None
        model.updated_at = unit.clock.now()
        data = {
            "model_id": model.id,
            "model_name": model.name,
            "model_version_id": version.id,
            "number": version.number,
            "semver": version.semver,
            "stage": stage.value,
            "type": kind,
            "from_version_id": replaced_id,
            "bundle_digest": version.bundle_digest,
            "initiated_by": unit.context.actor.id,
        }
        unit.emit(MODEL_PROMOTED if stage is Stage.PRODUCTION else MODEL_STAGE_CHANGED, model.id, data)
        return version

    def _step(
        self,
        unit: UnitOfWork,
        version: ModelVersionRow,
        stage: Stage,
        kind: str,
        comment: str,
        replaced_version_id: str | None,
    ) -> None:
        before = version.stage
        version.stage = stage.value
        version.stage_comment = comment
        if kind == "promotion" and stage is Stage.PRODUCTION:
            version.approved_by = unit.context.actor.id
        unit.session.add(
            StageChangeRow(
                id=new_id("stage_change"),
                model_id=version.model_id,
                model_version_id=version.id,
                kind=kind,
                from_stage=before,
                to_stage=stage.value,
                replaced_version_id=replaced_version_id,
                comment=comment,
                actor_id=unit.context.actor.id,
                created_at=unit.clock.now(),
            )
        )
        facts = {"from": before, "to": stage.value, "kind": kind, "semver": version.semver, "comment": comment}
        record(unit, "model_version.stage", "model_version", version.id, facts)

    def _previous_production(self, unit: UnitOfWork, model: ModelRow) -> ModelVersionRow:
        previous = self.previous_production(unit, model.id)
        if previous is not None:
            return previous
        raise Conflict(
            f"The model {model.name!r} has no earlier production version to go back to.",
            code="rollback.nowhere",
            hint="Promote another version instead; `arkwright model versions` lists them.",
        )

    def _next_semver(self, unit: UnitOfWork, model: ModelRow, bundle: LoadedBundle) -> SemanticVersion:
        newest = repository.versions(unit.session, model.id, limit=1)
        if not newest:
            return SemanticVersion(1, 0, 0)
        return next_version(
            SemanticVersion.parse(newest[0].semver),
            msgspec.convert(newest[0].signature, Signature),
            bundle.signature,
            same_learner=newest[0].learner == bundle.manifest.learner,
        )

    def _insert(
        self,
        unit: UnitOfWork,
        model_name: str,
        digest: str,
        bundle: LoadedBundle,
        published: PublishedVersion,
        *,
        description: str,
        tags: dict[str, str],
    ) -> ModelVersionRow:
        model = repository.model(unit.session, model_name, lock=True)
        if model is None:
            raise model_not_found(model_name)
        known = repository.version_by_digest(unit.session, model.id, digest)
        if known is not None:
            return known
        semver = self._next_semver(unit, model, bundle)
        parents = repository.versions(unit.session, model.id, limit=1)
        evidence = self._governance.evidence(unit, digest, EVALUATION)
        lineage = bundle.manifest.lineage
        workspace_id = unit.context.workspace_id
        model.latest_number += 1
        model.updated_at = unit.clock.now()
        row = ModelVersionRow(
            id=new_id("model_version"),
            model_id=model.id,
            number=model.latest_number,
            semver=str(semver),
            stage=Stage.STAGED.value,
            description=description,
            bundle_digest=digest,
            bundle_uri=self.bundles.uri(workspace_id, digest),
            size_bytes=self.bundles.size_bytes(workspace_id, digest),
            task=bundle.manifest.task,
            learner=bundle.manifest.learner,
            signature=msgspec.to_builtins(bundle.signature),
            metrics=_metric_values(gate.newest(evidence)),
            evaluation_id=evidence[-1].id if evidence else None,
            experiment_id=lineage.get("experiment_id"),
            dataset_version_id=lineage.get("dataset_version_id"),
            run_id=published.run_id,
            parent_version_id=parents[0].id if parents else None,
            mlflow_version=str(published.mlflow_version),
            mlflow_model_id=published.model_id,
            environment=dict(bundle.manifest.environment),
            tags=tags,
            created_by=unit.context.actor.id,
            created_at=unit.clock.now(),
        )
        unit.session.add(row)
        unit.session.flush()
        self._step(unit, row, Stage.STAGED, "registration", "", None)
        self._link(unit, row)
        unit.emit(
            MODEL_VERSION_REGISTERED,
            model.id,
            {"model_id": model.id, "model_version_id": row.id, "number": row.number, "bundle_digest": digest},
        )
        return row

    def _link(self, unit: UnitOfWork, version: ModelVersionRow) -> None:
        target = ("model_version", version.id)
        sources = (
            ("dataset_version", version.dataset_version_id),
            ("experiment", version.experiment_id),
            ("trial", version.run_id),
        )
        for kind, source_id in sources:
            if source_id:
                self._governance.link(unit, (kind, source_id), target)


def _metric_values(evaluation: dict[str, Any] | None) -> dict[str, Any]:
    """Return each metric's value; intervals stay in the evidence."""
    metrics = (evaluation or {}).get("metrics") or {}
    return {name: metric["value"] if isinstance(metric, dict) else metric for name, metric in metrics.items()}


def production_line(steps: Iterable[StageChangeRow]) -> list[str]:
    """Return the ids of the versions that led to the present production version, oldest first.

    A rollback takes what it left behind out of the line: a second one goes further back, never forward again.
    """
    line: list[str] = []
    for step in steps:
        if step.to_stage != Stage.PRODUCTION:
            continue
        if step.kind == "rollback" and step.model_version_id in line:
            del line[line.index(step.model_version_id) + 1 :]
        else:
            line.append(step.model_version_id)
    return line
