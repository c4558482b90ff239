"""The public port, before a real child process."""

from __future__ import annotations

import asyncio
import hashlib
import signal
import time

import httpx
import pytest
from tests.unit.front.conftest import edge_of
from tests.unit.serving.conftest import KEY, until

from arkwright.front.edge import _is_internal, _other_families

BEARER = {"Authorization": f"Bearer {KEY}"}
ROWS = {"instances": [{"tenure": 3, "contract": "month"}]}
PREDICT = "/v1/inference/dep_1:predict"


async def test_predictions_go_on_while_the_control_plane_is_busy_or_gone(platform, mortal_control_plane):
    async with edge_of(platform, headers=BEARER) as (client, _edge, plane):
        await until(lambda: plane.holder.ready)
        assert (await client.post(PREDICT, json=ROWS)).status_code == 200
        mortal_control_plane.send_signal(signal.SIGSTOP)
        waiting = asyncio.create_task(client.get("/v1/models"))
        for _ in range(20):
            assert (await client.post(PREDICT, json=ROWS)).status_code == 200
        assert not waiting.done()
        mortal_control_plane.send_signal(signal.SIGCONT)
        assert (await waiting).status_code == 200
        mortal_control_plane.send_signal(signal.SIGKILL)
        mortal_control_plane.wait()
        assert (await client.post(PREDICT, json=ROWS)).status_code == 200
        gone = await client.get("/v1/models")
        assert gone.status_code == 503
        assert gone.json()["code"] == "control_plane.away"
        assert int(gone.headers["retry-after"]) >= 1
        assert gone.headers["content-type"] == "application/problem+json"
        assert (await client.get("/health/live")).status_code == 200


async def test_a_request_reaches_the_control_plane_as_it_was_sent(platform, control_plane):
    body = b"0123456789" * 500_000
    headers = {
        "X-Kept": "1",
        "X-Forwarded-For": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
        "X-Arkwright-Internal": "guess",
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "X-Request-Id": "mine-1",
        "Authorization": "Bearer x",
    }
    async with edge_of(platform) as (client, _edge, _plane):
        answer = await client.put("/v1/up%2Floads/a%20b?q=%61&x=1", content=body, headers=headers)
    seen = answer.json()
    received = dict(seen["headers"])
    assert seen["target"] == "/v1/up%2Floads/a%20b?q=%61&x=1"
    assert (seen["size"], seen["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert received["x-kept"] == "1"
    assert received["authorization"] == "Bearer x"
    assert received["x-request-id"] == "mine-1"
    assert received["x-forwarded-for"] == "127.0.0.1"
    assert received["x-forwarded-proto"] == "http"
    assert received["x-forwarded-host"] == client.base_url.netloc.decode()
    assert {"x-arkwright-internal", "forwarded", "x-hop"}.isdisjoint(received)


async def test_a_body_of_unknown_length_is_streamed_through(platform, control_plane):
    async def pieces():
        for _ in range(50):
            yield b"x" * 10_000

    async with edge_of(platform) as (client, _edge, _plane):
        seen = (await client.post("/anything", content=pieces())).json()
    assert seen["size"] == 500_000


async def test_an_answer_is_streamed_back_as_it_comes(platform, control_plane):
    async with edge_of(platform) as (client, _edge, _plane), client.stream("GET", "/stream") as answer:
        moments = [time.monotonic() async for chunk in answer.aiter_raw()]
    assert len(moments) >= 3
    assert moments[-1] - moments[0] > 0.05


async def test_a_large_answer_comes_whole(platform, control_plane):
    async with edge_of(platform) as (client, _edge, _plane):
        assert len((await client.get("/bytes?n=20000000")).content) == 20_000_000


async def test_redirects_are_passed_back_and_not_followed(platform, control_plane):
    async with edge_of(platform) as (client, _edge, _plane):
        answer = await client.get("/moved?to=/ui")
    assert (answer.status_code, answer.headers["location"]) == (307, "/ui")
    assert "x-gone" not in answer.headers
    assert len(answer.headers.get_list("date")) == 1


async def test_a_client_that_leaves_ends_its_request_to_the_child(platform, control_plane):
    async with edge_of(platform) as (client, _edge, _plane):
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/wait?who=me", timeout=0.2)
        async with asyncio.timeout(5):
            while "me" not in (await client.get("/who")).json()["left"]:
                await asyncio.sleep(0.02)


async def test_an_answer_that_the_child_cannot_finish_is_broken_and_not_short(platform, mortal_control_plane):
    async with edge_of(platform) as (client, _edge, _plane):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/cut")


@pytest.mark.parametrize(
    "path",
    [
        "/internal/plan",
        "/internal",
        "//internal/plan",
        "/./internal/plan",
        "/v1/../internal/plan",
        "/%69nternal/plan",
        "/INTERNAL/plan",
        "/v1/%2e%2e/internal/plan",
    ],
)
async def test_what_the_processes_say_to_each_other_stays_inside(platform, control_plane, path):
    async with edge_of(platform) as (client, _edge, _plane):
        url = client.base_url.copy_with(raw_path=b"/")
        request = client.build_request("GET", url)
        request.extensions["target"] = path.encode()
        answer = await client.send(request)
    assert answer.status_code == 404
    assert answer.json()["code"] == "http.not_found"


def test_an_inner_path_is_recognised_in_any_spelling():
    for path in ("/internal", "/Internal/x", "/a/../internal/x", "\\internal\\x", "///internal//x"):
        assert _is_internal(path)
    for path in ("/", "/v1/internal", "/internals", "/v1/jobs"):
        assert not _is_internal(path)


async def test_health_tells_the_state_of_the_data_plane_and_of_each_process(platform, control_plane):
    async with edge_of(platform) as (client, _edge, plane):
        await until(lambda: plane.holder.ready)
        answer = await client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json()["processes"] == {"server": "ready", "worker": "starting"}
    assert answer.json()["serving"]["endpoints"] == 1


async def test_without_a_plan_the_platform_is_not_ready(platform):
    async with edge_of(platform) as (client, _edge, _plane):
        assert (await client.get("/health/ready")).status_code == 503


async def test_metrics_are_the_edges_own_and_the_control_planes(platform, mortal_control_plane):
    async with edge_of(platform, headers=BEARER) as (client, _edge, plane):
        await until(lambda: plane.holder.ready)
        await client.post(PREDICT, json=ROWS)
        text = (await client.get("/metrics")).text
        mortal_control_plane.kill()
        mortal_control_plane.wait()
        without = (await client.get("/metrics")).text
    assert "stand_in_total 3.0" in text
    assert text.count("# HELP arkwright_plan_generation") == 1
    assert "99.0" not in text
    assert "arkwright_inference_requests_total" in text
    assert 'arkwright_child_up{child="server"} 1.0' in text
    assert "stand_in_total" not in without
    assert "arkwright_inference_requests_total" in without


def test_a_metric_family_appears_once():
    known = b"# HELP a x\n# TYPE a gauge\na 1\n"
    assert _other_families(b"# HELP a x\na 2\n# HELP b x\nb 3\n", known) == b"# HELP b x\nb 3\n"


async def test_where_the_user_runs_mlflow_it_is_not_passed_through(platform):
    platform.settings.tracking_url = "http://mlflow.example"
    async with edge_of(platform) as (client, _edge, _plane):
        answer = await client.get("/mlflow/")
    assert answer.status_code == 404
    assert "ARKWRIGHT_TRACKING_URL" in answer.json()["hint"]


async def test_the_inference_paths_of_every_protocol_are_the_data_plane_s(platform, control_plane):
    tensors = [
        {"name": "tenure", "datatype": "FP64", "shape": [1], "data": [3]},
        {"name": "contract", "datatype": "BYTES", "shape": [1], "data": ["month"]},
    ]
    async with edge_of(platform, headers=BEARER) as (client, _edge, plane):
        await until(lambda: plane.holder.ready)
        for path, body in (
            ("/predict", {"inputs": ROWS["instances"]}),
            ("/invocations", {"dataframe_records": ROWS["instances"]}),
            ("/v2/models/churn/infer", {"inputs": tensors}),
            ("/reload", {}),
        ):
            assert (await client.post(path, json=body)).status_code == 200, path
        for path in ("/models", "/ping", "/version", "/v2", "/v2/health/ready", "/v2/models/churn", "/health"):
            answer = await client.get(path)
            assert answer.status_code == 200, path
            assert "target" not in answer.text, path
        assert "processes" in (await client.get("/health")).json()


async def test_batches_and_unknown_paths_are_the_control_plane_s(platform, control_plane):
    async with edge_of(platform, headers=BEARER) as (client, _edge, _plane):
        for path in ("/batch", "/predictions", "/v2x", "/v1/models"):
            assert (await client.post(path, json={})).json()["target"] == f"{path}?"
