"""Signing in, API keys and projects over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from arkwright.core.context import system_context
from arkwright.core.errors import Invalid
from arkwright.kit.db import Database
from arkwright.kit.http import Caller, Limit, Page, PageCursor, Read, Write, page_of, read_cursor, service
from arkwright.kit.http.dependencies import SESSION_COOKIE
from arkwright.tenancy.payloads import ApiKey, CreateApiKey, CreatedApiKey, LoginLink, Project, WhoAmI
from arkwright.tenancy.service import SESSION_LIFETIME, TenancyService
from arkwright.tenancy.tables import ApiKeyRow, ProjectRow

router = APIRouter(tags=["access"])


@router.get("/v1/whoami")
def whoami(context: Caller) -> WhoAmI:
    """Return who the presented credential stands for."""
    return WhoAmI(
        actor_id=context.actor.id,
        actor_kind=context.actor.kind,
        role=context.actor.role,
        workspace_id=context.workspace_id,
    )


@router.post("/v1/api-keys", status_code=201)
def create_api_key(
    unit: Write, response: Response, body: CreateApiKey, tenancy: TenancyService = service(TenancyService)
) -> CreatedApiKey:
    """Create an API key; its secret is in this answer and nowhere else."""
    response.headers["Cache-Control"] = "no-store"
    if body.expires_at is not None and body.expires_at.tzinfo is None:
        raise Invalid("expires_at has no timezone.", code="api_key.expiry", hint="Write it as 2027-01-01T00:00:00Z.")
    created = tenancy.create_key(unit, body.name, body.expires_at)
    return CreatedApiKey(**_key(created.row).model_dump(), secret=created.secret)


@router.get("/v1/api-keys")
def list_api_keys(unit: Read, tenancy: TenancyService = service(TenancyService)) -> list[ApiKey]:
    """Return the workspace's API keys, without their secrets."""
    return [_key(row) for row in tenancy.list_keys(unit)]


@router.delete("/v1/api-keys/{key_id}")
def revoke_api_key(unit: Write, key_id: str, tenancy: TenancyService = service(TenancyService)) -> ApiKey:
    """Revoke a key: at once for the control plane, within a second for predictions."""
    return _key(tenancy.revoke_key(unit, key_id))


@router.get("/v1/projects")
def list_projects(
    unit: Read, limit: Limit = 50, cursor: PageCursor = "", tenancy: TenancyService = service(TenancyService)
) -> Page[Project]:
    """Return the workspace's projects, oldest first."""
    rows = tenancy.list_projects(unit, limit=limit + 1, after=read_cursor(cursor))
    return page_of(rows, limit, lambda row: row.id, _project)


@router.post("/v1/auth/login-links", status_code=201)
def create_login_link(unit: Write, response: Response, tenancy: TenancyService = service(TenancyService)) -> LoginLink:
    """Create a one-time link that signs a browser in."""
    response.headers["Cache-Control"] = "no-store"
    return LoginLink(url_path=f"/login?token={tenancy.create_login_link(unit)}")


@router.get("/login", include_in_schema=False)
def login(request: Request, token: str, tenancy: TenancyService = service(TenancyService)) -> RedirectResponse:
    """Redeem a login link: set the session's cookie and go to the start page."""
    database: Database = request.app.state.database
    with database.read_global() as unit:
        workspace_id = tenancy.workspace_of_link(unit, token)
    with database.write(system_context(workspace_id, getattr(request.state, "request_id", ""))) as unit:
        secret, _row = tenancy.sign_in(unit, token)
    answer = RedirectResponse("/ui", status_code=303, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        SESSION_COOKIE,
        secret,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=request.headers.get("x-forwarded-proto", "http") == "https",
    )
    return answer


def _key(row: ApiKeyRow) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        role=row.role,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


def _project(row: ProjectRow) -> Project:
    return Project(id=row.id, name=row.name, description=row.description, created_at=row.created_at)
