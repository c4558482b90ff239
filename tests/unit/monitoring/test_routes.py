"""The same over HTTP."""

from __future__ import annotations

import pytest
from tests.unit.monitoring.conftest import Watched, customers


@pytest.fixture
def monitored(watched: Watched) -> Watched:
    assert watched.client.post("/v1/monitoring/churn/monitors", json={}).status_code == 201
    return watched


def test_a_monitor_is_created_then_changed(watched: Watched) -> None:
    first = watched.client.post("/v1/monitoring/churn/monitors", json={"type": "drift"})
    assert first.status_code == 201
    second = watched.client.post(
        f"/v1/monitoring/{watched.deployment_id}/monitors", json={"config": {"schedule": "*/5 * * * *"}}
    )
    assert (second.status_code, second.json()["id"]) == (200, first.json()["id"])
    (monitor,) = watched.client.get("/v1/monitoring/churn/monitors").json()["items"]
    assert monitor["config"] == {"schedule": "*/5 * * * *", "max_rows": 10_000, "window_hours": 168}
    assert monitor["status"] == "active"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"config": {"schedule": "every day"}}, "config.schedule"),
        ({"config": {"max_rows": 10_001}}, "config.max_rows"),
        ({"config": {"window_hours": 0}}, "config.window_hours"),
        ({"type": "telepathy"}, "type"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_monitor_that_makes_no_sense_is_refused_by_field(
    watched: Watched, body: dict[str, object], field: str
) -> None:
    answer = watched.client.post("/v1/monitoring/churn/monitors", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_switching_off_without_a_reason_is_refused(monitored: Watched) -> None:
    answer = monitored.client.post("/v1/monitoring/churn/monitors", json={"enabled": False})
    assert (answer.status_code, answer.json()["code"]) == (422, "monitoring.reason_missing")


def test_from_a_run_to_a_resolved_alert(monitored: Watched) -> None:
    client = monitored.client
    monitored.predict(customers(300, seed=1, shift=40))
    run = client.post("/v1/monitoring/churn/run")
    assert run.status_code == 202
    assert run.headers["location"] == f"/v1/jobs/{run.json()['job_id']}"

    (report,) = client.get("/v1/monitoring/churn/reports").json()["items"]
    assert (report["status"], report["job_id"], report["n_rows"]) == ("RED", run.json()["job_id"], 300)
    assert report["top_features"][0] == "tenure"
    assert "cells" not in report["features"][0]
    detail = client.get(f"/v1/monitoring/churn/reports/{report['id']}").json()
    assert detail == client.get("/v1/monitoring/churn/reports/latest").json()
    cells = detail["features"][0]["cells"]
    assert sum(cell["current_share"] for cell in cells) == pytest.approx(1)
    assert sum(cell["reference_share"] for cell in cells) == pytest.approx(1)

    (alert,) = client.get("/v1/alerts", params={"status": "open", "deployment": "churn"}).json()["items"]
    assert (alert["severity"], alert["acknowledged"], alert["report_id"]) == ("critical", False, report["id"])
    seen = client.post(f"/v1/alerts/{alert['id']}/acknowledge", json={"comment": "looking"}).json()
    assert (seen["status"], seen["acknowledged"], seen["comment"]) == ("acknowledged", True, "looking")
    closed = client.post(f"/v1/alerts/{alert['id']}/resolve").json()
    assert (closed["status"], closed["resolved_by"]) == ("resolved", "user_test")
    assert client.get("/v1/alerts", params={"status": "open"}).json()["items"] == []
    assert client.get(f"/v1/alerts/{alert['id']}").json() == closed
    refused = client.post(f"/v1/alerts/{alert['id']}/acknowledge")
    assert (refused.status_code, refused.json()["code"]) == (409, "monitoring.alert_resolved")


def test_one_run_can_have_a_window_of_its_own(monitored: Watched) -> None:
    monitored.predict(customers(600, seed=1))
    monitored.predict(customers(100, seed=2, shift=60))
    monitored.client.post("/v1/monitoring/churn/run", json={"max_rows": 100})
    report = monitored.client.get("/v1/monitoring/churn/reports/latest").json()
    assert (report["n_rows"], report["status"]) == (100, "RED")


def test_reports_come_in_pages(monitored: Watched) -> None:
    for _ in range(3):
        monitored.client.post("/v1/monitoring/churn/run")
    first = monitored.client.get("/v1/monitoring/churn/reports", params={"limit": 2}).json()
    rest = monitored.client.get(
        "/v1/monitoring/churn/reports", params={"limit": 2, "cursor": first["next_cursor"]}
    ).json()
    ids = [report["id"] for report in first["items"] + rest["items"]]
    assert ids == sorted(ids, reverse=True)
    assert (len(ids), rest["next_cursor"]) == (3, None)


def test_metrics_tell_requests_latency_and_versions_at_once(monitored: Watched) -> None:
    monitored.predict(customers(30, seed=1))
    monitored.predict(customers(10, seed=2), version_id="mv_other", semver="1.1.0")
    metrics = monitored.client.get("/v1/deployments/churn/metrics").json()
    assert (metrics["deployment_id"], metrics["n_requests"], metrics["n_rows"]) == (monitored.deployment_id, 40, 40)
    assert metrics["latency"] == {"mean_ms": 2.0, "p50_ms": 2.0, "p95_ms": 2.0, "p99_ms": 2.0}
    assert {part["semver"]: part["n_rows"] for part in metrics["versions"]} == {"1.0.0": 30, "1.1.0": 10}
    assert metrics["truncated"] is False


def test_metrics_of_a_silent_deployment_are_empty(monitored: Watched) -> None:
    metrics = monitored.client.get("/v1/deployments/churn/metrics", params={"hours": 1}).json()
    assert (metrics["n_rows"], metrics["latency"], metrics["versions"]) == (0, None, [])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/monitoring/nobody/monitors"),
        ("POST", "/v1/monitoring/nobody/run"),
        ("GET", "/v1/monitoring/nobody/reports"),
        ("GET", "/v1/monitoring/churn/reports/drift_nothing"),
        ("GET", "/v1/deployments/nobody/metrics"),
        ("GET", "/v1/alerts/alert_nothing"),
        ("POST", "/v1/alerts/alert_nothing/resolve"),
    ],
)
def test_what_does_not_exist_is_a_404_with_a_hint(monitored: Watched, method: str, path: str) -> None:
    answer = monitored.client.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["hint"]


def test_metrics_tell_how_good_the_answers_were_once_feedback_is_in(monitored: Watched) -> None:
    monitored.predict(customers(40, seed=1))
    monitored.tell({f"req_1_{index}": "Yes" if index < 10 else "No" for index in range(20)} | {"req_unknown": "No"})
    metrics = monitored.client.get("/v1/deployments/churn/metrics").json()
    assert (metrics["n_outcomes"], metrics["n_unmatched"]) == (21, 1)
    (arm,) = metrics["quality"]
    assert (arm["arm"], arm["semver"], arm["n_predictions"], arm["n_outcomes"]) == ("stable", "1.0.0", 40, 20)
    found = {metric["name"]: metric for metric in arm["metrics"]}
    assert set(found) == {"accuracy", "brier", "log_loss"}
    for metric in found.values():
        assert metric["low"] < metric["value"] < metric["high"]
    assert [found[name]["higher_is_better"] for name in ("accuracy", "brier", "log_loss")] == [True, False, False]


def test_metrics_without_feedback_say_nothing_of_quality(monitored: Watched) -> None:
    monitored.predict(customers(5, seed=1))
    metrics = monitored.client.get("/v1/deployments/churn/metrics").json()
    assert (metrics["quality"], metrics["n_outcomes"], metrics["n_unmatched"]) == ([], 0, 0)
