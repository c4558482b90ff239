"""Every route, with every kind of caller: deny by default."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from arkwright.core.context import DEFAULT_WORKSPACE_ID, Actor, Context, system_context
from arkwright.tenancy.tables import ApiKeyRow
from tests.unit.server.conftest import ControlPlane

OPENAPI = json.loads((Path(__file__).parents[3] / "openapi.json").read_text(encoding="utf-8"))
ON_THE_DATA_PLANE = "/v1/inference/{deployment_id}:predict"
OPEN_TO_EVERY_ROLE = {("get", "/v1/whoami")}


def operations() -> Iterator[tuple[str, str]]:
    for path, methods in OPENAPI["paths"].items():
        if path != ON_THE_DATA_PLANE:
            for method in methods:
                yield method, path


def call(client: TestClient, method: str, path: str, key: str) -> int:
    filled = path
    for name in ("number",):
        filled = filled.replace("{" + name + "}", "1")
    while "{" in filled:
        before, _, rest = filled.partition("{")
        filled = before + "some" + rest.partition("}")[2]
    headers = {"Authorization": f"Bearer {key}" if key else ""}
    body = _example(OPENAPI["paths"][path][method])
    content: dict[str, object] = {"json": body} if body is not None else {}
    if path == "/v1/uploads":
        content = {"content": b"a,b\n1,2\n"}
    needed = {"/v1/evidence": {"digest": "sha256:00"}, "/v1/evaluations": {"model_version_id": "mv_some"}}
    query = needed.get(path, {}) if method == "get" else {}
    return client.request(method, filled, headers=headers, params=query, **content).status_code  # type: ignore[arg-type]


def _example(operation: dict[str, object]) -> object:
    content = operation.get("requestBody", {}).get("content", {})  # type: ignore[attr-defined]
    schema = content.get("application/json", {}).get("schema")
    if schema is None:
        return None
    if "$ref" in schema:
        schema = OPENAPI["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    examples = schema.get("examples") or [{}]
    return examples[0]


@pytest.fixture
def guest_key(control_plane: ControlPlane) -> str:
    """A key whose role allows nothing."""
    platform = control_plane.platform
    admin = system_context(DEFAULT_WORKSPACE_ID)
    with platform.database.write(admin) as unit:
        created = platform.tenancy.create_key(unit, "guest")
        row = unit.session.get(ApiKeyRow, created.row.id)
        assert row is not None
        row.role = "guest"
    return created.secret


def test_without_a_key_every_route_answers_401(control_plane: ControlPlane) -> None:
    answers = {(method, path): call(control_plane.client, method, path, "") for method, path in operations()}
    assert {key: status for key, status in answers.items() if status != 401} == {}


def test_a_role_without_rights_gets_403_everywhere(control_plane: ControlPlane, guest_key: str) -> None:
    answers = {(method, path): call(control_plane.client, method, path, guest_key) for method, path in operations()}
    refused = {key: status for key, status in answers.items() if status != 403 and key not in OPEN_TO_EVERY_ROLE}
    assert refused == {}


def test_no_route_fails_on_things_that_do_not_exist(control_plane: ControlPlane) -> None:
    answers = {
        (method, path): call(control_plane.client, method, path, control_plane.key) for method, path in operations()
    }
    assert {key: status for key, status in answers.items() if status >= 500} == {}


@pytest.mark.parametrize("token", ["", "wrong"])
def test_internal_paths_do_not_exist_for_others(control_plane: ControlPlane, token: str) -> None:
    for path in ("/internal/plan", "/internal/health"):
        answer = control_plane.client.get(path, headers={"X-Arkwright-Internal": token})
        assert answer.status_code == 404


def test_the_data_plane_gets_its_plan_with_the_token(control_plane: ControlPlane) -> None:
    headers = {"X-Arkwright-Internal": "internal-secret"}
    answer = control_plane.client.get("/internal/plan", headers=headers)
    assert answer.status_code == 200
    generation = answer.json()["generation"]
    again = control_plane.client.get(f"/internal/plan?after={generation}", headers=headers)
    assert again.status_code == 204
    assert again.headers["x-arkwright-epoch"] == answer.headers["x-arkwright-epoch"]


def test_another_workspace_s_things_are_not_found(control_plane: ControlPlane) -> None:
    platform = control_plane.platform
    with platform.database.write(system_context(DEFAULT_WORKSPACE_ID)) as unit:
        platform.registry.create(unit, "mine")
    stranger = Context(Actor("user_s", "user"), "ws_stranger")
    with platform.database.read(stranger) as unit:
        assert platform.registry.list(unit, limit=10) == []
