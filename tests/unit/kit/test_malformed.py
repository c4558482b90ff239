"""A request of the wrong shape is told which field is wrong, and what is expected there."""

from typing import Annotated, Literal

import pytest
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict, Field, model_validator

from arkwright.kit.http import install_problem_handlers


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rows: int = Field(1, ge=1, le=9)
    names: list[str] = Field([], max_length=2)
    scale: float = 1.0


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["quick", "full"] = "full"
    name: str = Field("a", min_length=1, max_length=3)
    wait: bool = False
    inner: Inner = Inner()
    needed: str

    @model_validator(mode="after")
    def _fits(self) -> "Body":
        if self.name == "no":
            raise ValueError("a name that is no name")
        return self


@pytest.fixture(scope="module")
def client():
    app = FastAPI()
    install_problem_handlers(app)

    @app.post("/things")
    def make(body: Body, limit: Annotated[int, Query(ge=1)] = 1) -> int:
        return limit

    return TestClient(app)


@pytest.mark.parametrize(
    ("change", "field", "hint"),
    [
        (
            {"kind": "quikc"},
            "kind",
            "Expected for the field 'kind': one of 'quick' or 'full'; it was 'quikc'.",
        ),
        (
            {"name": "abcd"},
            "name",
            "Expected for the field 'name': a text of at most 3 characters; it was a text of 4 characters.",
        ),
        (
            {"name": ""},
            "name",
            "Expected for the field 'name': a text of at least 1 character; it was an empty text.",
        ),
        ({"name": 7}, "name", "Expected for the field 'name': a text; it was 7."),
        ({"wait": "perhaps"}, "wait", "Expected for the field 'wait': true or false; it was a text of 7 characters."),
        ({"inner": {"rows": 10}}, "inner.rows", "Expected for the field 'inner.rows': at most 9; it was 10."),
        ({"inner": {"rows": 1.5}}, "inner.rows", "Expected for the field 'inner.rows': a whole number; it was 1.5."),
        ({"inner": {"rows": None}}, "inner.rows", "Expected for the field 'inner.rows': a whole number; it was null."),
        (
            {"inner": {"names": ["a", "b", "c"]}},
            "inner.names",
            "Expected for the field 'inner.names': at most 2 entries; it was a list.",
        ),
        ({"inner": {"names": "a"}}, "inner.names", "Expected for the field 'inner.names': a list; it was a text of"),
        ({"inner": {"scale": {}}}, "inner.scale", "Expected for the field 'inner.scale': a number; it was an object."),
        ({"inner": []}, "inner", "Expected for the field 'inner': an object of names and values; it was a list."),
        ({"nmae": "a"}, "nmae", "Mend the field 'nmae': there is no such field here: check its spelling"),
        ({"needed": ...}, "needed", "Send the field 'needed': it is required."),
        ({"name": "no"}, "body", "Mend the body: a name that is no name."),
    ],
)
def test_the_hint_names_the_field_and_what_is_expected(client, change, field, hint):
    body = {name: value for name, value in ({"needed": "x"} | change).items() if value is not ...}
    answer = client.post("/things", json=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "request.invalid")
    assert problem["errors"][0]["field"] == field
    assert problem["detail"].startswith(f"{field}: ")
    assert problem["hint"].startswith(hint)
    assert "Value error" not in answer.text


def test_a_query_parameter_is_called_one(client):
    problem = client.post("/things?limit=0", json={"needed": "x"}).json()
    assert problem["hint"] == "Expected for the query parameter 'limit': at least 1; it was a text of 1 character."


@pytest.mark.parametrize("content", [b"{", b"{'a': 1}", b""], ids=["cut off", "single quotes", "nothing"])
def test_a_body_that_is_no_json_is_told_what_one_is(client, content):
    problem = client.post("/things", content=content, headers={"content-type": "application/json"}).json()
    assert problem["errors"][0]["field"] == "body"
    assert "body" in problem["hint"].lower()
    assert "/docs" not in problem["hint"]


def test_another_method_is_told_which_one_the_path_takes(client):
    answer = client.get("/things")
    assert answer.status_code == 405
    assert answer.json()["hint"] == "Send POST to this path."
