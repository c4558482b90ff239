"""What of MLflow's server may be reached from outside: an allow-list over decoded, normalised paths.

MLflow's server decodes paths more than once and has routes that would hand a tenant another tenant's data, secrets or
processes (assistant, gateway, webhooks, jobs, scorers, pre-signed URLs). So nothing is passed on that is not named
here, and what is passed on is written anew from the path that was checked: the two cannot differ.

Refused by name, because they are ours to decide: everything that promotes, renames or deletes a registered model or a
version, and every write to the files of a registered model.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qs, quote, unquote

# Enough for a batch of 1,000 metrics, parameters and tags many times over.
MAX_BODY_BYTES = 16_000_000

_ID = "[A-Za-z0-9_.:@=+~-]+"

_READ = {
    "2.0": (
        "artifacts/list experiments/get experiments/get-by-name experiments/search get-trace-artifact "
        "logged-models/ID logged-models/ID/artifacts/directories logged-models/ID/artifacts/files "
        "metrics/get-history metrics/get-history-bulk metrics/get-history-bulk-interval "
        "model-versions/get model-versions/get-download-uri model-versions/search "
        "registered-models/alias registered-models/get registered-models/get-latest-versions "
        "registered-models/search runs/get traces traces/ID/info"
    ),
    "3.0": (
        "datasets/ID datasets/ID/experiment-ids datasets/ID/records datasets/search get-trace-artifact "
        "scorers/get scorers/list scorers/versions server-info traces/ID traces/ID/assessments/ID "
        "traces/batchGet traces/get ui-telemetry"
    ),
}
_WRITE = {
    ("2.0", "POST"): (
        "experiments/create experiments/delete experiments/delete-experiment-tag experiments/restore "
        "experiments/search experiments/search-datasets experiments/set-experiment-tag experiments/update "
        "logged-models logged-models/ID/params logged-models/search model-versions/create model-versions/set-tag "
        "registered-models/create registered-models/get-latest-versions registered-models/set-tag "
        "runs/create runs/delete runs/delete-tag runs/log-batch runs/log-inputs runs/log-metric runs/log-model "
        "runs/log-parameter runs/outputs runs/restore runs/search runs/set-tag runs/update "
        "traces traces/delete-traces traces/link-to-run upload-artifact"
    ),
    ("2.0", "PATCH"): (
        "logged-models/ID logged-models/ID/tags model-versions/update registered-models/update traces/ID traces/ID/tags"
    ),
    ("2.0", "DELETE"): (
        "logged-models/ID logged-models/ID/tags/ID model-versions/delete-tag registered-models/delete-tag "
        "traces/ID/tags"
    ),
    ("3.0", "POST"): (
        "datasets/ID/add-experiments datasets/ID/records datasets/ID/remove-experiments datasets/create "
        "datasets/search traces traces/ID/assessments traces/batchGetInfos traces/calculate-filter-correlation "
        "traces/delete-traces traces/metrics traces/search"
    ),
    ("3.0", "PATCH"): "datasets/ID/tags traces/ID/assessments/ID traces/ID/tags",
    ("3.0", "DELETE"): "datasets/ID datasets/ID/records datasets/ID/tags/ID traces/ID/assessments/ID traces/ID/tags",
}
_OURS_TO_DECIDE = {
    ("POST", "registered-models/alias"),
    ("DELETE", "registered-models/alias"),
    ("POST", "registered-models/rename"),
    ("DELETE", "registered-models/delete"),
    ("POST", "model-versions/transition-stage"),
    ("DELETE", "model-versions/delete"),
}
_PAGES = frozenset({"/", "/get-artifact", "/model-versions/get-artifact", "/version", "/health"})

_API = re.compile(r"/(?:ajax-)?api/(2\.0|3\.0)/mlflow/(.+)")
_ARTIFACT = re.compile(r"/(?:ajax-)?api/2\.0/mlflow-artifacts/artifacts(?:/(.+))?")
_STATIC = re.compile(r"/static-files/[A-Za-z0-9_.,@=+~/ -]+")
_WORKSPACE = re.compile(rf"workspaces(?:/({_ID}))?")
# A run's or a logged model's own folder: what may be deleted is never above one.
_OWNED_FOLDER = re.compile(r"[0-9a-f]{32}|m-[0-9a-f]{32}", re.IGNORECASE)


def _pattern(names: str) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(name).replace("ID", _ID) for name in names.split()))


_READ_PATTERNS = {version: _pattern(names) for version, names in _READ.items()}
_WRITE_PATTERNS = {key: _pattern(names) for key, names in _WRITE.items()}


class Kind(Enum):
    """What becomes of a request."""

    FORWARD = "forward"  # to MLflow, with a limit on the body
    STREAM = "stream"  # to MLflow, an artifact of any size
    SERVER_INFO = "server_info"  # to MLflow, its answer corrected by what this list leaves out
    WORKSPACES = "workspaces"  # answered here
    DECIDED_HERE = "decided_here"  # 403: promotion has gates
    PROTECTED = "protected"  # 403: a registered model's files
    UNKNOWN = "unknown"  # 404


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request, and the path to pass on if it is passed on."""

    kind: Kind
    path: str = ""
    workspace: str = ""

    @property
    def target(self) -> bytes:
        """The path as it goes on the wire."""
        return quote(self.path, safe="/-._~!$&'()*+,;=:@").encode("ascii")


UNKNOWN = Verdict(Kind.UNKNOWN)


def judge(method: str, path: str, query: bytes = b"", protected: Collection[str] = ()) -> Verdict:
    """Decide about a request.

    Parameters
    ----------
    method
        The request's.
    path
        Decoded once, below ``/mlflow``.
    query
        The raw query string.
    protected
        Ids of logged models whose files may no longer be written.

    Examples
    --------
    >>> judge("POST", "/api/2.0/mlflow/runs/create").kind
    <Kind.FORWARD: 'forward'>
    >>> judge("POST", "/api/2.0/mlflow/model-versions/transition-stage").kind
    <Kind.DECIDED_HERE: 'decided_here'>
    >>> judge("GET", "//api/3.0/mlflow/gateway/secrets/list").kind
    <Kind.UNKNOWN: 'unknown'>
    """
    if method == "HEAD":
        method = "GET"
    artifact = _ARTIFACT.fullmatch(path)
    if not _is_plain(path) or ("%" in path and artifact is None):
        return UNKNOWN
    if artifact is not None:
        return _judge_artifact(method, path, artifact[1] or "", protected)
    api = _API.fullmatch(path)
    if api is not None:
        return Verdict(_judge_api(method, api[1], api[2], query, protected), path, _workspace_in(api[2]))
    readable = path in _PAGES or path == "/graphql" or _STATIC.fullmatch(path) is not None
    writable = path in ("/graphql", "/v1/traces")
    return Verdict(Kind.FORWARD, path) if (method == "GET" and readable) or (method == "POST" and writable) else UNKNOWN


def _judge_api(method: str, version: str, name: str, query: bytes, protected: Collection[str]) -> Kind:
    pattern = _READ_PATTERNS[version] if method == "GET" else _WRITE_PATTERNS.get((version, method))
    deletes_model = method == "DELETE" and name.startswith("logged-models/")
    if (method, name) in _OURS_TO_DECIDE:
        kind = Kind.DECIDED_HERE
    elif version == "3.0" and _WORKSPACE.fullmatch(name):
        kind = Kind.WORKSPACES
    elif pattern is None or pattern.fullmatch(name) is None:
        kind = Kind.UNKNOWN
    elif name == "server-info":
        kind = Kind.SERVER_INFO
    elif (deletes_model and _names_protected(name, protected)) or (
        name == "upload-artifact" and _uploads_to_protected(query, protected)
    ):
        kind = Kind.PROTECTED
    else:
        kind = Kind.FORWARD
    return kind


def _workspace_in(name: str) -> str:
    found = _WORKSPACE.fullmatch(name)
    return (found[1] or "") if found else ""


def _judge_artifact(method: str, path: str, artifact: str, protected: Collection[str]) -> Verdict:
    decoded = _fully_decoded(artifact)
    if decoded is None or not _is_plain(f"/{decoded}"):
        return UNKNOWN
    if method == "GET":
        return Verdict(Kind.STREAM, path)
    if method not in ("PUT", "DELETE") or not decoded:
        return UNKNOWN
    if _names_protected(decoded, protected):
        return Verdict(Kind.PROTECTED, path)
    # Deleting an experiment's folder would take the registered models below it along.
    if method == "DELETE" and not any(_OWNED_FOLDER.fullmatch(part) for part in decoded.split("/")):
        return Verdict(Kind.PROTECTED, path)
    return Verdict(Kind.STREAM, path)


def _is_plain(path: str) -> bool:
    """Tell whether a path means what it says: absolute, no empty, ``.`` or ``..`` part, no control character."""
    if not path.startswith("/") or "\\" in path or any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        return False
    return path == "/" or all(part not in ("", ".", "..") for part in path[1:].split("/"))


def _fully_decoded(text: str) -> str | None:
    """Decode until nothing changes, as MLflow does; None if that takes suspiciously long."""
    for _ in range(5):
        decoded = unquote(text)
        if decoded == text:
            return text
        text = decoded
    return None


def _names_protected(path: str, protected: Collection[str]) -> bool:
    # Case is folded because some disks do not tell m-ABC from m-abc.
    folded = {item.casefold() for item in protected}
    return any(part.casefold() in folded for part in path.split("/"))


def _uploads_to_protected(query: bytes, protected: Collection[str]) -> bool:
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    named = [*values.get("run_uuid", []), *values.get("path", [])]
    return any(_names_protected(_fully_decoded(item) or "", protected) for item in named)
