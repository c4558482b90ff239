"""The files around a bundle that make it an MLflow model which the stock client loads.

References
----------
MLflow 3, "MLflow Models: storage format" and "Model signatures and input examples".
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

from arkwright.contracts.signature import Column, Signature
from arkwright.tracking import ModelPublication

BUNDLE_FOLDER = "bundle"
LOADER_MODULE = "arkwright.adapters.tracking.pyfunc"

# The MLflow whose file format this is; the dependency is pinned to it.
_MLFLOW_VERSION = "3.17.2"
# Texts that pandas, reading the same file, takes for numbers or booleans.
_COULD_BE_READ = re.compile(r"[+-]?\d+(\.\d*)?|true|false", re.IGNORECASE)
_EXAMPLE, _SERVING_EXAMPLE = "input_example.json", "serving_input_example.json"


def model_files(
    publication: ModelPublication, *, model_id: str, artifact_uri: str, size_bytes: int, created_at: datetime
) -> dict[str, bytes]:
    """Return the files beside the bundle by name; ``MLmodel`` is last, because it makes the folder a model."""
    requirements = [f"mlflow=={_MLFLOW_VERSION}", f"arkwright=={version('arkwright')}", *publication.requirements]
    python = platform.python_version()
    files = {
        "requirements.txt": "\n".join(requirements) + "\n",
        "python_env.yaml": as_yaml({"python": python, "dependencies": ["-r requirements.txt"]}),
        "conda.yaml": as_yaml(
            {
                "name": "mlflow-env",
                "channels": ["conda-forge"],
                "dependencies": [f"python={python}", "pip", {"pip": requirements}],
            }
        ),
    }
    if publication.example_rows:
        split = _split(publication.signature, publication.example_rows)
        files[_EXAMPLE] = json.dumps(split)
        files[_SERVING_EXAMPLE] = json.dumps({"dataframe_split": split}, indent=2)
    files["MLmodel"] = as_yaml(
        _mlmodel(publication, python, model_id=model_id, artifact_uri=artifact_uri)
        | {"model_size_bytes": size_bytes, "utc_time_created": created_at.strftime("%Y-%m-%d %H:%M:%S.%f")}
    )
    return {name: text.encode() for name, text in files.items()}


def signature_json(signature: Signature, example_rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return MLflow's form of a signature: inputs and outputs, each a JSON text.

    MLflow refuses a frame of whole numbers for a ``double`` and one of numbers or booleans for a ``string``, where
    we take both; and which of the two a column is in a user's frame changes with one missing value. So a column
    gets a strict type only where the examples show that a frame will have it, and is ``any`` elsewhere: MLflow
    then asks for its presence, and our loader checks the values.
    """
    inputs = [
        {"type": _input_type(column, example_rows), "name": column.name, "required": column.required}
        for column in signature.columns
    ]
    return {"inputs": json.dumps(inputs), "outputs": json.dumps(_outputs(signature))}


def as_yaml(value: Any, indent: int = 0) -> str:
    """Write mappings, lists and scalars as block YAML; scalars are JSON, which YAML includes.

    Examples
    --------
    >>> print(as_yaml({"flavors": {"python_function": {"data": "bundle"}}, "run_id": None}), end="")
    flavors:
      python_function:
        data: "bundle"
    run_id: null
    """
    pad = "  " * indent
    lines = []
    entries = value.items() if isinstance(value, Mapping) else ((None, item) for item in value)
    for key, item in entries:
        lead = f"{pad}- " if key is None else f"{pad}{key}:"
        if isinstance(item, (Mapping, list)) and item:
            nested = as_yaml(item, indent + 1)
            lines.append(lead + nested.lstrip() if key is None else f"{lead}\n{nested}")
        else:
            lines.append(f"{lead}{'' if key is None else ' '}{json.dumps(item)}\n")
    return "".join(lines)


def _mlmodel(publication: ModelPublication, python: str, *, model_id: str, artifact_uri: str) -> dict[str, Any]:
    content: dict[str, Any] = {
        "artifact_path": artifact_uri,
        "flavors": {
            "python_function": {
                "loader_module": LOADER_MODULE,
                "data": BUNDLE_FOLDER,
                # The loader is given this and refuses files that differ from what was registered.
                "config": {"digest": publication.digest},
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                "python_version": python,
                "streamable": False,
            },
        },
        "is_signature_from_type_hint": False,
        "mlflow_version": _MLFLOW_VERSION,
        "model_id": model_id,
        "model_uuid": model_id,
        "run_id": publication.run_id,
        "signature": signature_json(publication.signature, publication.example_rows) | {"params": None},
        "type_hint_from_example": False,
        "metadata": {"digest": publication.digest, "semver": publication.semver},
    }
    if publication.example_rows:
        content["saved_input_example_info"] = {
            "artifact_path": _EXAMPLE,
            "pandas_orient": "split",
            "serving_input_path": _SERVING_EXAMPLE,
            "type": "dataframe",
        }
    return content


def _split(signature: Signature, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = [column.name for column in signature.columns]
    return {"columns": names, "data": [[row.get(name) for name in names] for row in rows]}


def _input_type(column: Column, rows: Sequence[Mapping[str, Any]]) -> str:
    if column.kind == "time":
        return "datetime"
    values = [row[column.name] for row in rows if row.get(column.name) is not None]
    if column.kind == "categorical":
        plain = values and all(isinstance(value, str) and _COULD_BE_READ.fullmatch(value) is None for value in values)
        return "string" if plain else "any"
    fractions = any(isinstance(value, float) and not value.is_integer() for value in values)
    return "double" if fractions else "any"


def _outputs(signature: Signature) -> list[dict[str, Any]]:
    if signature.task == "regression":
        return [{"type": "double", "name": "value", "required": True}]
    first = signature.classes[0]
    label = "boolean" if isinstance(first, bool) else "long" if isinstance(first, int) else "string"
    return [
        {"type": label, "name": "label", "required": True},
        {"type": "double", "name": "score", "required": True},
    ]
