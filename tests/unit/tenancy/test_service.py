"""Keys and sessions: shown once, stored hashed, refused when spent."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from arkwright.access import AuditTrail
from arkwright.core.clock import FixedClock
from arkwright.core.context import DEFAULT_WORKSPACE_ID, Context, system_context
from arkwright.core.errors import Conflict, NotAuthenticated, NotFound
from arkwright.kit.db import Database
from arkwright.tenancy import TenancyService, bootstrap, hash_secret
from arkwright.tenancy.tables import ApiKeyRow, WorkspaceRow


@pytest.fixture
def key_file(database: Database, tmp_path: Path) -> Path:
    path = tmp_path / "credentials" / "admin.key"
    bootstrap(database, path)
    return path


@pytest.fixture
def tenancy() -> TenancyService:
    return TenancyService()


def authenticate(database: Database, tenancy: TenancyService, secret: str) -> Context:
    with database.read_global() as unit:
        return tenancy.authenticate(unit, secret, "req_1")


def test_the_first_start_writes_a_private_key_that_works(
    database: Database, tenancy: TenancyService, key_file: Path
) -> None:
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    context = authenticate(database, tenancy, key_file.read_text().strip())
    assert (context.workspace_id, context.actor.role) == (DEFAULT_WORKSPACE_ID, "admin")


def test_starting_again_keeps_the_key_and_the_workspace(database: Database, key_file: Path) -> None:
    before = key_file.read_text()
    bootstrap(database, key_file)
    assert key_file.read_text() == before
    with database.read_global() as unit:
        assert len(unit.session.scalars(select(WorkspaceRow)).all()) == 1


def test_a_lost_key_file_is_written_anew(database: Database, tenancy: TenancyService, key_file: Path) -> None:
    key_file.unlink()
    bootstrap(database, key_file)
    assert authenticate(database, tenancy, key_file.read_text().strip()).actor.role == "admin"


def test_no_secret_is_stored(database: Database, key_file: Path) -> None:
    secret = key_file.read_text().strip()
    with database.read_global() as unit:
        row = unit.session.scalars(select(ApiKeyRow)).one()
    assert secret not in {getattr(row, column.name) for column in ApiKeyRow.__table__.columns}
    assert row.secret_sha256 == hash_secret(secret)


def test_a_revoked_key_is_refused_at_once(database: Database, tenancy: TenancyService, key_file: Path) -> None:
    context = authenticate(database, tenancy, key_file.read_text().strip())
    with database.write(context) as unit:
        created = tenancy.create_key(unit, "nightly")
    assert authenticate(database, tenancy, created.secret).actor.id == created.row.id
    with database.write(context) as unit:
        tenancy.revoke_key(unit, created.row.id)
    with pytest.raises(NotAuthenticated):
        authenticate(database, tenancy, created.secret)
    with database.read_global() as unit:
        assert created.row.secret_sha256 not in {each.secret_sha256 for each in tenancy.credentials(unit)}


def test_an_expired_key_is_refused(
    database: Database, tenancy: TenancyService, key_file: Path, clock: FixedClock
) -> None:
    context = authenticate(database, tenancy, key_file.read_text().strip())
    with database.write(context) as unit:
        created = tenancy.create_key(unit, "short", clock.now() + timedelta(minutes=1))
    clock.advance(61)
    with pytest.raises(NotAuthenticated):
        authenticate(database, tenancy, created.secret)


def test_another_workspace_s_key_cannot_be_revoked(database: Database, tenancy: TenancyService, key_file: Path) -> None:
    with database.read_global() as unit:
        key_id = unit.session.scalars(select(ApiKeyRow.id)).one()
    with pytest.raises(NotFound), database.write(system_context("ws_other")) as unit:
        tenancy.revoke_key(unit, key_id)


def test_a_login_link_works_once(database: Database, tenancy: TenancyService, key_file: Path) -> None:
    with database.write(system_context(DEFAULT_WORKSPACE_ID)) as unit:
        token = tenancy.create_login_link(unit)
    with database.write(system_context(DEFAULT_WORKSPACE_ID)) as unit:
        secret, _row = tenancy.sign_in(unit, token)
    assert authenticate(database, tenancy, secret).actor.kind == "user"
    with (
        pytest.raises(NotAuthenticated, match="used already"),
        database.write(system_context(DEFAULT_WORKSPACE_ID)) as unit,
    ):
        tenancy.sign_in(unit, token)


def test_a_login_link_goes_stale(
    database: Database, tenancy: TenancyService, key_file: Path, clock: FixedClock
) -> None:
    with database.write(system_context(DEFAULT_WORKSPACE_ID)) as unit:
        token = tenancy.create_login_link(unit)
    clock.advance(601)
    with pytest.raises(NotAuthenticated), database.write(system_context(DEFAULT_WORKSPACE_ID)) as unit:
        tenancy.sign_in(unit, token)


def test_a_session_ends_with_the_key_that_opened_it(
    database: Database, tenancy: TenancyService, key_file: Path
) -> None:
    admin = authenticate(database, tenancy, key_file.read_text().strip())
    with database.write(admin) as unit:
        key = tenancy.create_key(unit, "bob")
    bob = authenticate(database, tenancy, key.secret)
    with database.write(bob) as unit:
        token = tenancy.create_login_link(unit)
    with database.write(system_context(DEFAULT_WORKSPACE_ID)) as unit:
        session, _row = tenancy.sign_in(unit, token)
    assert authenticate(database, tenancy, session).actor.kind == "user"
    with database.write(admin) as unit:
        tenancy.revoke_key(unit, key.row.id)
    with pytest.raises(NotAuthenticated):
        authenticate(database, tenancy, session)


def test_a_key_cannot_revoke_itself(database: Database, tenancy: TenancyService, key_file: Path) -> None:
    admin = authenticate(database, tenancy, key_file.read_text().strip())
    with pytest.raises(Conflict, match="cannot revoke itself"), database.write(admin) as unit:
        tenancy.revoke_key(unit, admin.actor.id)


def test_signing_in_is_audited(database: Database, tenancy: TenancyService, key_file: Path) -> None:
    with database.write(system_context(DEFAULT_WORKSPACE_ID)) as unit:
        token = tenancy.create_login_link(unit)
    with database.write(system_context(DEFAULT_WORKSPACE_ID)) as unit:
        _secret, row = tenancy.sign_in(unit, token)
    with database.read(system_context(DEFAULT_WORKSPACE_ID)) as unit:
        newest = AuditTrail().page(unit, limit=1, before_seq=None)[0]
    assert (newest.action, newest.entity_id) == ("session.create", row.id)
