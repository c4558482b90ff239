"""Predictions over the wire."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest
from tests.unit.serving.conftest import KEY, call, credential, predict, until

from arkwright.kit.segments import read_segment
from arkwright.kit.telemetry import exposition

ROW = {"tenure": 3, "contract": "month", "customer": "7590-VHVEG"}


async def test_a_prediction_is_answered_in_the_documented_shape(serve):
    async with serve as plane:
        answer = await predict(plane, [ROW, {"tenure": None, "contract": None}], x_request_id="my-request.1")
    assert answer.status == 200
    assert answer.headers["x-request-id"] == "my-request.1"
    first, second = answer.json["predictions"]
    assert first["customer"] == "7590-VHVEG"
    assert first["label"] in ("Yes", "No")
    assert 0 <= first["score"] <= 1
    assert "customer" not in second
    assert answer.json["model_version"] == "1.0.0"
    assert answer.json["arm"] == "stable"
    assert answer.json["request_id"] == "my-request.1"
    assert answer.json["latency_ms"] > 0


async def test_every_row_is_logged(serve, platform):
    async with serve as plane:
        answer = await predict(plane, [ROW, ROW])
    (file,) = [path for path in platform.settings.home.glob("serving/log/*/dep_1/*") if path.is_file()]
    records = read_segment(file, "predictions").table.to_pylist()
    assert [record["row"] for record in records] == [0, 1]
    assert records[0]["request_id"] == answer.json["request_id"]
    assert records[0]["score"] == answer.json["predictions"][0]["score"]
    assert "7590" not in str(records[0]["features"])


async def test_a_large_request_is_answered_as_its_rows_one_by_one_would_be(serve):
    rows = [{"tenure": index, "contract": "month" if index % 2 else None} for index in range(3_000)]
    async with serve as plane:
        whole = await predict(plane, rows)
        assert len(msgspec.json.encode({"instances": rows})) > 32_768
        for index in (0, 99, 100, 2_999):
            alone = await predict(plane, [rows[index]])
            assert alone.json["predictions"][0] == whole.json["predictions"][index]
    assert len(whole.json["predictions"]) == 3_000


async def test_the_loop_goes_on_while_a_large_request_is_scored(serve):
    rows = [{"tenure": index, "contract": "month"} for index in range(10_000)]
    body = msgspec.json.encode({"instances": rows})
    async with serve as plane:
        large = asyncio.create_task(predict(plane, body))
        await asyncio.sleep(0)
        small = await predict(plane, [ROW])
        assert not large.done()
        assert small.status == 200
        assert (await large).status == 200


@pytest.mark.parametrize(
    ("instances", "field"),
    [
        ([{"contract": "month"}], "instances[0].tenure"),
        ([ROW, {**ROW, "tenure": "three"}], "instances[1].tenure"),
        ([{**ROW, "Tenure": 3}], "instances[0].Tenure"),
        ([{**ROW, "contract": [1]}], "instances[0].contract"),
        ([ROW] * 2_500 + [{"contract": "month"}], "instances[2500].tenure"),
    ],
)
async def test_a_wrong_field_is_named_with_its_row(serve, instances, field):
    async with serve as plane:
        answer = await predict(plane, instances)
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == "prediction.invalid"
    assert answer.json["errors"][0]["field"] == field
    assert field in answer.json["detail"]
    assert answer.json["hint"]
    assert answer.json["request_id"]


async def test_an_identifier_and_an_ignored_column_are_accepted(serve):
    async with serve as plane:
        assert (await predict(plane, [{**ROW, "note": [1, 2], "churn": "Yes"}])).status == 200


@pytest.mark.parametrize("header", ["", "Basic abc", "Bearer wrong", "Bearer " + "x" * 2_000])
async def test_without_a_known_key_there_is_no_answer(serve, header):
    async with serve as plane:
        answer = await predict(plane, [ROW], authorization=header)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json["hint"]


async def test_a_key_made_a_moment_ago_counts_at_once_and_a_revoked_one_soon_no_more(serve, platform):
    async with serve as plane:
        arm = platform.control.plan.endpoints["dep_1"].arms[0]
        platform.publish(2, arm, credentials=(credential("new"),))
        assert (await predict(plane, [ROW], authorization="Bearer new")).status == 200
        assert (await predict(plane, [ROW], authorization=f"Bearer {KEY}")).status == 401


async def test_callers_that_take_turns_are_told_apart(serve, platform):
    arm = platform.arm(platform.bundle(1.0))
    keys = (credential(KEY), credential("other", workspace_id="ws_other"))
    platform.publish(1, arm, credentials=keys)
    async with serve as plane:
        statuses = [(await predict(plane, [ROW], authorization=f"Bearer {key}")).status for key in (KEY, "other") * 3]
        platform.publish(2, arm, credentials=keys[1:])
        await plane.holder.refresh()
        after = await predict(plane, [ROW])
    assert statuses == [200, 404] * 3
    assert after.status == 401


async def test_an_expired_credential_is_refused(serve, platform):
    arm = platform.arm(platform.bundle(1.0))
    platform.publish(1, arm, credentials=(credential(KEY, expires_at=time.time() - 1),))
    async with serve as plane:
        answer = await predict(plane, [ROW])
    assert (answer.status, answer.json["code"]) == (401, "not_authenticated.expired")


async def test_another_workspaces_deployment_does_not_exist(serve, platform):
    arm = platform.arm(platform.bundle(1.0))
    platform.publish(1, arm, credentials=(credential(KEY, workspace_id="ws_other"),))
    async with serve as plane:
        answer = await predict(plane, [ROW])
        unknown = await predict(plane, [ROW], deployment_id="dep_9")
    assert answer.status == unknown.status == 404
    assert answer.json["code"] == unknown.json["code"] == "deployment.not_found"


async def test_a_deployment_made_a_moment_ago_answers_at_once(serve, platform):
    platform.publish(1)
    async with serve as plane:
        platform.publish(2, platform.arm(platform.bundle(1.0)))
        assert (await predict(plane, [ROW])).status == 200


async def test_a_deployment_whose_bundle_is_broken_is_unavailable_and_says_why(serve, platform):
    platform.publish(1, platform.arm("sha256:" + "0" * 64))
    async with serve as plane:
        answer = await predict(plane, [ROW])
    assert answer.status == 503
    assert answer.json["code"] == "deployment.unavailable"
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://localhost:8585", "host": "localhost:8585"}, 200),
        ({"sec-fetch-site": "cross-site", "origin": "http://localhost:8585", "host": "localhost:8585"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://evil.example", "host": "localhost:8585"}, 403),
        ({"origin": "null", "host": "localhost:8585"}, 403),
        ({}, 403),
    ],
)
async def test_a_session_cookie_counts_only_from_our_own_pages(serve, headers, status):
    body = msgspec.json.encode({"instances": [ROW]})
    async with serve as plane:
        answer = await call(
            plane, "POST", "/v1/inference/dep_1:predict", body, {"cookie": f"a=b; arkwright_session={KEY}", **headers}
        )
    assert answer.status == status


async def test_a_body_larger_than_the_limit_is_refused_before_it_is_read(serve, platform):
    platform.settings.predict_max_body_bytes = 100
    async with serve as plane:
        announced = await predict(plane, [ROW], content_length="101")
        body = [b'{"instances": [', b"x" * 80, b"x" * 80, b"never read"]
        sent = await call(plane, "POST", "/v1/inference/dep_1:predict", body, {"authorization": f"Bearer {KEY}"})
    assert announced.status == sent.status == 413
    assert "batch" in sent.json["hint"]


async def test_too_many_rows_are_refused(serve, platform):
    platform.settings.predict_max_rows = 2
    async with serve as plane:
        answer = await predict(plane, [ROW] * 3)
    assert (answer.status, answer.json["code"]) == (413, "prediction.too_many_rows")


async def test_a_form_is_not_json(serve):
    async with serve as plane:
        answer = await predict(plane, [ROW], content_type="application/x-www-form-urlencoded")
        charset = await predict(plane, [ROW], content_type="application/json; charset=utf-8")
    assert answer.status == 415
    assert "Content-Type: application/json" in answer.json["hint"]
    assert charset.status == 200


async def test_other_methods_and_paths_are_told_so(serve):
    async with serve as plane:
        assert (await call(plane, "GET", "/v1/inference/dep_1:predict")).status == 405
        assert (await call(plane, "POST", "/v1/inference/dep_1")).status == 404
        assert (await call(plane, "GET", "/elsewhere")).status == 404


async def test_an_odd_request_id_is_replaced(serve):
    async with serve as plane:
        answer = await predict(plane, [ROW], x_request_id="a b\tc")
    assert answer.headers["x-request-id"].startswith("req_")


async def test_a_client_that_leaves_half_way_gets_no_answer_and_frees_its_slot(serve):
    async with serve as plane:
        for _ in range(3):
            headers = {"authorization": f"Bearer {KEY}"}
            answer = await call(plane, "POST", "/v1/inference/dep_1:predict", [b"{", b"}"], headers, leave_after=1)
            assert answer.status == 0
        assert plane.core.slots.taken == 0


async def test_one_caller_cannot_take_every_slot_and_a_full_plane_says_when_to_come_back(serve, platform):
    platform.settings.predict_max_in_flight = 4
    keys = (credential(KEY), credential("second", actor_id="user_2"), credential("third", actor_id="user_3"))
    platform.publish(1, platform.arm(platform.bundle(1.0)), credentials=keys)
    async with serve as plane:
        slots = plane.core.slots
        for _ in range(3):
            slots.acquire("user_1")
        share = await predict(plane, [ROW])
        other = await predict(plane, [ROW], authorization="Bearer second")
        slots.acquire("user_3")
        full = await predict(plane, [ROW], authorization="Bearer second")
        for caller in ("user_1", "user_1", "user_1", "user_3"):
            slots.release(caller)
        after = await predict(plane, [ROW])
    assert (share.status, other.status, full.status, after.status) == (429, 200, 503, 200)
    assert share.headers["retry-after"] == full.headers["retry-after"] == "1"
    assert share.json["code"] == "too_many_requests"


async def test_a_canary_gets_its_share_and_a_request_id_always_the_same_arm(serve, platform):
    stable = platform.arm(platform.bundle(1.0), traffic_percent=80.0)
    canary = platform.arm(platform.bundle(2.0), "1.1.0", name="canary", traffic_percent=20.0)
    platform.publish(1, stable, canary)
    async with serve as plane:
        answers = [(await predict(plane, [ROW], x_request_id=f"r{index}")).json for index in range(400)]
        again = [(await predict(plane, [ROW], x_request_id=f"r{index}")).json["arm"] for index in range(20)]
    arms = [answer["arm"] for answer in answers]
    assert 50 < arms.count("canary") < 110
    assert again == arms[:20]
    assert {answer["model_version"] for answer in answers if answer["arm"] == "canary"} == {"1.1.0"}


async def test_health_tells_whether_a_plan_is_in_use(platform):
    platform.control.away = True
    plane = platform.plane()
    plane.holder._poll_seconds = 0.01
    await plane.start()
    await until(lambda: not plane.holder.reachable)
    before = await call(plane, "GET", "/health/ready")
    early = await predict(plane, [ROW])
    live = await call(plane, "GET", "/health/live")
    platform.control.away = False
    platform.publish(1, platform.arm(platform.bundle(1.0)))
    await until(lambda: plane.holder.ready)
    after = await call(plane, "GET", "/health/ready")
    await plane.stop()
    assert (before.status, live.status, after.status) == (503, 200, 200)
    assert (early.status, early.json["code"]) == (503, "plan.missing")
    assert after.json["serving"]["endpoints"] == 1


async def test_what_happens_is_counted(serve):
    async with serve as plane:
        await predict(plane, [ROW, ROW])
        await predict(plane, [{}])
        text = (await call(plane, "GET", "/metrics")).body.decode()
    assert 'arkwright_inference_requests_total{deployment="dep_1",status="200",version="1.0.0"}' in text
    assert 'arkwright_inference_requests_total{deployment="dep_1",status="422",version="1.0.0"}' in text
    assert 'arkwright_inference_latency_seconds_bucket{deployment="dep_1"' in text
    assert 'arkwright_model_version_loaded{arm="stable",deployment="dep_1",version="1.0.0"} 1.0' in text
    assert "arkwright_plan_generation 1.0" in text
    assert exposition()


async def test_the_lifespan_of_an_asgi_server_starts_and_stops_it(platform):
    platform.publish(1)
    plane = platform.plane()
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message["type"])

    await plane({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
