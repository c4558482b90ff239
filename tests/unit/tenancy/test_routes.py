"""Keys, sign-in and projects over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select
from tests.unit.web import application, signed_in

from arkwright.core.clock import FixedClock
from arkwright.core.context import DEFAULT_WORKSPACE_ID, Actor, Context
from arkwright.kit.db import Database
from arkwright.kit.http.tables import IdempotencyRow
from arkwright.tenancy import TenancyService, bootstrap
from arkwright.tenancy.routes import router
from arkwright.tenancy.tables import LoginLinkRow


@pytest.fixture
def app(database: Database) -> FastAPI:
    return application(database, [], router)


@pytest.fixture
def client(app: FastAPI, database: Database, tmp_path: Path) -> Iterator[TestClient]:
    bootstrap(database, tmp_path / "admin.key")
    with signed_in(app, (tmp_path / "admin.key").read_text().strip()) as opened:
        yield opened


def test_a_key_works_until_it_is_revoked(app: FastAPI, client: TestClient) -> None:
    created = client.post("/v1/api-keys", json={"name": "nightly"})
    assert (created.status_code, created.headers["cache-control"]) == (201, "no-store")
    with signed_in(app, created.json()["secret"]) as nightly:
        assert nightly.get("/v1/whoami").json() == {
            "actor_id": created.json()["id"],
            "actor_kind": "api_key",
            "role": "admin",
            "workspace_id": DEFAULT_WORKSPACE_ID,
        }
        assert client.delete(f"/v1/api-keys/{created.json()['id']}").json()["revoked_at"] is not None
        assert nightly.get("/v1/whoami").status_code == 401
    listed = client.get("/v1/api-keys").json()
    assert [key["name"] for key in listed] == ["local admin", "nightly"]
    assert created.json()["secret"] not in str(listed)


def test_a_key_s_secret_is_never_stored(client: TestClient, database: Database, context: Context) -> None:
    created = client.post("/v1/api-keys", json={"name": "nightly"}, headers={"Idempotency-Key": "k"})
    with database.read(context) as unit:
        kept = unit.session.scalars(select(IdempotencyRow.body)).one()
    assert created.json()["secret"] not in kept
    again = client.post("/v1/api-keys", json={"name": "nightly"}, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["code"]) == (409, "idempotency.told_once")
    assert len(client.get("/v1/api-keys").json()) == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 101},
        {"name": "x", "surprise": 1},
        {"name": "x", "expires_at": "2027-01-01T00:00:00"},
        {"name": "x", "expires_at": "9999-12-31T23:59:59-12:00"},
        {"name": "x", "expires_at": "0001-01-01T00:00:00+14:00"},
        {"name": "half \ud800"},
    ],
)
def test_a_key_that_makes_no_sense_is_refused(client: TestClient, body: dict[str, object]) -> None:
    answer = client.post("/v1/api-keys", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert len(client.get("/v1/api-keys").json()) == 1


@pytest.mark.parametrize("key_id", ["key_none", "%00", "x" * 5000])
def test_a_key_that_is_not_there_cannot_be_revoked(client: TestClient, key_id: str) -> None:
    answer = client.delete(f"/v1/api-keys/{key_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "api_key.not_found")


def test_a_login_link_opens_one_session_and_no_more(app: FastAPI, client: TestClient, clock: FixedClock) -> None:
    made = client.post("/v1/auth/login-links")
    assert made.headers["cache-control"] == "no-store"
    path = made.json()["url_path"]
    with TestClient(app, follow_redirects=False) as browser:
        answer = browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui")
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert browser.get("/v1/whoami").json()["actor_kind"] == "user"
        clock.advance(12 * 3600 + 1)
        assert browser.get("/v1/whoami").status_code == 401
    with TestClient(app) as thief:
        spent = thief.get(path)
        assert (spent.status_code, spent.json()["code"]) == (401, "login_link.spent")
        assert thief.get("/login").status_code == 422


def test_a_login_link_gives_no_more_than_its_maker_has(database: Database, client: TestClient) -> None:
    with database.read_global() as unit:
        owner = TenancyService().workspaces(unit)[0].owner_user_id
    maker = Context(Actor(owner, "system", role="viewer"), DEFAULT_WORKSPACE_ID)
    with database.write(maker) as unit:
        TenancyService().create_login_link(unit)
    with database.read_global() as unit:
        assert unit.session.scalars(select(LoginLinkRow.role)).all() == ["viewer"]


def test_the_default_project_is_listed(client: TestClient) -> None:
    page = client.get("/v1/projects").json()
    assert ([project["name"] for project in page["items"]], page["next_cursor"]) == (["default"], None)
    for bad in ("limit=0", "limit=201", "limit=x", "cursor=%21"):
        assert client.get(f"/v1/projects?{bad}").status_code == 422


@pytest.mark.parametrize("secret", ["", "x", "ark_" + "x" * 10_000, "clé"])
def test_a_bad_key_is_refused(app: FastAPI, client: TestClient, secret: str) -> None:
    headers = {"Authorization": f"Bearer {secret}".encode("latin-1")}
    with TestClient(app) as stranger:
        assert stranger.get("/v1/whoami", headers=headers).status_code == 401
