"""The registry over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from arkwright.core.errors import Invalid
from arkwright.kit.db import Database, UnitOfWork
from arkwright.kit.http import (
    Accepted,
    Caller,
    Limit,
    Page,
    PageCursor,
    Read,
    Write,
    accepted,
    page_of,
    read_cursor,
    read_number_cursor,
    service,
)
from arkwright.registry import repository
from arkwright.registry.import_service import ImportRequest, ImportService
from arkwright.registry.payloads import (
    CreateModel,
    CreateVersion,
    ImportSource,
    Model,
    ModelVersion,
    PromoteVersion,
    RollBack,
    StageChange,
)
from arkwright.registry.service import RegistryService
from arkwright.registry.stages import parse_stage
from arkwright.registry.tables import ModelRow, ModelVersionRow, StageChangeRow
from arkwright.tenancy import TenancyService

router = APIRouter(prefix="/v1/models", tags=["registry"])


@router.post("", status_code=201)
def create_model(unit: Write, body: CreateModel, registry: RegistryService = service(RegistryService)) -> Model:
    """Create a model without versions."""
    row = registry.create(unit, body.name, description=body.description, project_id=body.project_id)
    return _model(unit, row)


@router.get("")
def list_models(
    unit: Read, limit: Limit = 50, cursor: PageCursor = "", registry: RegistryService = service(RegistryService)
) -> Page[Model]:
    """Return the workspace's models, oldest first."""
    rows = registry.list(unit, limit=limit + 1, after=read_cursor(cursor))
    return page_of(rows, limit, lambda row: row.id, lambda row: _model(unit, row))


@router.get("/{model}")
def get_model(unit: Read, model: str, registry: RegistryService = service(RegistryService)) -> Model:
    """Return a model by id or name."""
    return _model(unit, registry.get(unit, model))


@router.post(
    "/{model}/versions",
    status_code=201,
    responses={202: {"model": Accepted, "description": "An import was started: a job's result names the version."}},
)
def create_model_version(
    request: Request,
    response: Response,
    context: Caller,
    model: str,
    body: CreateVersion,
    registry: RegistryService = service(RegistryService),
    imports: ImportService = service(ImportService),
    tenancy: TenancyService = service(TenancyService),
) -> ModelVersion | Accepted:
    """Make a stored bundle, or a model of one's own, the next version of a model.

    A stored bundle (``bundle_digest``) is a version at once, and the same one twice is one version. A model of one's
    own (``source``) is imported by a job: compiled where it can be, compared with itself, and staged; the model is
    created if there is none of that name.
    """
    database: Database = request.app.state.database
    if body.source is not None:
        with database.bound(context).write() as unit:
            job = imports.submit(unit, _import_request(model, body, body.source))
        accepted(response, job.id)
        return Accepted(job_id=job.id)
    with database.read_global() as unit:
        names = {row.id: row.tracking_name for row in tenancy.workspaces(unit)}
    units = database.bound(context)
    row = registry.register(
        units,
        model,
        body.bundle_digest,
        workspace_name=names[context.workspace_id],
        description=body.description,
        tags=body.tags,
    )
    with units.read() as unit:
        return _version(registry.get(unit, row.model_id).name, row)


@router.get("/{model}/versions")
def list_model_versions(
    unit: Read,
    model: str,
    limit: Limit = 50,
    cursor: PageCursor = "",
    registry: RegistryService = service(RegistryService),
) -> Page[ModelVersion]:
    """Return a model's versions, newest first."""
    before = read_number_cursor(cursor)
    name = registry.get(unit, model).name
    rows = registry.versions(unit, model, limit=limit + 1, before=before)
    return page_of(rows, limit, lambda row: str(row.number), lambda row: _version(name, row))


@router.get("/{model}/versions/{version}")
def get_model_version(
    unit: Read, model: str, version: str, registry: RegistryService = service(RegistryService)
) -> ModelVersion:
    """Return a version by number, semantic version or id."""
    return _version(registry.get(unit, model).name, registry.version(unit, model, version))


@router.post("/{model}/versions/{version}/promote")
def promote_model_version(
    request: Request,
    context: Caller,
    model: str,
    version: str,
    body: PromoteVersion,
    registry: RegistryService = service(RegistryService),
) -> ModelVersion:
    """Move a version to a stage, if the gate allows it; endpoints that follow production reload within seconds."""
    units = request.app.state.database.bound(context)
    row = registry.promote(units, model, version, parse_stage(body.stage), comment=body.comment)
    with units.read() as unit:
        return _version(registry.get(unit, row.model_id).name, row)


@router.post("/{model}/rollback")
def roll_back_model(
    request: Request,
    context: Caller,
    model: str,
    body: RollBack,
    registry: RegistryService = service(RegistryService),
) -> ModelVersion:
    """Put the previous production version back."""
    units = request.app.state.database.bound(context)
    row = registry.roll_back(units, model, comment=body.comment)
    with units.read() as unit:
        return _version(registry.get(unit, row.model_id).name, row)


@router.get("/{model}/history")
def read_model_history(
    unit: Read,
    model: str,
    until: Annotated[datetime | None, Query(description="Only changes up to this moment.")] = None,
    registry: RegistryService = service(RegistryService),
) -> list[StageChange]:
    """Return every stage change, oldest first: what was in production at any time."""
    if until is not None and until.tzinfo is None:
        raise Invalid("until has no timezone.", code="history.until", hint="Write it as 2027-01-01T00:00:00Z.")
    return [_change(row) for row in registry.history(unit, model, until)]


def _import_request(model: str, body: CreateVersion, source: ImportSource) -> ImportRequest:
    return ImportRequest(
        name=model,
        source_uri=source.uri,
        source_upload_id=source.upload_id,
        sample_upload_id=body.sample.upload_id if body.sample else "",
        sample_dataset_version_id=body.sample.dataset_version_id if body.sample else "",
        target=body.target,
        task=body.task,
        classes=tuple(body.classes),
        description=body.description,
        tags=dict(body.tags),
    )


def _model(unit: UnitOfWork, row: ModelRow) -> Model:
    production = (
        repository.version_by_id(unit.session, row.production_version_id) if row.production_version_id else None
    )
    return Model(
        id=row.id,
        name=row.name,
        kind=row.kind,
        description=row.description,
        project_id=row.project_id,
        experiment_id=row.experiment_id,
        latest_version=row.latest_number,
        production_version=production.number if production else None,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _version(model_name: str, row: ModelVersionRow) -> ModelVersion:
    return ModelVersion(
        id=row.id,
        model_id=row.model_id,
        model_name=model_name,
        version=row.number,
        semver=row.semver,
        stage=row.stage,
        current_stage=row.stage,
        stage_comment=row.stage_comment,
        description=row.description,
        bundle_digest=row.bundle_digest,
        bundle_uri=row.bundle_uri,
        size_bytes=row.size_bytes,
        task=row.task,
        learner=row.learner,
        signature=row.signature,
        feature_names=[column["name"] for column in row.signature["columns"]],
        metrics=row.metrics,
        evaluation_id=row.evaluation_id,
        experiment_id=row.experiment_id,
        dataset_version_id=row.dataset_version_id,
        run_id=row.run_id,
        parent_version_id=row.parent_version_id,
        mlflow_version=row.mlflow_version,
        dependencies=row.environment,
        tags=row.tags,
        explainability_uri=row.explainability_uri,
        fairness_report_uri=row.fairness_report_uri,
        model_card_uri=row.model_card_uri,
        approved_by=row.approved_by,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def _change(row: StageChangeRow) -> StageChange:
    return StageChange(
        model_version_id=row.model_version_id,
        kind=row.kind,
        from_stage=row.from_stage,
        to_stage=row.to_stage,
        replaced_version_id=row.replaced_version_id,
        comment=row.comment,
        actor_id=row.actor_id,
        created_at=row.created_at,
    )
