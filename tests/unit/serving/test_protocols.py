"""Every protocol gives the answers of ``:predict``, and says in its own words what is wrong."""

from __future__ import annotations

import base64
import gzip
import struct
import zlib

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from tests.unit.serving.conftest import KEY, call, credential, predict, until

ROW = {"tenure": 3, "contract": "month", "customer": "7590-VHVEG"}
ROWS = [ROW, {"tenure": None, "contract": None}]
BEARER = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


def two_deployments(platform):
    """Publish a plan with the deployments ``churn`` and ``second``."""
    plan = platform.publish(1, platform.arm(platform.bundle(1.0)))
    first = plan.endpoints["dep_1"]
    second = msgspec.structs.replace(first, deployment_id="dep_2", name="second")
    platform.control.plan = msgspec.structs.replace(plan, endpoints={"dep_1": first, "dep_2": second})


async def post(plane, path, document, **headers):
    body = document if isinstance(document, bytes) else msgspec.json.encode(document)
    given = {**BEARER, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await call(plane, "POST", path, body, given)


@pytest.mark.parametrize("key", ["instances", "inputs"])
async def test_predict_answers_instances_and_inputs(serve, key):
    async with serve as plane:
        expected = await predict(plane, ROWS)
        answer = await post(plane, "/predict", {key: ROWS})
    assert answer.status == 200
    assert answer.json["predictions"] == expected.json["predictions"]
    assert answer.json["model_version"] == "1.0.0"


async def test_predict_finds_the_deployment_in_the_address_a_header_or_the_body(serve, platform):
    two_deployments(platform)
    async with serve as plane:
        for path, document, headers in (
            ("/predict?deployment=second", {"instances": ROWS}, {}),
            ("/predict", {"instances": ROWS}, {"x_arkwright_deployment": "dep_2"}),
            ("/predict", {"instances": ROWS, "deployment": "second"}, {}),
            ("/predict", {"inputs": ROWS, "model": "second"}, {}),
        ):
            assert (await post(plane, path, document, **headers)).status == 200, path
        unnamed = await post(plane, "/predict", {"instances": ROWS})
        unknown = await post(plane, "/predict?deployment=third", {"instances": ROWS})
    assert (unnamed.status, unnamed.json["code"]) == (400, "deployment.unnamed")
    assert "churn, second" in unnamed.json["detail"]
    assert unknown.status == 404


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({}, "prediction.malformed"),
        ({"instances": ROWS, "inputs": ROWS}, "prediction.malformed"),
        ({"instances": []}, "prediction.empty"),
        ({"instances": ROWS, "rows": 1}, "prediction.malformed"),
        (b'{"instances": [{"tenure": 1, "contract": "a", "tenure": 2}]}', "json.duplicate_name"),
    ],
)
async def test_predict_refuses_other_bodies(serve, document, code):
    async with serve as plane:
        answer = await post(plane, "/predict", document)
    assert (answer.status, answer.json["code"]) == (422, code)


async def test_models_lists_the_caller_s_deployments_and_nobody_else_s(serve, platform):
    keys = (credential(KEY), credential("other", workspace_id="ws_other"))
    platform.publish(1, platform.arm(platform.bundle(1.0)), credentials=keys)
    async with serve as plane:
        mine = await call(plane, "GET", "/models", b"", BEARER)
        other = await call(plane, "GET", "/models", b"", {"authorization": "Bearer other"})
        nobody = await call(plane, "GET", "/models")
    assert [(each["id"], each["name"]) for each in mine.json["models"]] == [("dep_1", "churn")]
    assert mine.json["models"][0]["arms"] == [{"name": "stable", "version": "1.0.0", "traffic_percent": 100.0}]
    assert other.json["models"] == []
    assert nobody.status == 401


async def test_reload_pulls_the_plan_and_says_what_is_served(serve, platform):
    async with serve as plane:
        platform.publish(2, platform.arm(platform.bundle(2.0), "2.0.0"))
        refused = await call(plane, "POST", "/reload")
        answer = await call(plane, "POST", "/reload", b"", BEARER)
    assert refused.status == 401
    assert answer.json["generation"] == 2
    assert answer.json["models"][0]["arms"][0]["version"] == "2.0.0"


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_split": {"columns": ["tenure", "contract", "customer"], "data": [[3, "month", "7590-VHVEG"]]}},
        {"dataframe_split": {"index": [0], "columns": ["tenure", "contract"], "data": [[3, "month"]]}},
        {"dataframe_records": [ROW]},
        {"instances": [ROW]},
        {"instances": [[3, "month"]]},
        {"inputs": [ROW]},
        {"inputs": {"tenure": [3], "contract": ["month"]}},
        {"inputs": {"tenure": 3, "contract": "month"}, "params": {}},
        {"inputs": [[3, "month"]]},
    ],
)
async def test_invocations_reads_every_shape_of_mlflow(serve, document):
    async with serve as plane:
        expected = (await predict(plane, [ROW])).json["predictions"]
        answer = await post(plane, "/invocations", document)
    assert answer.status == 200
    (prediction,) = answer.json["predictions"]
    assert (prediction["label"], prediction["score"]) == (expected[0]["label"], expected[0]["score"])
    assert answer.headers["x-arkwright-model-version"] == "1.0.0"


async def test_invocations_reads_csv_and_nan_as_missing(serve):
    async with serve as plane:
        expected = (await predict(plane, ROWS)).json["predictions"]
        text = await post(
            plane, "/invocations", b"tenure,contract,customer\n3,month,7590-VHVEG\n,,\n", content_type="text/csv"
        )
        nan = await post(
            plane,
            "/invocations",
            b'{"dataframe_split": {"columns": ["tenure", "contract"], "data": [[3, "month"], [NaN, NaN]]}}',
        )
    assert [each["score"] for each in text.json["predictions"]] == [each["score"] for each in expected]
    assert [each["score"] for each in nan.json["predictions"]] == [each["score"] for each in expected]


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ({}, "exactly one"),
        ({"instances": [ROW], "inputs": [ROW]}, "exactly one"),
        ({"instances": [[3]]}, "instances[0]"),
        ({"inputs": {"tenure": [3], "contract": []}}, "inputs.contract"),
        ({"dataframe_split": {"columns": ["tenure"], "data": [[1, 2]]}}, "dataframe_split.data[0]"),
        ({"dataframe_records": [{"tenure": "x", "contract": "month"}]}, "instances[0].tenure"),
        (b'{"instances": [[Infinity, "month"]]}', "instances[0][0]"),
        (b"{", "not JSON"),
    ],
)
async def test_invocations_refuses_in_mlflow_s_words(serve, document, word):
    async with serve as plane:
        answer = await post(plane, "/invocations", document)
    assert answer.status == 400
    assert answer.json["error_code"] == "BAD_REQUEST"
    assert word in answer.json["message"]


@pytest.mark.parametrize("number", ["1_000", "infinity", "-inf", "1e999", "\u0661", "0x1", "+nan", "."])
async def test_a_number_in_csv_is_written_as_one(serve, number):
    async with serve as plane:
        answer = await post(
            plane, "/invocations", f"tenure,contract\n{number},month\n".encode(), content_type="text/csv"
        )
    assert answer.status == 400
    assert "rows[0].tenure" in answer.json["message"]


@pytest.mark.parametrize("number", ["1", "+1.", "-.5", " 1e-3", "1E+2 ", ""])
async def test_a_number_in_csv_may_be_written_as_usual(serve, number):
    async with serve as plane:
        answer = await post(
            plane, "/invocations", f"tenure,contract\n{number},month\n".encode(), content_type="text/csv"
        )
    assert answer.status == 200, answer.body


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"tenure,contract,tenure\n1,month,2\n", "text/csv"),
        (
            b'{"dataframe_split": {"columns": ["tenure", "contract", "tenure"], "data": [[1, "month", 2]]}}',
            "application/json",
        ),
    ],
)
async def test_a_column_that_comes_twice_is_refused_with_its_name(serve, body, content_type):
    async with serve as plane:
        answer = await post(plane, "/invocations", body, content_type=content_type)
    assert answer.status == 400
    assert "'tenure' twice" in answer.json["message"]


@pytest.mark.parametrize("text", [b"tenure,contract\nx,month\n", b"tenure,contract\n1\n", b"tenure\n\xff\n"])
async def test_invocations_refuses_csv_that_is_none(serve, text):
    async with serve as plane:
        answer = await post(plane, "/invocations", text, content_type="text/csv")
    assert (answer.status, answer.json["error_code"]) == (400, "BAD_REQUEST")


async def test_a_batch_is_sent_to_the_control_plane(serve):
    async with serve as plane:
        answer = await post(plane, "/batch", {})
    assert (answer.status, answer.json["code"]) == (501, "not_on_a_data_plane")
    assert "arkwright up" in answer.json["hint"]


async def test_ping_and_version_need_no_key(serve):
    async with serve as plane:
        assert (await call(plane, "GET", "/ping")).status == 200
        version = await call(plane, "GET", "/version")
    assert (version.status, version.headers["content-type"]) == (200, "text/plain; charset=utf-8")


def infer_request(**changes):
    return {
        "inputs": [
            {"name": "tenure", "datatype": "INT64", "shape": [2], "data": [3, None]},
            {"name": "contract", "datatype": "BYTES", "shape": [2, 1], "data": [["month"], [None]]},
        ],
        **changes,
    }


async def test_open_inference_answers_tensors(serve):
    async with serve as plane:
        expected = (await predict(plane, ROWS)).json["predictions"]
        answer = await post(plane, "/v2/models/churn/infer", infer_request(id="r-1"))
        pinned = await post(plane, "/v2/models/dep_1/versions/1.0.0/infer", infer_request())
        other = await post(plane, "/v2/models/dep_1/versions/9.9.9/infer", infer_request())
    document = answer.json
    assert (document["model_name"], document["model_version"], document["id"]) == ("churn", "1.0.0", "r-1")
    label, score = document["outputs"]
    assert label == {"name": "label", "datatype": "BYTES", "shape": [2], "data": [each["label"] for each in expected]}
    assert score["data"] == [each["score"] for each in expected]
    assert pinned.status == 200
    assert other.status == 404
    assert "1.0.0" in other.json["error"]


async def test_a_version_that_is_named_answers_whatever_its_share(serve, platform):
    stable = platform.arm(platform.bundle(1.0), traffic_percent=100.0)
    canary = platform.arm(platform.bundle(2.0), "1.1.0", name="canary", traffic_percent=0.0)
    platform.publish(1, stable, canary)
    async with serve as plane:
        answer = await post(plane, "/v2/models/churn/versions/1.1.0/infer", infer_request())
    assert (answer.json["model_version"], answer.json["parameters"]["arm"]) == ("1.1.0", "canary")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"inputs": []}, "inputs"),
        ({"inputs": [{"name": "tenure", "datatype": "FP128", "shape": [1], "data": [1]}]}, "FP128"),
        ({"inputs": [{"name": "tenure", "datatype": "FP64", "shape": [3], "data": [1]}]}, "shape"),
        ({"inputs": [{"name": "tenure", "datatype": "FP64", "shape": [-1], "data": [1]}]}, "shape"),
        ({"inputs": [{"name": "tenure", "datatype": "FP64", "shape": [1], "data": 1}]}, "data"),
        ({"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, 5], "data": [1] * 5}]}, "5 columns"),
        ({"outputs": [{"name": "nothing"}]}, "outputs.nothing"),
        (
            {
                "inputs": [
                    {"name": "tenure", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}},
                ]
            },
            "binary_data_size",
        ),
    ],
)
async def test_open_inference_refuses_tensors_that_do_not_fit(serve, changes, word):
    async with serve as plane:
        answer = await post(plane, "/v2/models/churn/infer", infer_request(**changes))
    assert answer.status == 400
    assert word in answer.json["error"]


async def test_open_inference_refuses_binary_data_that_is_cut(serve):
    head = msgspec.json.encode(
        {
            "inputs": [
                {"name": "contract", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 6}},
                {"name": "tenure", "datatype": "FP64", "shape": [1], "data": [1.0]},
            ]
        }
    )
    async with serve as plane:
        cut = await post(
            plane,
            "/v2/models/churn/infer",
            head + struct.pack("<I", 100) + b"ab",
            inference_header_content_length=str(len(head)),
        )
        silly = await post(plane, "/v2/models/churn/infer", head, inference_header_content_length="99999")
    assert (cut.status, silly.status) == (400, 400)
    assert "middle of an element" in cut.json["error"]
    assert "Inference-Header-Content-Length" in silly.json["error"]


async def test_open_inference_tells_about_itself(serve):
    async with serve as plane:
        paths = ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/churn", "/v2/models/churn/ready"]
        answers = [await call(plane, "GET", path, b"", BEARER) for path in paths]
        missing = [await call(plane, "GET", path, b"", BEARER) for path in ("/v2/x", "/v2/models/", "/v2/models/no")]
        unknown = await call(plane, "GET", "/v2/models/churn")
        wrong = await call(plane, "DELETE", "/v2/models/churn", b"", BEARER)
    assert [answer.status for answer in answers] == [200] * 5
    assert [answer.status for answer in missing] == [404] * 3
    assert (unknown.status, wrong.status) == (401, 405)
    assert answers[3].json["inputs"][0] == {"name": "tenure", "datatype": "FP64", "shape": [-1]}


def stream(**columns):
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


ARROW = "application/vnd.apache.arrow.stream"


async def test_an_arrow_stream_is_answered_with_one(serve):
    n_rows = 5_000
    tenure = pa.array([None if index % 7 == 0 else index for index in range(n_rows)], pa.int32())
    contract = pa.array(["month" if index % 2 else None for index in range(n_rows)]).dictionary_encode()
    customer = pa.array([f"c{index}" for index in range(n_rows)])
    rows = [{"tenure": t, "contract": c} for t, c in zip(tenure.to_pylist(), contract.to_pylist(), strict=True)]
    async with serve as plane:
        expected = (await predict(plane, rows)).json["predictions"]
        body = stream(tenure=tenure, contract=contract, customer=customer, note=customer)
        answers = [
            await post(plane, path, body, content_type=ARROW)
            for path in ("/v1/inference/dep_1:predict", "/predict?deployment=churn")
        ]
    for answer in answers:
        assert answer.status == 200, answer.body
        assert answer.headers["content-type"] == ARROW
        table = pa.ipc.open_stream(answer.body).read_all()
        assert table.column("score").to_pylist() == [each["score"] for each in expected]
        assert table.column("label").to_pylist() == [each["label"] for each in expected]
        assert table.column("customer").to_pylist()[:2] == ["c0", "c1"]
        assert table.schema.metadata[b"model_version"] == b"1.0.0"


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({"tenure": [1.0]}, "contract"),
        ({"tenure": ["x"], "contract": ["month"]}, "tenure"),
        ({"tenure": [np.inf], "contract": ["month"]}, "instances[0].tenure"),
        ({"tenure": [1.0], "contract": [1.5]}, "contract"),
        ({"tenure": [1.0], "contract": ["month"], "more": [1]}, "more"),
        ({"tenure": pa.array([], pa.float64()), "contract": pa.array([], pa.string())}, "empty"),
    ],
)
async def test_an_arrow_table_that_does_not_fit_is_refused(serve, columns, word):
    async with serve as plane:
        answer = await post(plane, "/v1/inference/dep_1:predict", stream(**columns), content_type=ARROW)
    assert answer.status == 422
    assert word in answer.json["detail"]


@pytest.mark.parametrize("body", [b"", b"ARROW1", b"\xff" * 100, stream(a=[1])[:-30]])
async def test_what_is_no_arrow_stream_is_refused(serve, body):
    async with serve as plane:
        answer = await post(plane, "/v1/inference/dep_1:predict", body, content_type=ARROW)
    assert answer.status == 422


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body, wbits=-15)),
        ("identity", bytes),
    ],
)
async def test_a_compressed_body_is_read(serve, encoding, pack):
    rows = [ROW] * 2_000
    async with serve as plane:
        small = await post(
            plane, "/predict", pack(msgspec.json.encode({"instances": [ROW]})), content_encoding=encoding
        )
        large = await post(plane, "/predict", pack(msgspec.json.encode({"instances": rows})), content_encoding=encoding)
    assert (small.status, len(large.json["predictions"])) == (200, 2_000)


async def test_a_gzip_bomb_and_false_gzip_are_refused(serve):
    bomb = gzip.compress(bytes(100_000_000), 9)
    async with serve as plane:
        large = await post(plane, "/predict", bomb, content_encoding="gzip")
        false = await post(plane, "/predict", b"{}", content_encoding="gzip")
        cut = await post(plane, "/predict", gzip.compress(b"{}" * 1000)[:-9], content_encoding="gzip")
        odd = await post(plane, "/predict", b"{}", content_encoding="br")
    assert len(bomb) < 200_000
    assert [each.status for each in (large, false, cut, odd)] == [413, 422, 422, 415]


async def test_the_key_may_come_as_a_basic_password(serve):
    def basic(password):
        return {"authorization": "Basic " + base64.b64encode(f"any:{password}".encode()).decode()}

    async with serve as plane:
        assert (await call(plane, "GET", "/models", b"", basic(KEY))).status == 200
        assert (await call(plane, "GET", "/models", b"", basic("wrong"))).status == 401
        assert (await call(plane, "GET", "/models", b"", {"authorization": "Basic !"})).status == 401


async def test_a_trace_context_comes_back_and_a_false_one_does_not(serve):
    good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with serve as plane:
        traced = await predict(plane, [ROW], traceparent=good)
        false = [
            await predict(plane, [ROW], traceparent=text)
            for text in (good.upper(), good[:-1], "00-" + "0" * 32 + good[35:], "x" * 55)
        ]
    assert traced.headers["traceparent"] == good
    assert all("traceparent" not in answer.headers for answer in false)


async def test_predictions_are_explained_with_the_same_rows(serve):
    async with serve as plane:
        answer = await post(plane, "/v1/inference/dep_1:explain", {"instances": ROWS})
        wrong = await post(plane, "/v1/inference/dep_1:explain", {"instances": [{"contract": "month"}]})
        plain = await predict(plane, ROWS)
    assert wrong.status == 422
    assert wrong.json["errors"][0]["field"] == "instances[0].tenure"
    assert answer.status == 200
    for explained, prediction in zip(answer.json["predictions"], plain.json["predictions"], strict=True):
        assert explained.items() >= prediction.items()
        raw = explained["base_value"] + sum(explained["contributions"].values())
        assert 1 / (1 + np.exp(-raw)) == pytest.approx(prediction["score"])


async def test_health_is_one_address_for_all(serve):
    async with serve as plane:
        answer = await call(plane, "GET", "/health")
    assert (answer.status, answer.json["status"]) == (200, "ready")
    assert answer.json["serving"]["failed_endpoints"] == 0
    assert "dep_1" not in answer.body.decode(), "whoever asks has shown no key"


async def test_where_no_endpoint_of_the_plan_answers_every_probe_of_readiness_says_so(platform):
    platform.publish(1, platform.arm("sha256:" + "0" * 64))
    plane = platform.plane()
    await plane.start()
    await until(lambda: plane.holder.ready)
    answers = {path: await call(plane, "GET", path) for path in ("/health/ready", "/v2/health/ready", "/ping")}
    alive = await call(plane, "GET", "/health/live")
    await plane.stop()
    assert {answer.status for answer in answers.values()} == {503}
    assert answers["/health/ready"].json["status"] == "failed"
    assert answers["/health/ready"].json["serving"]["failed_endpoints"] == 1
    assert alive.status == 200


async def test_older_dashboards_find_their_metrics(serve):
    async with serve as plane:
        await predict(plane, ROWS)
        text = (await call(plane, "GET", "/metrics")).body.decode()
    labels = 'deployment="dep_1"'
    assert f'inference_requests_total{{{labels},status="200",version="1.0.0"}}' in text
    assert f'inference_latency_ms_bucket{{{labels},le="10.0",version="1.0.0"}}' in text
    assert f'batch_size_histogram_bucket{{{labels},le="2.0",version="1.0.0"}}' in text
    assert f'model_version_loaded{{{labels},version="1.0.0"}} 1.0' in text
    assert "arkwright_inference_in_flight 0.0" in text
    assert "arkwright_process_cpu_seconds_total" in text
