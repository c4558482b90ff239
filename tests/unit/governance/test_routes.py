"""Evidence and lineage over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.unit.shelf import Shelf
from tests.unit.web import application, signed_in

from arkwright.core.context import system_context
from arkwright.governance.routes import router
from arkwright.tenancy import bootstrap


@pytest.fixture
def client(shelf: Shelf, tmp_path: Path) -> Iterator[TestClient]:
    bootstrap(shelf.database, tmp_path / "admin.key")
    app = application(shelf.database, [shelf.governance], router)
    with signed_in(app, (tmp_path / "admin.key").read_text().strip()) as opened:
        yield opened


def test_the_evidence_about_a_bundle_is_listed(shelf: Shelf, client: TestClient) -> None:
    digest = shelf.stored()
    with shelf.database.write(system_context("ws_other")) as unit:
        shelf.governance.file(unit, "evaluation", digest, {"other": True})
    (evidence,) = client.get("/v1/evidence", params={"digest": digest}).json()
    assert evidence["kind"] == "evaluation"
    assert evidence["body"]["metrics"]["roc_auc"]["value"] == 0.9
    assert client.get("/v1/evidence", params={"digest": digest, "kind": "fairness"}).json() == []
    assert client.get("/v1/evidence").status_code == 422


def test_a_version_s_lineage_leads_back_to_its_data(shelf: Shelf, client: TestClient) -> None:
    version = shelf.register(shelf.stored())
    graph = client.get(f"/v1/lineage/model_version/{version.id}").json()
    assert {node["entity_type"] for node in graph["nodes"]} == {
        "model_version",
        "dataset_version",
        "experiment",
        "trial",
    }
    assert {edge["to_id"] for edge in graph["edges"]} == {version.id}


@pytest.mark.parametrize("thing", ["model/none", "x" * 200 + "/" + "y" * 200, "model/%00"])
def test_a_thing_without_lineage_stands_alone(client: TestClient, thing: str) -> None:
    graph = client.get(f"/v1/lineage/{thing}").json()
    assert (len(graph["nodes"]), graph["edges"]) == (1, [])
