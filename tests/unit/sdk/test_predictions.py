"""Rows made fit for JSON, and deployments found by name."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import httpx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid, NotFound
from arkwright.core.ids import new_id
from arkwright.core.problems import problem_document
from arkwright.sdk import Client
from arkwright.sdk.predictions import to_instances


@given(st.dictionaries(st.text(), st.floats() | st.integers() | st.text() | st.none() | st.booleans()))
def test_every_row_becomes_json_with_the_same_columns(row: dict[str, object]) -> None:
    instances = to_instances(row)
    assert set(json.loads(json.dumps(instances, allow_nan=False))[0]) == set(row)


def test_numpy_scalars_moments_and_missing_values_become_what_the_wire_knows() -> None:
    row = {
        "n": np.int64(3), "x": np.float32(0.5), "nan": np.float64("nan"), "flag": np.bool_(True),
        "day": date(2026, 1, 2), "moment": datetime(2026, 1, 2, 3, tzinfo=UTC), "inf": float("inf"),
    }  # fmt: skip
    assert to_instances([row]) == [
        {
            "n": 3, "x": 0.5, "nan": None, "flag": True, "day": "2026-01-02", "moment": "2026-01-02T03:00:00+00:00",
            "inf": None,
        }
    ]  # fmt: skip


def test_a_table_that_speaks_arrow_becomes_its_rows() -> None:
    assert to_instances(pa.table({"a": [1, None], "b": ["x", "y"]})) == [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]


@pytest.mark.parametrize("rows", ["text", b"bytes", 3, [1, 2], [["a"]], None])
def test_what_is_no_row_is_refused(rows: object) -> None:
    with pytest.raises(Invalid, match="is no row"):
        to_instances(rows)


class Plane:
    """A control plane that knows names, and a data plane that knows ids; either can be away."""

    def __init__(self) -> None:
        self.ids = {"churn": new_id("deployment")}
        self.lookups = 0
        self.control_plane_up = True
        self.gone: set[str] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.startswith("/v1/deployments/"):
            self.lookups += 1
            name = path.rsplit("/", 1)[1]
            if not self.control_plane_up or name not in self.ids:
                return httpx.Response(404, json=problem_document(NotFound(f"There is no deployment {name!r}.")))
            return httpx.Response(200, json={"id": self.ids[name]})
        deployment_id = path.removeprefix("/v1/inference/").removesuffix(":predict")
        if deployment_id in self.gone:
            return httpx.Response(404, json=problem_document(NotFound("stopped")))
        return httpx.Response(200, json={"predictions": [{"label": deployment_id}], "latency_ms": 0.1})

    def client(self) -> Client:
        return Client("http://127.0.0.1:1", "key", transport=httpx.MockTransport(self))


def test_a_name_is_looked_up_once_so_predictions_outlive_the_control_plane() -> None:
    plane = Plane()
    with plane.client() as client:
        client.predict("churn", {"a": 1})
        plane.control_plane_up = False
        assert client.predict("churn", {"a": 1})["predictions"] == [{"label": plane.ids["churn"]}]
    assert plane.lookups == 1


def test_an_id_needs_no_lookup() -> None:
    plane = Plane()
    with plane.client() as client:
        client.predict(plane.ids["churn"], {"a": 1})
    assert plane.lookups == 0


def test_a_name_that_moved_to_another_deployment_is_followed() -> None:
    plane = Plane()
    with plane.client() as client:
        client.predict("churn", {"a": 1})
        plane.gone.add(plane.ids["churn"])
        plane.ids["churn"] = new_id("deployment")
        assert client.predict("churn", {"a": 1})["predictions"] == [{"label": plane.ids["churn"]}]


def test_a_deployment_that_is_gone_is_said_to_be_gone() -> None:
    plane = Plane()
    with plane.client() as client:
        client.predict("churn", {"a": 1})
        plane.gone.add(plane.ids["churn"])
        with pytest.raises(NotFound, match="stopped"):
            client.predict("churn", {"a": 1})
