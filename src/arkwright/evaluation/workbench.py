"""The rows and models of one evaluation in this process, each read when it is first needed.

When another process takes the job over, all of it is read anew from what the request names.
"""

from __future__ import annotations

import os
import platform
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa

from arkwright.bundles import LoadedBundle
from arkwright.bundles.model_process import GeneralScorer
from arkwright.contracts import Column
from arkwright.core.errors import NotFound
from arkwright.data import DatasetService, UploadService
from arkwright.evaluation.attestations import AttestationService
from arkwright.evaluation.behaviour import BehaviourReport
from arkwright.evaluation.counterfactual import ColumnLimit
from arkwright.evaluation.definition_of_done import Fact, ScopeOutcome
from arkwright.evaluation.evaluated_rows import EvaluatedRows, trivial_scores, usable_rows
from arkwright.evaluation.evaluation_request import EvaluationRequest, check_semantics
from arkwright.evaluation.forecast_timeline import ForecastRequest, History, Timeline, read_timeline
from arkwright.evaluation.holdout import EvaluationData, read_rows
from arkwright.evaluation.material import Baseline, Material, Options
from arkwright.evaluation.model_evaluation import DataUsed, Subject
from arkwright.evaluation.ports import Experiments, Operations
from arkwright.evaluation.resources import InstanceType
from arkwright.evaluation.retraining import KeptTraining, NoRetraining, Retraining
from arkwright.evaluation.scored_table import Predict
from arkwright.evaluation.service import ModelEvaluationService
from arkwright.evaluation.training_effort import TrainingEffort
from arkwright.evaluation.version_facts import VersionFacts
from arkwright.features import to_columns
from arkwright.governance import GovernanceService
from arkwright.kit.jobs import JobRun, JobService
from arkwright.kit.objects import ObjectStore
from arkwright.registry import RegistryService

Basis = Literal["holdout", "given", "training"]


@dataclass(frozen=True)
class EvaluationServices:
    """What an evaluation works with."""

    evaluations: ModelEvaluationService
    registry: RegistryService
    datasets: DatasetService
    uploads: UploadService
    governance: GovernanceService
    objects: ObjectStore
    facts: VersionFacts
    attestations: AttestationService
    retraining: Retraining

    @classmethod
    def over(
        cls,
        jobs: JobService,
        registry: RegistryService,
        datasets: DatasetService,
        uploads: UploadService,
        governance: GovernanceService,
        objects: ObjectStore,
        experiments: Experiments | None = None,
        *,
        operations: Operations,
        retraining: Retraining | None = None,
    ) -> EvaluationServices:
        """Return the room's services over those of the rooms below, and what the rooms above tell of deployments."""
        evaluations = ModelEvaluationService(jobs, registry, datasets, uploads, governance, objects, experiments)
        facts = VersionFacts(registry, governance, operations)
        attestations = AttestationService(registry, governance, evaluations, objects, facts)
        return cls(
            evaluations,
            registry,
            datasets,
            uploads,
            governance,
            objects,
            facts,
            attestations,
            retraining or NoRetraining(),
        )


class Workbench:
    """The rows and models of an evaluation in this process, each read when it is first needed.

    Parameters
    ----------
    stack
        Holds the processes of models that were not compiled until the run ends.
    """

    def __init__(
        self,
        services: EvaluationServices,
        job: JobRun,
        request: EvaluationRequest,
        stack: ExitStack,
        prices: tuple[InstanceType, ...],
    ) -> None:
        self._services = services
        self._job = job
        self._request = request
        self._stack = stack
        self._prices = prices
        self._workspace_id = job.context.workspace_id
        self._objects = services.objects.for_workspace(self._workspace_id)

    @cached_property
    def subject(self) -> Subject:
        """The version."""
        return self._subject_of(self._request.model_version_id, self._bundle)

    @cached_property
    def options(self) -> Options:
        """How it is examined."""
        request, kept = self._request, self._kept
        return Options(
            seed=request.seed,
            profile=request.profile,
            primary_metric=request.primary_metric or (kept.primary_metric if kept else None) or None,
            costs=request.costs,
            favourable=request.favourable,
            latency_limit_ms=request.latency_limit_ms,
            wanted_per_second=request.wanted_per_second,
            sensitive_bins=request.sensitive_bins,
            hypothesis=request.hypothesis,
            guardrails=request.guardrails,
            criteria=request.criteria,
            margin=request.margin,
            minimum_improvement=request.minimum_improvement,
            limits=(
                *(ColumnLimit(name=name, fixed=True) for name in request.immutable),
                *(limit for limit in request.limits if limit.name not in request.immutable),
            ),
            slices=request.slices,
        )

    def data(self) -> DataUsed:
        """Say which rows are used."""
        request, rows, (_, name, basis, fingerprint, version_id, notes) = self._request, self._rows, self._source
        _ = self._timeline  # times that cannot be used are refused before anything is computed
        return DataUsed(
            name=name,
            basis=basis,
            n_rows=rows.n_rows,
            n_rows_used=rows.n_used,
            dataset_version_id=version_id,
            fingerprint=fingerprint,
            sensitive=request.sensitive,
            no_people=request.no_people,
            notes=(*request.notes, *notes, *rows.notes),
        )

    @cached_property
    def material(self) -> Material:
        """The version, its rows and what it is compared with."""
        request, bundle, rows, kept = self._request, self._bundle, self._rows, self._kept
        trained_on = None if kept is None else read_rows(self._objects, kept.training)
        reference = trivial_scores(bundle.signature, rows.truth)
        if kept is not None:
            reference = np.array([kept.reference_scores], dtype=np.float64)
        return Material(
            signature=bundle.signature,
            predict=self._predict(bundle),
            columns=rows.columns,
            truth=rows.truth,
            reference_scores=reference,
            sensitive=rows.sensitive,
            slice_columns=rows.others,
            retraining=self._retraining(trained_on),
            training=None if trained_on is None else to_columns(trained_on, self._inputs),
            predictor=bundle.compiled,
            load=None if bundle.compiled is None else self._load,
            sizes=self._sizes(bundle.digest),
            learner=bundle.manifest.learner,
            effort=self._effort(bundle),
            behaviour=request.behaviour,
            baseline=self._baseline(),
            timeline=self._timeline,
            purpose=request.purpose,
            solely_automated=request.solely_automated,
            gives_reasons=request.gives_reasons,
            semantics=request.semantics or None,
            prices=self._prices,
            machine=f"{os.cpu_count()} CPUs, {platform.machine()}, {platform.system()}",
        )

    def facts(self, behaviour: BehaviourReport | None = None) -> dict[str, Fact]:
        """Say what is known of the version beside its evaluation, for the definition of done.

        Parameters
        ----------
        behaviour
            The behaviour tests of this evaluation: with what was attested they make one item.
        """
        outcome = None
        if behaviour is not None:
            reason = "" if behaviour.passed else behaviour.detail
            outcome = ScopeOutcome(passed=behaviour.passed, evidence="/behaviour", reason=reason)
        with self._job.read() as unit:
            return self._services.facts.of(unit, self._request.model_version_id, self._bundle.manifest, outcome)

    def fold_scores(self) -> tuple[float, ...]:
        """Return the primary metric in each fold of the training, where it is the one that is looked at."""
        kept = self._kept
        if kept is None or kept.primary_metric != self.options.metric_of(self._bundle.signature):
            return ()
        return kept.fold_scores

    # What is read

    @cached_property
    def _bundle(self) -> LoadedBundle:
        with self._job.read() as unit:
            digest = self._services.registry.version_by_id(unit, self._request.model_version_id).bundle_digest
        return self._services.registry.bundles.load(self._workspace_id, digest)

    @cached_property
    def _kept(self) -> EvaluationData | None:
        with self._job.read() as unit:
            return self._services.evaluations.kept_data(unit, self._bundle.digest)

    @cached_property
    def _other(self) -> LoadedBundle | None:
        """The bundle to compare with."""
        if not self._request.baseline_version_id:
            return None
        with self._job.read() as unit:
            digest = self._services.registry.version_by_id(unit, self._request.baseline_version_id).bundle_digest
        return self._services.registry.bundles.load(self._workspace_id, digest)

    @property
    def _inputs(self) -> tuple[Column, ...]:
        return self._bundle.signature.columns

    @cached_property
    def _source(self) -> tuple[pa.Table, str, Basis, str, str, tuple[str, ...]]:
        """The rows, their name, on which basis they are judged, fingerprint, dataset version, and notes."""
        request, services = self._request, self._services
        if request.dataset_version_id:
            with self._job.read() as unit:
                version = services.datasets.version_by_id(unit, request.dataset_version_id)
                name = f"{services.datasets.get(unit, version.dataset_id).name} version {version.number}"
                table = services.datasets.load_table(unit, version.id)
                fingerprint = version.fingerprint
            if self._trained_on(self._bundle, version.id, fingerprint):
                seen = "The model was trained on most of these rows: the numbers flatter it."
                return table, name, "training", fingerprint, version.id, (seen,)
            return table, name, "given", fingerprint, version.id, ()
        if request.upload_id:
            table, filename, sha256 = services.evaluations.read_upload(
                self._job, request.upload_id, self._job.raise_if_cancelled
            )
            return table, filename, "given", f"sha256:{sha256}", "", ()
        kept = self._kept
        assert kept is not None  # noqa: S101 - submit looked
        table = read_rows(self._objects, kept.holdout)
        name = "the rows that were kept out of its training"
        return table, name, "holdout", f"sha256:{kept.holdout.sha256}", kept.dataset_version_id, ()

    @cached_property
    def _rows(self) -> EvaluatedRows:
        other = self._other
        table = self._source[0]
        # An input that only the other version has may be missing: then the comparison says so, and nothing else fails.
        more = [] if other is None else [each for each in other.signature.columns if each.name in table.column_names]
        others = dict.fromkeys(name for each in self._request.slices for name in each.where)
        check_semantics(self._request, self._bundle.signature, table.column_names)
        return usable_rows(table, self._bundle.signature, self._request.sensitive, more, tuple(others))

    @cached_property
    def _timeline(self) -> Timeline | None:
        """Where the rows are in time, where somebody asked for a forecast."""
        asked = self._request.forecast
        if asked is None:
            return None
        table, _, basis, *_ = self._source
        signature, used = self._bundle.signature, self._rows.used
        return read_timeline(table, used, signature, asked, self._history(asked), at_random=basis == "holdout")

    def _history(self, asked: ForecastRequest) -> History:
        """Return the rows before the evaluated ones: those that were given, or those the model was trained on."""
        services = self._services
        if asked.history_upload_id:
            table, filename, _ = services.evaluations.read_upload(
                self._job, asked.history_upload_id, self._job.raise_if_cancelled
            )
            return History(table, filename)
        version_id = asked.history_dataset_version_id
        if not version_id:
            version_id = self._bundle.manifest.lineage.get("dataset_version_id", "")
        if not version_id:
            return History(None, reason="it is not known on which dataset version the model was trained")
        with self._job.read() as unit:
            try:
                version = services.datasets.version_by_id(unit, version_id)
                dataset = services.datasets.get(unit, version.dataset_id)
                wanted = {*asked.columns, self._bundle.signature.target}
                names = [column["name"] for column in version.schema if column["name"] in wanted]
                table = services.datasets.load_table(unit, version.id, names)
            except NotFound:
                return History(None, reason=f"the dataset version {version_id} is gone")
        return History(table, f"{dataset.name} version {version.number}")

    # Models

    def _predict(self, bundle: LoadedBundle) -> Predict:
        if bundle.compiled is not None:
            return bundle.compiled.predict_columns
        folder = self._stack.enter_context(self._services.registry.bundles.folder(self._workspace_id, bundle.digest))
        scorer = self._stack.enter_context(GeneralScorer(folder, bundle.digest, bundle.signature))
        return scorer.predict_columns

    def _load(self) -> Predict:
        fresh = self._services.registry.bundles.load(self._workspace_id, self._bundle.digest)
        return fresh.predictor.predict_columns

    def _baseline(self) -> Baseline | None:
        other = self._other
        if other is None:
            return None
        return Baseline(
            subject=self._subject_of(self._request.baseline_version_id, other),
            signature=other.signature,
            predict=self._predict(other),
            sizes=self._sizes(other.digest),
            predictor=other.compiled,
            seen=self._seen_by(other),
            effort=self._effort(other),
        )

    def _seen_by(self, other: LoadedBundle) -> str:
        """Say why the other version may have been trained on the rows; empty if it was not, or nobody can tell."""
        _, _, basis, fingerprint, version_id, _ = self._source
        if basis != "holdout":
            seen = version_id and self._trained_on(other, version_id, fingerprint)
            return "The other version was trained on most of these rows." if seen else ""
        with self._job.read() as unit:
            theirs = self._services.evaluations.kept_data(unit, other.digest)
        if theirs is None:
            return "It is not known which rows the other version was trained on, so it may have seen these."
        ours = self._kept
        same = ours is not None and (
            theirs.holdout.sha256 == ours.holdout.sha256
            or (theirs.dataset_version_id, theirs.seed, theirs.holdout.n_rows)
            == (ours.dataset_version_id, ours.seed, ours.holdout.n_rows)
        )
        return "" if same else "The other version was split from its data otherwise, so it may have seen these rows."

    def _trained_on(self, bundle: LoadedBundle, version_id: str, fingerprint: str) -> bool:
        """Tell whether a bundle was trained on a dataset version, or on another one with the same rows."""
        trained_on = bundle.manifest.lineage.get("dataset_version_id", "")
        if not trained_on or trained_on == version_id:
            return trained_on == version_id
        with self._job.read() as unit:
            try:
                return self._services.datasets.version_by_id(unit, trained_on).fingerprint == fingerprint
            except NotFound:
                return False

    def _retraining(self, table: pa.Table | None) -> KeptTraining | None:
        """Return the rows that were kept of the training, with the learner, where it can be trained again."""
        bundle = self._bundle
        if table is None or bundle.signature.task != "binary" or not self._request.sensitive:
            return None
        with self._job.read() as unit:
            learn = self._services.retraining.learner_of(unit, bundle.manifest.lineage, bundle.signature)
        if learn is None:
            return None
        held = [name for name in self._request.sensitive if name in table.column_names]
        rows = usable_rows(table, bundle.signature, held)
        return KeptTraining(rows.columns, rows.truth, learn, rows.sensitive)

    def _effort(self, bundle: LoadedBundle) -> TrainingEffort | None:
        with self._job.read() as unit:
            return self._services.evaluations.experiments.effort_of(unit, bundle.manifest.lineage)

    def _sizes(self, digest: str) -> dict[str, int]:
        with self._services.registry.bundles.folder(self._workspace_id, digest) as folder:
            return {
                path.relative_to(folder).as_posix(): path.stat().st_size
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            }

    def _subject_of(self, version_id: str, bundle: LoadedBundle) -> Subject:
        with self._job.read() as unit:
            version = self._services.registry.version_by_id(unit, version_id)
            model = self._services.registry.get(unit, version.model_id)
            signature = bundle.signature
            return Subject(
                model_name=model.name,
                model_version_id=version.id,
                version=version.semver,
                number=version.number,
                bundle_digest=bundle.digest,
                task=signature.task,
                target=signature.target,
                inputs=tuple(column.name for column in signature.columns),
                classes=signature.classes,
                learner=bundle.manifest.learner,
                description=version.description or model.description,
                lineage=dict(bundle.manifest.lineage),
            )
