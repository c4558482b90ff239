"""Creating, reading and stopping deployments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from arkwright.access import authorise, record
from arkwright.contracts import Endpoint
from arkwright.core.errors import Conflict, Invalid
from arkwright.core.events import DEPLOYMENT_CHANGED, DEPLOYMENT_CREATED
from arkwright.core.ids import is_id, new_id
from arkwright.data import DatasetService, UploadService
from arkwright.deployments import repository
from arkwright.deployments.errors import deployment_not_found
from arkwright.deployments.routing import (
    DEPLOYMENT_GATE,
    EndpointState,
    Release,
    Wanted,
    answering,
    compile_endpoint,
    deployment_conditions,
    endpoint_state,
)
from arkwright.deployments.scoring import BATCH_KIND, output_key
from arkwright.deployments.tables import DeploymentRow
from arkwright.governance import GovernanceService
from arkwright.kit.db import UnitOfWork, Units
from arkwright.kit.jobs import JobRow, JobService
from arkwright.kit.objects import ObjectStore
from arkwright.registry import RegistryService
from arkwright.tenancy import require_project

_N_FALLBACKS = 2


@dataclass(frozen=True)
class DeploymentRequest:
    """What somebody wants deployed: a model to follow, or a version to pin."""

    name: str = ""
    model: str = ""
    model_version_id: str = ""
    canary_version_id: str = ""
    canary_percent: float = 0.0
    autoscale: dict[str, Any] | None = None
    slos: dict[str, Any] | None = None
    project_id: str = ""


class DeploymentService:
    """The desired state of a workspace's endpoints."""

    def __init__(self, registry: RegistryService, governance: GovernanceService) -> None:
        self._registry = registry
        self._governance = governance

    def create(self, units: Units, request: DeploymentRequest) -> DeploymentRow:
        """Create a deployment, if the gate allows its versions to serve.

        Raises
        ------
        PolicyRefused
            If a version was not promoted.
        Conflict
            If the name is taken, or the model has nothing in production.
        Invalid
            If not exactly one subject is named, or the name or the canary cannot be used.
        """
        with units.read() as unit:
            authorise(unit, "deployment.create", "deployment", request.name)
            project_id = require_project(unit, request.project_id)
            model_id, stable, canary = self._resolve(unit, request)
            name = request.name or self._registry.get(unit, model_id).name
            _check_name(name)
            if repository.deployment(unit.session, name) is not None:
                raise Conflict(
                    f"There is a deployment {name!r} already.",
                    code="deployment.exists",
                    hint="Give another name, or delete the old one first.",
                )
        releases = [stable, *([canary] if canary else [])]
        deployment_id = new_id("deployment")
        with units.write() as unit:
            decision = self._governance.decide(
                unit,
                DEPLOYMENT_GATE,
                ("deployment", deployment_id),
                deployment_conditions(releases),
                {"versions": [{"id": release.version_id, "stage": release.stage} for release in releases]},
            )
        decision.enforce(f"Deploying {name!r}")
        with units.write() as unit:
            row = DeploymentRow(
                id=deployment_id,
                project_id=project_id,
                name=name,
                model_id=model_id,
                model_version_id=request.model_version_id or None,
                canary_version_id=canary.version_id if canary else None,
                traffic_split={"stable": 100.0 - request.canary_percent, "canary": request.canary_percent},
                autoscale=request.autoscale or {},
                slos=request.slos or {},
                endpoint_url=f"/v1/inference/{deployment_id}:predict",
                status="active",
                created_by=unit.context.actor.id,
                created_at=unit.clock.now(),
            )
            unit.session.add(row)
            unit.session.flush()
            self._governance.link(unit, ("model_version", stable.version_id), ("deployment", row.id))
            record(unit, "deployment.create", "deployment", row.id, {"name": name, "version": stable.version_id})
            unit.emit(DEPLOYMENT_CREATED, row.id, {"deployment_id": row.id, "model_version_id": stable.version_id})
            return row

    def get(self, unit: UnitOfWork, id_or_name: str) -> DeploymentRow:
        """Return a deployment."""
        authorise(unit, "deployment.read", "deployment", id_or_name)
        row = repository.deployment(unit.session, id_or_name)
        if row is None:
            raise deployment_not_found(id_or_name)
        return row

    def list(self, unit: UnitOfWork, *, limit: int, after: str = "") -> Sequence[DeploymentRow]:
        """Return deployments, oldest first."""
        authorise(unit, "deployment.list", "deployment")
        return repository.deployments(unit.session, limit=limit, after=after)

    def stop(self, unit: UnitOfWork, id_or_name: str) -> DeploymentRow:
        """Stop answering; the deployment's record, log and reports stay. Its name becomes free."""
        authorise(unit, "deployment.stop", "deployment", id_or_name)
        row = repository.deployment(unit.session, id_or_name)
        if row is None:
            raise deployment_not_found(id_or_name)
        if row.status == "active":
            row.status = "stopped"
            row.name = f"{row.name[:90]} (stopped {row.id[-8:]})"
            record(unit, "deployment.stop", "deployment", row.id)
            unit.emit(DEPLOYMENT_CHANGED, row.id, {"deployment_id": row.id, "status": "stopped"})
        return row

    def serving(self, unit: UnitOfWork, row: DeploymentRow) -> Release | None:
        """Return the version a deployment's stable arm answers with, or None if its model has none in production.

        A pinned version answers until the deployment is stopped, also after another one has taken its place in
        production and it was archived: a promotion must not change what somebody has pinned.
        """
        if row.model_version_id:
            return self._release(unit, row.model_version_id)
        version = self._registry.production_of(unit, row.model_id)
        return self._release(unit, version.id) if version else None

    def state(self, unit: UnitOfWork, row: DeploymentRow) -> EndpointState:
        """Return how the endpoint stands at the data planes."""
        if row.status != "active":
            return EndpointState("pending", "The deployment was stopped.")
        release = self.serving(unit, row)
        if release is None:
            return EndpointState("failed", "The model has no version in production.")
        acknowledged = {plane.replica: plane.endpoints for plane in repository.data_planes(unit.session)}
        return endpoint_state(row.id, release.bundle_digest, acknowledged)

    def endpoints(self, unit: UnitOfWork) -> dict[str, Endpoint]:
        """Return every endpoint of the workspace, compiled for the data planes."""
        found = {}
        for row in repository.active(unit.session):
            stable = self.serving(unit, row)
            if stable is None:
                continue
            canary = answering(stable, self._release(unit, row.canary_version_id) if row.canary_version_id else None)
            wanted = Wanted(
                deployment_id=row.id,
                workspace_id=row.workspace_id,
                project_id=row.project_id,
                name=row.name,
                model_name=self._registry.get(unit, row.model_id).name,
                canary_percent=float(row.traffic_split.get("canary", 0.0)),
            )
            found[row.id] = compile_endpoint(wanted, stable, canary, self._fallbacks(unit, row, stable))
        return found

    def _fallbacks(self, unit: UnitOfWork, row: DeploymentRow, stable: Release) -> Sequence[Release]:
        if row.model_version_id:
            return []
        steps = self._registry.history(unit, row.model_id)
        earlier = [step.model_version_id for step in reversed(steps) if step.to_stage == "production"]
        unique = [version_id for version_id in dict.fromkeys(earlier) if version_id != stable.version_id]
        return [self._release(unit, version_id) for version_id in unique[:_N_FALLBACKS]]

    def _resolve(self, unit: UnitOfWork, request: DeploymentRequest) -> tuple[str, Release, Release | None]:
        followed = request.model
        if request.canary_version_id and not (followed or request.model_version_id):
            # A canary alone stands beside the production version of its own model.
            followed = self._registry.version_by_id(unit, request.canary_version_id).model_id
        if bool(followed) == bool(request.model_version_id):
            raise Invalid(
                "A deployment needs either a model to follow or a model_version_id to pin.",
                code="deployment.subject",
                hint='Send {"model": "name"} to follow its production version, or {"model_version_id": "mv_..."}.',
            )
        if request.model_version_id:
            version = self._registry.version_by_id(unit, request.model_version_id)
            model_id, stable = version.model_id, self._release(unit, version.id)
        else:
            model = self._registry.get(unit, followed)
            production = self._registry.production_of(unit, model.id)
            if production is None:
                raise Conflict(
                    f"The model {model.name!r} has no version in production.",
                    code="deployment.no_production",
                    hint=f"Promote one first: arkwright promote {model.name} <version>.",
                )
            model_id, stable = model.id, self._release(unit, production.id)
        canary = self._release(unit, request.canary_version_id) if request.canary_version_id else None
        if canary is not None and canary.version_id == stable.version_id:
            raise Invalid(
                "The canary is the version that answers already.",
                code="deployment.canary",
                hint="A canary must be another version of the model that is deployed.",
            )
        if canary is not None and self._registry.version_by_id(unit, canary.version_id).model_id != model_id:
            raise Invalid(
                "The canary is a version of another model.",
                code="deployment.canary",
                hint="A canary must be a version of the model that is deployed.",
            )
        return model_id, stable, canary

    def _release(self, unit: UnitOfWork, version_id: str) -> Release:
        row = self._registry.version_by_id(unit, version_id)
        return Release(row.id, row.number, row.semver, row.stage, row.bundle_digest, row.bundle_uri)


def _check_name(name: str) -> None:
    if is_id("deployment", name):
        raise Invalid(
            f"The name {name!r} looks like the id of a deployment.", code="deployment.name", hint="Choose another name."
        )


class BatchService:
    """Scoring files without deploying."""

    def __init__(
        self,
        registry: RegistryService,
        datasets: DatasetService,
        uploads: UploadService,
        jobs: JobService,
        objects: ObjectStore,
    ) -> None:
        self._registry = registry
        self._datasets = datasets
        self._uploads = uploads
        self._jobs = jobs
        self._objects = objects

    def submit(
        self, unit: UnitOfWork, *, model: str, model_version_id: str, upload_id: str, dataset_version_id: str
    ) -> JobRow:
        """Start scoring an upload or a dataset version.

        Parameters
        ----------
        model, model_version_id
            Exactly one: a model, whose production version scores (its newest if none is in production), or a version.
        upload_id, dataset_version_id
            Exactly one: what is scored.
        """
        authorise(unit, "batch.create", "batch")
        if bool(upload_id) == bool(dataset_version_id) or bool(model) == bool(model_version_id):
            raise Invalid(
                "A batch needs one model and one source of rows.",
                code="batch.subject",
                hint='Send "model" or "model_version_id", and as source an "upload_id" or a "dataset_version_id".',
            )
        if upload_id:
            self._uploads.get(unit, upload_id)
        else:
            self._datasets.version_by_id(unit, dataset_version_id)
        version_id = model_version_id or self._version_of(unit, model)
        version = self._registry.version_by_id(unit, version_id)
        payload = {
            "model_version_id": version.id,
            "upload_id": upload_id,
            "dataset_version_id": dataset_version_id,
        }
        job = self._jobs.submit(unit, BATCH_KIND, payload, subject_type="model_version", subject_id=version.id)
        record(
            unit,
            "batch.create",
            "model_version",
            version.id,
            {"job": job.id, "source": upload_id or dataset_version_id},
        )
        return job

    def output(self, unit: UnitOfWork, job_id: str) -> bytes:
        """Return a finished batch's output as Parquet.

        Raises
        ------
        Conflict
            If the job has not succeeded.
        """
        authorise(unit, "batch.read", "batch", job_id)
        job = self._jobs.get(unit, job_id)
        if job.kind != BATCH_KIND:
            raise Invalid(f"The job {job_id} is no batch.", code="batch.kind", hint="It is a job of another kind.")
        if job.status != "succeeded":
            raise Conflict(
                f"The batch {job_id} is {job.status}; it has no output.",
                code="batch.not_finished",
                hint=f"Follow it at /v1/jobs/{job_id}.",
            )
        return self._objects.for_workspace(unit.context.workspace_id).get_bytes(output_key(job_id))

    def _version_of(self, unit: UnitOfWork, model: str) -> str:
        production = self._registry.production_of(unit, model)
        if production is not None:
            return production.id
        newest = self._registry.versions(unit, model, limit=1)
        if not newest:
            raise Conflict(f"The model {model!r} has no version yet.", code="batch.no_version", hint="Train one first.")
        return newest[0].id
