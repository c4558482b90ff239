"""Batches over HTTP."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from arkwright.core.context import Context
from arkwright.deployments.routes import batch_router
from arkwright.kit.objects import ObjectStore
from arkwright.tenancy import bootstrap
from tests.unit.deployments.batch_bench import BatchBench, parquet, rows
from tests.unit.shelf import Shelf
from tests.unit.web import application, signed_in


@pytest.fixture
def bench(shelf: Shelf, context: Context, object_store: ObjectStore) -> BatchBench:
    return BatchBench.over(shelf, context, object_store)


@pytest.fixture
def client(bench: BatchBench, tmp_path: Path) -> Iterator[TestClient]:
    bootstrap(bench.shelf.database, tmp_path / "admin.key")
    app = application(bench.shelf.database, [bench.batches, bench.uploads], batch_router)
    with signed_in(app, (tmp_path / "admin.key").read_text().strip()) as opened:
        yield opened


def started(client: TestClient, path: str, body: dict[str, Any]) -> str:
    answer = client.post(path, json=body)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    assert answer.headers["Location"] == f"/v1/jobs/{job_id}"
    return job_id


def test_an_output_comes_in_the_format_that_was_asked_for(bench: BatchBench, client: TestClient) -> None:
    table = rows(40)
    source = {"upload_id": bench.upload(parquet(table))}
    job_id = started(client, "/v1/batches", {"model": "churn", "source": source, "output_format": "jsonl"})
    address = f"/v1/batches/{job_id}/output"
    lines = [json.loads(line) for line in client.get(address).text.splitlines()]
    assert [line["predicted_score"] for line in lines] == bench.expected(table)
    assert (lines[1]["customer"], lines[1]["tags"], lines[0]["tenure"]) == ("c1", ["a"], None)
    stored = client.get(address, params={"format": "parquet"})
    assert stored.headers["content-type"] == "application/vnd.apache.parquet"
    assert pq.read_table(io.BytesIO(stored.content)).num_rows == 40
    text = client.get(address, params={"format": "csv"})
    read = pa_csv.read_csv(io.BytesIO(text.content))
    assert read.column("predicted_score").to_pylist() == bench.expected(table)
    assert read.column("tags").to_pylist()[1] == '["a"]'
    assert client.get(address, params={"format": "xml"}).status_code == 422


@pytest.mark.parametrize("name", ["inputs", "instances"])
def test_a_few_rows_travel_in_the_body(bench: BatchBench, client: TestClient, name: str) -> None:
    table = rows(5).select(["customer", "tenure", "contract"])
    job_id = started(client, "/batch", {"model": "churn", name: table.to_pylist(), "output_format": "parquet"})
    scored = pq.read_table(io.BytesIO(client.get(f"/v1/batches/{job_id}/output").content))
    assert scored.column("predicted_score").to_pylist() == bench.expected(table)


def test_the_plain_path_takes_a_source_too(bench: BatchBench, client: TestClient) -> None:
    source = {"upload_id": bench.upload(parquet(rows(5)))}
    job_id = started(client, "/batch", {"model_version_id": bench.version_id, "source": source})
    assert client.get(f"/v1/batches/{job_id}/output").status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/batch", {"model": "churn"}, "batch.subject"),
        ("/batch", {"model": "churn", "inputs": [{}], "source": {"upload_id": "up_1"}}, "batch.subject"),
        ("/batch", {"inputs": [{"tenure": 1}]}, "batch.subject"),
        ("/v1/batches", {"model": "churn", "source": {}}, "batch.subject"),
        ("/v1/batches", {"model": "churn", "source": {"upload_id": "up_none"}}, "upload.not_found"),
    ],
)
def test_what_cannot_be_scored_is_refused(client: TestClient, path: str, body: dict[str, Any], code: str) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code in (404, 422)
    assert answer.json()["code"] == code


def test_a_failed_batch_has_no_output(bench: BatchBench, client: TestClient) -> None:
    row = bench.score(parquet(rows().drop_columns(["tenure"])))
    answer = client.get(f"/v1/batches/{row.id}/output")
    assert (answer.status_code, answer.json()["code"]) == (409, "batch.not_finished")
