"""Large batches as Arrow IPC streams, in and out, on the paths that otherwise take JSON.

A body of type ``application/vnd.apache.arrow.stream`` is scored as a table and answered with a stream of the columns
``label`` and ``score``, or ``value``, after the identifiers it carried. Who answered is in the schema's metadata.
Arrow is loaded with the first such request, not before, and pandas never: ``pa.array``, ``pa.table`` and ``to_numpy``
of an array would import it where it is installed.

A stream can say more than its size tells: compressed buffers, a dictionary's long text that every row refers to, views
of one text. Compressed buffers are refused, and texts may come to as much as a body may.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import as_moments, as_numbers, as_text, parse_moment
from arkwright.bundles.rows import to_rows
from arkwright.contracts import Column, Signature
from arkwright.core.errors import Invalid, PayloadTooLarge
from arkwright.serving.exchange import Reply, Request, Scored
from arkwright.serving.instances import check_count
from arkwright.serving.protocols.selection import named_beside_the_body
from arkwright.serving.protocols.v1 import PREFIX, Predict
from arkwright.serving.state import LiveArm, LiveEndpoint

MEDIA_TYPE = b"application/vnd.apache.arrow.stream"
_HINT = "Send one Arrow IPC stream with a column for each input of the model."
_TEXT_BYTES = 8_000_000
# Places in the tables of a message's metadata, as Arrow's Message.fbs numbers them.
_HEADER, _DICTIONARY_BATCH, _COMPRESSION = 2, 1, 3
# How files of Arrow 0.17 said it.
_OLD_COMPRESSION = b"ARROW:experimental_compression"

Columns = dict[str, npt.NDArray[Any]]


class ArrowPredict(Predict):
    """An Arrow stream instead of JSON.

    Parameters
    ----------
    text_bytes
        How long all texts of a table may be together, however few of them the body holds.
    """

    name: ClassVar[str] = "arrow"
    media_types: ClassVar[tuple[bytes, ...]] = (MEDIA_TYPE,)
    columnar: ClassVar[bool] = True

    def __init__(self, text_bytes: int = _TEXT_BYTES) -> None:
        self._text_bytes = text_bytes

    def select(self, request: Request) -> None:
        """Read the deployment from the path, or beside the body where the path has none."""
        if request.scope["path"].startswith(PREFIX):
            super().select(request)
        else:
            request.named = named_beside_the_body(request)

    def rows(self, request: Request, live: LiveEndpoint) -> list[dict[str, Any]]:
        """Return the table's rows, for a model that takes rows."""
        return to_rows(self._read(request, live.arms[0].bundle.signature))

    def slices(self, request: Request, live: LiveEndpoint) -> Any:
        """Yield the rows all at once."""
        yield self.rows(request, live)

    def columns(self, request: Request, chosen: LiveArm) -> Columns:
        """Return the table, for a compiled model, which scores it at once."""
        return self._read(request, chosen.bundle.signature)

    def score_columns(self, columns: Any, chosen: LiveArm) -> list[dict[str, Any]]:
        """Return the predictions, each with its row's identifiers."""
        answer = chosen.bundle.predictor.answer_columns(columns)
        lists = {name: values.tolist() for name, values in answer.items()}
        for name in chosen.bundle.signature.identifiers:
            if name in columns:
                lists.setdefault(name, columns[name].tolist())
        return [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]

    def reply(self, request: Request, scored: Scored) -> Reply:
        """Return a stream of the predictions."""
        import pyarrow as pa  # noqa: PLC0415 - only with the first Arrow body

        names = list(dict.fromkeys(name for prediction in scored.predictions[:1] for name in prediction))
        columns = [_array([prediction.get(name) for prediction in scored.predictions]) for name in names]
        metadata = {
            "model_version": scored.version,
            "arm": scored.arm_name,
            "fallback": scored.fallback,
            "request_id": request.request_id,
            "latency_ms": str(scored.latency_ms),
        }
        batch = pa.RecordBatch.from_arrays(columns, names=names).replace_schema_metadata(metadata)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return Reply(sink.getvalue().to_pybytes(), content_type=MEDIA_TYPE)

    def _read(self, request: Request, signature: Signature) -> Columns:
        """Return the columns of the body that the model reads, and the identifiers."""
        import pyarrow as pa  # noqa: PLC0415 - see above

        try:
            return _columns(request, signature, _Texts(self._text_bytes))
        except MemoryError as error:
            raise _too_much(self._text_bytes) from error
        except (pa.ArrowException, ValueError, KeyError, OSError, TypeError, struct.error) as error:
            raise _unreadable("body", f"is not an Arrow IPC stream: {str(error)[:200]}") from error


def _columns(request: Request, signature: Signature, texts: _Texts) -> Columns:
    import pyarrow as pa  # noqa: PLC0415 - see above

    wanted = {column.name: column for column in signature.columns}
    known = {*wanted, *signature.identifiers, *signature.ignored, signature.target}
    _check_uncompressed(request.body)
    with pa.ipc.open_stream(request.body) as reader:
        seen = set()
        for name in reader.schema.names:
            if name in seen:
                raise _unreadable(name, "comes twice")
            if name not in known:
                raise _unreadable(name, "is not a column of this model: leave it out")
            seen.add(name)
        batches = []
        n_rows = 0
        for batch in reader:
            n_rows += batch.num_rows
            if n_rows > request.max_rows:
                check_count(n_rows, request.max_rows)
            if batch.num_rows:
                batches.append(batch)
        table = pa.Table.from_batches(batches, reader.schema)
    check_count(table.num_rows, request.max_rows)
    table.validate(full=True)
    found: Columns = {}
    for index, name in enumerate(table.column_names):
        if name in wanted:
            found[name] = _values(table.column(index), wanted[name], texts)
        elif name in signature.identifiers:
            found[name] = texts.read(table.column(index), name)
    return found


def _check_uncompressed(body: bytes) -> None:
    """Refuse compressed buffers: some kilobytes of them unfold to more than there is memory."""
    import pyarrow as pa  # noqa: PLC0415 - see above

    for message in pa.ipc.MessageReader.open_stream(body):
        kind = message.type
        if kind == "schema":
            continue
        content = message.metadata.to_pybytes()
        batch = _child(content, _child(content, 0), _HEADER)
        if kind == "dictionary":
            batch = _child(content, batch, _DICTIONARY_BATCH)
        elif kind != "record batch":
            raise _unreadable("body", f"has a message of another kind: {kind}")
        if _place(content, batch, _COMPRESSION) or _OLD_COMPRESSION in content:
            raise _unreadable("body", "has compressed buffers: send them as they are, or the whole body with gzip")


def _child(content: bytes, table: int, field: int | None = None) -> int:
    """Return where a table begins that a field of another refers to; without a field, that a place refers to."""
    at = table if field is None else _place(content, table, field)
    if field is not None and not at:
        raise ValueError("a message without its header")
    begin: int = at + struct.unpack_from("<I", content, at)[0]
    return begin


def _place(content: bytes, table: int, field: int) -> int:
    """Return where a field of a flatbuffer's table is; 0 if it is not there."""
    fields: int = table - struct.unpack_from("<i", content, table)[0]
    slot = 4 + 2 * field
    if slot >= struct.unpack_from("<H", content, fields)[0]:
        return 0
    offset: int = struct.unpack_from("<H", content, fields + slot)[0]
    return table + offset if offset else 0


def _values(cells: Any, column: Column, texts: _Texts) -> npt.NDArray[Any]:
    """Return an Arrow column as the kind that the signature asks for."""
    import pyarrow as pa  # noqa: PLC0415 - see above

    kind = cells.type
    if pa.types.is_null(kind):
        numeric = column.kind == "numeric"
        return np.full(len(cells), np.nan) if numeric else _empty(column.kind, len(cells))
    try:
        if column.kind == "numeric":
            return _numbers(cells, column.name)
        if column.kind == "time":
            return _moments(cells, column.name, texts)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise _unreadable(column.name, f"holds {kind}: expected {column.kind} cells") from error
    if pa.types.is_floating(kind):
        raise _unreadable(column.name, f"holds {kind}: expected text")
    return texts.read(cells, column.name)


def _numbers(cells: Any, name: str) -> npt.NDArray[Any]:
    import pyarrow as pa  # noqa: PLC0415 - see above

    kind = cells.type.value_type if pa.types.is_dictionary(cells.type) else cells.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise TypeError(name)
    if kind is not cells.type:
        cells = cells.cast(kind)
    numbers, missing = _fixed(cells.cast(pa.float64(), safe=False), np.float64)
    numbers[missing] = np.nan
    numbers = as_numbers(numbers)
    infinite = np.flatnonzero(np.isinf(numbers))
    if infinite.size:
        raise _unreadable(f"instances[{infinite[0]}].{name}", "is infinite: expected a number or null")
    return numbers


def _moments(cells: Any, name: str, texts: _Texts) -> npt.NDArray[Any]:
    import pyarrow as pa  # noqa: PLC0415 - see above

    kind = cells.type.value_type if pa.types.is_dictionary(cells.type) else cells.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        if kind is not cells.type:
            cells = cells.cast(kind)
        micros, missing = _fixed(cells.cast(pa.timestamp("us"), safe=False), np.int64)
        moments = micros.view("datetime64[us]")
        moments[missing] = np.datetime64("NaT")
        return as_moments(moments)
    if not _is_text(kind):
        raise TypeError(name)
    found = texts.read(cells, name)
    return np.array(
        [np.datetime64("NaT") if text is None else np.datetime64(parse_moment(text)) for text in found.tolist()],
        dtype="datetime64[us]",
    )


def _fixed(cells: Any, dtype: type[np.generic]) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return a column of cells of eight bytes, and which of them are missing."""
    parts, gaps = [np.empty(0, dtype)], [np.empty(0, bool)]
    for chunk in cells.chunks:
        present, content = chunk.buffers()
        end = chunk.offset + len(chunk)
        parts.append(np.frombuffer(content, dtype, end)[chunk.offset :])
        if present is None:
            gaps.append(np.zeros(len(chunk), bool))
        else:
            bits = np.unpackbits(np.frombuffer(present, np.uint8), bitorder="little", count=end)
            gaps.append(bits[chunk.offset :] == 0)
    return np.concatenate(parts), np.concatenate(gaps)


class _Texts:
    """Reads columns of text while all of them together are not too long."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._left = limit_bytes

    def read(self, cells: Any, name: str) -> npt.NDArray[Any]:
        """Return a column's cells as text or None."""
        import pyarrow as pa  # noqa: PLC0415 - see above

        kind = cells.type.value_type if pa.types.is_dictionary(cells.type) else cells.type
        plain = pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
        if not (plain or _is_text(kind) or pa.types.is_floating(kind)):
            raise _unreadable(name, f"holds {cells.type}: expected text")
        found: list[str | None] = []
        for chunk in cells.chunks:
            if pa.types.is_dictionary(chunk.type):
                values = self._cells(chunk.dictionary)
                some = [None if index is None else values[index] for index in chunk.indices.to_pylist()]
                self._spend(sum(len(text) for text in some if text is not None))
                found += some
            else:
                found += self._cells(chunk)
        column = np.empty(len(found), dtype=object)
        column[:] = found
        return column

    def _cells(self, chunk: Any) -> list[str | None]:
        if _is_text(chunk.type):
            self._spend(_length(chunk))
        return [as_text(cell) for cell in chunk.to_pylist()]

    def _spend(self, n_bytes: int) -> None:
        self._left -= n_bytes
        if self._left < 0:
            raise _too_much(self._limit_bytes)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415 - see above

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _length(chunk: Any) -> int:
    """Return how many bytes the texts of an array have, without reading them."""
    import pyarrow as pa  # noqa: PLC0415 - see above

    if not len(chunk):
        return 0
    content = chunk.buffers()[1]
    end = chunk.offset + len(chunk)
    if pa.types.is_string_view(chunk.type):
        # A view is sixteen bytes, and begins with its length; that of a missing cell counts as well.
        return int(np.frombuffer(content, np.int32, 4 * end)[4 * chunk.offset :: 4].astype(np.int64).sum())
    offsets = np.frombuffer(content, np.int64 if pa.types.is_large_string(chunk.type) else np.int32, end + 1)
    return int(offsets[end]) - int(offsets[chunk.offset])


def _array(cells: Sequence[Any]) -> Any:
    """Return a column of an answer: of numbers, of truths, of texts, or of objects of these."""
    import pyarrow as pa  # noqa: PLC0415 - see above

    missing = np.array([cell is None for cell in cells], dtype=bool)
    present = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    kinds = {type(cell) for cell in cells if cell is not None}
    if dict in kinds:
        members = list(dict.fromkeys(name for cell in cells for name in cell or ()))
        return pa.StructArray.from_arrays([_array([(cell or {}).get(it) for cell in cells]) for it in members], members)
    if kinds == {bool}:
        return pa.Array.from_buffers(pa.bool_(), len(cells), [present, _bits([bool(cell) for cell in cells])])
    if kinds == {int}:
        return _whole(cells, present)
    if kinds and kinds <= {int, float}:
        numbers = np.array([0.0 if cell is None else cell for cell in cells], dtype=np.float64)
        return pa.Array.from_buffers(pa.float64(), len(cells), [present, pa.py_buffer(numbers)])
    encoded = [b"" if cell is None else str(cell).encode() for cell in cells]
    offsets = np.zeros(len(cells) + 1, dtype=np.int64)
    np.cumsum([len(text) for text in encoded], out=offsets[1:])
    if offsets[-1] > np.iinfo(np.int32).max:
        raise _too_much(int(np.iinfo(np.int32).max))
    buffers = [present, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(cells), buffers)


def _whole(cells: Sequence[Any], present: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - see above

    numbers = np.array([0 if cell is None else cell for cell in cells], dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(cells), [present, pa.py_buffer(numbers)])


def _bits(truths: list[bool]) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - see above

    return pa.py_buffer(np.packbits(np.array(truths, dtype=bool), bitorder="little"))


def _empty(kind: str, n_rows: int) -> npt.NDArray[Any]:
    if kind == "time":
        return np.full(n_rows, np.datetime64("NaT"), dtype="datetime64[us]")
    return np.full(n_rows, None, dtype=object)


def _too_much(limit_bytes: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"The table unfolds to more than the {limit_bytes} bytes allowed here.",
        hint="Send fewer rows in each request, or score a file with a batch job (POST /v1/batches).",
    )


def _unreadable(field: str, message: str) -> Invalid:
    return Invalid(
        f"{field} {message}.",
        code="prediction.malformed",
        hint=_HINT,
        errors=[{"field": field, "message": message}],
    )
