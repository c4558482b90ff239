"""Arrow bodies that say more than their size tells, and what is loaded to read one."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from contextlib import asynccontextmanager

import pyarrow as pa
import pytest
from tests.unit.serving.conftest import KEY, call, until

from arkwright.serving.runtime import EndpointRuntime

PATH = "/v1/inference/dep_1:predict"
ARROW = "application/vnd.apache.arrow.stream"


@asynccontextmanager
async def served(platform):
    platform.publish(1, platform.arm(platform.bundle(1.0)))
    plane = platform.plane()
    await plane.start()
    await until(lambda: plane.holder.ready)
    try:
        yield plane
    finally:
        await plane.stop()


async def post(plane, body):
    return await call(plane, "POST", PATH, body, {"authorization": f"Bearer {KEY}", "content-type": ARROW})


def stream(batch, **options):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def table(contract, n_rows=1, **more):
    return pa.record_batch({"tenure": pa.array([1.0] * n_rows), "contract": contract, **more})


@pytest.fixture
def failures(monkeypatch):
    """Collect what is counted as a model's failure."""
    seen = []
    observe = EndpointRuntime.observe

    def noted(self, answered, latency_ms, n_rows, *, failed):
        seen.extend([answered] if failed else [])
        observe(self, answered, latency_ms, n_rows, failed=failed)

    monkeypatch.setattr(EndpointRuntime, "observe", noted)
    return seen


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
async def test_compressed_buffers_are_refused_before_they_unfold(platform, failures, codec):
    body = stream(table(pa.array(["x" * 50_000_000])), compression=codec)
    assert len(body) < 1_000_000
    async with served(platform) as plane:
        before = pa.total_allocated_bytes()
        answer = await post(plane, body)
        assert pa.total_allocated_bytes() - before < 1_000_000
    assert answer.status == 422
    assert "compressed" in answer.json["detail"]
    assert failures == []


async def test_a_compressed_dictionary_is_refused(platform):
    body = stream(table(pa.array(["x" * 1_000_000] * 2).dictionary_encode(), 2), compression="zstd")
    async with served(platform) as plane:
        assert "compressed" in (await post(plane, body)).json["detail"]


@pytest.mark.parametrize("kind", ["dictionary", "view", "identifier"])
async def test_one_long_text_that_every_row_refers_to_is_too_large(platform, failures, kind):
    n_rows = 1_000
    long = pa.array(["x" * 100_000]).dictionary_encode()
    many = pa.DictionaryArray.from_arrays(pa.array([0] * n_rows, pa.int32()), long.dictionary)
    if kind == "view":
        once = pa.array(["x" * 100_000], pa.string_view())
        view, content = once.buffers()[1:]
        views = pa.py_buffer(view.to_pybytes() * n_rows)
        many = pa.Array.from_buffers(pa.string_view(), n_rows, [None, views, content])
    short = pa.array(["month"] * n_rows)
    batch = table(short, n_rows, customer=many) if kind == "identifier" else table(many, n_rows)
    body = stream(batch)
    assert len(body) < 300_000
    async with served(platform) as plane:
        answer = await post(plane, body)
    assert answer.status == 413
    assert "unfolds" in answer.json["detail"]
    assert failures == []


async def test_dictionaries_views_slices_and_missing_cells_are_read_alike(platform):
    texts = ["month", None, "year", "month"]
    kinds = [pa.array(texts), pa.array(texts, pa.large_string()), pa.array(texts, pa.string_view())]
    kinds += [pa.array(texts).dictionary_encode(), pa.array(["a", "b", *texts]).slice(2)]
    tenures = [pa.array([9, 1, None, 3, 4], pa.int8()).slice(1), pa.array([1.0, None, 3.0, 4.0])]
    tenures += [pa.array([1, None, 3, 4]).dictionary_encode()]
    async with served(platform) as plane:
        answers = [
            await post(plane, stream(pa.record_batch({"tenure": tenure, "contract": contract})))
            for contract in kinds
            for tenure in tenures
        ]
    scores = [pa.ipc.open_stream(answer.body).read_all().column("score").to_pylist() for answer in answers]
    assert all(each == scores[0] for each in scores)
    assert len(set(scores[0])) == 4


async def test_no_more_columns_are_read_than_the_model_knows(platform):
    more = {f"column{index}": pa.array([1.0]) for index in range(5_000)}
    async with served(platform) as plane:
        answer = await post(plane, stream(table(pa.array(["month"]), **more)))
    assert answer.status == 422
    assert "column0 is not a column of this model" in answer.json["detail"]


def without_one_dictionary():
    texts = pa.array(["month"]).dictionary_encode()
    seen = []
    sink = pa.BufferOutputStream()
    for message in pa.ipc.MessageReader.open_stream(stream(table(texts, customer=texts))):
        seen.append(message.type)
        if seen != ["schema", "dictionary"]:
            message.serialize_to(sink)
    return sink.getvalue().to_pybytes()


MALFORMED = {
    "no dictionary": without_one_dictionary(),
    "a column's name that is not UTF-8": stream(table(pa.array(["month"]))).replace(b"tenure", b"\xff" * 6),
    "bad text": stream(table(pa.array([b"\xff"]).view(pa.string()))),
    "bad text in a view": stream(table(pa.array([b"\xff" * 20], pa.binary_view()).view(pa.string_view()))),
    "bad text in a dictionary": stream(
        table(pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([b"\xff"]).view(pa.string())))
    ),
    "an index beyond": stream(
        table(pa.DictionaryArray.from_arrays(pa.array([7]), pa.array(["month"]), safe=False)),
    ),
    "lists": stream(table(pa.array([["month"]]))),
    "runs": stream(table(pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), pa.array(["month"])))),
    "an object as identifier": stream(table(pa.array(["month"]), customer=pa.array([{"a": 1}]))),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_arrow_is_the_callers_fault_and_not_the_models(platform, failures, name):
    async with served(platform) as plane:
        answer = await post(plane, MALFORMED[name])
    assert answer.status == 422
    assert failures == []


def test_reading_and_answering_arrow_does_not_load_pandas(tmp_path):
    path = tmp_path / "body.arrows"
    contract = pa.array(["month", None]).dictionary_encode()
    path.write_bytes(stream(table(contract, 2, customer=pa.array(["a", "b"]), at=pa.array([1, None], pa.date32()))))
    script = """
        import sys
        from pathlib import Path
        from arkwright.contracts import Column, Signature
        from arkwright.serving.exchange import Scored, begin
        from arkwright.serving.protocols.arrow import ArrowPredict
        spec = (
            Column(name="tenure", kind="numeric"),
            Column(name="contract", kind="categorical"),
            Column(name="at", kind="time"),
        )
        signature = Signature(task="binary", target="y", columns=spec, classes=("a", "b"), identifiers=("customer",))
        request = begin({}, {}, 10)
        request.body = Path(sys.argv[1]).read_bytes()
        adapter = ArrowPredict()
        columns = adapter._read(request, signature)
        assert sorted(columns) == ["at", "contract", "customer", "tenure"]
        scored = [{"label": "a", "score": 0.5, "n": 1, "true": True, "all": {"a": 0.5}}, {"label": None, "score": 1}]
        reply = adapter.reply(request, Scored([], scored, "1.0.0", "stable", "", 1.0))
        import pyarrow as pa
        assert pa.ipc.open_stream(reply.body).read_all().to_pylist() == [
            scored[0], {"label": None, "score": 1.0, "n": None, "true": None, "all": {"a": None}}
        ]
        assert "pandas" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(path)], check=True)
