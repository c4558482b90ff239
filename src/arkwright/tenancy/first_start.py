"""What the very first start creates: the default workspace and project, an administrator and a key."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from arkwright.access import record
from arkwright.core.context import DEFAULT_PROJECT_ID, DEFAULT_WORKSPACE_ID, system_context
from arkwright.core.errors import Unavailable
from arkwright.core.events import CREDENTIALS_CHANGED
from arkwright.core.ids import new_id
from arkwright.kit.db import Database, UnitOfWork
from arkwright.tenancy import repository
from arkwright.tenancy.secrets import KEY_PREFIX, hash_secret, new_secret
from arkwright.tenancy.tables import ApiKeyRow, ProjectRow, UserRow, WorkspaceRow

ADMIN_EMAIL = "admin@localhost"


def bootstrap(database: Database, key_file: Path) -> None:
    """Make sure the default workspace exists and that ``key_file`` holds a working admin key.

    A key file that is missing, or whose key this database does not know, is written anew (mode 0600); the key is
    stored hashed. A working key that others could read is closed to them. Safe to run at every start.

    Raises
    ------
    Unavailable
        If the key file cannot be read or written.
    """
    with database.write(system_context(DEFAULT_WORKSPACE_ID)) as unit:
        user = _administrator(unit)
        _default_workspace(unit, user)
        secret = _read(key_file)
        known = repository.key_by_hash(unit.session, hash_secret(secret)) if secret else None
        if known is not None and known.revoked_at is None and known.expires_at is None:
            _close(key_file)
            return
        secret = new_secret(KEY_PREFIX)
        row = ApiKeyRow(
            id=new_id("api_key"),
            workspace_id=DEFAULT_WORKSPACE_ID,
            user_id=user.id,
            name="local admin",
            role="admin",
            secret_sha256=hash_secret(secret),
            created_at=unit.clock.now(),
        )
        unit.session.add(row)
        record(unit, "api_key.create", "api_key", row.id, {"name": row.name})
        unit.emit(CREDENTIALS_CHANGED, row.id, {})
        _write(key_file, secret)


def _administrator(unit: UnitOfWork) -> UserRow:
    user = repository.user_by_email(unit.session, ADMIN_EMAIL)
    if user is None:
        user = UserRow(
            id=new_id("user"), email=ADMIN_EMAIL, name="Administrator", role="admin", created_at=unit.clock.now()
        )
        unit.session.add(user)
        unit.session.flush()
    return user


def _default_workspace(unit: UnitOfWork, owner: UserRow) -> None:
    if unit.session.get(WorkspaceRow, DEFAULT_WORKSPACE_ID) is not None:
        return
    now = unit.clock.now()
    unit.session.add(
        WorkspaceRow(
            id=DEFAULT_WORKSPACE_ID, name="default", tracking_name="default", owner_user_id=owner.id, created_at=now
        )
    )
    unit.session.flush()
    unit.session.add(ProjectRow(id=DEFAULT_PROJECT_ID, name="default", created_at=now))
    record(unit, "workspace.create", "workspace", DEFAULT_WORKSPACE_ID, {"name": "default"})


def _read(key_file: Path) -> str:
    try:
        return key_file.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    except OSError as error:
        raise _unusable(key_file, error) from error


def _write(key_file: Path, secret: str) -> None:
    partial = key_file.with_suffix(".new")
    try:
        key_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Made afresh: what a crash, or somebody else, left under this name could have another mode or be a link.
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secret + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(key_file)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise _unusable(key_file, error) from error


def _close(key_file: Path) -> None:
    if key_file.stat().st_mode & 0o077:
        # A file of another owner, mounted read-only perhaps, is theirs to close.
        with suppress(OSError):
            key_file.chmod(0o600)


def _unusable(key_file: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"The admin's key file {key_file} cannot be used: {error.strerror or error}.",
        code="credentials.key_file",
        hint="Make it a file that this user may read and write, or remove it: a new key is then made.",
    )
