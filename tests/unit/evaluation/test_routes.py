"""Evaluations over HTTP: what is refused before a job starts, and what is read once it has ended."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.evaluation.evaluated_platform import ADULT, Evaluated, compute_only, hold_jobs


@pytest.fixture(scope="module")
def evaluation(adult: Evaluated) -> Iterator[dict[str, Any]]:
    """The summary of one evaluation of a few sections."""
    with pytest.MonkeyPatch.context() as patched:
        compute_only(patched, "performance", "fairness")
        job = adult.job(sensitive=["sex"])
        assert job["status"] == "succeeded", job["error"]
        yield adult.plane.client.get(f"/v1/evaluations/{job['result']['evaluation_id']}/summary").json()


def problem(adult: Evaluated, **body: Any) -> dict[str, Any]:
    answer = adult.start(**body)
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_the_job_is_named_and_its_place_is_given(adult: Evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_jobs(adult, monkeypatch)
    answer = adult.start()
    assert answer.status_code == 202
    job_id = answer.json()["job_id"]
    assert answer.headers["location"] == f"/v1/jobs/{job_id}"
    early = adult.plane.client.get(f"/v1/evaluations/{job_id}")
    assert (early.status_code, early.json()["code"]) == (409, "evaluation.not_finished")


def test_the_same_request_twice_with_one_key_is_one_job(adult: Evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_jobs(adult, monkeypatch)
    body, headers = {"model_version_id": adult.version_id, "profile": "quick"}, {"Idempotency-Key": "once"}
    first, again = (adult.plane.client.post("/v1/evaluations", json=body, headers=headers) for _ in range(2))
    assert first.json() == again.json()


def test_a_summary_says_what_was_found(adult: Evaluated, evaluation: dict[str, Any]) -> None:
    assert evaluation["model_version_id"] == adult.version_id
    assert evaluation["decision"] in {"go", "conditional", "no-go"}
    assert evaluation["reasons"]
    assert {item["column"] for item in evaluation["disparities"]} == {"sex"}
    assert set(evaluation["not_done"]) >= {"robustness", "operation"}


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("", "document", "application/json"),
        ("/report", "report", "text/html; charset=utf-8"),
        ("/card", "card", "text/markdown; charset=utf-8"),
        ("/card.html", "card_page", "text/html; charset=utf-8"),
        ("/card.json", "envelope", "application/json"),
    ],
)
def test_each_file_is_served_as_it_was_cited(
    adult: Evaluated, evaluation: dict[str, Any], path: str, name: str, kind: str
) -> None:
    answer = adult.plane.client.get(f"/v1/evaluations/{evaluation['id']}{path}")
    assert answer.headers["content-type"] == kind
    cited = evaluation["files"][name]
    assert (hashlib.sha256(answer.content).hexdigest(), len(answer.content)) == (cited["sha256"], cited["size_bytes"])
    if kind.startswith("text/html"):
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_version_s_evaluations_are_listed_newest_first(adult: Evaluated, evaluation: dict[str, Any]) -> None:
    query = {"model_version_id": adult.version_id}
    page = adult.plane.client.get("/v1/evaluations", params={**query, "limit": 1}).json()
    assert [item["id"] for item in page["items"]] == [evaluation["id"]]
    unknown = adult.plane.client.get("/v1/evaluations", params={"model_version_id": "mv_no"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "model_version.not_found")


@pytest.mark.parametrize("address", ["ev_01jn0000000000000000000000", "nonsense", "job_01jn0000000000000000000000"])
def test_an_unknown_evaluation_is_not_found(adult: Evaluated, address: str) -> None:
    assert adult.plane.client.get(f"/v1/evaluations/{address}").status_code == 404


def test_other_jobs_and_other_evidence_are_no_evaluations(adult: Evaluated) -> None:
    found = adult.plane.client.get("/v1/evidence", params={"digest": adult.training["bundle_digest"]}).json()
    plain = next(each["id"] for each in found if each["kind"] == "evaluation")
    trained = adult.plane.client.get("/v1/jobs").json()["items"][-1]["id"]
    for address in (plain, trained):
        answer = adult.plane.client.get(f"/v1/evaluations/{address}")
        assert (answer.status_code, answer.json()["code"]) == (404, "evaluation.not_found")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model_version_id": "mv_no"}, 404, "model_version.not_found"),
        ({"model": "no"}, 404, "model.not_found"),
        ({"model": "adult", "version": "9"}, 404, "model_version.not_found"),
        ({"model": "adult", "version": "production"}, 422, "evaluation.no_version"),
        ({"model": "adult", "model_version_id": "mv_no"}, 422, "request.invalid"),
        ({"data": {"upload_id": "up_no"}}, 404, "upload.not_found"),
        ({"data": {"dataset_version_id": "dsv_gone"}}, 404, "dataset.version_not_found"),
        ({"data": {}}, 422, "request.invalid"),
        ({"sensitive": ["sex", "gender"]}, 422, "evaluation.sensitive_unknown"),
        ({"sensitive_bins": {"age": [30]}}, 422, "evaluation.bins"),
        ({"sensitive": ["age"], "sensitive_bins": {"age": [50, 30]}}, 422, "evaluation.bins"),
        ({"sensitive": ["age"], "sensitive_bins": {"age": 1}}, 422, "evaluation.bins"),
        ({"baseline": "mv_no"}, 404, "model_version.not_found"),
        ({"favourable": "rich"}, 422, "evaluation.favourable"),
        ({"primary_metric": "luck"}, 422, "evaluation.metric"),
        ({"primary_metric": "rmse"}, 422, "evaluation.metric"),
        ({"behaviour": "tests: 3"}, 422, "behaviour.not_a_spec"),
        ({"purpose": "fun"}, 422, "request.invalid"),
        ({"profile": "thorough"}, 422, "request.invalid"),
        ({"sensitive": ["age"], "sensitive_bins": {"age": 10**6}}, 422, "evaluation.bins"),
        ({"sensitive": ["class"]}, 422, "evaluation.sensitive_target"),
        ({"behaviour": "tests: !!int foo"}, 422, "behaviour.not_yaml"),
        (
            {"behaviour": "tests: [{name: a, type: invariance, column: raec, swap: [a, b], tolerance: 0.1}]"},
            422,
            "behaviour.unfit",
        ),
        ({"guardrails": [{"metric": "luck"}]}, 422, "evaluation.metric"),
        ({"success_criteria": [{"metric": "rmse", "at_most": 1}]}, 422, "evaluation.metric"),
        ({"success_criteria": [{"metric": "roc_auc"}]}, 422, "request.invalid"),
        ({"margin": -0.1}, 422, "request.invalid"),
        ({"minimum_improvement": -0.1}, 422, "request.invalid"),
        ({"no_people": "pumps", "sensitive": ["sex"]}, 422, "evaluation.no_people"),
        ({"immutable": ["shoe"]}, 422, "evaluation.input_unknown"),
        ({"limits": [{"name": "shoe", "fixed": True}]}, 422, "evaluation.input_unknown"),
        ({"limits": [{"name": "workclass", "direction": "up"}]}, 422, "evaluation.limits"),
        ({"limits": [{"name": "age", "levels": ["old"]}]}, 422, "evaluation.limits"),
        ({"limits": [{"name": "age", "low": 3, "high": 2}]}, 422, "evaluation.limits"),
        ({"limits": [{"name": "age"}, {"name": "age"}]}, 422, "evaluation.limits"),
        ({"limits": [{"name": "age", "direction": "sideways"}]}, 422, "request.invalid"),
        ({"card": {"license": 3}}, 422, "request.invalid"),
        ({"semantics": {"gendre": "sex"}}, 422, "evaluation.semantics_unknown"),
        ({"semantics": {"sex": "gender"}}, 422, "request.invalid"),
        ({"semantics": ["sex"]}, 422, "request.invalid"),
        ({"semantics": {"": "sex"}}, 422, "request.invalid"),
        ({"sensitive": "sex"}, 422, "request.invalid"),
        ({"sensitive": [["sex"]]}, 422, "request.invalid"),
        ({"sensitive": ["sex\u0000"]}, 422, "request.nul"),
        ({"model": "adult", "version": "1" * 41}, 422, "request.invalid"),
        ({"model": "adult", "version": "\u0000"}, 422, "request.nul"),
        ({"model_version_id": "mv_' OR 1=1 --"}, 404, "model_version.not_found"),
        ({"seed": 2**31}, 422, "request.invalid"),
        ({"behaviour": "a: &a [*a]"}, 422, "behaviour.not_yaml"),
        ({"behaviour": "[" * 5_000}, 422, "behaviour.not_yaml"),
        ({"behaviour": "tests: []"}, 422, "behaviour.not_a_spec"),
        ({"costs": {"false_positive": "much"}}, 422, "request.invalid"),
        ({"limits": [{"name": "age", "low": 1e300}]}, 422, "request.invalid"),
        ({"margin": 10**400}, 422, "request.invalid"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_before_a_job_starts(
    adult: Evaluated, body: dict[str, Any], status: int, code: str
) -> None:
    before = len(adult.plane.client.get("/v1/jobs").json()["items"])
    found = problem(adult, **body)
    assert (found["status"], found["code"]) == (status, code)
    assert found["hint"]
    assert len(adult.plane.client.get("/v1/jobs").json()["items"]) == before


def test_an_unknown_column_is_answered_with_the_columns_there_are(adult: Evaluated) -> None:
    found = problem(adult, sensitive=["gender"])
    assert found["errors"] == [{"field": "gender", "message": "is no column of the data"}]
    assert "sex" in found["hint"]


def test_a_version_is_not_compared_with_itself_or_with_another_question(adult: Evaluated) -> None:
    assert problem(adult, baseline=adult.version_id)["code"] == "evaluation.baseline"


def test_a_bundle_without_kept_rows_needs_data(adult: Evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    service = next(each for each in adult.plane.platform.services.values() if hasattr(each, "kept_data"))
    monkeypatch.setattr(service, "kept_data", lambda *_: None)
    found = problem(adult)
    assert found["code"] == "evaluation.no_data"
    assert "--data" in found["hint"]


def test_a_stage_or_nothing_names_the_newest_version(adult: Evaluated, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_jobs(adult, monkeypatch)
    for version in ("", "staged", "1", "1.0.0"):
        job = adult.job(model="adult", version=version)
        assert job["subject_id"] == adult.version_id


@pytest.mark.parametrize(
    "address",
    ["ev_", "mv_1", "job_no", "..%2F..%2Fetc%2Fpasswd", "ev_%00", "%F0%9F%98%80", "a" * 3_000, "ev_'--", "%25", "null"],
)
@pytest.mark.parametrize("path", ["", "/summary", "/report", "/card", "/card.html", "/card.json"])
def test_an_address_that_is_none_is_told_so_and_never_a_defect(adult: Evaluated, address: str, path: str) -> None:
    answer = adult.plane.client.get(f"/v1/evaluations/{address}{path}")
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["hint"]


@pytest.mark.parametrize(
    "query",
    [
        "", "model_version_id=", "model_version_id=mv_no", "model_version_id=mv_%00", "model_version_id=x&limit=0",
        "model_version_id=x&limit=1e9", "model_version_id=x&limit=-1", "model_version_id=x&cursor=garbage",
        "model_version_id=x&cursor=%00", "model_version_id=x&limit=9&limit=10&cursor=%F0%9F%98%80",
    ],
)  # fmt: skip
def test_a_list_that_cannot_be_given_is_told_so(adult: Evaluated, query: str) -> None:
    answer = adult.plane.client.get(f"/v1/evaluations?{query}")
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["hint"]


def test_a_meaning_of_no_column_is_told_as_soon_as_the_file_is_read(adult: Evaluated) -> None:
    upload = adult.plane.upload(gzip.decompress(ADULT.read_bytes()), "rows.csv")
    job = adult.job(data={"upload_id": upload}, semantics={"gendre": "sex"})
    assert (job["status"], job["error"]["code"]) == ("failed", "evaluation.semantics_unknown")
    assert "'gendre'" in job["error"]["detail"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_what_was_filed_cannot_be_changed_over_http(adult: Evaluated, method: str) -> None:
    answer = adult.plane.client.request(method, "/v1/evaluations/ev_1", json={})
    assert answer.status_code == 405
    assert answer.json()["hint"] == "Send GET to this path."
