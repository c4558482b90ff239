"""The Open Inference Protocol, version 2, over REST, with the binary tensor data extension.

A model is a deployment, by name or id; its versions are those of its arms. A request that names a version is answered
by that one, any other by the arm it belongs to.

References
----------
https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

import msgspec

from arkwright import __version__
from arkwright.core.errors import ArkwrightError, Invalid, NotFound
from arkwright.serving.asgi import ClientGone, Receive, Scope, Send, respond
from arkwright.serving.core import InferenceCore
from arkwright.serving.errors import MethodNotAllowed
from arkwright.serving.exchange import Adapter, Reply, Request, Scored, error_headers
from arkwright.serving.instances import check_count, check_unique, decode_shape
from arkwright.serving.protocols.tensors import (
    Tensor,
    from_bytes,
    from_json,
    input_datatype,
    output_datatypes,
    rows_of,
    to_bytes,
)
from arkwright.serving.request_ids import name_request
from arkwright.serving.state import LiveEndpoint

EXTENSIONS = ("binary_tensor_data",)
PLATFORM = "arkwright"
_JSON_LENGTH = b"inference-header-content-length"
_BINARY = b"application/octet-stream"
_MODELS = "/v2/models/"
_HINT = 'Send {"inputs": [{"name": ..., "datatype": ..., "shape": [n], "data": [...]}]}.'
_encode = msgspec.json.Encoder().encode


class _Input(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    data: Any = None
    parameters: dict[str, Any] = {}


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Body(msgspec.Struct):
    inputs: list[_Input]
    id: str = ""
    outputs: list[_Output] = []
    parameters: dict[str, Any] = {}


_decoder = msgspec.json.Decoder(_Body)


class Infer(Adapter):
    """``POST /v2/models/{model}[/versions/{version}]/infer``."""

    name: ClassVar[str] = "open_inference"
    media_types: ClassVar[tuple[bytes, ...]] = (b"application/json", _BINARY)

    def select(self, request: Request) -> None:
        """Read the model and version from the path."""
        request.named, request.version, _action = split_path(request.scope["path"])

    def parse(self, request: Request) -> None:
        """Read the JSON part; the rest of the body is the tensors' bytes."""
        announced = request.headers.get(_JSON_LENGTH)
        body = request.body
        if announced is not None:
            if not announced.isdigit() or int(announced) > len(body):
                raise _refusal("Inference-Header-Content-Length", "is not the length of a part of the body")
            body = bytes(body[: int(announced)])
        read = decode_shape(_decoder, body, _HINT)
        check_unique(body, _n_names(read))
        if read.id:
            request.request_id = name_request(read.id.encode("utf-8", "replace"))
        request.document = read, bytes(request.body[len(body) :])

    def rows_at_most(self, request: Request) -> int:
        """Return the longest side of a tensor."""
        return max((max(given.shape, default=0) for given in request.document[0].inputs), default=0)

    def rows(self, request: Request, live: LiveEndpoint) -> list[dict[str, Any]]:
        """Return the tensors as rows."""
        read, rest = request.document
        at = 0
        tensors: list[Tensor] = []
        for index, given in enumerate(read.inputs):
            size = given.parameters.get("binary_data_size")
            if size is None:
                tensors.append(from_json(given.name, given.datatype, given.shape, given.data))
                continue
            if type(size) is not int or size < 0 or at + size > len(rest):
                raise _refusal(f"inputs[{index}].parameters.binary_data_size", "does not fit the body")
            tensors.append(from_bytes(given.name, given.datatype, given.shape, rest[at : at + size]))
            at += size
        signature = live.arms[0].bundle.signature
        known = output_datatypes(signature)
        for wanted in read.outputs:
            if wanted.name not in known:
                raise _refusal(f"outputs.{wanted.name}", f"is not an output of this model: {', '.join(known)}")
        rows = rows_of(tensors, signature)
        check_count(len(rows), request.max_rows)
        return rows

    def reply(self, request: Request, scored: Scored) -> Reply:
        """Return the predictions as tensors."""
        read = request.document[0]
        assert request.live is not None  # noqa: S101 - for the type checker; it was answered
        datatypes = output_datatypes(request.live.arms[0].bundle.signature)
        names = [wanted.name for wanted in read.outputs] or list(datatypes)
        all_binary = read.parameters.get("binary_data_output") is True
        as_bytes = {wanted.name: wanted.parameters.get("binary_data", all_binary) is True for wanted in read.outputs}
        outputs: list[dict[str, Any]] = []
        parts: list[bytes] = []
        for name in names:
            cells = [prediction[name] for prediction in scored.predictions]
            output: dict[str, Any] = {"name": name, "datatype": datatypes[name], "shape": [len(cells)]}
            if as_bytes.get(name, all_binary):
                parts.append(to_bytes(datatypes[name], cells))
                output["parameters"] = {"binary_data_size": len(parts[-1])}
            else:
                output["data"] = cells
            outputs.append(output)
        document = {
            "model_name": request.live.endpoint.name,
            "model_version": scored.version,
            "id": request.request_id,
            "parameters": answered_by(scored),
            "outputs": outputs,
        }
        top = _encode(document)
        if not parts:
            return Reply(top)
        headers = ((_JSON_LENGTH, b"%d" % len(top)),)
        return Reply(b"".join((top, *parts)), content_type=_BINARY, headers=headers)

    def problem(self, error: ArkwrightError, request: Request) -> Reply:  # noqa: ARG002 - see Adapter
        """Return an error as the protocol words it; wrong input is its 400."""
        return problem_reply(error)


class OpenInference:
    """Every path below ``/v2``."""

    def __init__(self, core: InferenceCore) -> None:
        self._core = core
        self._infer = Infer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        if scope["method"] == "POST" and path.endswith("/infer") and path.startswith(_MODELS):
            await self._core.serve(scope, receive, send, self._infer)
            return
        request = self._core.request(scope)
        try:
            status, document = await self._look_up(request, path)
            reply = Reply(_encode(document), status)
        except ClientGone:
            return
        except ArkwrightError as error:
            reply = problem_reply(error)
        body = b"" if scope["method"] == "HEAD" else reply.body
        await respond(send, reply.status, body, reply.content_type, (*request.response_headers(), *reply.headers))

    async def _look_up(self, request: Request, path: str) -> tuple[int, dict[str, Any]]:
        if request.scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{request.scope['method']} is not allowed at {path!r}.", hint="It answers GET.")
        if path in ("/v2", "/v2/"):
            return HTTPStatus.OK, server_metadata()
        if path == "/v2/health/live":
            return HTTPStatus.OK, {"live": True}
        if path == "/v2/health/ready":
            ready = self._core.able
            return HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, {"ready": ready}
        named, version, action = split_path(path)
        live = await self._core.look_up(request, named)
        check_version(live, version)
        if action == "ready":
            return HTTPStatus.OK, {"name": live.endpoint.name, "ready": True}
        if action:
            raise _nothing(path)
        return HTTPStatus.OK, model_metadata(live)


def _n_names(read: _Body) -> int:
    """Return how many names a body has; not those within parameters, which are few or looked at once more."""
    tensors = sum(
        3 + (given.data is not None) + bool(given.parameters) * (1 + len(given.parameters)) for given in read.inputs
    )
    outputs = bool(read.outputs) + sum(1 + bool(each.parameters) * (1 + len(each.parameters)) for each in read.outputs)
    return 1 + bool(read.id) + tensors + outputs + bool(read.parameters) * (1 + len(read.parameters))


def split_path(path: str) -> tuple[str, str, str]:
    """Return the model, the version (or empty) and the action (or empty) of a path.

    Examples
    --------
    >>> split_path("/v2/models/churn/versions/1.0.0/infer"), split_path("/v2/models/churn")
    (('churn', '1.0.0', 'infer'), ('churn', '', ''))
    """
    if not path.startswith(_MODELS):
        raise _nothing(path)
    parts = path[len(_MODELS) :].split("/")
    named, rest = parts[0], parts[1:]
    version = ""
    if rest[:1] == ["versions"] and len(rest) > 1:
        version, rest = rest[1], rest[2:]
    if not named or len(rest) > 1:
        raise _nothing(path)
    return named, version, rest[0] if rest else ""


def check_version(live: LiveEndpoint, version: str) -> None:
    """Refuse a version that does not answer at a deployment.

    Raises
    ------
    NotFound
        Naming those that do.
    """
    if version and not any(version in (one.arm.semver, str(one.arm.number)) for one in live.arms):
        served = ", ".join(one.arm.semver for one in live.arms)
        raise NotFound(
            f"The deployment {live.endpoint.name!r} does not answer with version {version!r}: it has {served}.",
            code="model_version.not_found",
            hint="Leave the version out, or name one of these.",
        )


def server_metadata() -> dict[str, Any]:
    """Return what the server says of itself."""
    return {"name": PLATFORM, "version": __version__, "extensions": list(EXTENSIONS)}


def model_metadata(live: LiveEndpoint) -> dict[str, Any]:
    """Return a deployment's inputs and outputs."""
    signature = live.arms[0].bundle.signature
    return {
        "name": live.endpoint.name,
        "versions": list(dict.fromkeys(one.arm.semver for one in live.arms)),
        "platform": PLATFORM,
        "inputs": [
            {"name": column.name, "datatype": input_datatype(column.kind), "shape": [-1]}
            for column in signature.columns
        ],
        "outputs": [
            {"name": name, "datatype": datatype, "shape": [-1]}
            for name, datatype in output_datatypes(signature).items()
        ],
    }


def answered_by(scored: Scored) -> dict[str, Any]:
    """Return the parameters of an answer that say who gave it."""
    parameters: dict[str, Any] = {"arm": scored.arm_name, "latency_ms": scored.latency_ms}
    if scored.fallback:
        parameters["fallback"] = scored.fallback
    return parameters


def problem_reply(error: ArkwrightError) -> Reply:
    """Return an error as ``{"error": ...}``."""
    status = HTTPStatus.BAD_REQUEST if error.status == HTTPStatus.UNPROCESSABLE_ENTITY else error.status
    text = f"{error.detail} {error.hint}" if error.hint else error.detail
    return Reply(_encode({"error": text, "code": error.code}), status, headers=error_headers(error))


def _nothing(path: str) -> NotFound:
    return NotFound(
        f"There is nothing at {path!r}.",
        code="http.not_found",
        hint="Models are at /v2/models/{deployment}, predictions at /v2/models/{deployment}/infer.",
    )


def _refusal(field: str, message: str) -> Invalid:
    return Invalid(
        f"{field} {message}.",
        code="prediction.malformed",
        hint=_HINT,
        errors=[{"field": field, "message": message}],
    )
