"""The life of a request, seen through the platform's own protocol."""

from __future__ import annotations

import logging

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.unit.serving.conftest import KEY, call, predict, until

from arkwright.contracts import Fallback, Limits
from arkwright.core.errors import Unavailable
from arkwright.serving.bodies import BodyReader
from arkwright.serving.core import InferenceCore
from arkwright.serving.protocols.v1 import Predict
from arkwright.serving.runtime import EndpointRuntime

ROW = {"tenure": 3, "contract": "month", "customer": "c1"}


def publish(platform, *arms, **changes):
    """Publish ``dep_1`` with changes to its endpoint."""
    plan = platform.publish(1, *(arms or (platform.arm(platform.bundle(1.0)),)))
    endpoint = msgspec.structs.replace(plan.endpoints["dep_1"], **changes)
    platform.control.plan = msgspec.structs.replace(plan, endpoints={"dep_1": endpoint})


class Serving:
    def __init__(self, platform):
        self.plane = platform.plane()

    async def __aenter__(self):
        await self.plane.start()
        await until(lambda: self.plane.holder.ready)
        return self.plane

    async def __aexit__(self, *_error):
        await self.plane.stop()


def broken(plane):
    """Let the model of the first arm fail from now on."""

    def fail(_rows, **_how):
        raise RuntimeError("the booster is gone")

    model = plane.holder.state.endpoints["dep_1"].arms[0].model
    model.predict_rows = model.answer_row = fail


async def test_a_rate_limit_refuses_with_the_time_to_come_back(platform):
    publish(platform, limits=Limits(requests_per_second=0.5, burst=2))
    async with Serving(platform) as plane:
        answers = [await predict(plane, [ROW]) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].json["code"] == "inference.rate_limited"
    assert int(answers[2].headers["retry-after"]) >= 1


async def test_an_encoder_that_fails_is_a_failure_of_the_model(platform, monkeypatch):
    publish(platform, fallback=Fallback(constant={"label": "No", "score": 0.1}))
    async with Serving(platform) as plane:
        model = plane.holder.state.endpoints["dep_1"].arms[0].model

        def fail(*_given, **_how):
            raise ZeroDivisionError

        model.read_row = model.predict_rows = fail
        answer = await predict(plane, [ROW])
    assert (answer.status, answer.json["arm"], answer.json["fallback"]) == (200, "fallback", "constant")


async def test_a_deployment_may_admit_fewer_rows_than_the_data_plane(platform):
    publish(platform, limits=Limits(max_rows=2))
    async with Serving(platform) as plane:
        assert (await predict(plane, [ROW] * 2)).status == 200
        assert (await predict(plane, [ROW] * 3)).status == 413


@pytest.mark.parametrize("unit", ["header:x-user", "customer"])
async def test_a_unit_stays_with_its_arm_in_small_and_large_requests(platform, unit):
    stable = platform.arm(platform.bundle(1.0), traffic_percent=50.0)
    canary = platform.arm(platform.bundle(2.0), "1.1.0", name="canary", traffic_percent=50.0)
    publish(platform, stable, canary, unit=unit)
    seen = {}
    async with Serving(platform) as plane:
        for user in [f"u{index}" for index in range(20)] * 3:
            rows = [{**ROW, "customer": user}] * (1_200 if user == "u1" else 1)
            arm = (await predict(plane, rows, x_user=user)).json["arm"]
            assert seen.setdefault(user, arm) == arm
    assert set(seen.values()) == {"stable", "canary"}


async def test_an_identical_payload_is_answered_from_memory_while_it_is_fresh(platform):
    publish(platform, cache_seconds=60.0)
    async with Serving(platform) as plane:
        first = await predict(plane, [ROW])
        broken(plane)
        again = await predict(plane, [ROW])
        other = await predict(plane, [{**ROW, "tenure": 4}])
    assert again.json["predictions"] == first.json["predictions"]
    assert again.json["request_id"] != first.json["request_id"]
    assert other.status == 500


async def test_a_model_that_fails_is_an_error_of_ours_without_its_insides(platform):
    publish(platform)
    async with Serving(platform) as plane:
        broken(plane)
        answers = [await predict(plane, [ROW]), await predict(plane, [ROW] * 1_200)]
        text = (await call(plane, "GET", "/metrics")).body.decode()
    for answer in answers:
        assert answer.status == 500
        assert "booster" not in answer.body.decode()
        assert answer.json["request_id"]
    assert 'arkwright_inference_requests_total{deployment="dep_1",status="500",version="1.0.0"}' in text


async def test_a_fallback_answers_for_a_model_that_fails_and_says_so(platform):
    publish(platform, fallback=Fallback(constant={"label": "No", "score": 0.0}))
    async with Serving(platform) as plane:
        broken(plane)
        small, large = await predict(plane, [ROW]), await predict(plane, [ROW] * 1_200)
        mlflow = await call(
            plane,
            "POST",
            "/invocations",
            msgspec.json.encode({"instances": [ROW]}),
            {"authorization": f"Bearer {KEY}", "content-type": "application/json"},
        )
    for answer, n_rows in ((small, 1), (large, 1_200)):
        assert (answer.status, answer.json["fallback"], answer.json["arm"]) == (200, "constant", "fallback")
        assert len(answer.json["predictions"]) == n_rows
    assert mlflow.headers["x-arkwright-fallback"] == "constant"


async def test_no_more_large_requests_wait_than_there_is_room_for(platform):
    publish(platform)
    async with Serving(platform) as plane:
        plane.core._large = 16
        refused = await predict(plane, [ROW] * 1_200)
        small = await predict(plane, [ROW])
        plane.core._large = 0
    assert (refused.status, refused.json["code"], small.status) == (503, "inference.overloaded", 200)
    assert refused.headers["retry-after"] == "2"


async def test_without_a_plan_a_prediction_is_told_to_come_back(platform):
    platform.control.away = True
    plane = platform.plane()
    await plane.start()
    answer = await predict(plane, [ROW])
    ready = await call(plane, "GET", "/health/ready")
    ping = await call(plane, "GET", "/ping")
    await plane.stop()
    assert (answer.status, answer.json["code"]) == (503, "plan.missing")
    assert (ready.status, ping.status) == (503, 503)


async def test_at_debug_level_each_request_leaves_a_line_with_its_trace(platform, monkeypatch):
    publish(platform)
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    logging.getLogger().manager._clear_cache()
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with Serving(platform) as plane:
        with capture_logs() as lines:
            await predict(plane, [ROW], x_request_id="r1", traceparent=trace)
            await predict(plane, [{}], x_request_id="r2")
    noted = {line["request_id"]: line for line in lines if line["event"] == "prediction request"}
    assert noted["r1"]["traceparent"] == trace
    assert (noted["r1"]["status"], noted["r1"]["version"], noted["r2"]["status"]) == (200, "1.0.0", 422)
    assert noted["r1"]["latency_ms"] > 0


async def test_signals_count_what_is_in_flight_and_what_waits(platform):
    publish(platform)
    async with Serving(platform) as plane:
        core: InferenceCore = plane.core
        core.slots.acquire("a")
        core._large = 1
        assert core.signals() == (1, 1)
        core._large = 0
        core.slots.release("a")
        with pytest.raises(Unavailable):
            for _ in range(10_000):
                core.slots.acquire(str(_))


@pytest.fixture
def observed(monkeypatch):
    """Collect what is counted of each request: how long it took, and whether its arm failed."""
    seen = []
    observe = EndpointRuntime.observe

    def noted(self, answered, latency_ms, n_rows, *, failed):
        seen.append((latency_ms, failed))
        observe(self, answered, latency_ms, n_rows, failed=failed)

    observe_row = EndpointRuntime.observe_row

    def noted_row(self, state, second, elapsed, seen_ms, prediction):
        seen.append((seen_ms, False))
        observe_row(self, state, second, elapsed, seen_ms, prediction)

    monkeypatch.setattr(EndpointRuntime, "observe", noted)
    monkeypatch.setattr(EndpointRuntime, "observe_row", noted_row)
    return seen


@pytest.mark.parametrize("n_rows", [1, 1_200])
async def test_the_upload_of_a_body_is_not_counted_as_its_arm_s_time(platform, monkeypatch, observed, n_rows):
    read = BodyReader.read

    async def slowly(self, request, receive):
        request.started -= 25.0
        return await read(self, request, receive)

    monkeypatch.setattr(BodyReader, "read", slowly)
    publish(platform)
    async with Serving(platform) as plane:
        answer = await predict(plane, [ROW] * n_rows)
        broken(plane)
        failed = await predict(plane, [ROW] * n_rows)
    assert answer.json["latency_ms"] >= 25_000
    assert failed.status == 500
    assert [was for _latency, was in observed] == [False, True]
    assert all(0 <= latency < 20_000 for latency, _was in observed)


async def test_a_body_that_cannot_be_decoded_is_no_failure_of_the_model(platform, monkeypatch, observed):
    slices = Predict.slices

    def breaking(self, request, live):
        yield next(slices(self, request, live))
        raise RuntimeError("the decoder is broken")

    monkeypatch.setattr(Predict, "slices", breaking)
    publish(platform)
    async with Serving(platform) as plane:
        answer = await predict(plane, [ROW] * 1_200)
    assert (answer.status, observed) == (500, [])


@pytest.fixture
def large(monkeypatch):
    """Collect the protocols whose requests were answered in the scoring thread."""
    seen = []
    answer = InferenceCore._answer_large

    async def noted(self, request, adapter, **how):
        seen.append(adapter.name)
        return await answer(self, request, adapter, **how)

    monkeypatch.setattr(InferenceCore, "_answer_large", noted)
    return seen


def small_bodies(n_rows):
    """Return a body of each protocol with so many rows, well below the size of a large one."""
    cells = [[1, "a"]] * n_rows
    tensors = [
        {"name": "tenure", "datatype": "INT8", "shape": [n_rows], "data": [1] * n_rows},
        {"name": "contract", "datatype": "BYTES", "shape": [n_rows, 1], "data": ["a"] * n_rows},
    ]
    rows = [{"tenure": 1, "contract": "a"}] * n_rows
    return {
        "v1": ("/v1/inference/dep_1:predict", {"instances": rows}),
        "model_server": ("/predict", {"inputs": rows}),
        "mlflow": ("/invocations", {"dataframe_split": {"columns": ["tenure", "contract"], "data": cells}}),
        "mlflow lists": ("/invocations", {"inputs": cells}),
        "mlflow columns": ("/invocations", {"inputs": {"tenure": [1] * n_rows, "contract": ["a"] * n_rows}}),
        "mlflow csv": ("/invocations", b"tenure,contract\n" + b"1,a\n" * n_rows),
        "open_inference": ("/v2/models/churn/infer", {"inputs": tensors}),
    }


@pytest.mark.parametrize("name", small_bodies(1))
async def test_a_small_body_of_many_rows_does_not_hold_the_event_loop(platform, large, name):
    publish(platform)
    async with Serving(platform) as plane:
        for n_rows in (100, 300):
            path, document = small_bodies(n_rows)[name]
            body = document if isinstance(document, bytes) else msgspec.json.encode(document)
            assert len(body) < 32_768
            media_type = "text/csv" if isinstance(document, bytes) else "application/json"
            answer = await call(
                plane, "POST", path, body, {"authorization": f"Bearer {KEY}", "content-type": media_type}
            )
            assert answer.status == 200, answer.body
            assert len(large) == (n_rows > 200)
