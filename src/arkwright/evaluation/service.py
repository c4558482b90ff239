"""Evaluating a bundle on rows nobody trained on, and filing what was found as evidence about it.

:class:`EvaluationService` computes the short report that every training and import needs before a version can be
registered. :class:`ModelEvaluationService` starts the whole evaluation of a registered version, which a job computes
(:mod:`arkwright.evaluation.jobs`), and finds what it left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from arkwright.access import authorise, record
from arkwright.bundles import LoadedBundle
from arkwright.contracts import Signature
from arkwright.core.clock import isoformat
from arkwright.core.errors import Invalid, NotFound
from arkwright.core.ids import is_id
from arkwright.core.structs import prepared
from arkwright.data import DatasetService, ReadOptions, TableReader, UploadService
from arkwright.evaluation.errors import (
    columns_unknown,
    evaluation_not_finished,
    evaluation_not_found,
    no_rows_kept,
)
from arkwright.evaluation.evaluation_request import (
    EvaluationRequest,
    check_columns,
    check_options,
    favourable_class,
    question_of,
)
from arkwright.evaluation.experiment_definition import with_definition
from arkwright.evaluation.headline import EVIDENCE_KIND as MODEL_EVALUATION
from arkwright.evaluation.holdout import (
    DATA_KIND,
    TRAINING_SAMPLE,
    EvaluationData,
    body_of,
    sample_rows,
    store_rows,
    take_rows,
)
from arkwright.evaluation.importance import FeatureImportance, permutation_importance
from arkwright.evaluation.metric import METRICS, FloatArray
from arkwright.evaluation.ports import Experiments, NoExperiments
from arkwright.evaluation.report import PRIMARY_METRIC, EvaluationReport, evaluate, score_metric
from arkwright.evaluation.retention import EXPIRY_KIND, REMOVED, Expiry, FileName, files_removed, promised_until
from arkwright.evaluation.stored_file import StoredFile, read_checked
from arkwright.governance import GovernanceService
from arkwright.kit.db import UnitOfWork, Units
from arkwright.kit.jobs import JobRow, JobService
from arkwright.kit.objects import ObjectStore
from arkwright.registry import RegistryService, Stage

EVALUATE_KIND = "evaluation.evaluate.v1"
EVIDENCE_KIND = "evaluation"
IMPORTANCE_SECONDS = 10.0

Predict = Callable[[Mapping[str, npt.NDArray[Any]]], FloatArray]


class EvaluationService:
    """Evaluations of a workspace's bundles; the reports themselves are governance's evidence.

    Parameters
    ----------
    governance
        Keeps the evidence.
    now
        A monotonic clock, in seconds.
    """

    def __init__(self, governance: GovernanceService, now: Callable[[], float] = time.monotonic) -> None:
        self._governance = governance
        self._now = now

    def evaluate_and_file(
        self,
        units: Units,
        bundle: LoadedBundle,
        columns: Mapping[str, npt.NDArray[Any]],
        truth: npt.NDArray[Any],
        reference_scores: FloatArray,
        *,
        seed: int,
        primary_metric: str | None = None,
        importance_seconds: float = IMPORTANCE_SECONDS,
        basis: str = "holdout",
        predict: Predict | None = None,
    ) -> tuple[str, EvaluationReport]:
        """Evaluate what would serve, on the holdout, and file the report.

        The numbers are computed outside of any transaction; filing the same report twice files it once.

        Parameters
        ----------
        columns
            The holdout's inputs.
        truth
            Class codes in the order of the signature's classes, or values.
        reference_scores
            What the trivial model answers for these rows, or one row of it for all.
        importance_seconds
            Permutation importance ends after this; columns not reached by then are left out.
        basis
            Which rows these are; see :class:`EvaluationReport`.
        predict
            Scores a table, where the bundle has no compiled predictor.

        Returns
        -------
        tuple
            The evidence's id, and the report.
        """
        with units.read() as unit:
            authorise(unit, "bundle.evaluate", "bundle", bundle.digest)
        predict = predict or bundle.predictor.predict_columns
        scores = predict(columns)
        metric = primary_metric or PRIMARY_METRIC[bundle.signature.task]
        report = evaluate(
            bundle.signature,
            truth,
            scores,
            np.broadcast_to(np.atleast_2d(reference_scores), scores.shape),
            seed=seed,
            primary_metric=metric,
            importance=self._importance(bundle, predict, columns, truth, metric, seed, importance_seconds),
        )
        report = msgspec.structs.replace(report, basis=basis)
        with units.write() as unit:
            row = self._governance.file(unit, EVIDENCE_KIND, bundle.digest, msgspec.to_builtins(report))
            return row.id, report

    def take_rows(
        self,
        batches: Iterable[pa.RecordBatch],
        *,
        holdout: npt.NDArray[np.int64],
        training: npt.NDArray[np.int64],
        seed: int,
    ) -> tuple[pa.Table, pa.Table]:
        """Return the held out rows of a table that comes in batches, and a sample of those that were trained on."""
        taken, sampled = take_rows(batches, [holdout, sample_rows(training, TRAINING_SAMPLE, seed=seed)])
        return taken, sampled

    def keep_data(
        self,
        units: Units,
        objects: ObjectStore,
        digest: str,
        holdout: pa.Table,
        training: pa.Table,
        *,
        dataset_version_id: str,
        target: str,
        reference_scores: FloatArray,
        primary_metric: str,
        fold_scores: Sequence[float] = (),
        seed: int,
    ) -> str:
        """Keep rows for later evaluations of a bundle, file which, and return the evidence's id.

        Parameters
        ----------
        holdout, training
            Rows nobody trained on, and a sample of those somebody did, with the same columns.
        reference_scores
            What the trivial model answers for every row, shape (n_outputs,).
        primary_metric, fold_scores
            What the training compared its candidates by, and the chosen one's value in each fold.
        """
        with units.read() as unit:
            authorise(unit, "bundle.evaluate", "bundle", digest)
            store = objects.for_workspace(unit.context.workspace_id)
        data = EvaluationData(
            dataset_version_id=dataset_version_id,
            target=target,
            columns=tuple(holdout.column_names),
            holdout=store_rows(store, holdout),
            training=store_rows(store, training),
            reference_scores=tuple(reference_scores.tolist()),
            primary_metric=primary_metric,
            fold_scores=tuple(fold_scores),
            seed=seed,
        )
        with units.write() as unit:
            return self._governance.file(unit, DATA_KIND, digest, body_of(data)).id

    def _importance(
        self,
        bundle: LoadedBundle,
        predict: Predict,
        columns: Mapping[str, npt.NDArray[Any]],
        truth: npt.NDArray[Any],
        metric: str,
        seed: int,
        seconds: float,
    ) -> tuple[FeatureImportance, ...]:
        ends_at = self._now() + seconds
        task = bundle.signature.task
        return permutation_importance(
            predict,
            lambda scores, rows: score_metric(task, metric, truth[rows], scores),
            {column.name: columns[column.name] for column in bundle.signature.columns},
            [column.name for column in bundle.signature.columns],
            direction=METRICS[metric].direction,
            seed=seed,
            should_stop=lambda: self._now() >= ends_at,
        )


class FoundEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """A filed evaluation: its evidence's id, the bundle it is about, and the headline with its files.

    ``expiry`` says which files were removed since; None: none.
    """

    id: str
    bundle_digest: str
    body: dict[str, Any]
    created_by: str
    created_at: datetime
    expiry: Expiry | None = None

    def file(self, name: FileName) -> StoredFile:
        """Return where one of its files is."""
        return msgspec.convert(self.body["files"][name], StoredFile)


def _found(row: Any, removed: Mapping[str, Expiry]) -> FoundEvaluation:
    return FoundEvaluation(
        id=row.id,
        bundle_digest=row.subject_digest,
        body=row.body,
        created_by=row.created_by,
        created_at=row.created_at,
        expiry=removed.get(row.id),
    )


class ModelEvaluationService:
    """Starts evaluations of versions, and finds them.

    Parameters
    ----------
    jobs
        Runs them.
    registry
        Knows the versions.
    datasets, uploads
        Where rows may come from.
    governance
        Keeps the evidence.
    objects
        Where documents, reports, cards and kept rows are.
    experiments
        Knows what the experiment that a version came from was to show.
    """

    def __init__(
        self,
        jobs: JobService,
        registry: RegistryService,
        datasets: DatasetService,
        uploads: UploadService,
        governance: GovernanceService,
        objects: ObjectStore,
        experiments: Experiments | None = None,
    ) -> None:
        self._jobs = jobs
        self._registry = registry
        self._datasets = datasets
        self._uploads = uploads
        self._governance = governance
        self._objects = objects
        self.experiments: Experiments = experiments or NoExperiments()

    def submit(self, unit: UnitOfWork, request: EvaluationRequest) -> JobRow:
        """Start an evaluation; what can be refused now is not refused by the job later.

        Raises
        ------
        NotFound
            If the version, the baseline, the dataset version or the upload does not exist.
        Invalid
            If there are no rows to evaluate on, they lack a column, or an option cannot be used.
        """
        version_id = self._version_id(unit, request)
        authorise(unit, "model_version.evaluate", "model_version", version_id)
        version = self._registry.version_by_id(unit, version_id)
        name = f"{self._registry.get(unit, version.model_id).name} {version.semver}"
        signature = msgspec.convert(version.signature, Signature)
        columns = self._columns(unit, request, version.bundle_digest, name)
        if columns is not None:
            check_columns(request, signature, columns)
        check_options(request, signature)
        self._check_history(unit, request, signature)
        asked_for = request.baseline_version_id
        request = self._defined(unit, request, version.experiment_id or "", signature)
        choose = self._baseline if request.baseline_version_id == asked_for else self._stated_baseline
        baseline_id, notes = choose(unit, request.baseline_version_id, version.id, version.model_id, signature)
        request = msgspec.structs.replace(
            request,
            model_version_id=version.id,
            model="",
            version="",
            baseline_version_id=baseline_id,
            favourable=favourable_class(request.favourable, signature),
            notes=(*request.notes, *notes),
        )
        job = self._jobs.submit(
            unit, EVALUATE_KIND, msgspec.to_builtins(request), subject_type="model_version", subject_id=version.id
        )
        facts = {"job": job.id, "profile": request.profile, "data": request.dataset_version_id or request.upload_id}
        record(unit, "model_version.evaluate", "model_version", version.id, facts)
        return job

    def start_quick(self, unit: UnitOfWork, model_version_id: str) -> str:
        """Start a quick evaluation on the rows that were kept at training, and return its job's id.

        It is judged by what the version's experiment states.
        """
        return self.submit(unit, EvaluationRequest(model_version_id=model_version_id, profile="quick")).id

    def kept_data(self, unit: UnitOfWork, digest: str) -> EvaluationData | None:
        """Return which rows were kept for a bundle, or None."""
        rows = self._governance.evidence(unit, digest, DATA_KIND)
        return msgspec.convert(rows[-1].body, EvaluationData) if rows else None

    def read_upload(self, units: Units, upload_id: str, watch: Callable[[], None]) -> tuple[pa.Table, str, str]:
        """Read an uploaded table; return it, its file's name and the SHA-256 of its bytes.

        Parameters
        ----------
        watch
            Called after each chunk of rows; what it raises ends the reading.
        """
        with units.read() as unit:
            upload = self._uploads.get(unit, upload_id)
            filename, sha256 = upload.filename, upload.sha256
            with self._uploads.open(unit, upload_id) as stream:
                table = TableReader(stream, ReadOptions(filename=filename), watch=watch).read()
        return table, filename, sha256

    def find(self, unit: UnitOfWork, address: str) -> FoundEvaluation:
        """Return an evaluation by its own id or its job's.

        Raises
        ------
        NotFound
            If there is none.
        Conflict
            If its job has not ended, or ended without one.
        """
        authorise(unit, "evaluation.read", "evaluation", address)
        if is_id("job", address):
            job = self._jobs.get(unit, address)
            if job.kind != EVALUATE_KIND:
                raise evaluation_not_found(address)
            if job.status != "succeeded":
                raise evaluation_not_finished(job.id, job.status, (job.error or {}).get("detail", ""))
            address = (job.result or {})["evaluation_id"]
        row = self._governance.get(unit, address)
        if row is None or row.kind != MODEL_EVALUATION:
            raise evaluation_not_found(address)
        return _found(row, self._removed(unit, row.subject_digest))

    def list(
        self, unit: UnitOfWork, model_version_id: str, *, limit: int, before: str = ""
    ) -> Sequence[FoundEvaluation]:
        """Return the evaluations of a version's bundle, newest first, older than the one ``before``."""
        version = self._registry.version_by_id(unit, model_version_id)
        rows = self._governance.evidence(unit, version.bundle_digest, MODEL_EVALUATION)
        removed = self._removed(unit, version.bundle_digest)
        found = [_found(row, removed) for row in reversed(rows) if not before or row.id < before]
        return found[:limit]

    def content(self, unit: UnitOfWork, address: str, name: FileName) -> bytes:
        """Return one of an evaluation's files.

        Raises
        ------
        Gone
            If it was kept long enough and removed.
        Unavailable
            If what is stored is not what the evidence cites.
        """
        found = self.find(unit, address)
        stored = found.file(name)
        if found.expiry is not None and name in found.expiry.sha256:
            raise files_removed(found.id, found.expiry.kept_until, found.expiry.removed_at, stored.sha256)
        try:
            return read_checked(self._objects.for_workspace(unit.context.workspace_id), stored)
        except NotFound:
            # A sweep removes a file a moment before it files that.
            until = promised_until(found.body)
            if name not in REMOVED or until is None or unit.clock.now() < until:
                raise
            raise files_removed(found.id, isoformat(until), "", stored.sha256) from None

    def _removed(self, unit: UnitOfWork, digest: str) -> dict[str, Expiry]:
        rows = self._governance.evidence(unit, digest, EXPIRY_KIND)
        return {row.body["evaluation_id"]: msgspec.convert(row.body, Expiry) for row in rows}

    def _version_id(self, unit: UnitOfWork, request: EvaluationRequest) -> str:
        if bool(request.model_version_id) == bool(request.model):
            raise Invalid(
                "An evaluation is of one model version.",
                code="evaluation.subject",
                hint='Send "model_version_id", or "model" and perhaps "version".',
            )
        if request.model_version_id:
            return self._registry.version_by_id(unit, request.model_version_id).id
        model, address = request.model, request.version
        if address and address not in set(Stage):
            return self._registry.version(unit, model, address).id
        # The newest of all, or of a stage.
        before: int | None = None
        while rows := self._registry.versions(unit, model, limit=50, before=before):
            for row in rows:
                if not address or row.stage == address:
                    return row.id
            before = rows[-1].number
        where = f"no version in the stage {address!r}" if address else "no versions"
        raise Invalid(
            f"The model {model!r} has {where}.",
            code="evaluation.no_version",
            hint=f"`arkwright model versions {model}` lists its versions.",
        )

    def _check_history(self, unit: UnitOfWork, request: EvaluationRequest, signature: Signature) -> None:
        asked = request.forecast
        if asked is not None and asked.history_dataset_version_id:
            schema = self._datasets.version_by_id(unit, asked.history_dataset_version_id).schema
            columns = [column["name"] for column in schema]
            absent = [name for name in (*asked.columns, signature.target) if name not in columns]
            if absent:
                raise columns_unknown(absent, columns, "history", data="history")
        if asked is not None and asked.history_upload_id:
            self._uploads.get(unit, asked.history_upload_id)

    def _columns(self, unit: UnitOfWork, request: EvaluationRequest, digest: str, name: str) -> Sequence[str] | None:
        """Return the names of the data's columns; None where only reading the file will tell."""
        if request.dataset_version_id and request.upload_id:
            raise Invalid(
                "The data is a dataset version or an upload, not both.", code="evaluation.data", hint="Leave one out."
            )
        if request.dataset_version_id:
            version = self._datasets.version_by_id(unit, request.dataset_version_id)
            return [column["name"] for column in version.schema]
        if request.upload_id:
            self._uploads.get(unit, request.upload_id)
            return None
        kept = self.kept_data(unit, digest)
        if kept is None:
            raise no_rows_kept(name)
        return list(kept.columns)

    def _defined(
        self, unit: UnitOfWork, request: EvaluationRequest, experiment_id: str, signature: Signature
    ) -> EvaluationRequest:
        """Fill in what the request leaves open with what the version's experiment states."""
        stated = self.experiments.definition_of(unit, experiment_id) if experiment_id else None
        return request if stated is None else with_definition(request, stated, experiment_id, signature)

    def _stated_baseline(
        self, unit: UnitOfWork, wanted: str, version_id: str, model_id: str, signature: Signature
    ) -> tuple[str, tuple[str, ...]]:
        """Return a baseline that an experiment states: what has become of it since is for a note, not a refusal."""
        try:
            baseline_id, notes = self._baseline(unit, wanted, version_id, model_id, signature)
        except (Invalid, NotFound) as error:
            said = f"It was not compared with the baseline that the experiment states: {error.detail}"
            baseline_id, notes = self._baseline(unit, "", version_id, model_id, signature)
            return baseline_id, (said, *notes)
        production = self._registry.production_of(unit, model_id)
        if production is None or production.id in (version_id, baseline_id):
            return baseline_id, notes
        said = f"The baseline is the one that the experiment states; in production is version {production.semver}."
        return baseline_id, (said, *notes)

    def _baseline(
        self, unit: UnitOfWork, wanted: str, version_id: str, model_id: str, signature: Signature
    ) -> tuple[str, tuple[str, ...]]:
        """Return the version to compare with, empty for none, and what to say about that choice."""
        if not wanted:
            production = self._registry.production_of(unit, model_id)
            if production is None or production.id == version_id:
                return "", ()
            theirs = msgspec.convert(production.signature, Signature)
            if question_of(theirs) != question_of(signature):
                said = f"It was not compared with version {production.semver}, which is in production: "
                return "", (f"{said}that one answers another question.",)
            return production.id, ()
        baseline = self._registry.version_by_id(unit, wanted)
        if baseline.id == version_id:
            raise Invalid(
                "A version cannot be compared with itself.",
                code="evaluation.baseline",
                hint="Name another version, or leave the baseline out: the one in production is taken.",
            )
        if question_of(msgspec.convert(baseline.signature, Signature)) != question_of(signature):
            raise Invalid(
                f"Version {baseline.semver} answers another question (its task, target or classes differ), "
                "so the two cannot be compared.",
                code="evaluation.baseline",
                hint="Name a version with the same task, target and classes.",
            )
        return baseline.id, ()


prepared(FoundEvaluation)
