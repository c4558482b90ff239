"""Asking for a model of one's own to become a version."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from arkwright.access import authorise, record
from arkwright.contracts.signature import Label, TaskType
from arkwright.core.errors import Invalid
from arkwright.core.structs import prepared
from arkwright.data import DatasetService, UploadService
from arkwright.kit.db import UnitOfWork
from arkwright.kit.jobs import JobRow, JobService
from arkwright.registry.names import check_model_name
from arkwright.tracking import parse_model_uri

IMPORT_KIND = "registry.import.v1"


@dataclass(frozen=True)
class ImportRequest:
    """A model to be imported; see :class:`arkwright.registry.payloads.CreateVersion`."""

    name: str
    source_uri: str = ""
    source_upload_id: str = ""
    sample_upload_id: str = ""
    sample_dataset_version_id: str = ""
    target: str = ""
    task: TaskType | None = None
    classes: tuple[Label, ...] = ()
    description: str = ""
    tags: dict[str, str] | None = None


class ImportService:
    """Starts imports.

    Parameters
    ----------
    jobs
        Runs them.
    uploads, datasets
        Where models and samples may come from.
    """

    def __init__(self, jobs: JobService, uploads: UploadService, datasets: DatasetService) -> None:
        self._jobs = jobs
        self._uploads = uploads
        self._datasets = datasets

    def submit(self, unit: UnitOfWork, request: ImportRequest) -> JobRow:
        """Start an import.

        Raises
        ------
        Invalid
            If the name cannot be a model's, or the source or the sample is not exactly one thing.
        NotFound
            If an upload or a dataset version does not exist.
        """
        authorise(unit, "model_version.import", "model", request.name)
        check_model_name(request.name)
        if bool(request.source_uri) == bool(request.source_upload_id):
            raise Invalid(
                "An import needs one source: the address of a logged model, or an upload.",
                code="import.source",
                hint='Send "source": "runs:/<run id>/<name>", or "source": {"upload_id": "up_..."}.',
            )
        if request.source_uri:
            parse_model_uri(request.source_uri)
        else:
            self._uploads.get(unit, request.source_upload_id)
        if request.sample_upload_id and request.sample_dataset_version_id:
            raise Invalid(
                "A sample is an upload or a dataset version, not both.", code="import.sample", hint="Leave one out."
            )
        if request.sample_upload_id:
            self._uploads.get(unit, request.sample_upload_id)
        if request.sample_dataset_version_id:
            self._datasets.version_by_id(unit, request.sample_dataset_version_id)
        payload = asdict(request)
        job = self._jobs.submit(unit, IMPORT_KIND, payload, subject_type="model", subject_id=request.name)
        source = request.source_uri or request.source_upload_id
        record(unit, "model_version.import", "model", request.name, {"job": job.id, "source": source})
        return job


prepared(ImportRequest)
