"""A batch's output in the format that a reader wants, piece by piece."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Literal, get_args

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

# In the order of data.Format: Python takes unions of two equal literals for one, and whichever came first would show.
OutputFormat = Literal["csv", "parquet", "jsonl"]
OUTPUT_FORMATS: tuple[OutputFormat, ...] = get_args(OutputFormat)

_PIECE_BYTES = 1 << 20


def plain_pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield a file as it is, and close it."""
    with stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


def csv_pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    r"""Yield rows as CSV with one header; lists and objects as JSON.

    Examples
    --------
    >>> batch = pa.record_batch({"a": [1, 2], "b": [["x"], None]})
    >>> b"".join(csv_pieces(iter([batch])))
    b'"a","b"\n1,"[""x""]"\n2,\n'
    """
    first = True
    for batch in batches:
        flat = {name: _flat(batch.column(at)) for at, name in enumerate(batch.schema.names)}
        sink = io.BytesIO()
        pa_csv.write_csv(pa.record_batch(flat), sink, pa_csv.WriteOptions(include_header=first))
        yield sink.getvalue()
        first = False


def json_pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    r"""Yield rows as JSON lines; numbers that are not finite become null.

    Examples
    --------
    >>> b"".join(json_pieces(iter([pa.record_batch({"a": [1.5, float("nan")]})])))
    b'{"a":1.5}\n{"a":null}\n'
    """
    encoder = msgspec.json.Encoder(enc_hook=str)
    for batch in batches:
        columns = [_plain(column).to_pylist() for column in batch.columns]
        names = batch.schema.names
        yield encoder.encode_lines([dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)])


def _flat(array: pa.Array) -> pa.Array:
    array = _plain(array)
    if pa.types.is_nested(array.type):
        encoder = msgspec.json.Encoder(enc_hook=str)
        texts = [None if value is None else encoder.encode(value).decode() for value in array.to_pylist()]
        return pa.array(texts, pa.string())
    if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type) or pa.types.is_decimal(array.type):
        return pa.array([None if value is None else str(value) for value in array.to_pylist()], pa.string())
    return array


def _plain(array: pa.Array) -> pa.Array:
    while isinstance(array, pa.ExtensionArray) or pa.types.is_dictionary(array.type):
        array = array.storage if isinstance(array, pa.ExtensionArray) else array.dictionary_decode()
    # A double of CSV and JSON has no sign of "not a number" that all readers know.
    return pc.if_else(pc.is_finite(array), array, None) if pa.types.is_floating(array.type) else array
