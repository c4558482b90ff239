"""The messages of ``inference.GRPCInferenceService``, described here and built when they are needed.

Generated code would bind us to one release of protobuf's compiler and clash with whoever else brings the same file. The
names and numbers of the fields are the public protocol's; they live in a pool of their own.

References
----------
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/open_inference_grpc.proto
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

PACKAGE = "inference"
SERVICE = "inference.GRPCInferenceService"

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "int64": _Field.TYPE_INT64,
    "uint64": _Field.TYPE_UINT64,
    "int32": _Field.TYPE_INT32,
    "uint32": _Field.TYPE_UINT32,
    "bool": _Field.TYPE_BOOL,
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
}
# A field is "[repeated ]type name"; "map" is a map of parameters; its number is the place in the list.
_PARAMETERS = "map parameters"
_MESSAGES: Mapping[str, list[str]] = {
    "ServerLiveRequest": [],
    "ServerLiveResponse": ["bool live"],
    "ServerReadyRequest": [],
    "ServerReadyResponse": ["bool ready"],
    "ModelReadyRequest": ["string name", "string version"],
    "ModelReadyResponse": ["bool ready"],
    "ServerMetadataRequest": [],
    "ServerMetadataResponse": ["string name", "string version", "repeated string extensions"],
    "ModelMetadataRequest": ["string name", "string version"],
    "ModelMetadataResponse": [
        "string name",
        "repeated string versions",
        "string platform",
        "repeated ModelMetadataResponse.TensorMetadata inputs",
        "repeated ModelMetadataResponse.TensorMetadata outputs",
    ],
    "ModelMetadataResponse.TensorMetadata": ["string name", "string datatype", "repeated int64 shape"],
    "InferParameter": [
        "bool bool_param",
        "int64 int64_param",
        "string string_param",
        "double double_param",
        "uint64 uint64_param",
    ],
    "InferTensorContents": [
        "repeated bool bool_contents",
        "repeated int32 int_contents",
        "repeated int64 int64_contents",
        "repeated uint32 uint_contents",
        "repeated uint64 uint64_contents",
        "repeated float fp32_contents",
        "repeated double fp64_contents",
        "repeated bytes bytes_contents",
    ],
    "ModelInferRequest": [
        "string model_name",
        "string model_version",
        "string id",
        _PARAMETERS,
        "repeated ModelInferRequest.InferInputTensor inputs",
        "repeated ModelInferRequest.InferRequestedOutputTensor outputs",
        "repeated bytes raw_input_contents",
    ],
    "ModelInferRequest.InferInputTensor": [
        "string name",
        "string datatype",
        "repeated int64 shape",
        _PARAMETERS,
        "InferTensorContents contents",
    ],
    "ModelInferRequest.InferRequestedOutputTensor": ["string name", _PARAMETERS],
    "ModelInferResponse": [
        "string model_name",
        "string model_version",
        "string id",
        _PARAMETERS,
        "repeated ModelInferResponse.InferOutputTensor outputs",
        "repeated bytes raw_output_contents",
    ],
    "ModelInferResponse.InferOutputTensor": [
        "string name",
        "string datatype",
        "repeated int64 shape",
        _PARAMETERS,
        "InferTensorContents contents",
    ],
}


@functools.cache
def messages() -> Any:
    """Return the message classes as attributes of one object."""
    file = descriptor_pb2.FileDescriptorProto(name="open_inference.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        outer, _, inner = name.partition(".")
        if inner:
            owner = next(message for message in file.message_type if message.name == outer)
            _describe(owner.nested_type.add(name=inner), fields, f"{outer}.{inner}")
        else:
            _describe(file.message_type.add(name=outer), fields, outer)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    top = [name for name in _MESSAGES if "." not in name]
    found = {name: pool.FindMessageTypeByName(f"{PACKAGE}.{name}") for name in top}
    return SimpleNamespace(**{name: message_factory.GetMessageClass(each) for name, each in found.items()})


def _describe(message: descriptor_pb2.DescriptorProto, fields: list[str], full_name: str) -> None:
    one_of = full_name == "InferParameter"
    if one_of:
        message.oneof_decl.add(name="parameter_choice")
    for number, text in enumerate(fields, 1):
        *marks, kind, name = text.split()
        repeated = "repeated" in marks or kind == "map"
        field = message.field.add(
            name=name, number=number, label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
        )
        if kind == "map":
            entry = message.nested_type.add(name="ParametersEntry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_STRING)
            value = entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL, type=_Field.TYPE_MESSAGE)
            value.type_name = f".{PACKAGE}.InferParameter"
            kind = f"{full_name}.ParametersEntry"
        if kind in _TYPES:
            field.type = _TYPES[kind]
        else:
            field.type = _Field.TYPE_MESSAGE
            field.type_name = f".{PACKAGE}.{kind}"
        if one_of:
            field.oneof_index = 0
