from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from arkwright.adapters.tracking.mlmodel import as_yaml, model_files, signature_json
from arkwright.contracts.signature import Column, ColumnKind, Label, Signature
from arkwright.testing import sample_publication

_SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(st.characters(codec="ascii"))
_KEYS = st.from_regex(r"k[a-z_]{1,8}", fullmatch=True)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3), max_leaves=12
)


@given(st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=4))
def test_what_is_written_as_yaml_reads_back_the_same(tree: dict[str, Any]) -> None:
    assert yaml.safe_load(as_yaml(tree)) == tree


def describe(kind: ColumnKind, *values: object) -> dict[str, Any]:
    signature = Signature(task="regression", target="y", columns=(Column(name="c", kind=kind, required=False),))
    column: dict[str, Any]
    (column,) = json.loads(signature_json(signature, [{"c": value} for value in values])["inputs"])
    return column


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("numeric", [1.5, None, 2], "double"),
        # A frame of these would be int64 today and float64 as soon as a value is missing.
        ("numeric", [1, 2.0, None], "any"),
        ("numeric", [None], "any"),
        ("numeric", [], "any"),
        ("categorical", ["DSL", None], "string"),
        ("categorical", ["0", "1"], "any"),
        ("categorical", ["True", "x"], "any"),
        ("categorical", [True, False], "any"),
        ("categorical", [None], "any"),
        ("time", ["2026-01-01", None], "datetime"),
    ],
)
def test_a_column_gets_a_strict_type_only_where_a_frame_is_sure_to_have_it(
    kind: ColumnKind, values: list[object], expected: str
) -> None:
    assert describe(kind, *values) == {"type": expected, "name": "c", "required": False}


@pytest.mark.parametrize(
    ("classes", "label"), [(("No", "Yes"), "string"), ((0, 1), "long"), ((False, True), "boolean")]
)
def test_the_label_has_the_type_of_the_classes(classes: tuple[Label, ...], label: str) -> None:
    signature = Signature(task="binary", target="y", columns=(), classes=classes)
    outputs = json.loads(signature_json(signature, [])["outputs"])
    assert [(column["name"], column["type"]) for column in outputs] == [("label", label), ("score", "double")]


def test_the_description_holds_the_digest_and_comes_last(tmp_path: Path) -> None:
    publication = sample_publication("run-1", tmp_path, requirements=("numpy>=2",))
    files = model_files(
        publication,
        model_id="m-1",
        artifact_uri="mlflow-artifacts:/1/models/m-1/artifacts",
        size_bytes=7,
        created_at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    )
    assert list(files)[-1] == "MLmodel"
    model = yaml.safe_load(files["MLmodel"])
    flavor = model["flavors"]["python_function"]
    assert (flavor["loader_module"], flavor["data"]) == ("arkwright.adapters.tracking.pyfunc", "bundle")
    assert flavor["config"] == {"digest": publication.digest}
    assert (model["model_id"], model["run_id"], model["model_size_bytes"]) == ("m-1", "run-1", 7)
    assert model["utc_time_created"] == "2026-01-02 03:04:05.000006"
    assert files["requirements.txt"].decode().splitlines()[2] == "numpy>=2"
    assert yaml.safe_load(files["conda.yaml"])["dependencies"][2]["pip"][0].startswith("mlflow==")
    example = json.loads(files["input_example.json"])
    assert example == {"columns": ["tenure", "contract"], "data": [[1.5, "monthly"], [None, None]]}


def test_without_example_rows_there_is_no_example_file(tmp_path: Path) -> None:
    publication = sample_publication("run-1", tmp_path, example_rows=())
    files = model_files(
        publication, model_id="m", artifact_uri="a:/", size_bytes=1, created_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert set(files) == {"requirements.txt", "python_env.yaml", "conda.yaml", "MLmodel"}
    assert "saved_input_example_info" not in yaml.safe_load(files["MLmodel"])
