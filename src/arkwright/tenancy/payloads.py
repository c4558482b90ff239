"""Wire shapes of sign-in, keys and projects."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class WhoAmI(BaseModel):
    """The caller, as the platform sees it."""

    actor_id: str
    actor_kind: str
    role: str
    workspace_id: str


class CreateApiKey(BaseModel):
    """Ask for a key."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "nightly scoring"}]})

    name: str = Field(min_length=1, max_length=100)
    expires_at: datetime | None = None


class ApiKey(BaseModel):
    """A key without its secret."""

    id: str
    name: str
    role: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class CreatedApiKey(ApiKey):
    """A key with its secret, which is shown this once."""

    secret: str


class LoginLink(BaseModel):
    """A path that signs a browser in, once, within ten minutes."""

    url_path: str


class Project(BaseModel):
    """A project."""

    id: str
    name: str
    description: str
    created_at: datetime
