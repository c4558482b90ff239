"""The stock clients of Triton and MLflow, against a data plane on a real port."""

from __future__ import annotations

import asyncio
import json
import warnings

import numpy as np
import pandas as pd
import pytest
from tests.unit.serving.conftest import KEY, predict
from tests.unit.serving.live import live_plane

from arkwright.serving.grpc.server import GrpcServer

ROWS = [{"tenure": 3.0, "contract": "month"}, {"tenure": 20.5, "contract": "year"}]


def bearer():
    """Return headers of a call's own: the clients add to those they are given."""
    return {"authorization": f"Bearer {KEY}"}


def mlflow_client():
    """Return MLflow's client class; its import warns of its own type hints."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.pyfunc.scoring_server.client import ScoringServerClient
    return ScoringServerClient


def tensors(kind):
    """Return ROWS as inputs of a tritonclient flavour."""
    tenure = kind.InferInput("tenure", [2], "FP64")
    tenure.set_data_from_numpy(np.array([row["tenure"] for row in ROWS]))
    contract = kind.InferInput("contract", [2], "BYTES")
    contract.set_data_from_numpy(np.array([row["contract"].encode() for row in ROWS], dtype=object))
    return [tenure, contract]


def check_scores(answer, expected):
    assert answer.as_numpy("label").tolist() == [item["label"].encode() for item in expected]
    assert answer.as_numpy("score").tolist() == [item["score"] for item in expected]


async def test_tritonclient_over_http_predicts_in_binary_and_in_json(platform):
    import tritonclient.http as triton

    def ask(port):
        with triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
            assert client.is_server_live()
            assert client.is_server_ready()
            assert client.is_model_ready("churn", headers=bearer())
            assert client.is_model_ready("churn", "1.0.0", headers=bearer())
            assert not client.is_model_ready("nothing", headers=bearer())
            assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
            metadata = client.get_model_metadata("churn", headers=bearer())
            binary = client.infer("churn", tensors(triton), headers=bearer(), request_id="mine-1")
            outputs = [triton.InferRequestedOutput("score", binary_data=False)]
            plain = client.infer("churn", tensors(triton), outputs=outputs, headers=bearer())
            zipped = client.infer("churn", tensors(triton), headers=bearer(), request_compression_algorithm="gzip")
            with pytest.raises(triton.InferenceServerException, match="nothing"):
                client.infer("nothing", tensors(triton), headers=bearer())
            with pytest.raises(triton.InferenceServerException, match="no credential"):
                client.infer("churn", tensors(triton))
            with pytest.raises(triton.InferenceServerException, match=r"instances\[0\].contract is missing"):
                client.infer("churn", tensors(triton)[:1], headers=bearer())
        return metadata, binary, plain, zipped

    async with live_plane(platform) as (plane, port):
        expected = (await predict(plane, ROWS)).json["predictions"]
        metadata, binary, plain, zipped = await asyncio.to_thread(ask, port)
    assert metadata["inputs"] == [
        {"name": "tenure", "datatype": "FP64", "shape": [-1]},
        {"name": "contract", "datatype": "BYTES", "shape": [-1]},
    ]
    assert metadata["versions"] == ["1.0.0"]
    assert [output["name"] for output in metadata["outputs"]] == ["label", "score"]
    check_scores(binary, expected)
    check_scores(zipped, expected)
    assert plain.as_numpy("score").tolist() == [item["score"] for item in expected]
    assert plain.as_numpy("label") is None
    response = binary.get_response()
    assert (response["model_name"], response["model_version"], response["id"]) == ("churn", "1.0.0", "mine-1")
    assert response["parameters"]["arm"] == "stable"


async def test_tritonclient_over_grpc_predicts_and_is_told_what_is_wrong(platform):
    import tritonclient.grpc as triton

    def ask(port):
        with triton.InferenceServerClient(f"127.0.0.1:{port}") as client:
            assert client.is_server_live()
            assert client.is_server_ready()
            assert client.is_model_ready("churn", headers=bearer())
            metadata = client.get_model_metadata("churn", headers=bearer())
            answer = client.infer("churn", tensors(triton), headers=bearer(), request_id="mine-2")
            faults = []
            for model, inputs, headers in (
                ("churn", tensors(triton), {}),
                ("nothing", tensors(triton), bearer()),
                ("churn", tensors(triton)[:1], bearer()),
            ):
                with pytest.raises(triton.InferenceServerException) as caught:
                    client.infer(model, inputs, headers=headers)
                faults.append((caught.value.status(), caught.value.message()))
        return metadata, answer, faults

    async with live_plane(platform) as (plane, _port):
        server = GrpcServer(plane.core, "127.0.0.1:0", 1_000_000)
        await server.start()
        try:
            expected = (await predict(plane, ROWS)).json["predictions"]
            metadata, answer, faults = await asyncio.to_thread(ask, server.port)
        finally:
            await server.stop()
    check_scores(answer, expected)
    response = answer.get_response()
    assert (response.model_name, response.model_version, response.id) == ("churn", "1.0.0", "mine-2")
    assert response.parameters["arm"].string_param == "stable"
    assert [(given.name, given.datatype) for given in metadata.inputs] == [("tenure", "FP64"), ("contract", "BYTES")]
    assert [status for status, _ in faults] == [
        "StatusCode.UNAUTHENTICATED",
        "StatusCode.NOT_FOUND",
        "StatusCode.INVALID_ARGUMENT",
    ]
    assert "instances[0].contract" in faults[2][1]


async def test_the_mlflow_client_predicts_from_a_frame_and_from_records(platform):
    ScoringServerClient = mlflow_client()
    frame = pd.DataFrame([*ROWS, {"tenure": None, "contract": None}])

    def ask(port):
        # The client knows no headers: the key is the password of the address.
        client = ScoringServerClient(f"key:{KEY}@127.0.0.1", port)
        client.ping()
        assert client.get_version()
        return client.invoke(frame).get_predictions(), client.invoke(ROWS).get_predictions()

    async with live_plane(platform) as (plane, port):
        expected = (await predict(plane, json.loads(frame.to_json(orient="records")))).json["predictions"]
        framed, listed = await asyncio.to_thread(ask, port)
    assert framed.to_dict("records") == expected
    assert listed.to_dict("records") == expected[:2]


async def test_the_mlflow_client_is_told_what_is_wrong_in_mlflow_s_words(platform):
    ScoringServerClient = mlflow_client()
    async with live_plane(platform) as (_plane, port):
        client = ScoringServerClient(f"key:{KEY}@127.0.0.1", port)
        with pytest.raises(Exception, match=r"400.*BAD_REQUEST.*instances\[0\].contract is missing"):
            await asyncio.to_thread(client.invoke, pd.DataFrame([{"tenure": 3.0}]))
        with pytest.raises(Exception, match="401.*UNAUTHENTICATED"):
            await asyncio.to_thread(ScoringServerClient("127.0.0.1", port).invoke, pd.DataFrame(ROWS))
