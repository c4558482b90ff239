"""Signing in, API keys, projects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from arkwright.access import authorise, record
from arkwright.contracts import Credential
from arkwright.core.context import DEFAULT_WORKSPACE_ID, Actor, Context
from arkwright.core.errors import Conflict, Invalid, NotAuthenticated, NotFound
from arkwright.core.events import CREDENTIALS_CHANGED
from arkwright.core.ids import new_id
from arkwright.kit.db import UnitOfWork
from arkwright.tenancy import repository
from arkwright.tenancy.secrets import KEY_PREFIX, LINK_PREFIX, SESSION_PREFIX, hash_secret, new_secret
from arkwright.tenancy.tables import ApiKeyRow, LoginLinkRow, ProjectRow, SessionRow, WorkspaceRow

SESSION_LIFETIME = timedelta(hours=12)
LINK_LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True)
class NewKey:
    """A key's row and its secret, which is shown this once."""

    row: ApiKeyRow
    secret: str


class TenancyService:
    """Workspaces, projects and credentials."""

    def authenticate(self, unit: UnitOfWork, secret: str, request_id: str) -> Context:
        """Return the context a secret stands for.

        Raises
        ------
        NotAuthenticated
            If the secret is unknown, revoked or expired; the message does not tell which.
        """
        digest = hash_secret(secret)
        now = unit.clock.now()
        key = repository.key_by_hash(unit.session, digest)
        if key is not None and key.revoked_at is None and _alive(key.expires_at, now):
            return Context(Actor(key.id, "api_key", key.role), key.workspace_id, request_id)
        session = repository.session_by_hash(unit.session, digest)
        if session is not None and _alive(session.expires_at, now):
            return Context(Actor(session.user_id, "user", session.role), session.workspace_id, request_id)
        raise NotAuthenticated(
            "The API key or session is not known here, was revoked, or has expired.",
            hint="Use the key in <home>/credentials/admin.key, or `arkwright login-link` for a new browser session.",
        )

    def create_key(self, unit: UnitOfWork, name: str, expires_at: datetime | None = None) -> NewKey:
        """Create an API key that acts with the creator's role."""
        authorise(unit, "api_key.create", "api_key")
        if not _alive(expires_at, unit.clock.now()):
            raise Invalid(
                f"expires_at is {expires_at}, which has passed: nobody could use the key.",
                code="api_key.expiry",
                hint="Give a later time, or leave it out for a key that does not expire.",
            )
        secret = new_secret(KEY_PREFIX)
        row = ApiKeyRow(
            id=new_id("api_key"),
            workspace_id=unit.context.workspace_id,
            user_id=self._user_of(unit),
            name=name,
            role=unit.context.actor.role,
            secret_sha256=hash_secret(secret),
            created_at=unit.clock.now(),
            expires_at=expires_at,
        )
        unit.session.add(row)
        record(unit, "api_key.create", "api_key", row.id, {"name": name})
        unit.emit(CREDENTIALS_CHANGED, row.id, {})
        return NewKey(row, secret)

    def list_keys(self, unit: UnitOfWork) -> list[ApiKeyRow]:
        """Return the workspace's keys, without their secrets."""
        authorise(unit, "api_key.list", "api_key")
        return repository.keys(unit.session, unit.context.workspace_id)

    def revoke_key(self, unit: UnitOfWork, key_id: str) -> ApiKeyRow:
        """Revoke a key and end the sessions it opened: at once here, within a second at the data planes.

        Raises
        ------
        Conflict
            If it is the key that asks.
        """
        authorise(unit, "api_key.revoke", "api_key", key_id)
        row = unit.session.get(ApiKeyRow, key_id)
        if row is None or row.workspace_id != unit.context.workspace_id:
            raise NotFound(
                f"There is no API key {key_id} in this workspace.",
                code="api_key.not_found",
                hint="GET /v1/api-keys lists them.",
            )
        if row.id == unit.context.actor.id:
            raise Conflict(
                "A key cannot revoke itself: nobody would be left to undo it.",
                code="api_key.in_use",
                hint="Use another key; a restart of the platform writes a new local admin key if the old one is gone.",
            )
        if row.revoked_at is None:
            for session in repository.sessions_of_key(unit.session, row.id):
                session.expires_at = unit.clock.now()
            row.revoked_at = unit.clock.now()
            record(unit, "api_key.revoke", "api_key", row.id)
            unit.emit(CREDENTIALS_CHANGED, row.id, {})
        return row

    def create_login_link(self, unit: UnitOfWork) -> str:
        """Return a one-time token that signs a browser in as the acting user."""
        authorise(unit, "session.create", "session")
        token = new_secret(LINK_PREFIX)
        unit.session.add(
            LoginLinkRow(
                secret_sha256=hash_secret(token),
                workspace_id=unit.context.workspace_id,
                user_id=self._user_of(unit),
                role=unit.context.actor.role,
                api_key_id=unit.context.actor.id if unit.context.actor.kind == "api_key" else None,
                expires_at=unit.clock.now() + LINK_LIFETIME,
            )
        )
        record(unit, "login_link.create", "session", "")
        return token

    def workspace_of_link(self, unit: UnitOfWork, token: str) -> str:
        """Return the workspace a login link leads to; the default one for a link that nobody made."""
        link = unit.session.get(LoginLinkRow, hash_secret(token))
        return link.workspace_id if link is not None else DEFAULT_WORKSPACE_ID

    def sign_in(self, unit: UnitOfWork, token: str) -> tuple[str, SessionRow]:
        """Redeem a login link, in its own workspace, and return the new session's secret and row.

        Raises
        ------
        NotAuthenticated
            If the link was used before, has expired or never existed.
        """
        now = unit.clock.now()
        link = repository.use_link(unit.session, hash_secret(token), now)
        if link is None:
            raise NotAuthenticated(
                "This login link was used already, or is older than ten minutes.",
                code="login_link.spent",
                hint="Run `arkwright login-link` for a new one.",
            )
        secret = new_secret(SESSION_PREFIX)
        row = SessionRow(
            id=new_id("session"),
            workspace_id=link.workspace_id,
            user_id=link.user_id,
            role=link.role,
            api_key_id=link.api_key_id,
            secret_sha256=hash_secret(secret),
            created_at=now,
            expires_at=now + SESSION_LIFETIME,
        )
        unit.session.add(row)
        record(unit, "session.create", "session", row.id, {"user": row.user_id, "api_key": row.api_key_id})
        unit.emit(CREDENTIALS_CHANGED, row.id, {})
        return secret, row

    def list_projects(self, unit: UnitOfWork, *, limit: int, after: str = "") -> list[ProjectRow]:
        """Return the workspace's projects."""
        authorise(unit, "project.list", "project")
        return repository.projects(unit.session, limit=limit, after=after)

    def workspaces(self, unit: UnitOfWork) -> list[WorkspaceRow]:
        """Return every workspace: for the platform's own work, never for a request."""
        return repository.workspaces(unit.session)

    def credentials(self, unit: UnitOfWork) -> tuple[Credential, ...]:
        """Return every live credential as the data planes need it: hashes only."""
        now = unit.clock.now()
        keys = (
            Credential(
                secret_sha256=key.secret_sha256,
                actor_id=key.id,
                actor_kind="api_key",
                workspace_id=key.workspace_id,
                role=key.role,
                expires_at=key.expires_at.timestamp() if key.expires_at else 0.0,
            )
            for key in repository.live_keys(unit.session)
            if _alive(key.expires_at, now)
        )
        sessions = (
            Credential(
                secret_sha256=session.secret_sha256,
                actor_id=session.user_id,
                actor_kind="user",
                workspace_id=session.workspace_id,
                role=session.role,
                expires_at=session.expires_at.timestamp(),
            )
            for session in repository.live_sessions(unit.session, now)
        )
        return (*keys, *sessions)

    def _user_of(self, unit: UnitOfWork) -> str:
        actor = unit.context.actor
        if actor.kind == "api_key":
            key = unit.session.get(ApiKeyRow, actor.id)
            return key.user_id if key else actor.id
        if actor.kind == "system":
            workspace = unit.session.get(WorkspaceRow, unit.context.workspace_id)
            return workspace.owner_user_id if workspace else actor.id
        return actor.id


def _alive(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is None or expires_at > now
