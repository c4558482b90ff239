"""MLflow's server behind our authentication, at ``/mlflow``.

The stock ``mlflow`` client works against it (``MLFLOW_TRACKING_URI=<url>/mlflow`` and an API key as
``MLFLOW_TRACKING_TOKEN``), and so does MLflow's UI with a session cookie. The server itself never sees a credential, an
origin or a workspace that the caller chose: the workspace is the credential's. What is reachable is decided in
``mlflow_rules``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import msgspec

from arkwright.core.errors import (
    ArkwrightError,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    PayloadTooLarge,
    Unavailable,
)
from arkwright.front.mlflow_own import OwnRecords
from arkwright.front.mlflow_rules import MAX_BODY_BYTES, Kind, Verdict, judge
from arkwright.front.proxy import Headers, UnixProxy, passed_on
from arkwright.serving import (
    ClientGone,
    DataPlane,
    Message,
    Principal,
    Receive,
    Scope,
    Send,
    header,
    read_body,
    request_id_of,
    respond,
    respond_json,
)

PREFIX = "/mlflow"
_LOOK_SECONDS = 5.0

# Credentials and origins are ours to judge; a workspace or an address of the caller's choice is not to be believed.
_DROPPED = (
    b"authorization",
    b"cookie",
    b"forwarded",
    b"host",
    b"origin",
    b"referer",
    b"x-arkwright-internal",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-prefix",
    b"x-forwarded-proto",
    b"x-mlflow-workspace",
)
# Advertised by MLflow's server, and not reachable through the allow-list.
_NOT_OFFERED = (
    "multipart_uploads_enabled",
    "multipart_downloads_enabled",
    "presigned_upload_run_id_supported",
    "presigned_upload_model_id_supported",
)
_ERROR_CODES: dict[type[ArkwrightError], str] = {
    NotAuthenticated: "UNAUTHENTICATED",
    NotPermitted: "PERMISSION_DENIED",
    NotFound: "ENDPOINT_NOT_FOUND",
    PayloadTooLarge: "INVALID_PARAMETER_VALUE",
    Unavailable: "TEMPORARILY_UNAVAILABLE",
}
_SAFE_TO_SHOW = (b"content-security-policy", b"sandbox")


class MlflowProxy:
    """The raw ASGI application below ``/mlflow``.

    Parameters
    ----------
    plane
        Knows credentials, workspaces and registered models.
    upstream
        Where MLflow's server listens.
    """

    def __init__(self, plane: DataPlane, upstream: UnixProxy) -> None:
        self._plane = plane
        self._upstream = upstream
        self._own = OwnRecords()

    async def close(self) -> None:
        """Close the connections to MLflow's server."""
        await self._upstream.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request below ``/mlflow``."""
        path: str = scope["path"]
        if path == PREFIX:
            # Relative, so that it leads to the port and scheme the browser knows.
            await respond(send, HTTPStatus.TEMPORARY_REDIRECT, b"", headers=[(b"location", b"/mlflow/")])
            return
        try:
            principal = await self._plane.authenticator.authenticate(scope)
            await self._answer(scope, receive, send, principal, path[len(PREFIX) :])
        except ClientGone:
            return
        except ArkwrightError as error:
            await _refuse(scope, send, error)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, principal: Principal, path: str) -> None:
        state = self._plane.holder.state
        workspace = state.workspaces.get(principal.workspace_id)
        if workspace is None:
            raise NotPermitted(f"The workspace {principal.workspace_id!r} has no MLflow workspace yet.")
        verdict = judge(scope["method"], path, scope["query_string"], state.protected_model_ids)
        if verdict.kind is Kind.UNKNOWN:
            raise NotFound(f"{scope['method']} {path} is not part of the MLflow interface that Arkwright offers.")
        if verdict.kind is Kind.DECIDED_HERE:
            raise NotPermitted(
                "Stages, aliases, renaming and deletion of registered models are decided by Arkwright's gates. "
                "Use `arkwright promote`, or POST /v1/models/{model}/versions/{version}/promote."
            )
        if verdict.kind is Kind.PROTECTED:
            raise NotPermitted(
                "These files belong to a registered model, or are not a run's own, and cannot be changed any more. "
                "Log a new model and register it as a new version."
            )
        if verdict.kind is Kind.WORKSPACES:
            await _answer_workspaces(scope, send, verdict, workspace)
            return
        if scope["method"] not in ("GET", "HEAD"):
            receive = await self._check_own(scope, receive, verdict, workspace)
        await self._pass_on(scope, receive, send, verdict, workspace)

    async def _check_own(self, scope: Scope, receive: Receive, verdict: Verdict, workspace: str) -> Receive:
        """Refuse what would change our own records; return what still is to be received."""

        async def look(target: str) -> bytes | None:
            return await self._upstream.fetch(
                target, _LOOK_SECONDS, [(b"x-mlflow-workspace", workspace.encode("ascii"))], missing=b""
            )

        if verdict.kind is Kind.STREAM or verdict.path.endswith("/upload-artifact"):
            await self._own.check_artifact(verdict.path, scope["query_string"], look)
            return receive
        _check_not_compressed(scope)
        body = await read_body(scope, receive, MAX_BODY_BYTES)
        await self._own.check_call(verdict.path, body, look)
        return _replayed(body, receive)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, verdict: Verdict, workspace: str) -> None:
        streamed = verdict.kind is Kind.STREAM
        if not streamed:
            _check_not_compressed(scope)
        headers = passed_on(scope, _DROPPED)
        headers += [(b"host", b"localhost"), (b"x-mlflow-workspace", workspace.encode("ascii"))]
        if verdict.kind is Kind.SERVER_INFO:
            headers = [(key, value) for key, value in headers if key != b"accept-encoding"]
            send = _corrected(send)
        query: bytes = scope["query_string"]
        await self._upstream.forward(
            scope,
            receive,
            send,
            target=verdict.target + (b"?" + query if query else b""),
            headers=headers,
            max_body_bytes=None if streamed else MAX_BODY_BYTES,
            rewrite=_as_artifact if streamed or verdict.path.endswith("get-artifact") else _relocated,
        )


def _check_not_compressed(scope: Scope) -> None:
    if header(scope, b"content-encoding") not in (None, b"identity"):
        # A small compressed body can unfold into a very large one.
        raise PayloadTooLarge("Compressed request bodies are not accepted here; send it uncompressed.")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives a body that was read already, then goes on."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again


def _relocated(headers: Headers) -> Headers:
    """Make redirects stay below ``/mlflow``."""
    return [(key, _below_prefix(value) if key == b"location" else value) for key, value in headers]


def _as_artifact(headers: Headers) -> Headers:
    """Let a browser show a file that a run logged without running what is in it on our origin."""
    return [*_relocated(headers), _SAFE_TO_SHOW]


def _below_prefix(location: bytes) -> bytes:
    parts = urlsplit(location.decode("latin-1"))
    if parts.netloc not in ("", "localhost"):
        return location
    if parts.netloc == "" and not parts.path.startswith("/"):
        return location
    rest = f"{PREFIX}{parts.path}" + (f"?{parts.query}" if parts.query else "")
    return rest.encode("latin-1")


def _corrected(send: Send) -> Send:
    """Wrap ``send`` so that what MLflow says about itself is what this proxy offers."""
    start: dict[str, Any] = {}
    parts: list[bytes] = []

    async def hold_back(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        parts.append(message.get("body", b""))
        if message.get("more_body", False):
            return
        body = b"".join(parts)
        if start["status"] == HTTPStatus.OK:
            info = msgspec.json.decode(body, type=dict[str, Any])
            info.update(dict.fromkeys((name for name in _NOT_OFFERED if name in info), False))
            body = msgspec.json.encode(info)
        headers = [(key, value) for key, value in start["headers"] if key != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode("ascii")))
        await send({**start, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return hold_back


async def _answer_workspaces(scope: Scope, send: Send, verdict: Verdict, workspace: str) -> None:
    """Show the caller its one workspace; workspaces are made and removed by Arkwright only."""
    if scope["method"] not in ("GET", "HEAD"):
        raise NotPermitted("Workspaces are managed by Arkwright, not through MLflow.")
    if not verdict.workspace:
        await respond_json(send, HTTPStatus.OK, {"workspaces": [{"name": workspace}]})
    elif verdict.workspace == workspace:
        await respond_json(send, HTTPStatus.OK, {"workspace": {"name": workspace}})
    else:
        raise NotFound(f"There is no workspace {verdict.workspace!r} for this credential.")


async def _refuse(scope: Scope, send: Send, error: ArkwrightError) -> None:
    """Say no in the shape MLflow's client reads, or in words to a browser."""
    headers = [(b"x-request-id", request_id_of(scope).encode("ascii")), (b"cache-control", b"no-store")]
    if isinstance(error, Unavailable):
        headers.append((b"retry-after", str(error.retry_after_seconds).encode("ascii")))
    if isinstance(error, NotAuthenticated):
        headers.append((b"www-authenticate", b'Bearer realm="arkwright"'))
    text = f"{error.detail} {error.hint}" if error.hint else error.detail
    if b"text/html" in (header(scope, b"accept") or b""):
        await respond(send, error.status, f"{error.title}\n\n{text}\n".encode(), b"text/plain; charset=utf-8", headers)
        return
    code = next((name for kind, name in _ERROR_CODES.items() if isinstance(error, kind)), "INTERNAL_ERROR")
    await respond_json(send, error.status, {"error_code": code, "message": text}, headers)
