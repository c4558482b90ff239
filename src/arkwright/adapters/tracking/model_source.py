"""Where a logged model's files lie in MLflow, and a copy of them.

MLflow 3 keeps a model's files with the *logged model*, and ``runs:/<id>/<name>`` finds it by its name among the run's
outputs; older models lie below the run's own artifacts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from arkwright.adapters.tracking.mlflow_http import MlflowApi, MlflowError
from arkwright.core.errors import AdapterError, Invalid, NotFound
from arkwright.tracking import FetchedModel, parse_model_uri

_MLMODEL = "MLmodel"
_MAX_FILES = 2000
_MAX_DEPTH = 20


def fetch_model(api: MlflowApi, workspace: str, uri: str, folder: Path, *, limit_bytes: int) -> FetchedModel:
    """Copy a model's files into a folder; see :meth:`arkwright.tracking.ports.TrackingStore.fetch_model`."""
    artifact_uri, run_id = _locate(api, workspace, uri)
    n_files = size_bytes = 0
    for path in _files(api, workspace, artifact_uri, "", 0):
        n_files += 1
        if n_files > _MAX_FILES:
            raise Invalid(
                f"The model {uri} has more than {_MAX_FILES:,} files.",
                code="import.too_many_files",
                hint="Log the model alone, without the data it was trained on.",
            )
        size_bytes += api.download(workspace, artifact_uri, path, folder / path, limit_bytes=limit_bytes - size_bytes)
    if not (folder / _MLMODEL).is_file():
        raise NotFound(
            f"There is no MLflow model at {uri}: it has no {_MLMODEL} file.",
            code="import.model_not_found",
            hint="Check the name that log_model was given: runs:/<run id>/<name>.",
        )
    return FetchedModel(uri=uri, run_id=run_id, n_files=n_files, size_bytes=size_bytes)


def _locate(api: MlflowApi, workspace: str, uri: str) -> tuple[str, str]:
    """Return the artifact root of a model, and the run that made it."""
    parts = parse_model_uri(uri)
    if "logged" in parts:
        return _logged(api, workspace, parts["logged"])
    if "run" in parts:
        return _of_run(api, workspace, parts["run"], parts["path"])
    version = _version(api, workspace, parts)
    source, run_id = str(version["source"]), str(version.get("run_id") or "")
    if version.get("model_id"):
        root, maker = _logged(api, workspace, str(version["model_id"]))
        return root, maker or run_id
    if source.startswith(("models:/", "runs:/")):
        root, maker = _locate(api, workspace, source) if not _is_version(source) else (source, "")
        return root, maker or run_id
    return source, run_id


def _version(api: MlflowApi, workspace: str, parts: dict[str, str]) -> dict[str, Any]:
    if "alias" in parts:
        query = {"name": parts["name"], "alias": parts["alias"]}
        try:
            found: dict[str, Any] = api.get(workspace, "registered-models/alias", query)["model_version"]
        except MlflowError as error:
            # MLflow's word for an alias that nobody set.
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            raise NotFound(error.detail, code="tracking.not_found") from error
        return found
    query = {"name": parts["name"], "version": parts["version"]}
    exact: dict[str, Any] = api.get(workspace, "model-versions/get", query)["model_version"]
    return exact


def _is_version(source: str) -> bool:
    """Tell whether a source is itself a registered version, which could lead in circles."""
    return source.startswith("models:/") and "logged" not in parse_model_uri(source)


def _logged(api: MlflowApi, workspace: str, model_id: str) -> tuple[str, str]:
    info = api.get(workspace, f"logged-models/{model_id}", {})["model"]["info"]
    return str(info["artifact_uri"]), str(info.get("source_run_id") or "")


def _of_run(api: MlflowApi, workspace: str, run_id: str, path: str) -> tuple[str, str]:
    run = api.get(workspace, "runs/get", {"run_id": run_id})["run"]
    outputs = run.get("outputs", {}).get("model_outputs", [])
    # The last one of that name is meant, as in MLflow's own client.
    for output in reversed(outputs):
        info = api.get(workspace, f"logged-models/{output['model_id']}", {})["model"]["info"]
        if info.get("name") == path:
            return str(info["artifact_uri"]), run_id
    return f"{run['info']['artifact_uri']}/{path}", run_id


def _files(api: MlflowApi, workspace: str, artifact_uri: str, below: str, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        raise Invalid("The model's folders are nested too deep.", code="import.too_deep")
    for entry in api.artifacts(workspace, artifact_uri, below):
        name = PurePosixPath(str(entry["path"])).name
        if name in {"", ".", ".."} or "\\" in name or "\0" in name:
            raise AdapterError(f"The tracking server lists a file {name!r}.", code="tracking.failed")
        path = f"{below}/{name}".lstrip("/")
        if entry.get("is_dir"):
            yield from _files(api, workspace, artifact_uri, path, depth + 1)
        else:
            yield path
