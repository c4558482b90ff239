"""The durable import: from somebody's own model to a registered version.

Steps: ``compile`` (fetch the model and the sample, compile and compare in a child process, store the bundle),
``evaluate`` where the sample has the target, ``register``. Each may run twice after a crash and changes nothing the
second time: a bundle is stored under its digest, evidence under its content, a version under its bundle.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from arkwright.bundles import PredictionInvalid
from arkwright.bundles.model_process import GeneralScorer
from arkwright.contracts import Signature
from arkwright.core.clock import Clock
from arkwright.data import DatasetService, ReadOptions, TableReader, UploadService
from arkwright.features import to_columns, to_labels
from arkwright.kit.db import Database
from arkwright.kit.jobs import JobRun
from arkwright.kit.objects import ObjectStore
from arkwright.registry.compiler import compile_in_child
from arkwright.registry.compiling import CompileAnswer, CompileTask
from arkwright.registry.import_service import IMPORT_KIND, ImportRequest
from arkwright.registry.ports import Evaluates
from arkwright.registry.service import RegistryService
from arkwright.registry.unpacking import unpack_model
from arkwright.tenancy import TenancyService
from arkwright.tracking.ports import TrackingStore, TrialRecord

SAMPLE_BASIS = "sample"
_EXPERIMENT = "imported models"
_EVALUATED_ROWS = 20_000
_SEED = 0


@dataclass(frozen=True)
class ImportServices:
    """What an import works with."""

    registry: RegistryService
    uploads: UploadService
    datasets: DatasetService
    evaluation: Evaluates
    tenancy: TenancyService
    tracking: TrackingStore
    objects: ObjectStore
    database: Database


class ImportJob:
    """Fetch, compile, compare, evaluate and register.

    Parameters
    ----------
    allow_pickled
        Whether models that run code when they are loaded are taken at all.
    """

    kind = IMPORT_KIND

    def __init__(self, services: ImportServices, *, allow_pickled: bool) -> None:
        self._services = services
        self._allow_pickled = allow_pickled

    def run(self, job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
        """Import; the result names the version and says how it serves."""
        request = msgspec.convert(payload, ImportRequest)
        with self._services.database.read_global() as unit:
            names = {row.id: row.tracking_name for row in self._services.tenancy.workspaces(unit)}
            clock = unit.clock
        workspace_name = names[job.context.workspace_id]
        job.progress(0.02, "Fetching the model.")
        compiled = msgspec.convert(
            job.step("compile", lambda: self._compile(job, request, workspace_name, clock)), CompileAnswer
        )
        self._say(job, compiled)
        job.progress(0.75, "Evaluating it on the sample.")
        evaluated: dict[str, Any] = job.step("evaluate", lambda: self._evaluate(job, request, compiled))
        if evaluated["note"]:
            job.log(evaluated["note"])
        job.progress(0.9, "Registering the version.")
        version: dict[str, Any] = job.step("register", lambda: self._register(job, request, compiled, workspace_name))
        how = "compiled" if compiled.predictor == "compiled" else "served through the general path"
        job.progress(1.0, f"{version['model_name']} {version['semver']}: {compiled.learner}, {how}.")
        return {
            **version,
            "bundle_digest": compiled.digest,
            "predictor": compiled.predictor,
            "general_reason": compiled.general_reason,
            "learner": compiled.learner,
            "parity": msgspec.to_builtins(compiled.parity),
            "evidence_id": evaluated["evidence_id"],
            "metrics": evaluated["metrics"],
        }

    # Steps

    def _compile(self, job: JobRun, request: ImportRequest, workspace_name: str, clock: Clock) -> Any:
        services = self._services
        with tempfile.TemporaryDirectory(prefix="arkwright-import-") as temporary, self._sample(job, request) as sample:
            place = Path(temporary)
            model, scratch = place / "model", place / "scratch"
            model.mkdir()
            scratch.mkdir()
            run_id = self._fetch(job, request, workspace_name, model) or self._own_run(
                job, request, workspace_name, clock
            )
            job.progress(0.2, "Compiling the model and comparing answers.")
            task = CompileTask(
                model=str(model),
                out=str(place / "bundle"),
                answer=str(scratch / "answer.json"),
                sample=str(sample) if sample else "",
                target=request.target,
                task=request.task,
                classes=tuple(request.classes),
                allow_pickled=self._allow_pickled,
                lineage=_lineage(job, request, run_id, model),
                created_by=job.context.actor.id,
            )
            answer = compile_in_child(task, scratch, watch=job.raise_if_cancelled)
            services.registry.bundles.save(job.context.workspace_id, place / "bundle", answer.digest)
        return msgspec.to_builtins(answer)

    def _evaluate(self, job: JobRun, request: ImportRequest, compiled: CompileAnswer) -> dict[str, Any]:
        nothing: dict[str, Any] = {"evidence_id": None, "metrics": {}}
        bundle = self._services.registry.bundles.load(job.context.workspace_id, compiled.digest)
        with self._sample(job, request) as sample:
            table = pq.read_table(sample) if sample else None
        if table is None or not request.target or request.target not in table.column_names:
            return {**nothing, "note": "The sample has no target: there is no evaluation, and no gate will pass it."}
        table = table.slice(0, _EVALUATED_ROWS)
        truth = _truth(bundle.signature, table)
        known = np.flatnonzero(~np.isnan(truth))
        if known.size == 0:
            return {**nothing, "note": f"No row of the sample has a usable {request.target!r}: there is no evaluation."}
        columns = {name: values[known] for name, values in to_columns(table, bundle.signature.columns).items()}
        truth = truth[known]
        reference = _trivial(bundle.signature, truth)
        settings: dict[str, Any] = {"seed": _SEED, "basis": SAMPLE_BASIS}
        evaluation = self._services.evaluation
        if bundle.compiled is not None:
            try:
                evidence_id, report = evaluation.evaluate_and_file(job, bundle, columns, truth, reference, **settings)
            except PredictionInvalid as error:
                return {**nothing, "note": f"The model refuses a row of the sample: {error.detail}"}
        else:
            with (
                self._services.registry.bundles.folder(job.context.workspace_id, bundle.digest) as folder,
                GeneralScorer(folder, bundle.digest, bundle.signature) as scorer,
            ):
                settings["predict"] = scorer.predict_columns
                evidence_id, report = evaluation.evaluate_and_file(job, bundle, columns, truth, reference, **settings)
        metrics = {name: metric.value for name, metric in report.metrics.items()}
        return {"evidence_id": evidence_id, "metrics": metrics, "note": ""}

    def _register(
        self, job: JobRun, request: ImportRequest, compiled: CompileAnswer, workspace_name: str
    ) -> dict[str, Any]:
        registry = self._services.registry
        with job.write() as unit:
            model = registry.ensure(unit, request.name)
            model_id, model_name = model.id, model.name
        version = registry.register(
            job,
            model_id,
            compiled.digest,
            workspace_name=workspace_name,
            description=request.description,
            tags=request.tags or {},
        )
        return {
            "model_id": model_id,
            "model_name": model_name,
            "model_version_id": version.id,
            "number": version.number,
            "semver": version.semver,
        }

    # Where things come from

    def _fetch(self, job: JobRun, request: ImportRequest, workspace_name: str, folder: Path) -> str:
        """Put the model's files into a folder; return the run that made it, or nothing."""
        limit_bytes = self._services.uploads.max_upload_bytes
        if request.source_uri:
            tracking = self._services.tracking
            return tracking.fetch_model(workspace_name, request.source_uri, folder, limit_bytes=limit_bytes).run_id
        with self._upload(job, request.source_upload_id) as (path, filename):
            unpack_model(path, filename, folder, limit_bytes=limit_bytes)
        return ""

    def _own_run(self, job: JobRun, request: ImportRequest, workspace_name: str, clock: Clock) -> str:
        """Return a run for a model that none made: a version needs one in the logbook."""
        tracking, now = self._services.tracking, clock.now()
        trial = TrialRecord(
            key=job.job_id,
            experiment_id=tracking.ensure_experiment(workspace_name, _EXPERIMENT),
            name=f"import of {request.name}",
            status="succeeded",
            started_at=now,
            ended_at=now,
            created_by=job.context.actor.id,
        )
        return tracking.log_trial(workspace_name, trial)

    @contextmanager
    def _sample(self, job: JobRun, request: ImportRequest) -> Iterator[Path | None]:
        """Give the sample as a Parquet file, or None where there is none."""
        with tempfile.TemporaryDirectory(prefix="arkwright-sample-") as temporary:
            copy = Path(temporary) / "sample.parquet"
            if request.sample_dataset_version_id:
                with job.read() as unit:
                    version = self._services.datasets.version_by_id(unit, request.sample_dataset_version_id)
                    key = version.object_key
                self._services.objects.for_workspace(job.context.workspace_id).get_file(key, copy)
                yield copy
            elif request.sample_upload_id:
                with self._upload(job, request.sample_upload_id) as (path, filename):
                    _as_parquet(job, path, filename, copy)
                yield copy
            else:
                yield None

    @contextmanager
    def _upload(self, job: JobRun, upload_id: str) -> Iterator[tuple[Path, str]]:
        with job.read() as unit:
            upload = self._services.uploads.get(unit, upload_id)
            key, filename = upload.object_key, upload.filename
        with tempfile.TemporaryDirectory(prefix="arkwright-upload-") as temporary:
            copy = Path(temporary) / "upload"
            self._services.objects.for_workspace(job.context.workspace_id).get_file(key, copy)
            yield copy, filename

    def _say(self, job: JobRun, compiled: CompileAnswer) -> None:
        if compiled.predictor == "general":
            job.log(f"Not compiled: {compiled.general_reason}")
        elif compiled.parity is not None:
            job.log(
                f"Compiled: at most {compiled.parity.max_abs_difference:.3g} from the model's own answers on "
                f"{compiled.parity.n_rows:,} rows; {compiled.n_refused:,} rows both refuse."
            )


def _as_parquet(job: JobRun, path: Path, filename: str, copy: Path) -> None:
    with path.open("rb") as stream:
        reader = TableReader(stream, ReadOptions(filename=filename), watch=job.raise_if_cancelled)
        with pq.ParquetWriter(copy, reader.arrow_schema) as writer:
            for batch in reader.batches():
                writer.write_batch(batch)


def _lineage(job: JobRun, request: ImportRequest, run_id: str, model: Path) -> dict[str, str]:
    found = {
        "origin": "import",
        "source": request.source_uri or request.source_upload_id,
        "source_sha256": _hash_of(model),
        "job_id": job.job_id,
        "run_id": run_id,
        "sample": request.sample_dataset_version_id or request.sample_upload_id,
        "dataset_version_id": request.sample_dataset_version_id,
    }
    return {name: value for name, value in found.items() if value}


def _hash_of(folder: Path) -> str:
    """Return a hash of a folder's names and bytes."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            own = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()}\0{own}\n".encode())
    return total.hexdigest()


def _truth(signature: Signature, table: pa.Table) -> npt.NDArray[np.float64]:
    """Return class codes or values, NaN where a row has none that the model knows."""
    labels = to_labels(table.column(signature.target))
    if signature.task == "regression":
        return np.array([float(label) if isinstance(label, int | float) else np.nan for label in labels.tolist()])
    codes = {str(label): float(code) for code, label in enumerate(signature.classes)}
    return np.array([codes.get(_label_text(label), np.nan) for label in labels.tolist()])


def _label_text(label: Any) -> str:
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _trivial(signature: Signature, truth: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return what a model without inputs would answer: the class shares, or the mean."""
    if signature.task == "regression":
        return np.array([[float(truth.mean())]])
    shares = np.bincount(truth.astype(np.intp), minlength=len(signature.classes)) / truth.size
    return shares[None, 1:] if signature.task == "binary" else shares[None, :]
