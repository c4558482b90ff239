"""Joining Parquet files of one schema into one, without reading a row.

A Parquet file is its row groups, one after the other, and a footer that says where they begin. So files are joined by
copying the row groups' bytes and writing one footer with the places moved. It takes as long as copying the files,
and no memory to speak of.

References
----------
Apache Parquet format, https://github.com/apache/parquet-format (``parquet.thrift``: ``FileMetaData``, ``RowGroup``,
``ColumnChunk``, ``ColumnMetaData``); Thrift compact protocol,
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any, NamedTuple

MAGIC = b"PAR1"
_TAIL = struct.Struct("<I4s")  # length of the footer, magic
_COPY_BYTES = 1 << 20

# Types of the compact protocol.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_INTEGERS = frozenset({_I16, _I32, _I64})

# FileMetaData
_NUM_ROWS, _ROW_GROUPS, _SCHEMA = 3, 4, 2
# RowGroup
_COLUMNS, _GROUP_ROWS, _GROUP_OFFSET, _ORDINAL = 1, 3, 5, 7
# ColumnChunk: file_offset, offset_index_offset, column_index_offset; and its meta_data
_CHUNK_PLACES, _META_DATA = frozenset({2, 4, 6}), 3
# ColumnMetaData: data_page_offset, index_page_offset, dictionary_page_offset, bloom_filter_offset
_META_PLACES = frozenset({9, 10, 11, 14})


class Field(NamedTuple):
    """A member of a Thrift struct."""

    number: int
    kind: int
    value: Any


Struct = list[Field]


def join_parquet(parts: Iterable[Callable[[], IO[bytes]]], target: IO[bytes]) -> int:
    """Write the rows of all parts, in order, as one file.

    Parameters
    ----------
    parts
        For each part a function that opens it; seekable. One at a time is open.
    target
        Where the file goes; it is only written to, from front to back.

    Returns
    -------
    int
        The number of rows.

    Raises
    ------
    ValueError
        If a part is no Parquet file, the schemas differ, or there is no part.
    """
    target.write(MAGIC)
    at = len(MAGIC)
    whole: Struct | None = None
    groups: list[Struct] = []
    n_rows = 0
    for open_part in parts:
        with open_part() as part:
            footer, begins = read_footer(part)
            if whole is None:
                whole = footer
            elif _get(footer, _SCHEMA) != _get(whole, _SCHEMA):
                raise ValueError("the parts differ in their columns")
            n_rows += _get(footer, _NUM_ROWS)
            for group in _get(footer, _ROW_GROUPS)[1]:
                groups.append(_moved(group, at - len(MAGIC), len(groups)))
            part.seek(len(MAGIC))
            _copy(part, target, begins - len(MAGIC))
            at += begins - len(MAGIC)
    if whole is None:
        raise ValueError("there are no parts to join")
    joined = [_with(field, {_NUM_ROWS: n_rows, _ROW_GROUPS: (_STRUCT, groups)}) for field in whole]
    encoded = _encode(joined)
    target.write(encoded)
    target.write(_TAIL.pack(len(encoded), MAGIC))
    return n_rows


def read_footer(file: IO[bytes]) -> tuple[Struct, int]:
    """Return a file's ``FileMetaData`` and where it begins."""
    size_bytes = file.seek(0, 2)
    if size_bytes < len(MAGIC) + _TAIL.size:
        raise ValueError("a part is too short for a Parquet file")
    file.seek(size_bytes - _TAIL.size)
    length, magic = _TAIL.unpack(file.read(_TAIL.size))
    begins = size_bytes - _TAIL.size - length
    if magic != MAGIC or begins < len(MAGIC):
        raise ValueError("a part is no Parquet file")
    file.seek(begins)
    footer, _ = _struct(file.read(length), 0)
    return footer, begins


def _copy(source: IO[bytes], target: IO[bytes], size_bytes: int) -> None:
    left = size_bytes
    while left:
        chunk = source.read(min(_COPY_BYTES, left))
        if not chunk:
            raise ValueError("a part ends too early")
        target.write(chunk)
        left -= len(chunk)


def _moved(group: Struct, by: int, ordinal: int) -> Struct:
    """Return a row group whose bytes lie ``by`` further back."""
    columns = [
        [
            Field(field.number, field.kind, _shifted(field.value, _META_PLACES, by))
            if field.number == _META_DATA
            else field
            for field in _shifted(chunk, _CHUNK_PLACES, by)
        ]
        for chunk in _get(group, _COLUMNS)[1]
    ]
    moved = _shifted(group, frozenset({_GROUP_OFFSET}), by)
    # Ordinals are 16 bits wide and optional; past them there are none.
    moved = [field for field in moved if field.number != _ORDINAL or ordinal < 2**15]
    return [_with(field, {_COLUMNS: (_STRUCT, columns), _ORDINAL: ordinal}) for field in moved]


def _shifted(fields: Struct, numbers: frozenset[int], by: int) -> Struct:
    # A place of 0 says that there is none.
    return [
        Field(field.number, field.kind, field.value + by) if field.number in numbers and field.value else field
        for field in fields
    ]


def _with(field: Field, values: dict[int, Any]) -> Field:
    return Field(field.number, field.kind, values[field.number]) if field.number in values else field


def _get(fields: Struct, number: int) -> Any:
    for field in fields:
        if field.number == number:
            return field.value
    raise ValueError(f"the footer of a part lacks field {number}")


def _struct(data: bytes, at: int) -> tuple[Struct, int]:
    fields: Struct = []
    number = 0
    while True:
        head = data[at]
        at += 1
        if head == 0:
            return fields, at
        kind = head & 0x0F
        if head >> 4:
            number += head >> 4
        else:
            number, at = _zigzag(data, at)
        if kind in (_TRUE, _FALSE):
            value: Any = None  # the kind is the value
        else:
            value, at = _value(data, at, kind)
        fields.append(Field(number, kind, value))


def _value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in _INTEGERS:
        return _zigzag(data, at)
    if kind == _BINARY:
        size, at = _varint(data, at)
        return data[at : at + size], at + size
    if kind == _STRUCT:
        return _struct(data, at)
    if kind in (_LIST, _SET):
        head = data[at]
        at += 1
        size, item_kind = head >> 4, head & 0x0F
        if size == 0x0F:
            size, at = _varint(data, at)
        items = []
        for _ in range(size):
            item, at = _value(data, at, item_kind)
            items.append(item)
        return (item_kind, items), at
    if kind == _DOUBLE:
        return data[at : at + 8], at + 8
    if kind in (_BYTE, _TRUE, _FALSE):
        return data[at : at + 1], at + 1
    raise ValueError(f"a footer holds Thrift type {kind}, which Parquet does not use")


def _encode(fields: Struct) -> bytes:
    out = bytearray()
    _put_struct(out, fields)
    return bytes(out)


def _put_struct(out: bytearray, fields: Sequence[Field]) -> None:
    before = 0
    for field in fields:
        if 0 < field.number - before < 0x10:
            out.append((field.number - before) << 4 | field.kind)
        else:
            out.append(field.kind)
            _put_varint(out, _to_zigzag(field.number))
        before = field.number
        if field.kind not in (_TRUE, _FALSE):
            _put_value(out, field.kind, field.value)
    out.append(0)


def _put_value(out: bytearray, kind: int, value: Any) -> None:
    if kind in _INTEGERS:
        _put_varint(out, _to_zigzag(value))
    elif kind == _BINARY:
        _put_varint(out, len(value))
        out += value
    elif kind == _STRUCT:
        _put_struct(out, value)
    elif kind in (_LIST, _SET):
        item_kind, items = value
        if len(items) < 0x0F:
            out.append(len(items) << 4 | item_kind)
        else:
            out.append(0xF0 | item_kind)
            _put_varint(out, len(items))
        for item in items:
            _put_value(out, item_kind, item)
    else:
        out += value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _zigzag(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _to_zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _put_varint(out: bytearray, value: int) -> None:
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
