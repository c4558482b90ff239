"""Deployments over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from arkwright.deployments import DeploymentService, PlanPublisher
from arkwright.deployments.routes import router
from arkwright.registry import Stage
from arkwright.tenancy import TenancyService, bootstrap
from tests.unit.shelf import Shelf
from tests.unit.web import application, signed_in


@pytest.fixture
def client(shelf: Shelf, tmp_path: Path) -> Iterator[TestClient]:
    bootstrap(shelf.database, tmp_path / "admin.key")
    deployments = DeploymentService(shelf.registry, shelf.governance)
    publisher = PlanPublisher(shelf.database, TenancyService(), shelf.registry, deployments)
    app = application(shelf.database, [shelf.registry, deployments, publisher], router)
    shelf.promote(shelf.register(shelf.stored()))
    with signed_in(app, (tmp_path / "admin.key").read_text().strip()) as opened:
        yield opened


def test_a_deployment_is_created_read_and_stopped(client: TestClient) -> None:
    created = client.post("/v1/deployments", json={"model": "churn", "autoscale": {}, "slos": {}})
    assert created.status_code == 201
    shown = created.json()
    assert (shown["name"], shown["status"], shown["follows_production"]) == ("churn", "pending", True)
    assert (shown["autoscale"]["max_replicas"], shown["slos"]["latency_ms_p95"]) == (10, 500)
    assert shown["endpoint_url"] == f"/v1/inference/{shown['id']}:predict"
    for address in ("churn", shown["id"]):
        assert client.get(f"/v1/deployments/{address}").json()["id"] == shown["id"]
    assert [each["id"] for each in client.get("/v1/deployments").json()["items"]] == [shown["id"]]
    assert client.delete("/v1/deployments/churn").json()["status"] == "stopped"
    assert client.delete(f"/v1/deployments/{shown['id']}").json()["status"] == "stopped"
    assert client.get("/v1/deployments/churn").status_code == 404


def test_a_canary_is_shown_with_its_share(shelf: Shelf, client: TestClient) -> None:
    canary = shelf.promote(shelf.register(shelf.stored(weight=-0.06)), Stage.CANARY)
    split = {"model_version_id": canary.id, "traffic_percent": 12.5}
    created = client.post("/v1/deployments", json={"model": "churn", "canary": split})
    assert created.json()["traffic_split"] == {"stable": 87.5, "canary": 12.5}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"model": "none"}, 404),
        ({"model": "nul\0"}, 404),
        ({"model": "x" * 121}, 422),
        ({"model_version_id": "mv_none"}, 404),
        ({"model": "churn", "model_version_id": "mv_none"}, 422),
        ({"model": "churn", "name": "a/b"}, 422),
        ({"model": "churn", "name": "half \ud800"}, 422),
        ({"model": "churn", "project_id": "x" * 41}, 422),
        ({"model": "churn", "autoscale": {"min_replicas": 5, "max_replicas": 2}}, 422),
        ({"model": "churn", "autoscale": {"max_replicas": 10**30}}, 422),
        ({"model": "churn", "slos": {"latency_ms_p95": float("inf")}}, 422),
        ({"model": "churn", "slos": {"error_rate_pct": float("nan")}}, 422),
        ({"model": "churn", "canary": {"model_version_id": "mv_none"}}, 404),
        ({"model": "churn", "canary": {"model_version_id": "mv_none", "traffic_percent": 100}}, 422),
    ],
)
def test_what_cannot_be_deployed_is_refused(client: TestClient, body: dict[str, object], status: int) -> None:
    answer = client.post("/v1/deployments", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert client.get("/v1/deployments").json()["items"] == []


def test_a_version_that_was_never_promoted_is_refused_with_the_reason(shelf: Shelf, client: TestClient) -> None:
    version = shelf.register(shelf.stored(weight=-0.06))
    answer = client.post("/v1/deployments", json={"model_version_id": version.id})
    assert (answer.status_code, answer.json()["code"]) == (409, "gate.deployment")
    assert answer.json()["unmet"] == ["Version 1.0.1 is in stage staged; only canary and production may serve."]


def test_the_same_request_twice_makes_one_deployment(client: TestClient) -> None:
    first, second = (
        client.post("/v1/deployments", json={"model": "churn"}, headers={"Idempotency-Key": "k"}) for _ in range(2)
    )
    assert first.json() == second.json()
    assert client.post("/v1/deployments", json={"model": "churn"}).json()["code"] == "deployment.exists"
