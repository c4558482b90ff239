"""The audit log over HTTP: newest first, page by page, verifiable by the reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.unit.web import application, signed_in

from arkwright.access import AuditTrail, ChainEntry, record, verify_chain
from arkwright.access.routes import router
from arkwright.core.context import Context, system_context
from arkwright.kit.db import Database
from arkwright.tenancy import bootstrap


@pytest.fixture
def client(database: Database, context: Context, tmp_path: Path) -> Iterator[TestClient]:
    bootstrap(database, tmp_path / "admin.key")
    for i in range(5):
        with database.write(context) as unit:
            record(unit, "thing.change" if i % 2 else "thing.create", "thing", f"t{i}", {"n": i})
    with database.write(system_context("ws_other")) as unit:
        record(unit, "other.act", "thing", "secret")
    app = application(database, [AuditTrail()], router)
    with signed_in(app, (tmp_path / "admin.key").read_text().strip()) as opened:
        yield opened


def test_pages_lead_from_the_newest_entry_to_the_first(client: TestClient) -> None:
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get("/v1/auditlogs", params={"limit": 3, "cursor": cursor}).json()
        seen += [entry["seq"] for entry in page["items"]]
        cursor = page["next_cursor"]
    assert seen == list(range(7, 0, -1))


def test_a_reader_can_verify_what_was_exported(client: TestClient) -> None:
    entries = client.get("/v1/auditlogs", params={"limit": 200}).json()["items"]
    assert "other.act" not in {entry["action"] for entry in entries}
    links = [(ChainEntry(**{k: v for k, v in entry.items() if k != "hash"}), entry["hash"]) for entry in entries]
    verdict = verify_chain(reversed(links))
    told = client.get("/v1/auditlogs/verify").json()
    assert (verdict.intact, verdict.head) == (told["intact"], told["head"])


def test_entries_can_be_picked_by_thing_and_by_action(client: TestClient) -> None:
    assert [e["entity_id"] for e in client.get("/v1/auditlogs?action=thing.change").json()["items"]] == ["t3", "t1"]
    assert [e["metadata"] for e in client.get("/v1/auditlogs?entity_id=t2").json()["items"]] == [{"n": 2}]
    assert client.get("/v1/auditlogs", params={"entity_id": "nul\0"}).json()["items"] == []


@pytest.mark.parametrize("cursor", ["x", "!!!!", "ZHNfMQ==", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5"])
def test_a_cursor_of_another_list_is_refused(client: TestClient, cursor: str) -> None:
    answer = client.get("/v1/auditlogs", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "cursor.invalid")
