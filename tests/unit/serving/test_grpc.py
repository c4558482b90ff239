"""The gRPC service as bytes and statuses; the stock client is in test_stock_clients."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest
from tests.unit.serving.conftest import KEY, predict, until

from arkwright.core.errors import Conflict
from arkwright.serving.core import InferenceCore
from arkwright.serving.grpc.messages import SERVICE, messages
from arkwright.serving.grpc.server import GrpcServer

BEARER = (("authorization", f"Bearer {KEY}"),)


@asynccontextmanager
async def served(platform):
    """Run a data plane's gRPC service; give the plane and a way to call it."""
    if platform.control.plan is None:
        platform.publish(1, platform.arm(platform.bundle(1.0)))
    plane = platform.plane()
    await plane.start()
    await until(lambda: plane.holder.ready)
    server = GrpcServer(plane.core, "127.0.0.1:0", platform.settings.predict_max_body_bytes)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:

        async def call(method, content, metadata=BEARER):
            return await channel.unary_unary(f"/{SERVICE}/{method}")(content, metadata=metadata)

        yield plane, call
    await server.stop()
    await plane.stop()


def infer_request(**changes):
    request = messages().ModelInferRequest(model_name="churn", **changes)
    request.inputs.add(name="tenure", datatype="INT64", shape=[2]).contents.int64_contents.extend([3, 20])
    request.inputs.add(name="contract", datatype="BYTES", shape=[2, 1]).contents.bytes_contents.extend([b"month", b"x"])
    return request


async def test_typed_contents_are_answered_with_raw_ones(platform):
    async with served(platform) as (plane, call):
        answer = messages().ModelInferResponse.FromString(
            await call("ModelInfer", infer_request(id="r-1").SerializeToString())
        )
        rows = [{"tenure": 3, "contract": "month"}, {"tenure": 20, "contract": "x"}]
        expected = (await predict(plane, rows)).json["predictions"]
    assert (answer.model_name, answer.model_version, answer.id) == ("churn", "1.0.0", "r-1")
    assert [(output.name, output.datatype, list(output.shape)) for output in answer.outputs] == [
        ("label", "BYTES", [2]),
        ("score", "FP64", [2]),
    ]
    assert memoryview(answer.raw_output_contents[1]).cast("d").tolist() == [each["score"] for each in expected]


async def test_a_large_message_is_answered_too(platform):
    request = messages().ModelInferRequest(model_name="churn")
    request.inputs.add(name="tenure", datatype="FP64", shape=[5_000]).contents.fp64_contents.extend(range(5_000))
    contract = request.inputs.add(name="contract", datatype="BYTES", shape=[5_000])
    contract.contents.bytes_contents.extend([b"month"] * 5_000)
    request.outputs.add(name="score")
    async with served(platform) as (_plane, call):
        answer = messages().ModelInferResponse.FromString(await call("ModelInfer", request.SerializeToString()))
    assert [output.name for output in answer.outputs] == ["score"]
    assert len(answer.raw_output_contents[0]) == 40_000


def changed(change):
    request = infer_request()
    change(request)
    return request.SerializeToString()


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        (b"\xff\xff\xff", "INVALID_ARGUMENT", "ModelInferRequest"),
        (b"", "INVALID_ARGUMENT", "model_name"),
        (changed(lambda it: it.raw_input_contents.append(b"1")), "INVALID_ARGUMENT", "raw_input_contents"),
        (changed(lambda it: it.outputs.add(name="nothing")), "INVALID_ARGUMENT", "outputs.nothing"),
        (changed(lambda it: setattr(it.inputs[0], "datatype", "FP16")), "INVALID_ARGUMENT", "inputs[0].datatype"),
        (changed(lambda it: it.inputs[0].shape.append(7)), "INVALID_ARGUMENT", "shape"),
        (changed(lambda it: it.inputs[1].contents.bytes_contents.append(b"\xff")), "INVALID_ARGUMENT", "UTF-8"),
        (changed(lambda it: setattr(it, "model_version", "9")), "NOT_FOUND", "1.0.0"),
        (changed(lambda it: setattr(it, "model_name", "other")), "NOT_FOUND", "other"),
    ],
)
async def test_what_is_wrong_is_said_with_its_status(platform, content, code, says):
    async with served(platform) as (_plane, call):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call("ModelInfer", content)
    assert caught.value.code().name == code
    assert says in caught.value.details()


async def test_an_overloaded_data_plane_says_when_to_come_back(platform):
    platform.settings.predict_max_in_flight = 1
    async with served(platform) as (plane, call):
        plane.core.slots.acquire("somebody")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call("ModelInfer", infer_request().SerializeToString())
        plane.core.slots.release("somebody")
    assert caught.value.code().name == "UNAVAILABLE"
    assert dict(caught.value.trailing_metadata())["retry-after"] == "1"


async def test_a_message_over_the_limit_is_refused(platform):
    platform.settings.predict_max_body_bytes = 1_000
    async with served(platform) as (_plane, call):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call("ModelInfer", bytes(2_000))
    assert caught.value.code().name == "RESOURCE_EXHAUSTED"


async def test_the_server_tells_about_itself_without_a_key_and_about_models_with_one(platform):
    async with served(platform) as (_plane, call):
        kinds = messages()
        metadata = kinds.ServerMetadataResponse.FromString(await call("ServerMetadata", b"", ()))
        ready = kinds.ModelReadyResponse.FromString(
            await call("ModelReady", kinds.ModelReadyRequest(name="dep_1").SerializeToString())
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call("ModelMetadata", kinds.ModelMetadataRequest(name="churn").SerializeToString(), ())
    assert (metadata.name, ready.ready) == ("arkwright", True)
    assert caught.value.code().name == "UNAUTHENTICATED"


async def test_a_port_that_is_taken_is_said_so(platform):
    plane = platform.plane()
    first = GrpcServer(plane.core, "127.0.0.1:0", 1_000)
    await first.start()
    try:
        with pytest.raises(Conflict, match="cannot be used"):
            await GrpcServer(plane.core, f"127.0.0.1:{first.port}", 1_000).start()
    finally:
        await first.stop()
        plane.core.close()


@asynccontextmanager
async def unsent(platform, n_slots=256):
    """Run the service; give the plane and a way to begin a call on a connection of its own and send no message."""
    platform.settings.predict_max_in_flight = n_slots
    platform.publish(1, platform.arm(platform.bundle(1.0)))
    plane = platform.plane()
    await plane.start()
    await until(lambda: plane.holder.ready)
    server = GrpcServer(plane.core, "127.0.0.1:0", platform.settings.predict_max_body_bytes)
    await server.start()
    async with AsyncExitStack() as stack:

        async def begin(metadata=BEARER):
            options = [("grpc.use_local_subchannel_pool", 1)]
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options)
            await stack.enter_async_context(channel)
            return channel.stream_unary(f"/{SERVICE}/ModelInfer")(metadata=metadata, timeout=10)

        yield plane, begin
    await server.stop()
    await plane.stop()


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer ak_unknown"),)])
async def test_a_stranger_is_refused_before_a_message_is_read(platform, metadata):
    async with unsent(platform) as (_plane, begin):
        code = await (await begin(metadata)).code()
    assert code.name == "UNAUTHENTICATED"


async def test_no_more_calls_are_read_at_once_than_may_be_in_flight(platform):
    seen = []
    async with unsent(platform, 1) as (plane, begin):
        refuse_unread = plane.core.refuse_unread

        async def noted(*args):
            seen.append(args)
            return await refuse_unread(*args)

        plane.core.refuse_unread = noted
        held = [await begin() for _ in range(9)]
        await until(lambda: len(seen) == 9)
        assert (await (await begin()).code()).name == "RESOURCE_EXHAUSTED"
        for each in held:
            each.cancel()


async def test_a_small_message_of_many_rows_goes_to_the_scoring_thread(platform, monkeypatch):
    seen = []
    answer = InferenceCore._answer_large

    async def noted(self, request, adapter, **how):
        seen.append(request.size_bytes)
        return await answer(self, request, adapter, **how)

    monkeypatch.setattr(InferenceCore, "_answer_large", noted)
    request = messages().ModelInferRequest(model_name="churn")
    request.inputs.add(name="tenure", datatype="INT64", shape=[300]).contents.int64_contents.extend([3] * 300)
    request.inputs.add(name="contract", datatype="BYTES", shape=[300]).contents.bytes_contents.extend([b"x"] * 300)
    content = request.SerializeToString()
    async with served(platform) as (_plane, call):
        await call("ModelInfer", infer_request().SerializeToString())
        await call("ModelInfer", content)
    assert seen == [len(content)]
