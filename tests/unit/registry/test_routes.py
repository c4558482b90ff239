"""The registry over HTTP: from a bundle to production and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from arkwright.registry import ImportService
from arkwright.registry.routes import router
from arkwright.tenancy import bootstrap
from tests.unit.shelf import Shelf
from tests.unit.web import application, signed_in


@pytest.fixture
def client(shelf: Shelf, tmp_path: Path) -> Iterator[TestClient]:
    bootstrap(shelf.database, tmp_path / "admin.key")
    imports = ImportService(None, None, None)  # type: ignore[arg-type]  # nothing is imported here
    app = application(shelf.database, [shelf.registry, shelf.governance, imports], router)
    with signed_in(app, (tmp_path / "admin.key").read_text().strip()) as opened:
        yield opened


@pytest.fixture
def versions(shelf: Shelf, client: TestClient) -> list[dict[str, Any]]:
    assert client.post("/v1/models", json={"name": "churn"}).status_code == 201
    return [
        client.post("/v1/models/churn/versions", json={"bundle_digest": shelf.stored(weight=weight)}).json()
        for weight in (-0.05, -0.06)
    ]


def test_a_model_is_created_once(client: TestClient) -> None:
    created = client.post("/v1/models", json={"name": "churn", "description": "who will leave"})
    assert (created.status_code, created.json()["latest_version"]) == (201, 0)
    again = client.post("/v1/models", json={"name": "churn"})
    assert (again.status_code, again.json()["code"]) == (409, "model.exists")
    assert client.get("/v1/models/churn").json()["id"] == created.json()["id"]
    assert [model["name"] for model in client.get("/v1/models").json()["items"]] == ["churn"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a/b"},
        {"name": "generate"},
        {"name": "x" * 121},
        {"name": "nul\0"},
        {"name": "half \ud800"},
        {"name": "x", "description": "x" * 2001},
        {"name": "x", "description": "half \ud800"},
        {"name": "x", "project_id": "x" * 41},
        {"name": "x", "project_id": "proj_none"},
        {"name": None},
    ],
)
def test_a_model_that_makes_no_sense_is_refused(client: TestClient, body: dict[str, object]) -> None:
    answer = client.post("/v1/models", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert client.get("/v1/models").json()["items"] == []


def test_from_a_bundle_to_production_and_back(client: TestClient, versions: list[dict[str, Any]]) -> None:
    assert [(version["version"], version["semver"], version["stage"]) for version in versions] == [
        (1, "1.0.0", "staged"),
        (2, "1.0.1", "staged"),
    ]
    for address in ("1", "v1.0.1"):
        answer = client.post(f"/v1/models/churn/versions/{address}/promote", json={"comment": "better \U0001f600"})
        assert answer.json()["stage"] == "production"
    assert client.get("/v1/models/churn").json()["production_version"] == 2
    back = client.post("/v1/models/churn/rollback", json={"comment": "errors"})
    assert (back.json()["version"], back.json()["stage_comment"]) == (1, "errors")
    history = client.get("/v1/models/churn/history").json()
    assert [(step["kind"], step["to_stage"]) for step in history][-2:] == [
        ("superseded", "archived"),
        ("rollback", "production"),
    ]
    assert client.get("/v1/models/churn/history", params={"until": "2020-01-01T00:00:00Z"}).json() == []


def test_versions_are_listed_newest_first_page_by_page(client: TestClient, versions: list[dict[str, Any]]) -> None:
    first = client.get("/v1/models/churn/versions", params={"limit": 1}).json()
    second = client.get("/v1/models/churn/versions", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [page["items"][0]["version"] for page in (first, second)] == [2, 1]
    assert second["next_cursor"] is None
    assert versions[0]["feature_names"] == ["tenure", "contract"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/v1/models/none", None, 404),
        ("GET", "/v1/models/%00", None, 404),
        ("GET", "/v1/models/churn/versions/7", None, 404),
        ("GET", "/v1/models/churn/versions/" + "9" * 5000, None, 404),
        ("GET", "/v1/models/churn/versions/%C2%B2", None, 404),
        ("GET", "/v1/models/churn/versions?cursor=%21%21", None, 422),
        ("GET", "/v1/models?cursor=AAA%3D", None, 422),
        ("GET", "/v1/models?limit=" + "9" * 400, None, 422),
        ("GET", "/v1/models/churn/history?until=2020-01-01T00:00:00", None, 422),
        ("GET", "/v1/models/churn/history?until=9999-12-31T23:59:59-12:00", None, 422),
        ("POST", "/v1/models/churn/versions/1/promote", {"stage": "moon"}, 422),
        ("POST", "/v1/models/churn/versions/1/promote", {"comment": "x" * 1001}, 422),
        ("POST", "/v1/models/churn/versions/1/promote", {"stage": "archived", "comment": "half \ud800"}, 422),
        ("POST", "/v1/models/churn/versions/1/promote", {"stage": "deprecated"}, 409),
        ("POST", "/v1/models/churn/rollback", {}, 409),
        ("POST", "/v1/models/churn/versions", {"bundle_digest": "sha256:short"}, 422),
        ("POST", "/v1/models/churn/versions", {"bundle_digest": "sha256:" + "0" * 64}, 404),
        ("POST", "/v1/models/churn/versions", {"bundle_digest": "sha256:" + "0" * 64, "tags": {"a": "\ud800"}}, 422),
    ],
)
def test_what_cannot_be_done_is_the_caller_s_to_mend(
    client: TestClient, versions: list[dict[str, Any]], method: str, path: str, body: object, status: int
) -> None:
    content = json.dumps(body) if body is not None else None
    answer = client.request(method, path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]
    assert client.get("/v1/models/churn/versions/1").json()["stage"] == "staged"
