"""``inference.GRPCInferenceService`` on the event loop of the data plane, in front of the same core.

A key comes in the metadata ``authorization: Bearer ...``. An error's status says what kind it is and its text what to
do; where it helps to come back later, the trailing metadata ``retry-after`` says when, in seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, ClassVar

import grpc
from google.protobuf.message import DecodeError

from arkwright.core.errors import ArkwrightError, Conflict, Invalid
from arkwright.serving.asgi import Scope
from arkwright.serving.core import InferenceCore
from arkwright.serving.exchange import Adapter, Reply, Request, Scored, error_headers
from arkwright.serving.grpc.messages import SERVICE, messages
from arkwright.serving.instances import check_count
from arkwright.serving.protocols.open_inference import (
    answered_by,
    check_version,
    model_metadata,
    server_metadata,
)
from arkwright.serving.protocols.tensors import (
    BYTES,
    Tensor,
    from_bytes,
    from_contents,
    output_datatypes,
    rows_of,
    to_bytes,
)
from arkwright.serving.request_ids import name_request
from arkwright.serving.state import LiveEndpoint

_GRACE_SECONDS = 30.0
# Calls that hold no prediction slot, such as a probe of the server's health.
_PROBES = 8
_INFER = f"/{SERVICE}/ModelInfer"
_CODES = {
    HTTPStatus.UNAUTHORIZED: grpc.StatusCode.UNAUTHENTICATED,
    HTTPStatus.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    HTTPStatus.INTERNAL_SERVER_ERROR: grpc.StatusCode.INTERNAL,
}
_CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}

Context = Any  # grpc.aio.ServicerContext; its stubs are generic in ways that say nothing here


class ModelInfer(Adapter):
    """A ``ModelInferRequest``; its body is the message as it was sent."""

    name: ClassVar[str] = "grpc"

    def select(self, request: Request) -> None:
        """Leave it to :meth:`parse`: the model's name is in the message."""

    def parse(self, request: Request) -> None:
        """Read the message."""
        message = messages().ModelInferRequest()
        try:
            message.ParseFromString(request.body)
        except DecodeError:
            raise _refusal("body", "is not a ModelInferRequest") from None
        if not message.model_name:
            raise _refusal("model_name", "is missing")
        request.document = message
        request.named, request.version = message.model_name, message.model_version
        if message.id:
            request.request_id = name_request(message.id.encode())

    def rows_at_most(self, request: Request) -> int:
        """Return the longest side of a tensor."""
        return max((max(given.shape, default=0) for given in request.document.inputs), default=0)

    def rows(self, request: Request, live: LiveEndpoint) -> list[dict[str, Any]]:
        """Return the tensors as rows."""
        message = request.document
        raw = message.raw_input_contents
        if raw and len(raw) != len(message.inputs):
            raise _refusal("raw_input_contents", f"has {len(raw)} parts for {len(message.inputs)} inputs")
        tensors: list[Tensor] = []
        for index, given in enumerate(message.inputs):
            shape = list(given.shape)
            if raw:
                tensors.append(from_bytes(given.name, given.datatype, shape, raw[index]))
                continue
            if given.datatype not in _CONTENTS:
                raise _refusal(f"inputs[{index}].datatype", f"is {given.datatype[:20]!r}: send it as raw contents")
            cells = getattr(given.contents, _CONTENTS[given.datatype])
            tensors.append(from_contents(given.name, given.datatype, shape, cells))
        signature = live.arms[0].bundle.signature
        known = output_datatypes(signature)
        for wanted in message.outputs:
            if wanted.name not in known:
                raise _refusal(f"outputs.{wanted.name}", f"is not an output of this model: {', '.join(known)}")
        rows = rows_of(tensors, signature)
        check_count(len(rows), request.max_rows)
        return rows

    def reply(self, request: Request, scored: Scored) -> Reply:
        """Return a ``ModelInferResponse`` with raw contents."""
        live = request.live
        assert live is not None  # noqa: S101 - for the type checker; it was answered
        answer = messages().ModelInferResponse(
            model_name=live.endpoint.name, model_version=scored.version, id=request.request_id
        )
        for name, value in answered_by(scored).items():
            if isinstance(value, str):
                answer.parameters[name].string_param = value
            else:
                answer.parameters[name].double_param = value
        datatypes = output_datatypes(live.arms[0].bundle.signature)
        for name in [wanted.name for wanted in request.document.outputs] or datatypes:
            cells = [prediction[name] for prediction in scored.predictions]
            answer.outputs.add(name=name, datatype=datatypes[name], shape=[len(cells)])
            answer.raw_output_contents.append(to_bytes(datatypes[name], cells))
        return Reply(answer.SerializeToString())

    def problem(self, error: ArkwrightError, request: Request) -> Reply:  # noqa: ARG002 - see Adapter
        """Return the text of a status."""
        text = f"{error.detail} {error.hint}" if error.hint else error.detail
        return Reply(text.encode(), error.status, headers=error_headers(error))


class _Doorkeeper(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Refuses a prediction by its metadata, before its message is read into memory."""

    def __init__(self, core: InferenceCore, adapter: Adapter) -> None:
        self._core = core
        self._adapter = adapter

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """Return what answers a call."""
        if details.method == _INFER:
            request = self._core.request(_scope_of(details.invocation_metadata))
            refusal = await self._core.refuse_unread(request, self._adapter)
            if refusal is not None:
                return _refused(refusal)
        return await continuation(details)


def _refused(reply: Reply) -> Any:
    """Return a handler that only refuses; it takes a stream, of which it reads nothing."""

    async def refuse(_messages: Any, context: Context) -> None:
        await _abort(context, reply)

    return grpc.stream_unary_rpc_method_handler(refuse)


class GrpcServer:
    """The service on a port.

    Parameters
    ----------
    core
        Answers.
    address
        Host and port, such as ``127.0.0.1:8586``; port 0 takes any free one.
    max_bytes
        Of one message.
    shared
        Whether several processes share the port, as they do the HTTP one.
    """

    def __init__(self, core: InferenceCore, address: str, max_bytes: int, *, shared: bool = False) -> None:
        self._core = core
        self._address = address
        self._max_bytes = max_bytes
        self._shared = shared
        self._adapter = ModelInfer()
        self._server: Any = None
        self.port = 0

    async def start(self) -> None:
        """Begin to answer.

        Raises
        ------
        Conflict
            If the port is taken.
        """
        server = grpc.aio.server(
            interceptors=(_Doorkeeper(self._core, self._adapter),),
            options=(
                ("grpc.max_concurrent_streams", self._core.max_in_flight + _PROBES),
                ("grpc.max_receive_message_length", self._max_bytes),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", int(self._shared)),
            ),
            maximum_concurrent_rpcs=self._core.max_in_flight + _PROBES,
        )
        served = messages()
        answers: dict[str, tuple[Any, Callable[[Any, Context], Awaitable[Any]]]] = {
            "ServerLive": (served.ServerLiveRequest, self._server_live),
            "ServerReady": (served.ServerReadyRequest, self._server_ready),
            "ModelReady": (served.ModelReadyRequest, self._model_ready),
            "ServerMetadata": (served.ServerMetadataRequest, self._server_metadata),
            "ModelMetadata": (served.ModelMetadataRequest, self._model_metadata),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                answer, request_deserializer=kind.FromString, response_serializer=_serialised
            )
            for name, (kind, answer) in answers.items()
        }
        # Bytes in and bytes out: a large message is decoded in the scoring thread.
        handlers["ModelInfer"] = grpc.unary_unary_rpc_method_handler(self._model_infer)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        try:
            self.port = server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise Conflict(
                f"The address {self._address} cannot be used for gRPC.",
                code="port.in_use",
                hint="Another program has it. Choose another port with --grpc-port.",
            ) from error
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Finish what is in flight, take nothing new."""
        if self._server is not None:
            await self._server.stop(_GRACE_SECONDS)
            self._server = None

    async def _model_infer(self, body: bytes, context: Context) -> bytes:
        request = self._core.request(_scope_of(context.invocation_metadata()))
        request.body, request.size_bytes = body, len(body)
        reply = await self._core.attempt(request, self._adapter)
        if reply.status != HTTPStatus.OK:
            await _abort(context, reply)
        return reply.body

    async def _server_live(self, _request: Any, _context: Context) -> Any:
        return messages().ServerLiveResponse(live=True)

    async def _server_ready(self, _request: Any, _context: Context) -> Any:
        return messages().ServerReadyResponse(ready=self._core.ready)

    async def _server_metadata(self, _request: Any, _context: Context) -> Any:
        return messages().ServerMetadataResponse(**server_metadata())

    async def _model_ready(self, asked: Any, context: Context) -> Any:
        await self._find(asked, context)
        return messages().ModelReadyResponse(ready=True)

    async def _model_metadata(self, asked: Any, context: Context) -> Any:
        live = await self._find(asked, context)
        return messages().ModelMetadataResponse(**model_metadata(live))

    async def _find(self, asked: Any, context: Context) -> LiveEndpoint:
        request = self._core.request(_scope_of(context.invocation_metadata()))
        try:
            live = await self._core.look_up(request, asked.name)
            check_version(live, asked.version)
        except ArkwrightError as error:
            await _abort(context, self._adapter.problem(error, request))
            raise
        return live


def _scope_of(metadata: Any) -> Scope:
    """Return a call's metadata as the core knows a request's head."""
    headers = [(key.encode(), value if isinstance(value, bytes) else value.encode()) for key, value in metadata or ()]
    return {"type": "grpc", "method": "POST", "path": f"/{SERVICE}", "query_string": b"", "headers": headers}


async def _abort(context: Context, reply: Reply) -> None:
    code = _CODES.get(HTTPStatus(reply.status), grpc.StatusCode.INVALID_ARGUMENT)
    trailing = tuple((key.decode(), value.decode()) for key, value in reply.headers if key == b"retry-after")
    await context.abort(code, reply.body.decode(), trailing)


def _serialised(message: Any) -> bytes:
    content: bytes = message.SerializeToString()
    return content


def _refusal(field: str, message: str) -> Invalid:
    return Invalid(
        f"{field} {message}.",
        code="prediction.malformed",
        hint="Send a ModelInferRequest of the Open Inference Protocol.",
        errors=[{"field": field, "message": message}],
    )
