"""Attestations and the current definition of done over HTTP, on a version that was trained here."""

from __future__ import annotations

from typing import Any

import pytest

from arkwright.bundles import BundleCorrupt
from tests.unit.evaluation.evaluated_platform import Evaluated, compute_only

PLACE = "/v1/models/adult/versions/1"
GOOD = '<testsuite><testcase name="a"/></testsuite>'
BAD = '<testsuite><testcase name="a"/><testcase name="b"><failure/></testcase></testsuite>'
LOAD = {
    "deployment": "adult", "rate_per_second": 50, "seconds": 10, "p95_limit_ms": 100,
    "n_requests": 500, "statuses": {"200": 500}, "achieved_per_second": 49.9, "p50_ms": 3, "p95_ms": 8, "p99_ms": 12,
    "max_ms": 30, "versions": {"1.0.0": 500},
}  # fmt: skip


@pytest.fixture(scope="module")
def load(adult: Evaluated) -> dict[str, Any]:
    """The report of a load test of an endpoint that answers with the version; what the gate thinks is not asked."""
    registry, client = adult.plane.platform.registry, adult.plane.client
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(registry, "_pass_gate", lambda *_: None)
        assert client.post(f"{PLACE}/promote", json={"stage": "production"}).status_code == 200
    deployment = client.post("/v1/deployments", json={"model": "adult"}).json()
    return {**LOAD, "deployment_id": deployment["id"]}


def attest(adult: Evaluated, **body: Any) -> Any:
    return adult.plane.client.post(f"{PLACE}/attestations", json=body)


def items(adult: Evaluated) -> dict[str, dict[str, Any]]:
    answer = adult.plane.client.get(f"{PLACE}/definition-of-done")
    assert answer.status_code == 200, answer.text
    return {item["key"]: item for item in answer.json()["items"]}


def test_what_is_known_from_the_training_alone(adult: Evaluated) -> None:
    found = items(adult)
    assert {key for key, item in found.items() if item["status"] == "met"} >= {
        "data_schema", "feature_engineering", "experiment_tracked", "multiple_metrics", "signature"
    }  # fmt: skip
    assert found["load_tested"]["status"] == "unknown"
    assert all(item["remedy"] for item in found.values() if item["status"] != "met")
    assert all(item["evidence"] for item in found.values() if item["status"] == "met")


def test_the_same_statement_is_filed_once_and_again_after_another(adult: Evaluated) -> None:
    first, again = (attest(adult, dashboard={"url": "https://g/1"}).json() for _ in range(2))
    assert first == again
    second = attest(adult, dashboard={"url": "https://g/2", "title": "New"}).json()
    third = attest(adult, dashboard={"url": "https://g/1"}).json()
    assert len({first["id"], second["id"], third["id"]}) == 3
    assert items(adult)["dashboards"]["evidence"] == [third["id"], "https://g/1"]
    listed = adult.plane.client.get(f"{PLACE}/attestations", params={"limit": 2}).json()
    assert [(each["id"], each["counts"]) for each in listed["items"]] == [(third["id"], True), (second["id"], False)]
    rest = adult.plane.client.get(f"{PLACE}/attestations", params={"cursor": listed["next_cursor"]}).json()
    assert first["id"] in [each["id"] for each in rest["items"]]


def test_who_stated_it_and_when_is_in_the_audit_log(adult: Evaluated) -> None:
    filed = attest(adult, rollback_procedure="Call the desk.").json()
    assert filed["created_by"].startswith("key_")
    query = {"entity_id": adult.version_id, "action": "model_version.attest"}
    entry = adult.plane.client.get("/v1/auditlogs", params=query).json()["items"][0]
    assert entry["metadata"] == {"evidence": filed["id"], "kind": "rollback_procedure"}
    assert items(adult)["rollback"]["reason"] == "Call the desk."


def test_the_newest_report_of_a_scope_counts(adult: Evaluated) -> None:
    failing = attest(adult, tests={"scope": "unit", "junit": [BAD]}).json()
    assert (failing["passed"], failing["summary"]) == (False, "1 of 2 unit tests fail")
    assert items(adult)["tests"]["status"] == "not_met"
    for scope in ("unit", "model", "integration"):
        assert attest(adult, tests={"scope": scope, "junit": [GOOD]}).json()["passed"] is True
    assert items(adult)["tests"]["status"] == "met"


def test_a_load_test_is_judged_here_and_not_by_whoever_sends_it(adult: Evaluated, load: dict[str, Any]) -> None:
    slow = attest(adult, load_test={**load, "p95_ms": 500}).json()
    assert slow["passed"] is False
    assert items(adult)["load_tested"]["status"] == "not_met"
    assert attest(adult, load_test=load).json()["passed"] is True
    assert items(adult)["load_tested"]["status"] == "met"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "request.invalid"),
        ({"dashboard": {"url": "https://g"}, "rollback_procedure": "x"}, "request.invalid"),
        ({"dashboard": {"url": "grafana"}}, "attestation.dashboard"),
        ({"rollback_procedure": "..."}, "attestation.rollback"),
        ({"tests": {"scope": "unit", "junit": ["<!DOCTYPE a><testsuite/>"]}}, "attestation.junit"),
        ({"tests": {"scope": "smoke", "junit": [GOOD]}}, "request.invalid"),
        ({"load_test": {**LOAD, "deployment_id": "dep_1"}}, "attestation.load_test"),
        ({"load_test": {**LOAD, "deployment_id": "dep_1", "versions": {"2.0.0": 500}}}, "attestation.load_test"),
        ({"load_test": {**LOAD, "deployment_id": "dep_1", "n_requests": 9, "statuses": {"200": 9},
                        "versions": {"1.0.0": 9}}}, "attestation.inconclusive"),
    ],
    ids=["nothing", "two", "no address", "no words", "document type", "scope", "another deployment", "another version",
         "too few"],
)  # fmt: skip
def test_what_cannot_be_attested_is_a_problem_that_says_what_to_do(
    adult: Evaluated, body: dict[str, Any], code: str
) -> None:
    answer = attest(adult, **body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if code != "request.invalid":
        assert answer.json()["code"] == code
        assert answer.json()["hint"]


@pytest.mark.parametrize("path", ["attestations", "definition-of-done", "rows"])
def test_a_version_that_is_not_there_is_not_found(adult: Evaluated, path: str) -> None:
    assert adult.plane.client.get(f"/v1/models/adult/versions/9/{path}").status_code == 404
    assert adult.plane.client.get(f"/v1/models/nobody/versions/1/{path}").status_code == 404


def test_a_bundle_that_was_altered_undoes_its_items_and_no_others(
    adult: Evaluated, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = attest(adult, dashboard={"url": "https://g/altered"}).json()

    def altered(*_: Any) -> None:
        raise BundleCorrupt("The file model.bin was altered.")

    monkeypatch.setattr(adult.plane.platform.registry.bundles, "verify", altered)
    found = items(adult)
    assert (found["signature"]["status"], found["signature"]["reason"]) == (
        "not_met", "The file model.bin was altered."
    )  # fmt: skip
    assert found["data_schema"]["status"] == "unknown"
    assert found["dashboards"]["evidence"] == [named["id"], "https://g/altered"]


def test_rows_that_were_kept_are_the_model_s_inputs(adult: Evaluated) -> None:
    rows = adult.plane.client.get(f"{PLACE}/rows", params={"limit": 3}).json()["instances"]
    version = adult.plane.client.get(PLACE).json()
    assert len(rows) == 3
    assert set(rows[0]) == {column["name"] for column in version["signature"]["columns"]}
    assert "class" not in rows[0]


def test_eleven_of_eleven_and_an_evaluation_made_then_says_so_too(
    adult: Evaluated, load: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two lists rest on the same facts; what an evaluation leaves out does not undo what an earlier one found."""
    client = adult.plane.client
    compute_only(monkeypatch, "performance", "fairness")
    result, _ = adult.evaluate(sensitive=["sex"])
    for scope in ("unit", "model", "integration"):
        attest(adult, tests={"scope": scope, "junit": [GOOD]})
    attest(adult, dashboard={"url": "https://g/1"})
    attest(adult, rollback_procedure="docs/rollouts.md")
    attest(adult, load_test=load)
    monitor = client.post(f"/v1/monitoring/{load['deployment_id']}/monitors", json={}).json()

    found = client.get(f"{PLACE}/definition-of-done").json()
    assert (found["done"], found["n_met"], found["percent_complete"]) == (True, 11, 100)
    assert (found["evaluation_id"], found["decision"]) == (result["evaluation_id"], result["decision"])
    by_key = {item["key"]: item for item in found["items"]}
    assert by_key["drift_detection"]["evidence"] == [monitor["id"]]
    assert by_key["fairness"]["evidence"] == [result["evaluation_id"]]

    _, document = adult.evaluate(seed=1)
    then = {item["key"]: item["status"] for item in document["definition_of_done"]["items"]}
    assert {key for key, status in then.items() if status != "met"} == {"fairness"}, "it named no columns itself"
    assert client.get(f"{PLACE}/definition-of-done").json()["done"] is True, "an earlier evaluation did"

    body = {"enabled": False, "reason": "No labels come in."}
    client.post(f"/v1/monitoring/{load['deployment_id']}/monitors", json=body)
    off = items(adult)["drift_detection"]
    assert (off["status"], "No labels come in." in off["reason"]) == ("not_met", True)
