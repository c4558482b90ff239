"""Tensors of the Open Inference Protocol as cells, and back.

Data comes as (nested) JSON lists or as bytes: little-endian, row-major; a ``BYTES`` element is its length as four bytes
and then its content. NaN in a floating-point tensor is a missing cell, as is JSON ``null``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from arkwright.contracts import Signature
from arkwright.core.errors import Invalid

_DTYPES = {
    "BOOL": "?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
BYTES = "BYTES"
_LENGTH = struct.Struct("<I")
_KINDS = {"numeric": "FP64", "categorical": BYTES, "time": BYTES}
_HINT = "Send one tensor of shape [n] for each column of the model, or one of shape [n, columns] if all are numbers."


class Tensor(NamedTuple):
    """A named array; ``cells`` is flat."""

    name: str
    datatype: str
    shape: Sequence[int]
    cells: list[Any]


def input_datatype(kind: str) -> str:
    """Return the datatype in which a column is best sent."""
    return _KINDS[kind]


def output_datatypes(signature: Signature) -> dict[str, str]:
    """Return a model's outputs and their datatypes."""
    if signature.task == "regression":
        return {"value": "FP64"}
    first = signature.classes[0] if signature.classes else ""
    label = "BOOL" if isinstance(first, bool) else "INT64" if isinstance(first, int) else BYTES
    return {"label": label, "score": "FP64"}


def from_json(name: str, datatype: str, shape: Sequence[int], data: Any) -> Tensor:
    """Read a tensor whose data came as JSON.

    Raises
    ------
    Invalid
        If the datatype is unknown, or the data does not fill the shape.
    """
    _check_datatype(name, datatype)
    cells = list(_flattened(name, data))
    return _checked(Tensor(name, datatype, shape, [_missing_or(cell) for cell in cells]))


def from_bytes(name: str, datatype: str, shape: Sequence[int], data: bytes | memoryview) -> Tensor:
    """Read a tensor whose data came as bytes; raises as :func:`from_json` does."""
    _check_datatype(name, datatype)
    if datatype == BYTES:
        return _checked(Tensor(name, datatype, shape, _texts(name, bytes(data))))
    dtype = np.dtype(_DTYPES[datatype])
    if len(data) % dtype.itemsize:
        raise _refusal(name, f"has {len(data)} bytes, which is no whole number of {datatype} elements")
    cells = np.frombuffer(data, dtype).tolist()
    return _checked(Tensor(name, datatype, shape, [_missing_or(cell) for cell in cells]))


def from_contents(name: str, datatype: str, shape: Sequence[int], cells: Iterable[Any]) -> Tensor:
    """Read a tensor whose elements came one by one, texts as bytes; raises as :func:`from_json` does."""
    _check_datatype(name, datatype)
    if datatype == BYTES:
        return _checked(Tensor(name, datatype, shape, [_text(name, cell) for cell in cells]))
    return _checked(Tensor(name, datatype, shape, [_missing_or(cell) for cell in cells]))


def to_bytes(datatype: str, cells: Sequence[Any]) -> bytes:
    r"""Return cells as bytes.

    Examples
    --------
    >>> to_bytes("BYTES", ["ab"])
    b'\x02\x00\x00\x00ab'
    """
    if datatype == BYTES:
        texts = [str(cell).encode() for cell in cells]
        return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    return np.array(cells, _DTYPES[datatype]).tobytes()


def rows_of(tensors: Sequence[Tensor], signature: Signature) -> list[dict[str, Any]]:
    """Return tensors as rows: one tensor for each column, or one matrix of all of them.

    Raises
    ------
    Invalid
        If they are no such thing; whether the cells fit the columns is for the model to say.
    """
    if not tensors:
        raise _refusal("inputs", "is empty")
    names = [column.name for column in signature.columns]
    only = tensors[0]
    if len(tensors) == 1 and len(only.shape) == 2 and only.name not in names:
        n_columns = only.shape[1]
        if n_columns != len(names):
            raise _refusal(only.name, f"has {n_columns} columns, the model has {len(names)}: {', '.join(names)}")
        cells = only.cells
        return [
            dict(zip(names, cells[first : first + n_columns], strict=True)) for first in range(0, len(cells), n_columns)
        ]
    columns: dict[str, list[Any]] = {}
    n_rows = len(only.cells)
    for tensor in tensors:
        if len(tensor.shape) > 2 or (len(tensor.shape) == 2 and tensor.shape[1] != 1):
            raise _refusal(tensor.name, f"has shape {list(tensor.shape)}: expected [n] or [n, 1]")
        if tensor.name in columns:
            raise _refusal(tensor.name, "comes twice")
        if len(tensor.cells) != n_rows:
            raise _refusal(tensor.name, f"has {len(tensor.cells)} elements, {only.name} has {n_rows}")
        columns[tensor.name] = tensor.cells
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _check_datatype(name: str, datatype: str) -> None:
    if datatype != BYTES and datatype not in _DTYPES:
        raise _refusal(name, f"has the datatype {datatype[:20]!r}: expected BYTES or one of {', '.join(_DTYPES)}")


def _checked(tensor: Tensor) -> Tensor:
    n_cells = len(tensor.cells)
    if any(size < 0 for size in tensor.shape) or math.prod(tensor.shape) != n_cells:
        raise _refusal(tensor.name, f"has {n_cells} elements, which do not fill the shape {list(tensor.shape)}")
    return tensor


def _flattened(name: str, data: Any) -> Iterable[Any]:
    """Yield the cells of nested lists in order, without recursion."""
    if not isinstance(data, list):
        raise _refusal(name, "has no list in 'data'")
    waiting = [iter(data)]
    while waiting:
        for item in waiting[-1]:
            if isinstance(item, list):
                waiting.append(iter(item))
                break
            yield item
        else:
            waiting.pop()


def _missing_or(cell: Any) -> Any:
    return None if isinstance(cell, float) and math.isnan(cell) else cell


def _texts(name: str, data: bytes) -> list[str]:
    texts = []
    at = 0
    while at < len(data):
        begin = at + _LENGTH.size
        if begin > len(data):
            raise _refusal(name, "ends in the middle of an element's length")
        at = begin + _LENGTH.unpack_from(data, at)[0]
        if at > len(data):
            raise _refusal(name, "ends in the middle of an element")
        texts.append(_text(name, data[begin:at]))
    return texts


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise _refusal(name, "has an element that is not UTF-8") from None


def _refusal(field: str, message: str) -> Invalid:
    return Invalid(
        f"{field} {message}.",
        code="prediction.malformed",
        hint=_HINT,
        errors=[{"field": field, "message": message}],
    )
