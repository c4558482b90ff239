"""MLflow behind the edge: the refusals before a stand-in, the rest with the real server and the stock client."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
import sys
import textwrap
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.front.conftest import edge_of, wait_for_socket
from tests.unit.serving.conftest import KEY, credential, until

from arkwright.core.context import DEFAULT_WORKSPACE_ID
from arkwright.front.children import child_specs

BEARER = {"Authorization": f"Bearer {KEY}"}
RUNS = "/mlflow/api/2.0/mlflow/runs/search"
MODEL = "m-" + "a" * 32


@pytest.fixture
def echo(platform, shared_stand_in):
    """A stand-in for MLflow's server that says what it was sent."""
    platform.publish(1, protected_model_ids=(MODEL,))
    platform.settings.socket_dir.mkdir(parents=True, exist_ok=True)
    platform.settings.mlflow_socket.symlink_to(shared_stand_in / "s.sock")


@asynccontextmanager
async def opened(platform, **options):
    async with edge_of(platform, from_socket=False, **options) as (client, _edge, plane):
        await until(lambda: plane.holder.ready)
        yield client, plane


async def test_the_server_sees_its_workspace_and_no_credential(platform, echo):
    async with opened(platform, headers=BEARER) as (client, _plane):
        sent = {
            "Cookie": "arkwright_session=x",
            "Origin": "http://evil.example",
            "Referer": "http://evil.example/x",
            "X-MLFLOW-WORKSPACE": "another",
            "X-Kept": "1",
        }
        answer = (await client.post(RUNS + "?a=b", json={"x": 1}, headers=sent)).json()
    headers = dict(answer["headers"])
    assert answer["target"] == "/api/2.0/mlflow/runs/search?a=b"
    assert headers["host"] == "localhost"
    assert headers["x-mlflow-workspace"] == "default"
    assert headers["x-kept"] == "1"
    assert {"authorization", "cookie", "origin", "referer"}.isdisjoint(headers)
    assert [key for key, _ in answer["headers"]].count("x-mlflow-workspace") == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "says"),
    [
        ("POST", "/api/2.0/mlflow/model-versions/transition-stage", 403, "PERMISSION_DENIED", "arkwright promote"),
        ("POST", "/api/2.0/mlflow/registered-models/alias", 403, "PERMISSION_DENIED", "arkwright promote"),
        ("PUT", f"/api/2.0/mlflow-artifacts/artifacts/1/models/{MODEL}/x", 403, "PERMISSION_DENIED", "registered"),
        ("GET", "/api/3.0/mlflow/gateway/secrets/list", 404, "ENDPOINT_NOT_FOUND", "not part"),
        ("POST", "/api/3.0/mlflow/workspaces", 403, "PERMISSION_DENIED", "managed by Arkwright"),
        ("GET", "/api/3.0/mlflow/workspaces/other", 404, "ENDPOINT_NOT_FOUND", "other"),
    ],
)
async def test_a_refusal_is_in_the_shape_the_client_reads(platform, echo, method, path, status, code, says):
    async with opened(platform, headers=BEARER) as (client, _plane):
        answer = await client.request(method, f"/mlflow{path}", json={})
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert says in answer.json()["message"]


async def test_without_a_credential_nothing_is_reached(platform, echo):
    async with opened(platform) as (client, _plane):
        api = await client.post(RUNS, json={})
        page = await client.get("/mlflow/", headers={"Accept": "text/html"})
    assert (api.status_code, api.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert (page.status_code, page.headers["content-type"]) == (401, "text/plain; charset=utf-8")
    assert "arkwright up" in page.text


async def test_a_session_cookie_reads_and_writes_only_from_our_own_pages(platform, echo):
    async with opened(platform, cookies={"arkwright_session": KEY}) as (client, _plane):
        read = await client.get("/mlflow/", headers={"Sec-Fetch-Site": "cross-site"})
        ours = await client.post(RUNS, json={}, headers={"Sec-Fetch-Site": "same-origin"})
        theirs = await client.post(RUNS, json={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert (read.status_code, ours.status_code, theirs.status_code) == (200, 200, 403)


async def test_the_workspaces_shown_are_the_callers_own(platform, echo):
    other = credential("other", workspace_id="ws_b")
    platform.publish(2, credentials=(credential(KEY), other), workspaces={DEFAULT_WORKSPACE_ID: "default"})
    async with opened(platform, headers=BEARER) as (client, _plane):
        listed = await client.get("/mlflow/api/3.0/mlflow/workspaces")
        one = await client.get("/mlflow/ajax-api/3.0/mlflow/workspaces/default")
        unmapped = await client.get("/mlflow/", headers={"Authorization": "Bearer other"})
    assert listed.json() == {"workspaces": [{"name": "default"}]}
    assert one.json() == {"workspace": {"name": "default"}}
    assert unmapped.status_code == 403


async def test_only_artifacts_may_be_large(platform, echo):
    async def pieces():
        for _ in range(20):
            yield b"x" * 1_000_000

    async with opened(platform, headers=BEARER) as (client, _plane):
        announced = await client.post(RUNS, content=b"x" * 17_000_000)
        chunked = await client.post(RUNS, content=pieces())
        packed = await client.post(RUNS, content=b"x", headers={"Content-Encoding": "gzip"})
        artifact = await client.put("/mlflow/api/2.0/mlflow-artifacts/artifacts/1/r/x", content=pieces())
    assert (announced.status_code, chunked.status_code, packed.status_code) == (413, 413, 413)
    assert artifact.status_code == 200
    assert artifact.json()["size"] == 20_000_000
    assert artifact.headers["content-security-policy"] == "sandbox"


async def test_the_front_page_is_found_and_redirects_stay_below_the_prefix(platform, echo):
    from arkwright.front.mlflow_proxy import _below_prefix

    async with opened(platform) as (client, _plane):
        answer = await client.get("/mlflow")
    assert (answer.status_code, answer.headers["location"]) == (307, "/mlflow/")
    assert _below_prefix(b"/x?y=1") == b"/mlflow/x?y=1"
    assert _below_prefix(b"http://localhost/x") == b"/mlflow/x"
    assert _below_prefix(b"https://elsewhere.example/x") == b"https://elsewhere.example/x"
    assert _below_prefix(b"relative") == b"relative"


async def test_while_mlflow_warms_up_the_client_is_told_to_come_back(platform):
    platform.publish(1)
    async with opened(platform, headers=BEARER) as (client, _plane):
        answer = await client.post(RUNS, json={})
    assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    assert answer.headers["retry-after"]


OURS, THEIRS, NOBODYS = "a" * 32, "b" * 32, "c" * 32
API = "/mlflow/api/2.0/mlflow"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("runs/log-metric", {"run_id": OURS, "key": "auc", "value": 1.0}),
        ("runs/log-batch", {"runId": OURS}),
        ("runs/update", {"run_uuid": OURS, "status": "FAILED"}),
        ("runs/delete", {"run_id": OURS}),
        ("runs/restore", {"run_id": OURS}),
        ("experiments/delete", {"experiment_id": "1"}),
        ("experiments/update", {"experimentId": "1", "new_name": "x"}),
        ("runs/set-tag", {"run_id": THEIRS, "key": "arkwright.trial_key", "value": "x"}),
        ("runs/create", {"experiment_id": "2", "tags": [{"key": "arkwright.kind", "value": "trial"}]}),
        ("runs/log-batch", {"run_id": THEIRS, "tags": [{"key": "arkwright.kind", "value": "trial"}]}),
        ("model-versions/set-tag", {"name": "m", "version": "1", "key": "arkwright.digest", "value": "x"}),
    ],
)
async def test_what_our_search_recorded_cannot_be_changed_through_mlflow(platform, echo, path, body):
    async with opened(platform, headers=BEARER) as (client, _plane):
        answer = await client.post(f"{API}/{path}", json=body)
        twice = await client.post(f"{API}/{path}", json=json.dumps(body))
    assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert twice.status_code == 403


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("runs/log-metric", {"run_id": THEIRS, "key": "arkwright.auc", "value": 1.0}),
        ("runs/update", {"run_id": NOBODYS}),
        ("runs/set-tag", {"run_id": OURS, "key": "mlflow.note.content", "value": "good"}),
        ("experiments/delete", {"experiment_id": "2"}),
        ("runs/search", {"experiment_ids": ["1"]}),
    ],
)
async def test_everything_else_passes_with_its_body(platform, echo, path, body):
    sent = json.dumps(body).encode()
    async with opened(platform, headers=BEARER) as (client, _plane):
        answer = await client.post(f"{API}/{path}", content=sent)
    assert answer.json()["sha256"] == hashlib.sha256(sent).hexdigest()


async def test_a_file_of_our_run_is_not_overwritten(platform, echo):
    artifacts = "/mlflow/api/2.0/mlflow-artifacts/artifacts/workspaces/default/1"
    async with opened(platform, headers=BEARER) as (client, _plane):
        refused = await client.put(f"{artifacts}/{OURS}/artifacts/model.txt", content=b"x")
        upload = await client.post(f"{API}/upload-artifact?run_uuid={OURS}&path=x", content=b"x")
        kept = await client.put(f"{artifacts}/{THEIRS}/artifacts/model.txt", content=b"x")
    assert (refused.status_code, upload.status_code, kept.status_code) == (403, 403, 200)


CLIENT = """
    import os, pathlib, sys
    import mlflow, numpy
    from mlflow import MlflowClient
    from mlflow.exceptions import RestException
    from sklearn.linear_model import LogisticRegression

    artifact = pathlib.Path(sys.argv[1]) / "large.bin"
    artifact.write_bytes(os.urandom(1 << 20) * 20)
    mlflow.set_experiment("from the stock client")
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 3)
        mlflow.log_metrics({"auc": 0.8, "loss": 0.2}, step=1)
        mlflow.log_artifact(str(artifact))
    client = MlflowClient()
    assert client.get_run(run.info.run_id).data.metrics["auc"] == 0.8
    back = client.download_artifacts(run.info.run_id, "large.bin", sys.argv[1] + "/back" * 0)
    assert pathlib.Path(back).stat().st_size == 20 << 20

    mlflow.sklearn.autolog(log_models=True)
    X = numpy.random.default_rng(0).normal(size=(100, 3))
    with mlflow.start_run() as fitted:
        LogisticRegression().fit(X, X[:, 0] > 0)
    runs = mlflow.search_runs(output_format="list")
    assert "training_score" in client.get_run(fitted.info.run_id).data.metrics
    (logged,) = mlflow.search_logged_models(output_format="list")
    assert logged.status == "READY"
    version = mlflow.register_model(f"models:/{logged.model_id}", "churn")
    assert mlflow.sklearn.load_model("models:/churn/1").predict(X).shape == (100,)

    for refused in (
        lambda: client.set_registered_model_alias("churn", "champion", version.version),
        lambda: client.transition_model_version_stage("churn", version.version, "Production"),
        lambda: client.delete_registered_model("churn"),
        lambda: client.delete_model_version("churn", version.version),
        lambda: client.rename_registered_model("churn", "other"),
    ):
        try:
            refused()
        except RestException as error:
            assert error.error_code == "PERMISSION_DENIED" and "arkwright promote" in str(error), error
        else:
            raise AssertionError("not refused")
    assert [item.name for item in mlflow.list_workspaces()] == ["default"]
    print("model", logged.model_id, "experiment", logged.experiment_id)
"""


@pytest.mark.platform
@pytest.mark.slow
async def test_the_stock_client_logs_a_run_a_large_artifact_and_an_autologged_fit(platform, tmp_path: Path):
    platform.publish(1)
    spec = next(spec for spec in child_specs(platform.settings) if spec.name == "mlflow")
    platform.settings.socket_dir.mkdir(parents=True, exist_ok=True)
    child = subprocess.Popen(spec.command, env=dict(spec.environment), cwd=tmp_path)
    try:
        await asyncio.to_thread(wait_for_socket, platform.settings.mlflow_socket, "/health", 60.0)
        async with opened(platform, headers=BEARER) as (client, plane):
            environment = {
                **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
                "MLFLOW_TRACKING_URI": f"{client.base_url}/mlflow".replace("//mlflow", "/mlflow"),
                "MLFLOW_TRACKING_TOKEN": KEY,
                "MLFLOW_DISABLE_TELEMETRY": "true",
            }
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                textwrap.dedent(CLIENT),
                str(tmp_path),
                env=environment,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            said, _ = await process.communicate()
            assert process.returncode == 0, said.decode()
            words = said.decode().split()
            model_id, experiment_id = words[-3], words[-1]

            # Once it is registered with us, the model's files are out of reach for good.
            platform.publish(2, protected_model_ids=(model_id,))
            await until(lambda: model_id in plane.holder.state.protected_model_ids)
            folder = f"/mlflow/api/2.0/mlflow-artifacts/artifacts/{experiment_id}/models/{model_id}/artifacts"
            for path in (f"{folder}/model.pkl", folder.replace("models/m-", "models/m%2D") + "/model.pkl"):
                assert (await client.put(path, content=b"evil")).status_code == 403
                assert (await client.delete(path)).status_code == 403
            info = (await client.get("/mlflow/api/3.0/mlflow/server-info")).json()
            assert info["workspaces_enabled"] is True
            assert not info["presigned_upload_model_id_supported"]
            page = await client.get("/mlflow/")
            assert page.status_code == 200
            assert b"<html" in page.content.lower()
    finally:
        child.terminate()
        child.wait(20)
