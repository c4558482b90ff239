"""What of MLflow's server may be reached."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.front.mlflow_rules import Kind, judge

MODEL = "m-" + "a" * 32
RUN = "b" * 32
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/2.0/mlflow/runs/create"),
        ("POST", "/api/2.0/mlflow/runs/log-batch"),
        ("GET", "/api/2.0/mlflow/experiments/get-by-name"),
        ("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval"),
        ("POST", "/api/2.0/mlflow/logged-models"),
        ("PATCH", f"/api/2.0/mlflow/logged-models/{MODEL}"),
        ("POST", "/api/2.0/mlflow/model-versions/create"),
        ("GET", "/api/2.0/mlflow/registered-models/alias"),
        ("POST", "/api/3.0/mlflow/traces"),
        ("HEAD", "/"),
        ("GET", "/static-files/static/js/main.abc123.js"),
        ("POST", "/graphql"),
        ("POST", "/v1/traces"),
    ],
)
def test_what_the_client_and_the_pages_need_is_passed_on(method, path):
    verdict = judge(method, path)
    assert verdict.kind is Kind.FORWARD
    assert verdict.target.decode() == path


@pytest.mark.parametrize("prefix", ["/api", "/ajax-api"])
@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("POST", "registered-models/alias"),
        ("DELETE", "registered-models/alias"),
        ("POST", "registered-models/rename"),
        ("DELETE", "registered-models/delete"),
        ("POST", "model-versions/transition-stage"),
        ("DELETE", "model-versions/delete"),
    ],
)
def test_promotion_and_destruction_are_decided_by_arkwright(prefix, method, name):
    assert judge(method, f"{prefix}/2.0/mlflow/{name}").kind is Kind.DECIDED_HERE


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/3.0/mlflow/gateway/secrets/list"),
        ("GET", "//api/2.0/mlflow/runs/get"),
        ("POST", "/api/2.0/mlflow//model-versions/transition-stage"),
        ("POST", "/api/2.0/mlflow/./model-versions/transition-stage"),
        ("POST", "/api/2.0/mlflow/runs/../model-versions/transition-stage"),
        ("POST", "/api/2.0/mlflow/model-versions/transition%2Dstage"),
        ("POST", "/API/2.0/mlflow/model-versions/transition-stage"),
        ("POST", "/api/2.0/mlflow/model-versions/transition-stage/"),
        ("POST", "/api\\2.0/mlflow/runs/create"),
        ("GET", "/ajax-api/3.0/mlflow/assistant/config"),
        ("PUT", "/ajax-api/3.0/mlflow/assistant/config"),
        ("POST", "/ajax-api/3.0/jobs/"),
        ("POST", "/api/2.0/mlflow/webhooks"),
        ("POST", "/ajax-api/2.0/mlflow/gateway-proxy"),
        ("POST", "/gateway/mlflow/v1/chat/completions"),
        ("POST", "/ajax-api/3.0/mlflow/scorer/invoke"),
        ("POST", "/api/3.0/mlflow/scorers/register"),
        ("GET", "/api/2.0/mlflow-artifacts/presigned/1/x"),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/1/x"),
        ("POST", "/api/2.0/mlflow/artifacts/presigned-upload-url"),
        ("POST", "/api/3.0/mlflow/mcp-servers"),
        ("POST", "/"),
        ("GET", "/static-files/../../etc/passwd"),
        ("GET", f"{ARTIFACTS}/1/{RUN}/%2e%2e/x"),
        ("GET", f"{ARTIFACTS}/1/{RUN}/%25252e%25252e/x"),
        ("OPTIONS", "/api/2.0/mlflow/runs/create"),
        ("GET", ""),
        ("GET", "/api/2.0/mlflow/runs/get\n"),
    ],
)
def test_everything_else_does_not_exist(method, path):
    assert judge(method, path).kind is Kind.UNKNOWN


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        f"1/models/{MODEL}/artifacts/model.pkl",
        f"1/models/{MODEL.upper()}/artifacts/model.pkl",
        f"1/models/{MODEL.replace('-', '%2D')}/artifacts/model.pkl",
        f"1/models/{MODEL.replace('a', '%61', 1)}/artifacts/x",
        f"1/models/{MODEL.replace('-', '%252d')}/artifacts/x",
        f"workspaces/team/1/models/{MODEL}/artifacts/x",
        f"1%2Fmodels%2F{MODEL}%2Fx",
    ],
)
def test_a_registered_models_files_cannot_be_written_however_the_path_is_spelt(method, path):
    assert judge(method, f"{ARTIFACTS}/{path}", b"", {MODEL}).kind is Kind.PROTECTED
    assert judge("GET", f"{ARTIFACTS}/{path}", b"", {MODEL}).kind is Kind.STREAM


def test_an_unregistered_models_and_a_runs_files_can():
    other = "m-" + "c" * 32
    for method in ("PUT", "DELETE"):
        assert judge(method, f"{ARTIFACTS}/1/models/{other}/artifacts/x", b"", {MODEL}).kind is Kind.STREAM
        assert judge(method, f"{ARTIFACTS}/1/{RUN}/artifacts/95%25.png", b"", {MODEL}).kind is Kind.STREAM


@pytest.mark.parametrize("path", ["", "/1", "/1/models", "/workspaces/team", "/workspaces/team/1"])
def test_a_folder_that_holds_others_cannot_be_deleted(path):
    assert judge("DELETE", ARTIFACTS + path).kind in (Kind.PROTECTED, Kind.UNKNOWN)


def test_a_registered_logged_model_and_its_uploads_are_protected():
    assert judge("DELETE", f"/api/2.0/mlflow/logged-models/{MODEL}", b"", {MODEL}).kind is Kind.PROTECTED
    assert judge("DELETE", f"/api/2.0/mlflow/logged-models/{MODEL}").kind is Kind.FORWARD
    upload = "/ajax-api/2.0/mlflow/upload-artifact"
    assert judge("POST", upload, f"run_uuid={RUN}&path=a%2F{MODEL}%2Fx".encode(), {MODEL}).kind is Kind.PROTECTED
    assert judge("POST", upload, f"run_uuid={RUN}&path=x".encode(), {MODEL}).kind is Kind.FORWARD


def test_workspaces_are_answered_here():
    assert judge("GET", "/api/3.0/mlflow/workspaces").kind is Kind.WORKSPACES
    assert judge("DELETE", "/api/3.0/mlflow/workspaces/team-a").workspace == "team-a"


@given(st.text(max_size=60), st.sampled_from(["GET", "PUT", "DELETE", "POST", "PATCH"]))
def test_what_is_passed_on_is_exactly_what_was_judged(text, method):
    for path in (text, f"/{text}", f"{ARTIFACTS}/{text}", f"/api/2.0/mlflow/{text}"):
        verdict = judge(method, path)
        if verdict.kind in (Kind.FORWARD, Kind.STREAM):
            assert unquote(verdict.target.decode("ascii")) == path
            assert judge(method, unquote(quote(path))) == verdict
            assert "/../" not in path
            assert "//" not in path
