"""What is in a model's folder: which file is the model, which library reads it, what its ``MLmodel`` file declares.

Nothing is loaded here, only named. What runs code when it is loaded is refused unless the settings allow it.

References
----------
MLflow 3, "MLflow Models: storage format".
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from arkwright.bundles.general import RUNS_CODE, GeneralInput, InputType, Loader
from arkwright.core.errors import Invalid, PolicyRefused
from arkwright.registry.unpacking import OBJECT_SUFFIXES

MLMODEL = "MLmodel"
_MAX_MLMODEL_BYTES = 4 << 20
_DECLARED: dict[str, tuple[InputType, int]] = {
    "double": ("float64", 64),
    "float": ("float32", 32),
    "long": ("integer", 64),
    "integer": ("integer", 32),
    "boolean": ("boolean", 64),
    "string": ("text", 64),
    "datetime": ("moment", 64),
}
_ALLOW_HINT = (
    "An administrator can allow it for models of people who are trusted: ARKWRIGHT_ALLOW_PICKLED_MODELS=true. Or store "
    'the model without a pickle: mlflow.sklearn.log_model(..., serialization_format="skops", skops_trusted_types=[...])'
    ", or the library's own format (mlflow.xgboost, mlflow.lightgbm, mlflow.catboost)."
)


class ModelFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A model that was found and not loaded.

    Parameters
    ----------
    folder
        Its root: where ``MLmodel`` is, or the one file.
    path
        What the loader reads, below ``folder``; empty for the folder itself.
    kind
        The class of a native model, where its format does not say it.
    declared
        Columns of the ``MLmodel`` file's signature that have a type and a name.
    example
        Rows of its input example.
    """

    folder: str
    loader: Loader
    path: str = ""
    kind: str = ""
    declared: tuple[GeneralInput, ...] = ()
    example: tuple[dict[str, Any], ...] = ()


def find_model(folder: Path, *, allow_pickled: bool) -> ModelFiles:
    """Find the model in a folder.

    Raises
    ------
    Invalid
        If there is none, or its ``MLmodel`` file is not to be understood.
    PolicyRefused
        If loading it runs code from its files, and that is not allowed.
    """
    found = _find(folder)
    if found.loader in RUNS_CODE and not allow_pickled:
        what = "a pickle" if found.loader == "pickle" else "code of its own"
        raise PolicyRefused(
            f"The model is stored as {what}, which runs whatever it says when it is loaded; that is not allowed here.",
            code="import.pickle",
            hint=_ALLOW_HINT,
        )
    return found


def _find(folder: Path) -> ModelFiles:
    roots = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    for root in roots:
        if (root / MLMODEL).is_file():
            return _mlflow_model(root)
    objects = [path for path in sorted(folder.iterdir()) if path.suffix in OBJECT_SUFFIXES and path.is_file()]
    if len(objects) == 1:
        loader: Loader = "skops" if objects[0].suffix == ".skops" else "pickle"
        return ModelFiles(folder=str(folder), loader=loader, path=objects[0].name)
    raise Invalid(
        f"There is no {MLMODEL} file in the model's folder.",
        code="import.no_mlmodel",
        hint="Give the folder that mlflow.<flavour>.save_model wrote, or one .skops or .joblib file.",
    )


def _mlflow_model(root: Path) -> ModelFiles:
    content = _read_mlmodel(root / MLMODEL)
    flavors = content.get("flavors")
    if not isinstance(flavors, dict) or not flavors:
        raise _unreadable("it names no flavour")
    loader, path, kind = _loader_of(flavors)
    if path:
        parts = PurePosixPath(path).parts
        if path.startswith("/") or ".." in parts or "\\" in path or not (root / path).is_file():
            raise _unreadable(f"its flavour names the file {path[:200]!r}, which is not in the folder")
    return ModelFiles(
        folder=str(root),
        loader=loader,
        path=path,
        kind=kind,
        declared=_declared(content.get("signature")),
        example=_example(root, content.get("saved_input_example_info")),
    )


def _loader_of(flavors: Mapping[str, Any]) -> tuple[Loader, str, str]:
    """Return the loader, its file and the model's class."""
    for name, key in (("sklearn", "pickled_model"), ("lightgbm", "data"), ("xgboost", "data"), ("catboost", "data")):
        flavor = flavors.get(name)
        if not isinstance(flavor, dict) or flavor.get("code"):  # its own code must be imported: only MLflow does that
            continue
        path = str(flavor.get(key) or "")
        kind = str(flavor.get("model_class") or flavor.get("model_type") or "").rpartition(".")[2]
        if path.endswith(".skops") or (name == "sklearn" and flavor.get("serialization_format") == "skops"):
            return "skops", path, kind
        if name == "sklearn" or path.endswith((".pkl", ".pickle", ".joblib")):
            return "pickle", path, kind
        if name == "xgboost":
            return "xgboost", path, kind
        return ("catboost" if name == "catboost" else "lightgbm"), path, kind
    if "python_function" not in flavors:
        raise _unreadable(f"it has no flavour that can be served: {', '.join(sorted(map(str, flavors)))[:200]}")
    if str(flavors["python_function"].get("loader_module", "")).startswith("arkwright."):
        raise Invalid(
            "This model is a bundle that Arkwright itself published.",
            code="import.own_bundle",
            hint='Register the bundle: POST /v1/models/{name}/versions with {"bundle_digest": "sha256:..."}.',
        )
    return "mlflow", "", "pyfunc"


def _read_mlmodel(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MAX_MLMODEL_BYTES:
        raise _unreadable("it is too large")
    yaml = importlib.import_module("yaml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(str(error)[:300]) from error
    if not isinstance(content, dict):
        raise _unreadable("it is no mapping")
    return content


def _declared(signature: Any) -> tuple[GeneralInput, ...]:
    inputs = _json(signature.get("inputs")) if isinstance(signature, dict) else None
    if not isinstance(inputs, list):
        return ()
    found = []
    for item in inputs:
        if not isinstance(item, dict) or not item.get("name") or item.get("type") not in _DECLARED:
            return ()
        dtype, bits = _DECLARED[item["type"]]
        found.append(GeneralInput(name=str(item["name"]), dtype=dtype, bits=bits))
    return tuple(found)


def _example(root: Path, info: Any) -> tuple[dict[str, Any], ...]:
    path = str(info.get("artifact_path") or "") if isinstance(info, dict) else ""
    if not path or "/" in path or not (root / path).is_file() or (root / path).stat().st_size > _MAX_MLMODEL_BYTES:
        return ()
    content = _json((root / path).read_text(encoding="utf-8", errors="replace"))
    if not isinstance(content, dict) or not isinstance(content.get("columns"), list):
        return ()
    names = [str(name) for name in content["columns"]]
    rows = content.get("data")
    if not isinstance(rows, list):
        return ()
    whole = [row for row in rows if isinstance(row, list) and len(row) == len(names)]
    # MLflow writes what is missing as NaN, in columns of text too.
    return tuple(
        {name: None if cell != cell else cell for name, cell in zip(names, row, strict=True)}  # noqa: PLR0124
        for row in whole
    )


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None


def _unreadable(problem: str) -> Invalid:
    return Invalid(
        f"The {MLMODEL} file cannot be used: {problem}.",
        code="import.mlmodel",
        hint="Log the model again with a current MLflow.",
    )
