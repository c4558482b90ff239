"""The generated types: fresh, deterministic, and true to the schema language."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_sdk_types", ROOT / "tools" / "generate_sdk_types.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(text: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "generated_types"}
    exec(compile(text, "types.py", "exec"), namespace)
    return namespace


def test_the_committed_types_are_those_of_the_committed_api_description() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "generate_sdk_types.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_order_of_a_document_s_schemas_does_not_matter(generator: ModuleType) -> None:
    schemas = {name: {"type": "object", "properties": {"id": {"type": "string"}}} for name in ("B", "A", "C")}
    backwards = dict(reversed(schemas.items()))
    assert generator.generate({"components": {"schemas": schemas}}) == generator.generate(
        {"components": {"schemas": backwards}}
    )


def test_required_optional_nullable_and_nested_members_keep_their_meaning(generator: ModuleType) -> None:
    text = generator.generate(
        {
            "components": {
                "schemas": {
                    "Page_Item_": {
                        "type": "object",
                        "required": ["items"],
                        "properties": {
                            "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
                            "next_cursor": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                        },
                    },
                    "Item": {
                        "type": "object",
                        "required": ["kind", "from"],
                        "properties": {
                            "kind": {"enum": ["a", "b"]},
                            "from": {"type": "object", "additionalProperties": {"type": "number"}},
                        },
                    },
                    "HTTPValidationError": {"type": "object", "properties": {}},
                }
            }
        }
    )
    types = load(text)
    assert types["__all__"] == ["Item", "PageItem"]
    item = types["Item"]
    assert get_type_hints(types["PageItem"], types) == {"items": list[item], "next_cursor": str | None}
    assert get_type_hints(item, types)["from"] == dict[str, float]
    assert "    items: list[Item]\n    next_cursor: NotRequired[str | None]\n" in text


def test_two_schemas_of_one_name_are_refused(generator: ModuleType) -> None:
    with pytest.raises(ValueError, match="same class name"):
        generator.generate({"components": {"schemas": {"A_B": {}, "AB": {}}}})


def test_every_type_of_the_sdk_is_exported() -> None:
    from arkwright.sdk import types

    assert set(types.__all__) <= set(vars(types))


def test_the_api_description_is_stable_json() -> None:
    text = (ROOT / "openapi.json").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
