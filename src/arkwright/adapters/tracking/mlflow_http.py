"""The wire to an MLflow server: requests, workspaces, and its errors in our words.

The ``mlflow`` package is never imported: it takes four seconds and 250 MB, and its REST API is the contract.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from arkwright.core.errors import AdapterError, ArkwrightError, Invalid, NotFound, Unavailable
from arkwright.tracking import TrackingServer

_log = logging.getLogger(__name__)

WORKSPACE_HEADER = "X-MLFLOW-WORKSPACE"
DEFAULT_WORKSPACE = "default"
_ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"
_TRY_AGAIN = {408, 429, 502, 503, 504}


class MlflowError(AdapterError):
    """MLflow refused a request; ``error_code`` is its own word for why."""

    def __init__(self, detail: str, *, error_code: str, code: str, hint: str) -> None:
        super().__init__(detail, code=code, hint=hint)
        self.error_code = error_code


class MlflowApi:
    """An MLflow server behind a unix socket or a URL. Safe to share between threads.

    Parameters
    ----------
    url
        Where the server is, ``http(s)://host[:port][/prefix]``.
    socket
        The unix socket to reach it by, if it is a child of ours; ``url`` then only gives the Host header.
    token
        Bearer token, or empty.
    timeout_seconds
        How long to wait for an answer; connecting gets five seconds.
    """

    def __init__(
        self, url: str = "http://localhost", *, socket: Path | None = None, token: str = "", timeout_seconds: float = 60
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Invalid(
                "The tracking URL is not an http or https URL.",
                code="tracking.url",
                hint="Set ARKWRIGHT_TRACKING_URL to the address of an MLflow 3 server, such as http://mlflow:5000.",
            )
        self._embedded = socket is not None
        self._netloc = parts.netloc.rpartition("@")[2]
        self._address = f"unix:{socket}" if socket else f"{parts.scheme}://{self._netloc}{parts.path}"
        self._client = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(timeout_seconds, connect=5.0),
            # A proxy from the environment is for the user's own server, never for our child.
            transport=httpx.HTTPTransport(uds=str(socket)) if socket else None,
            trust_env=not self._embedded,
        )
        self._lock = threading.Lock()
        self._workspaces_enabled: bool | None = None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def server(self) -> TrackingServer:
        """Ask the server who it is."""
        version = self._send("GET", "/version").text.strip()
        response = self._send("GET", "/api/3.0/mlflow/server-info", may_be_absent=True)
        # Servers older than the workspaces have no such page.
        enabled = response.status_code == httpx.codes.OK and bool(self._json(response).get("workspaces_enabled"))
        with self._lock:
            self._workspaces_enabled = enabled
        return TrackingServer(version=version, workspaces_enabled=enabled)

    def get(self, workspace: str, path: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Read from ``/api/2.0/mlflow/<path>``."""
        return self._json(
            self._send("GET", f"/api/2.0/mlflow/{path}", headers=self.headers(workspace), params=dict(params))
        )

    def call(self, method: str, workspace: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Write to ``/api/2.0/mlflow/<path>``."""
        return self._json(
            self._send(method, f"/api/2.0/mlflow/{path}", headers=self.headers(workspace), json=dict(body))
        )

    def create_workspace(self, workspace: str) -> None:
        """Create a workspace; MLflow refuses one that exists."""
        self.headers(workspace)
        self._send("POST", "/api/3.0/mlflow/workspaces", json={"name": workspace})

    def upload(self, workspace: str, artifact_uri: str, path: str, content: bytes | Path) -> None:
        """Stream one file below an artifact root such as ``mlflow-artifacts:/1/models/m-1/artifacts``."""
        url = _ARTIFACTS + quote(f"{self._artifact_root(artifact_uri)}/{path}")
        headers = {**self.headers(workspace), "Content-Type": "application/octet-stream"}
        if isinstance(content, bytes):
            self._send("PUT", url, headers=headers, content=content)
            return
        with content.open("rb") as stream:
            self._send("PUT", url, headers=headers, content=stream)

    def artifacts(self, workspace: str, artifact_uri: str, path: str) -> list[dict[str, Any]]:
        """List the files and folders below an artifact root, one level deep."""
        below = f"{self._artifact_root(artifact_uri)}/{path}".rstrip("/")
        answer = self._send("GET", _ARTIFACTS.rstrip("/"), headers=self.headers(workspace), params={"path": below})
        found: list[dict[str, Any]] = self._json(answer).get("files", [])
        return found

    def download(self, workspace: str, artifact_uri: str, path: str, target: Path, *, limit_bytes: int) -> int:
        """Stream one file below an artifact root to this machine's disk and return its size.

        Raises
        ------
        Invalid
            If it is larger than ``limit_bytes``.
        """
        url = _ARTIFACTS + quote(f"{self._artifact_root(artifact_uri)}/{path}")
        target.parent.mkdir(parents=True, exist_ok=True)
        size_bytes = 0
        try:
            with self._client.stream("GET", url.lstrip("/"), headers=self.headers(workspace)) as response:
                if not response.is_success:
                    response.read()
                    raise self._refusal(response, f"GET {url}")
                with target.open("xb") as file:
                    for block in response.iter_bytes():
                        size_bytes += len(block)
                        if size_bytes > limit_bytes:
                            raise Invalid(
                                "The model's files are larger than an upload may be.",
                                code="import.too_large",
                                hint="Raise ARKWRIGHT_MAX_UPLOAD_BYTES, or log a smaller model.",
                            )
                        file.write(block)
        except httpx.TransportError as error:
            raise self._unavailable(f"{type(error).__name__}: {error}") from error
        return size_bytes

    def headers(self, workspace: str) -> dict[str, str]:
        """Return the header that names the workspace, if the server knows workspaces.

        Raises
        ------
        AdapterError
            If it does not, and the workspace is not the default one: mixing tenants is no option.
        """
        enabled = self._workspaces_enabled
        if enabled is None:
            enabled = self.server().workspaces_enabled
        if enabled:
            return {WORKSPACE_HEADER: workspace}
        if workspace == DEFAULT_WORKSPACE:
            return {}
        raise AdapterError(
            f"The MLflow server at {self._address} does not keep workspaces apart, so {workspace!r} cannot use it.",
            code="tracking.workspaces_disabled",
            hint="Start it with --enable-workspaces (MLflow 3.10 or later), or use the embedded server.",
        )

    def _artifact_root(self, artifact_uri: str) -> str:
        parts = urlsplit(artifact_uri)
        if parts.scheme != "mlflow-artifacts" or parts.netloc not in {"", self._netloc}:
            raise AdapterError(
                f"The MLflow server at {self._address} keeps its artifacts at {parts.scheme}://, "
                "which it does not pass on.",
                code="tracking.artifacts_not_served",
                hint="Start it with --serve-artifacts and without --default-artifact-root (the default), so that "
                "artifact locations begin with mlflow-artifacts:/ .",
            )
        return parts.path.strip("/")

    def _send(self, method: str, path: str, *, may_be_absent: bool = False, **request: Any) -> httpx.Response:
        # Relative to the base URL, which may have a prefix of its own.
        try:
            response = self._client.request(method, path.lstrip("/"), **request)
        except httpx.TransportError as error:
            raise self._unavailable(
                f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            ) from error
        if response.is_success or (may_be_absent and response.status_code == httpx.codes.NOT_FOUND):
            return response
        raise self._refusal(response, f"{method} {path}")

    def _unavailable(self, why: str, retry_after_seconds: int = 2) -> Unavailable:
        hint = (
            "It starts in the background and takes up to 30 s the first time: try again; logs/mlflow.log in the data "
            "folder says how far it is."
            if self._embedded
            else "Check that it is running and that ARKWRIGHT_TRACKING_URL names it."
        )
        return Unavailable(
            f"The tracking server at {self._address} does not answer ({why}).",
            code="tracking.unavailable",
            hint=hint,
            retry_after_seconds=retry_after_seconds,
        )

    def _refusal(self, response: httpx.Response, request: str) -> ArkwrightError:
        error_code, message = _reason(response)
        _log.debug("mlflow refused %s: %s %s", request, response.status_code, error_code)
        if response.status_code in _TRY_AGAIN or error_code == "TEMPORARILY_UNAVAILABLE":
            after = response.headers.get("Retry-After", "")
            return self._unavailable(f"status {response.status_code}: {message}", int(after) if after.isdigit() else 2)
        if error_code == "RESOURCE_DOES_NOT_EXIST":
            return NotFound(f"The tracking server knows no such thing: {message}", code="tracking.not_found")
        if response.status_code in {401, 403}:
            return MlflowError(
                f"The tracking server at {self._address} refused our credentials or address: {message}",
                error_code=error_code,
                code="tracking.refused",
                hint="Check ARKWRIGHT_TRACKING_TOKEN, and that the server allows this host name (--allowed-hosts).",
            )
        return MlflowError(
            f"The tracking server refused {request} with status {response.status_code}: {message}",
            error_code=error_code,
            code="tracking.failed",
            hint="Arkwright needs an MLflow 3 server; its own log says more.",
        )

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            return answer
        raise AdapterError(
            f"The server at {self._address} answered {response.request.url.path} with something other than JSON.",
            code="tracking.not_mlflow",
            hint="Check that ARKWRIGHT_TRACKING_URL names an MLflow server, not a login page in front of it.",
        )


def _reason(response: httpx.Response) -> tuple[str, str]:
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return "", " ".join(response.text.split())[:200] or response.reason_phrase
    # The first line is for people; the rest is the database's.
    message = str(body.get("message") or body.get("detail") or response.reason_phrase).splitlines()[0]
    return str(body.get("error_code", "")), message[:500]
