"""Uploads and datasets over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from tests.unit.data.conftest import MAX_UPLOAD_BYTES, Store

Send = Callable[..., dict[str, Any]]


def test_the_telco_file_goes_all_the_way(client: TestClient, send: Send, telco_csv: Path) -> None:
    accepted = send(telco_csv.read_bytes(), "telco_churn.csv")
    assert accepted["status"] == "queued"
    dataset = client.get(f"/v1/datasets/{accepted['dataset_id']}").json()
    assert (dataset["name"], dataset["latest_version"], len(dataset["schema"])) == ("telco_churn", 1, 21)
    assert client.get("/v1/datasets/telco_churn").json() == dataset
    version = client.get("/v1/datasets/telco_churn/versions/1").json()
    assert (version["n_rows"], version["number"]) == (7043, 1)
    assert version["warnings"][0]["message"] == "column 'TotalCharges' has 11 blank cells, read as missing"
    assert version["source"]["filename"] == "telco_churn.csv"
    profile = client.get("/v1/datasets/telco_churn/versions/1/profile").json()
    assert profile["n_rows"] == 7043
    assert [column["name"] for column in profile["columns"] if column["id_like"]] == ["customerID"]
    preview = client.get("/v1/datasets/telco_churn/versions/1/preview", params={"limit": 3}).json()
    assert len(preview["rows"]) == 3
    assert preview["rows"][0]["customerID"] == "7590-VHVEG"
    assert preview["n_rows"] == 7043


def test_times_and_missing_cells_are_plain_json_in_a_preview(client: TestClient, send: Send) -> None:
    send(b"when,x\n2026-01-02,1.5\n,\n2026-01-03,2\n")
    rows = client.get("/v1/datasets/data/versions/1/preview").json()["rows"]
    assert rows[:2] == [{"when": "2026-01-02T00:00:00", "x": 1.5}, {"when": None, "x": None}]


def test_an_upload_says_what_was_received(client: TestClient) -> None:
    answer = client.post("/v1/uploads", content=b"a\n1\n", headers={"X-Filename": "d%C3%A9j%C3%A0.csv"})
    assert answer.status_code == 201
    body = answer.json()
    assert body["filename"] == "déjà.csv"
    assert body["size_bytes"] == 4
    assert body["sha256"] == hashlib.sha256(b"a\n1\n").hexdigest()


def test_an_upload_that_is_too_large_or_empty_is_refused(client: TestClient, store: Store) -> None:
    announced = client.post("/v1/uploads", content=b"x" * (MAX_UPLOAD_BYTES + 1))

    def chunks():
        for _ in range(30):
            yield b"x" * 100_000

    streamed = client.post("/v1/uploads", content=chunks())
    for answer in (announced, streamed):
        assert answer.status_code == 413
        assert answer.json()["code"] == "upload.too_large"
        assert answer.headers["content-type"].startswith("application/problem+json")
    empty = client.post("/v1/uploads", content=b"")
    assert (empty.status_code, empty.json()["code"]) == (422, "upload.empty")
    assert store.keys("uploads") == []


def test_nothing_is_received_without_a_key(client: TestClient, store: Store) -> None:
    answer = client.post("/v1/uploads", content=b"a\n1\n", headers={"Authorization": ""})
    assert answer.status_code == 401
    assert store.keys("uploads") == []


def test_lists_come_in_pages(client: TestClient, send: Send) -> None:
    for index in range(3):
        send(b"a\n1\n", f"file{index}.csv")
        send(f"a\n{index}\n7\n".encode(), "many.csv")
    names, cursor = [], ""
    while cursor is not None:
        page = client.get("/v1/datasets", params={"limit": 2, "cursor": cursor}).json()
        assert len(page["items"]) <= 2
        names += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert names == ["file0", "many", "file1", "file2"]
    first = client.get("/v1/datasets/many/versions", params={"limit": 2}).json()
    rest = client.get("/v1/datasets/many/versions", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [item["number"] for item in [*first["items"], *rest["items"]]] == [3, 2, 1]
    assert rest["next_cursor"] is None
    bad = client.get("/v1/datasets/many/versions", params={"cursor": "bmFu"})
    assert (bad.status_code, bad.json()["code"]) == (422, "cursor.invalid")


def test_a_request_that_makes_no_sense_is_refused(client: TestClient) -> None:
    for body in (
        {"source": {}},
        {"source": {"upload_id": "up_1", "path": "/x"}},
        {"source": {"upload_id": "up_1"}, "types": {"a": "float"}},
        {"source": {"upload_id": "up_1"}, "format": "xlsx"},
        {"source": {"upload_id": "up_1"}, "colour": "red"},
    ):
        answer = client.post("/v1/datasets/ingest", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    answer = client.post("/v1/datasets/ingest", json={"source": {"path": "/etc/passwd"}})
    assert (answer.status_code, answer.json()["code"]) == (422, "dataset.path_refused")
    assert client.get("/v1/datasets/nope").json()["code"] == "dataset.not_found"
    assert client.get("/v1/datasets/nope/versions/1/profile").status_code == 404


def test_every_endpoint_is_described_with_an_example(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    for name in ("Upload", "IngestRequest", "IngestAccepted", "Dataset", "DatasetVersion", "DatasetProfile"):
        assert schemas[name]["examples"], name
    assert "schema" in schemas["Dataset"]["properties"]
    body = document["paths"]["/v1/uploads"]["post"]["requestBody"]
    assert "application/octet-stream" in body["content"]
