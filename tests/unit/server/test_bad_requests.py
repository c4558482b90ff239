"""Whatever a client sends, the answer is a problem that says what, where and what to do; never a 500."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from arkwright.core.context import DEFAULT_WORKSPACE_ID, system_context
from arkwright.registry import Stage
from arkwright.server.request_bodies import MAX_BODY_BYTES
from tests.conftest import EVALUATION, LINEAGE, small_bundle
from tests.unit.server.conftest import ControlPlane, a_run, running_control_plane

OPENAPI = json.loads((Path(__file__).parents[3] / "openapi.json").read_text(encoding="utf-8"))
ON_THE_DATA_PLANE = "/v1/inference/{deployment_id}:predict"
Schema = dict[str, Any]


def resolved(schema: Schema) -> Schema:
    while "$ref" in schema:
        schema = OPENAPI["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def branches(schema: Schema) -> list[Schema]:
    """Return the alternatives of a schema, references resolved."""
    schema = resolved(schema)
    found = [resolved(branch) for branch in schema.get("anyOf", [])]
    return found or [schema]


def body_schema(operation: dict[str, Any]) -> Schema | None:
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    return next((branch for branch in branches(schema) if "properties" in branch), None) if schema else None


POSTS = {
    path: schema
    for path, methods in OPENAPI["paths"].items()
    if "post" in methods and path != ON_THE_DATA_PLANE and (schema := body_schema(methods["post"])) is not None
}


def fields(schema: Schema, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Schema]]:
    for name, inner in resolved(schema).get("properties", {}).items():
        yield (*above, name), inner
        for branch in branches(inner):
            yield from fields(branch, (*above, name))


def field_ids() -> list[tuple[str, tuple[str, ...]]]:
    return [(path, place) for path, schema in POSTS.items() for place, _inner in fields(schema)]


# What a value of each type is never read as, however lenient the reading.
WRONG: dict[str, list[Any]] = {
    "string": [1, 1.5, True, [], {}],
    "integer": ["x", 1.5, [], {}],
    "number": ["x", [], {}],
    "boolean": ["x", 7, [], {}],
    "array": ["x", 1, {}],
    "object": ["x", 1, []],
    "null": [],
}
# Of a type that may fit, and yet nothing anybody means.
NASTY: list[Any] = [
    None, -1, 0, 10**30, 2**63, -(2**63) - 1, 1e308, "", " ", "x" * 50_000, "\u202e", "💣", "../..", "' OR 1=1 --",
    "9" * 50, "²", "2027-01-01T00:00:00", ["x"] * 1_000, {"a": [1]}, {"method": ["x"]},
]  # fmt: skip


def wrong_values(schema: Schema) -> list[Any]:
    options = branches(schema)
    if any("type" not in option and "enum" not in option and "const" not in option for option in options):
        return []
    allowed = [WRONG[option.get("type", "string")] for option in options if option.get("type") != "null"]
    if any(option.get("format") == "date-time" for option in options):
        allowed = [["x", [], {}]]
    values = [value for value in allowed[0] if all(value in others for others in allowed[1:])]
    return values if any(option.get("type") == "null" for option in options) else [*values, None]


def changed(body: dict[str, Any], place: tuple[str, ...], value: Any) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(body))
    inner = copy
    for name in place[:-1]:
        if not isinstance(inner.get(name), dict):
            inner[name] = {}
        inner = inner[name]
    inner[place[-1]] = value
    return copy


@pytest.fixture(scope="module")
def furnished(
    migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ControlPlane, dict[str, str]]]:
    """A platform with a dataset, a model in production and a deployment, and the names of all of them."""
    folder = tmp_path_factory.mktemp("furnished")
    with running_control_plane(migrated_sqlite, folder / "home") as plane:
        yield plane, furnish(plane, folder / "bundle")


def furnish(plane: ControlPlane, folder: Path) -> dict[str, str]:
    """Put something of every kind into a platform, without training."""
    platform, client = plane.platform, plane.client
    upload_id = plane.upload(b"tenure,contract,churn\n" + b"1,month,Yes\n2,year,No\n" * 20)
    job = client.post("/v1/datasets/ingest", json={"source": {"upload_id": upload_id}, "name": "small"}).json()
    dataset = plane.finished(job["job_id"])
    digest = small_bundle(folder, lineage={**LINEAGE, "run_id": a_run(plane)})
    units = platform.database.bound(system_context(DEFAULT_WORKSPACE_ID))
    with units.write() as unit:
        platform.registry.bundles.save(DEFAULT_WORKSPACE_ID, folder, digest)
        platform.governance.file(unit, "evaluation", digest, EVALUATION)
        platform.registry.ensure(unit, "churn")
    version = platform.registry.register(units, "churn", digest, workspace_name="default")
    platform.registry.promote(units, "churn", "1", Stage.PRODUCTION)
    deployment = client.post("/v1/deployments", json={"name": "churn", "model": "churn"}).json()
    return {
        "upload_id": upload_id,
        "dataset_id": str(dataset["dataset_id"]),
        "digest": digest,
        "model_version_id": version.id,
        "deployment": deployment["id"],
        "model": "churn",
        "version": "1",
    }


def good_body(path: str, known: dict[str, str]) -> dict[str, Any]:
    source = {"upload_id": known["upload_id"]}
    bodies: dict[str, dict[str, Any]] = {
        "/v1/datasets/ingest": {"source": source},
        "/v1/experiments": {"dataset_id": known["dataset_id"], "target": "churn"},
        "/v1/batches": {"model": "churn", "source": source},
        "/batch": {"model": "churn", "inputs": [{"tenure": 1.0}]},
        "/v1/deployments": {"name": "other", "model": "churn"},
        "/v1/models/{model}/versions": {"bundle_digest": known["digest"]},
        "/v1/api-keys": {"name": "a key"},
        "/v1/models": {"name": "another"},
    }
    return bodies.get(path, {})


def address(path: str, known: dict[str, str]) -> str:
    return re.sub(r"\{([^}]+)\}", lambda found: known.get(found[1], "none"), path)


def check(answer: httpx.Response) -> None:
    """Assert that a refusal is a whole problem document; anything but a 5xx may be an answer."""
    assert answer.status_code < 500, answer.text
    if answer.status_code < 400:
        return
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["code"]
    assert problem["detail"]
    assert problem.get("hint"), problem
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert len(answer.content) < 8_000


def send(plane: ControlPlane, path: str, body: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer: httpx.Response = plane.client.post(path, content=content, headers={"Content-Type": "application/json"})
    return answer


@pytest.mark.parametrize(
    ("path", "place"), field_ids(), ids=lambda given: given if isinstance(given, str) else ".".join(given)
)
def test_a_field_of_the_wrong_type_is_named(
    furnished: tuple[ControlPlane, dict[str, str]], path: str, place: tuple[str, ...]
) -> None:
    plane, known = furnished
    schema = next(inner for found, inner in fields(POSTS[path]) if found == place)
    for value in wrong_values(schema):
        answer = send(plane, address(path, known), changed(good_body(path, known), place, value))
        check(answer)
        assert answer.status_code == 422, (value, answer.text)
        problem = answer.json()
        assert problem["code"] == "request.invalid"
        assert any(".".join(place) in error["field"] for error in problem["errors"]), (value, problem)
    for value in NASTY:
        answer = send(plane, address(path, known), changed(good_body(path, known), place, value))
        check(answer)
        if answer.status_code == 202:
            job = plane.client.get(answer.headers["location"]).json()
            assert job["status"] != "failed" or job["error"]["code"] != "internal", job["error"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "json.malformed"),
        (b"{'a': 1}", "json.malformed"),
        (b'{"a": 1,}', "json.malformed"),
        (b"\xff\xfe{}", "json.malformed"),
        (b'{"a": "\xff"}', "json.malformed"),
        (b'{"a": "\\ud800"}', "json.malformed"),
        (b'{"a": NaN}', "json.malformed"),
        (b'{"a": -Infinity}', "json.malformed"),
        (b'{"a": 1e999}', "json.malformed"),
        (b'{"a":' + b"[" * 100_000, "json.malformed"),
        (b'{"a": "x\\u0000y"}', "request.nul"),
        (b'{"a\\u0000": 1}', "request.nul"),
        (b'{"a": [{"b": "\\u0000"}]}', "request.nul"),
        (b"[]", "request.invalid"),
        (b"3", "request.invalid"),
        (b'"text"', "request.invalid"),
        (b'{"nobody_knows_this": 1}', "request.invalid"),
        (b'{"a": "' + b"x" * MAX_BODY_BYTES + b'"}', "payload_too_large"),
    ],
    ids=lambda given: repr(given[:24]) if isinstance(given, bytes) else given,
)
def test_a_body_that_is_no_request_is_refused(
    furnished: tuple[ControlPlane, dict[str, str]], path: str, body: bytes, code: str
) -> None:
    plane, known = furnished
    answer = send(plane, address(path, known), body)
    check(answer)
    assert answer.json()["code"] == code
    assert answer.status_code == (413 if code == "payload_too_large" else 422)


def test_where_the_nul_character_is_is_said(furnished: tuple[ControlPlane, dict[str, str]]) -> None:
    plane, _known = furnished
    answer = send(plane, "/v1/models", b'{"name": "a", "description": "x\\u0000"}')
    assert answer.json()["errors"] == [{"field": "description", "message": "holds a NUL character"}]


def test_a_body_that_does_not_announce_its_length_is_limited_too(
    furnished: tuple[ControlPlane, dict[str, str]],
) -> None:
    plane, _known = furnished
    pieces = (b"x" * 1_000_000 for _ in range(6))
    answer = plane.client.post("/v1/models", content=pieces, headers={"Content-Type": "application/json"})
    check(answer)
    assert answer.status_code == 413


def test_a_form_is_no_request(furnished: tuple[ControlPlane, dict[str, str]]) -> None:
    plane, _known = furnished
    answer = plane.client.post("/v1/models", data={"name": "x"})
    check(answer)
    assert answer.status_code == 422


ODD = ["\x00", "a" * 1_500, "9" * 40, "-1", "²", "ä", "NaN", "=", "' OR 1=1", "..%2f..", "💣", "\n", "x" * 3_000]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (method, path)
        for path, methods in OPENAPI["paths"].items()
        for method in methods
        if "{" in path and path != ON_THE_DATA_PLANE
    ],
)
def test_an_odd_address_is_answered_in_order(
    furnished: tuple[ControlPlane, dict[str, str]], method: str, path: str
) -> None:
    plane, known = furnished
    names = re.findall(r"\{([^}]+)\}", path)
    for name in names:
        for odd in ODD:
            filled = address(
                path,
                {**known, name: quote(odd, safe=""), "dataset": known["dataset_id"], "number": "1"}
                | {name: quote(odd, safe="")},
            )
            content = {"json": good_body(path, known)} if method == "post" else {}
            answer = plane.client.request(method, filled, **content)
            check(answer)
            assert answer.status_code in (200, 404, 409, 414, 422), (odd, answer.text)


@pytest.mark.parametrize(
    "path",
    [
        path
        for path, methods in OPENAPI["paths"].items()
        if any(parameter["name"] == "cursor" for parameter in methods.get("get", {}).get("parameters", []))
    ],
)
@pytest.mark.parametrize(
    "cursor", ["x", "=", "%%%", "ä", "AAA=", "wrk=", "a\x00b", "y" * 5_000, "z" * 9_000, "LTE", "MQ", "ODc\n", "💣"]
)
def test_a_cursor_that_is_not_ours_is_refused(
    furnished: tuple[ControlPlane, dict[str, str]], path: str, cursor: str
) -> None:
    plane, known = furnished
    answer = plane.client.get(address(path, {**known, "dataset": known["dataset_id"]}), params={"cursor": cursor})
    check(answer)
    assert answer.status_code in (404, 414, 422), answer.text


def test_a_cursor_beyond_every_number_is_refused(furnished: tuple[ControlPlane, dict[str, str]]) -> None:
    plane, known = furnished
    beyond = "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"
    for path in ("/v1/auditlogs", f"/v1/datasets/{known['dataset_id']}/versions", "/v1/models/churn/versions"):
        answer = plane.client.get(path, params={"cursor": beyond})
        check(answer)
        assert answer.json()["code"] == "cursor.invalid"


@pytest.mark.parametrize("limit", ["0", "-1", "201", "x", "1e3", "", "9" * 30])
def test_a_limit_out_of_range_is_refused(furnished: tuple[ControlPlane, dict[str, str]], limit: str) -> None:
    plane, _known = furnished
    answer = plane.client.get("/v1/datasets", params={"limit": limit})
    check(answer)
    assert answer.json()["errors"][0]["field"] == "limit"


# Idempotency-Key


def models_named(plane: ControlPlane, prefix: str) -> int:
    items = plane.client.get("/v1/models", params={"limit": 200}).json()["items"]
    return sum(item["name"].startswith(prefix) for item in items)


def test_a_key_with_another_body_or_path_is_refused_and_does_nothing(
    furnished: tuple[ControlPlane, dict[str, str]],
) -> None:
    plane, _known = furnished
    headers = {"Idempotency-Key": "once"}
    first = plane.client.post("/v1/models", json={"name": "idem-1"}, headers=headers)
    again = plane.client.post("/v1/models", json={"name": "idem-1"}, headers=headers)
    assert (first.status_code, again.json()) == (201, first.json())
    for path, body in (("/v1/models", {"name": "idem-2"}), ("/v1/api-keys", {"name": "idem-1"})):
        other = plane.client.post(path, json=body, headers=headers)
        check(other)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency.mismatch")
        assert "another request" in other.json()["detail"]
    assert models_named(plane, "idem") == 1


@pytest.mark.parametrize("key", ["k" * 201, "k" * 10_000])
def test_a_key_that_is_too_long_is_refused(furnished: tuple[ControlPlane, dict[str, str]], key: str) -> None:
    plane, _known = furnished
    answer = plane.client.post("/v1/models", json={"name": "long-key"}, headers={"Idempotency-Key": key})
    check(answer)
    assert answer.json()["code"] == "idempotency.key"
    assert models_named(plane, "long-key") == 0


def test_a_refusal_is_remembered_with_its_key_and_a_bad_key_is_no_secret(
    furnished: tuple[ControlPlane, dict[str, str]],
) -> None:
    plane, _known = furnished
    headers = {"Idempotency-Key": "é ' OR 1=1".encode("latin-1").decode("latin-1")}
    answers = [
        plane.client.post("/v1/models", json={"name": "a/b"}, headers={"Idempotency-Key": "refused"}) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [422, 422]
    check(answers[0])
    odd = plane.client.post(
        "/v1/models",
        json={"name": "odd-key"},
        headers=[(b"Idempotency-Key", headers["Idempotency-Key"].encode("latin-1"))],
    )
    check(odd)
    stranger = plane.client.post(
        "/v1/models", json={"name": "idem-1"}, headers={"Idempotency-Key": "once", "Authorization": "Bearer nobody"}
    )
    assert stranger.status_code == 401
