"""Queries over workspaces and credentials."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from arkwright.tenancy.tables import ApiKeyRow, LoginLinkRow, ProjectRow, SessionRow, UserRow, WorkspaceRow


def workspaces(session: Session) -> list[WorkspaceRow]:
    """Return every workspace, oldest first."""
    return list(session.scalars(select(WorkspaceRow).order_by(WorkspaceRow.id)))


def user_by_email(session: Session, email: str) -> UserRow | None:
    """Return a user, or None."""
    return session.scalar(select(UserRow).where(UserRow.email == email))


def projects(session: Session, *, limit: int, after: str) -> list[ProjectRow]:
    """Return projects in order of creation."""
    return list(session.scalars(select(ProjectRow).where(ProjectRow.id > after).order_by(ProjectRow.id).limit(limit)))


def key_by_hash(session: Session, digest: str) -> ApiKeyRow | None:
    """Return an API key by its secret's hash, revoked and expired ones included."""
    return session.scalar(select(ApiKeyRow).where(ApiKeyRow.secret_sha256 == digest))


def keys(session: Session, workspace_id: str) -> list[ApiKeyRow]:
    """Return a workspace's keys, oldest first."""
    return list(session.scalars(select(ApiKeyRow).where(ApiKeyRow.workspace_id == workspace_id).order_by(ApiKeyRow.id)))


def live_keys(session: Session) -> list[ApiKeyRow]:
    """Return every key that was not revoked."""
    return list(session.scalars(select(ApiKeyRow).where(ApiKeyRow.revoked_at.is_(None)).order_by(ApiKeyRow.id)))


def session_by_hash(session: Session, digest: str) -> SessionRow | None:
    """Return a browser session by its secret's hash."""
    return session.scalar(select(SessionRow).where(SessionRow.secret_sha256 == digest))


def live_sessions(session: Session, now: datetime) -> list[SessionRow]:
    """Return every browser session that has not expired."""
    return list(session.scalars(select(SessionRow).where(SessionRow.expires_at > now).order_by(SessionRow.id)))


def sessions_of_key(session: Session, key_id: str) -> list[SessionRow]:
    """Return the browser sessions that an API key opened."""
    return list(session.scalars(select(SessionRow).where(SessionRow.api_key_id == key_id)))


def use_link(session: Session, digest: str, now: datetime) -> LoginLinkRow | None:
    """Mark a link as used and return it, or None if it is unknown, expired or used: atomically."""
    used = session.execute(
        update(LoginLinkRow)
        .where(LoginLinkRow.secret_sha256 == digest, LoginLinkRow.used_at.is_(None), LoginLinkRow.expires_at > now)
        .values(used_at=now)
        .execution_options(synchronize_session=False)
    )
    if used.rowcount != 1:  # type: ignore[attr-defined]
        return None
    return session.get(LoginLinkRow, digest)
