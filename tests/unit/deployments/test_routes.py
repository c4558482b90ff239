"""Deployments over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from arkwright.contracts import ArmWindow, EndpointStatus, PlanAcknowledgement, WindowReport
from arkwright.core.context import DEFAULT_WORKSPACE_ID
from arkwright.deployments import DeploymentService, PlanPublisher, RolloutController, WindowService
from arkwright.deployments.routes import rollout_router, router
from arkwright.registry import Stage
from arkwright.tenancy import TenancyService, bootstrap
from tests.unit.shelf import Shelf
from tests.unit.web import application, signed_in


@pytest.fixture
def client(shelf: Shelf, tmp_path: Path) -> Iterator[TestClient]:
    bootstrap(shelf.database, tmp_path / "admin.key")
    deployments = DeploymentService(shelf.registry, shelf.governance)
    publisher = PlanPublisher(shelf.database, TenancyService(), shelf.registry, deployments)
    windows = WindowService(shelf.database)
    controller = RolloutController(
        shelf.database, shelf.registry, shelf.governance, deployments, windows, publisher, None, list
    )
    services = [shelf.registry, deployments, publisher, windows, controller]
    app = application(shelf.database, services, router, rollout_router)
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


def canary_of(shelf: Shelf, **changes: object) -> dict[str, object]:
    version = shelf.promote(shelf.register(shelf.stored(weight=-0.06)), Stage.CANARY)
    return {"type": "canary", "model_version_id": version.id, "steps": [5, 100], **changes}


def test_a_change_needs_the_revision_it_was_made_from(client: TestClient) -> None:
    created = client.post("/v1/deployments", json={"model": "churn"})
    assert created.headers["etag"] == '"1"'
    changed = client.patch("/v1/deployments/churn", json={"cache_seconds": 5}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"], changed.json()["cache_seconds"]) == (200, '"2"', 5)
    stale = client.patch("/v1/deployments/churn", json={"cache_seconds": 6}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "deployment.revision")
    assert client.patch("/v1/deployments/churn", json={}, headers={"If-Match": "x"}).status_code == 422
    assert client.get("/v1/deployments/churn").headers["etag"] == '"2"'


def test_a_patch_leaves_the_rest_alone_and_null_takes_away(client: TestClient) -> None:
    client.post("/v1/deployments", json={"model": "churn", "slos": {"latency_class": "vision"}, "cache_seconds": 3})
    changed = client.patch("/v1/deployments/churn", json={"limits": {"max_rows": 9}}).json()
    assert (changed["slos"]["latency_ms_p95"], changed["cache_seconds"], changed["limits"]["max_rows"]) == (800, 3, 9)
    changed = client.patch("/v1/deployments/churn", json={"slos": None}).json()
    assert changed["slos"] == {}


def test_the_same_resource_again_changes_nothing_and_a_diff_says_what_would(shelf: Shelf, client: TestClient) -> None:
    body = {"name": "churn", "model": "churn", "strategy": canary_of(shelf)}
    planned = client.post("/v1/deployments:diff", json=body).json()
    assert (planned["deployment_id"], planned["starts_rollout"]) == (None, True)
    assert client.get("/v1/deployments").json()["items"] == []
    created = client.post("/v1/deployments", json=body).json()
    again = client.put("/v1/deployments/churn", json=body)
    assert (again.status_code, again.json()["revision"]) == (200, 1)
    assert client.post("/v1/deployments:diff", json=body).json()["changes"] == []
    faster = {**body, "slos": {"latency_class": "tabular-fast"}}
    told = client.post("/v1/deployments:diff", json=faster).json()
    assert (told["deployment_id"], told["starts_rollout"]) == (created["id"], False)
    assert {"field": "slos.latency_ms_p95", "before": None, "after": 120.0} in told["changes"]
    assert client.put("/v1/deployments/churn", json=faster).json()["rollout_id"] == created["rollout_id"]


def test_a_put_without_the_strategy_ends_the_rollout(shelf: Shelf, client: TestClient) -> None:
    client.post("/v1/deployments", json={"name": "churn", "model": "churn", "strategy": canary_of(shelf)})
    ended = client.put("/v1/deployments/churn", json={"name": "churn", "model": "churn"}).json()
    assert (ended["rollout_state"], ended["traffic_split"], ended["strategy"]) == ("aborted", {"stable": 100}, None)


def test_a_rollout_is_shown_with_its_conditions_arms_and_history(shelf: Shelf, client: TestClient) -> None:
    strategy = canary_of(shelf, analysis={"metrics": [{"name": "accuracy", "max_worse": 0.01}]})
    created = client.post("/v1/deployments", json={"model": "churn", "strategy": strategy}).json()
    shown = client.get("/v1/deployments/churn/rollout").json()
    assert shown["current"]["id"] == created["rollout_id"]
    rollout = shown["rollouts"][0]
    assert (rollout["state"], rollout["steps"], rollout["traffic_split"]) == (
        "progressing",
        [5, 100],
        {"stable": 95, "canary": 5},
    )
    assert [(arm["arm"], arm["semver"], arm["requests"]) for arm in rollout["arms"]] == [
        ("stable", "1.0.0", 0),
        ("canary", "1.0.1", 0),
    ]
    for action, state in (("pause", "paused"), ("resume", "progressing"), ("rollback", "rolled_back")):
        answer = client.post(f"/v1/deployments/churn:{action}", json={"comment": "Why not."})
        assert answer.status_code == 200, answer.text
        assert answer.json()["rollouts"][0]["state"] == state
    assert client.get("/v1/deployments/churn/rollout").json()["current"] is None
    events = client.get("/v1/deployments/churn/events?limit=3").json()
    assert [event["action"] for event in events["items"]] == ["rolled_back", "resumed", "paused"]
    rest = client.get(f"/v1/deployments/churn/events?cursor={events['next_cursor']}").json()
    assert [event["action"] for event in rest["items"]] == ["started"]
    refused = client.post("/v1/deployments/churn:abort", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "rollout.none")


def test_promoting_by_hand_passes_the_gate_and_abort_does_not_judge(shelf: Shelf, client: TestClient) -> None:
    strategy = canary_of(shelf)
    client.post("/v1/deployments", json={"model": "churn", "strategy": strategy})
    aborted = client.post("/v1/deployments/churn:abort", json={}).json()
    assert aborted["rollouts"][0]["state"] == "aborted"
    client.patch("/v1/deployments/churn", json={"strategy": strategy})
    promoted = client.post("/v1/deployments/churn:promote", json={"comment": "Go."}).json()
    assert [rollout["state"] for rollout in promoted["rollouts"]] == ["promoted", "aborted"]
    assert client.get("/v1/deployments/churn").json()["semver"] == "1.0.1"


def test_the_autoscaler_s_signals_come_from_the_data_planes(client: TestClient) -> None:
    autoscale = {"min_replicas": 1, "max_replicas": 5, "target_cpu_utilization_percentage": 50}
    created = client.post("/v1/deployments", json={"model": "churn", "autoscale": autoscale}).json()
    services = client.app.state.services  # type: ignore[attr-defined]
    publisher, windows = services[PlanPublisher], services[WindowService]
    status = EndpointStatus(state="ready", digests=())
    for replica, cpu in (("one", 90.0), ("two", 110.0)):
        publisher.acknowledge(PlanAcknowledgement(replica=replica, generation=1, endpoints={created["id"]: status}))
        window = ArmWindow(
            deployment_id=created["id"], workspace_id=DEFAULT_WORKSPACE_ID, arm="stable", model_version_id="mv",
            second=1,
        )  # fmt: skip
        windows.take(
            WindowReport(replica=replica, sequence=1, windows=(window,), in_flight=3, queue=2, cpu_percent=cpu),
            [DEFAULT_WORKSPACE_ID],
        )
    told = client.get("/v1/deployments/churn/autoscale").json()
    assert (told["replicas"], told["in_flight"], told["queue"], told["cpu_percent"]) == (2, 6, 4, 100.0)
    assert told["desired_replicas"] == 4
