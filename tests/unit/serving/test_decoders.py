"""Whatever arrives, a decoder reads it or refuses it in a way that says where: nothing else ever comes out of one."""

from __future__ import annotations

import asyncio
import json
import math

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.serving.conftest import KEY, call, until

from arkwright.core.errors import ArkwrightError, Invalid
from arkwright.serving.bodies import unpack
from arkwright.serving.exchange import begin
from arkwright.serving.instances import decode_instances, decode_slices
from arkwright.serving.json_faults import find_fault
from arkwright.serving.protocols.mlflow import Invocations
from arkwright.serving.protocols.model_server import PredictSync
from arkwright.serving.protocols.open_inference import Infer
from arkwright.serving.protocols.tensors import from_bytes, from_json, to_bytes

ADAPTERS = {"/predict": PredictSync(), "/invocations": Invocations(), "/v2/models/churn/infer": Infer()}
texts = st.text(max_size=6)
cells = st.none() | st.booleans() | st.integers() | st.floats() | texts
documents = st.recursive(
    cells, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
# JSON as Python writes it: with NaN, Infinity and integers of any size.
json_bodies = documents.map(lambda document: json.dumps(document).encode())
near_bodies = st.builds(
    lambda rows: json.dumps({"instances": rows}).encode(),
    st.lists(st.dictionaries(st.sampled_from(["tenure", "contract", "x"]), documents, max_size=3), max_size=4),
)


def mangled(body: bytes, at: int, junk: bytes) -> bytes:
    place = at % (len(body) + 1)
    return body[:place] + junk + body[place + len(junk) // 2 :]


def outcome(read):
    """Return what was read and None, or None and the refusal; anything else is a failure of the test."""
    try:
        return read(), None
    except ArkwrightError as error:
        return None, error


broken_bodies = st.builds(mangled, json_bodies | near_bodies, st.integers(0, 1_000), st.binary(max_size=4))
bodies = st.one_of(st.binary(max_size=60), json_bodies, near_bodies, broken_bodies)


@given(bodies)
@settings(max_examples=300)
def test_instances_are_read_or_refused_with_a_place(body):
    rows, refusal = outcome(lambda: decode_instances(body, 100))
    if refusal is not None:
        assert 400 <= refusal.status < 500
        assert refusal.hint
        return
    assert rows == json.loads(body)["instances"]
    for row in rows:
        assert all(not isinstance(cell, float) or math.isfinite(cell) for cell in row.values())
    assert [row for some in decode_slices(body, 100, 2) for row in some] == rows


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=6), st.sampled_from([" ", ""])
)
def test_a_name_that_comes_twice_is_always_found(pairs, blank):
    members = ", ".join(f'"{name}"{blank}:{blank}{value}' for name, value in pairs)
    body = f'{{"instances": [{{{members}}}]}}'.encode()
    names = [name for name, _ in pairs]
    if len(set(names)) == len(names):
        assert decode_instances(body, 10) == [dict(pairs)]
        return
    with pytest.raises(Invalid) as caught:
        decode_instances(body, 10)
    place = caught.value.errors[0]["field"]
    assert names.count(place.removeprefix("instances[0].")) > 1
    with pytest.raises(Invalid, match="comes twice"):
        list(decode_slices(body, 10, 1))


BLANKS = b" " * 300_000


@pytest.mark.parametrize("blanks", [b"", BLANKS])
@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/predict", b'{"instances": [{"a": 1, "b": 2, "a": 3}]BLANKS}', "a"),
        ("/invocations", b'{"dataframe_records": [{"a": 1, "b": 2, "a": 3}]BLANKS}', "a"),
        ("/invocations", b'{"dataframe_records": [{"b": NaN, "a": 1, "a": 3}]BLANKS}', "a"),
        ("/invocations", b'{"dataframe_split": {"data": [[1]], "columns": ["a"], "columns": ["b"]}BLANKS}', "columns"),
        ("/invocations", b'{"inputs": {"a": [1], "a": [2]}BLANKS}', "a"),
        (
            "/v2/models/churn/infer",
            b'{"inputs": [{"name": "a", "name": "b", "datatype": "FP64", "shape": [1]}]BLANKS}',
            "name",
        ),
        ("/v2/models/churn/infer", b'{"inputs": [], "parameters": {"a": 1, "a": 2}BLANKS}', "a"),
    ],
)
def test_a_name_that_comes_twice_is_refused_however_long_the_body(path, body, field, blanks):
    request = begin({"path": path, "query_string": b"", "headers": []}, {}, 10)
    request.body = body.replace(b"BLANKS", blanks)
    with pytest.raises(Invalid, match="comes twice") as caught:
        ADAPTERS[path].parse(request)
    assert caught.value.errors[0]["field"].endswith(field)


@pytest.mark.parametrize("blanks", [b"", BLANKS])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"instances": [{"a": 1}], "inst\\u0061nces": [{"a": "\\":"}]BLANKS}', "instances"),
        (b'{"instances": [], "instances": [{"a": 2}]BLANKS}', "instances"),
        (b'{"instances": [{"a": 1, "a": 2 BLANKS}]}', "a"),
    ],
)
def test_a_list_that_comes_twice_is_refused_in_slices_as_it_is_whole(body, field, blanks):
    body = body.replace(b"BLANKS", blanks)
    for decode in (lambda: decode_instances(body, 10), lambda: list(decode_slices(body, 10, 1))):
        with pytest.raises(Invalid, match="comes twice") as caught:
            decode()
        assert caught.value.errors[0]["field"].endswith(field)


@given(st.text())
def test_a_text_that_looks_like_names_is_no_fault(text):
    body = msgspec.json.encode({"instances": [{"a": text + '":' + text, "b": '":":"'}]})
    assert decode_instances(body, 10)[0]["b"] == '":":"'


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"instances": [{"a": 1}, {"tenure": NaN}]}', "instances[1].tenure"),
        (b'{"instances": [{"tenure": -Infinity}]}', "instances[0].tenure"),
        (b'{"instances": [{"tenure": 1e999}]}', "instances[0].tenure"),
        (b'{"instances": [{"tenure": "\xff"}]}', "instances[0].tenure"),
        (b'{"instances": [{"\xff": 1}]}', "instances[0]"),
        (b'{"instances": [{"tenure": "\\ud800"}]}', "instances[0].tenure"),
    ],
)
def test_what_json_has_no_room_for_is_refused_with_its_place(body, field):
    for decode in (lambda: decode_instances(body, 10), lambda: list(decode_slices(body, 10, 1))):
        with pytest.raises(Invalid) as caught:
            decode()
        assert caught.value.errors[0]["field"] == field
        assert field in caught.value.detail


@given(bodies)
def test_finding_a_fault_never_fails(body):
    fault = find_fault(body)
    assert fault is None or (fault.field and fault.message)


@given(st.binary(max_size=40), st.sampled_from([b"gzip", b"deflate"]))
def test_unpacking_never_fails_in_another_way(body, encoding):
    try:
        content = unpack(body, encoding, 100)
    except Invalid:
        return
    assert content is None or len(content) <= 100


@given(
    st.sampled_from(["BYTES", "BOOL", "FP16", "FP32", "FP64", "INT8", "UINT64", "nonsense"]),
    st.lists(st.integers(-3, 5), max_size=3),
    st.binary(max_size=40),
    documents,
)
def test_tensors_are_read_or_refused(datatype, shape, content, document):
    for read in (lambda: from_bytes("x", datatype, shape, content), lambda: from_json("x", datatype, shape, document)):
        tensor, refusal = outcome(read)
        if refusal is None:
            assert len(tensor.cells) == math.prod(shape)
        else:
            assert refusal.errors[0]["field"] == "x"


@given(st.lists(st.floats(allow_nan=False), max_size=5), st.lists(st.text(max_size=5), max_size=5))
def test_tensors_come_back_as_they_went(numbers, words):
    assert from_bytes("x", "FP64", [len(numbers)], to_bytes("FP64", numbers)).cells == numbers
    valid = [word.encode("utf-8", "ignore").decode() for word in words]
    assert from_bytes("x", "BYTES", [len(valid)], to_bytes("BYTES", valid)).cells == valid
    assert from_bytes("x", "FP32", [1], np.array([np.nan], "<f4").tobytes()).cells == [None]


PATHS = [
    "/v1/inference/dep_1:predict",
    "/v1/inference/dep_1:explain",
    "/predict",
    "/invocations",
    "/v2/models/churn/infer",
]
TYPES = ["application/json", "text/csv", "application/vnd.apache.arrow.stream", "application/octet-stream"]
protocol_bodies = bodies | st.builds(
    lambda key, document: json.dumps({key: document}).encode(),
    st.sampled_from(["instances", "inputs", "dataframe_split", "dataframe_records", "outputs"]),
    documents
    | st.lists(st.fixed_dictionaries({"name": texts, "datatype": texts, "shape": st.lists(st.integers(-1, 3))})),
)


@given(st.sampled_from(PATHS), st.sampled_from(TYPES), protocol_bodies)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_body_makes_any_protocol_fail(fuzzed_plane, path, content_type, body):
    loop, plane = fuzzed_plane
    headers = {"authorization": f"Bearer {KEY}", "content-type": content_type}
    answer = loop.run_until_complete(call(plane, "POST", path, body, headers))
    assert answer.status == 200 or 400 <= answer.status < 500, (answer.status, answer.body)
    assert b"Traceback" not in answer.body


@pytest.fixture
def fuzzed_plane(platform):
    """A data plane on a loop that goes on from example to example."""
    platform.publish(1, platform.arm(platform.bundle(1.0)))
    with asyncio.Runner() as runner:
        plane = runner.run(started(platform))
        yield runner.get_loop(), plane
        runner.run(plane.stop())


async def started(platform):
    plane = platform.plane()
    await plane.start()
    await until(lambda: plane.holder.ready)
    return plane
