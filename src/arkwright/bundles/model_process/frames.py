"""What goes over the socket between a server and the process of a model: msgpack behind its length in four bytes.

Each question names the parts it was put together from and each answer repeats them, so that an answer can never be
taken for another's. Rows travel as the cells of the signature's columns, in that order; tables as their arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import Columns, FloatArray, as_moments, as_numbers, as_text
from arkwright.contracts import Signature
from arkwright.contracts.signature import ColumnKind


class ProtocolError(Exception):
    """Somebody said what cannot be read, or what was not asked."""


LENGTH_BYTES = 4
MAX_FRAME_BYTES = 1 << 28

Part = tuple[int, int]
"""The ticket of a request, or of a piece of one, and how many rows it has in this batch."""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The model is loaded and has answered the bundle's example rows.

    ``memory_bytes`` is what the process then held in memory.
    """

    n_outputs: int
    seconds: float
    memory_bytes: int


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The model cannot be served; the words of an ``ArkwrightError``."""

    code: str
    detail: str
    hint: str


class Rows(msgspec.Struct, frozen=True, tag="rows"):
    """Score rows.

    Parameters
    ----------
    batch
        Number of this question.
    parts
        Whose rows these are, in order.
    cells
        For each part, its rows as ``encode_rows`` wrote them.
    patience_seconds
        How long to look for the rows that make the model fail, should it fail.
    """

    batch: int
    parts: tuple[Part, ...]
    cells: list[msgspec.Raw]
    patience_seconds: float


class Table(msgspec.Struct, frozen=True, tag="table"):
    """Score a table: for each of the signature's columns that it has, the array's bytes, or a list of texts."""

    batch: int
    n_rows: int
    columns: dict[str, bytes | list[str | None]]
    patience_seconds: float


class Scores(msgspec.Struct, frozen=True, tag="scores"):
    """The answer to ``Rows`` or ``Table``.

    Parameters
    ----------
    values
        float64 in C order, (n_rows, n_outputs); NaN where a row failed.
    failures
        What the model said about rows it failed for, by their position in the batch.
    """

    batch: int
    parts: tuple[Part, ...]
    n_outputs: int
    values: bytes
    failures: dict[int, str] = {}


Question = Rows | Table
Answer = Ready | Refused | Scores

_encode = msgspec.msgpack.Encoder().encode
_question = msgspec.msgpack.Decoder(Rows | Table).decode
_answer = msgspec.msgpack.Decoder(Ready | Refused | Scores).decode
_cells = msgspec.msgpack.Decoder(list[list[Any]]).decode


def pack(message: Question | Answer) -> bytes:
    """Return a message with its length in front."""
    body = _encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def read_question(body: bytes) -> Question:
    """Read what a server asks."""
    question: Question = _question(body)
    return question


def read_answer(body: bytes) -> Answer:
    """Read what a model's process says.

    Raises
    ------
    ProtocolError
        If it is none of the three.
    """
    try:
        answer: Answer = _answer(body)
    except msgspec.DecodeError as error:
        raise ProtocolError(str(error)) from error
    return answer


class Inbox:
    """Puts frames together from the pieces that a socket hands out."""

    def __init__(self) -> None:
        self._pieces = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Add a piece and yield each body that is now complete.

        Raises
        ------
        ProtocolError
            If a length is beyond reason: whoever writes is not speaking this protocol.
        """
        self._pieces += data
        while len(self._pieces) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(self._pieces[:LENGTH_BYTES], "big")
            if end > MAX_FRAME_BYTES:
                raise ProtocolError(f"a frame of {end} bytes")
            if len(self._pieces) < end:
                return
            body = bytes(self._pieces[LENGTH_BYTES:end])
            del self._pieces[:end]
            yield body


def encode_rows(rows: Sequence[Sequence[Any]]) -> bytes:
    """Return rows of cells as they go into ``Rows.cells``.

    Integers of any size are numbers in JSON; those that msgpack cannot hold go as text, which is how a categorical
    column reads them and from which ``decode_cells`` makes a numeric column's float.
    """
    try:
        return _encode(rows)
    except OverflowError:
        return _encode([[str(cell) if type(cell) is int else cell for cell in row] for row in rows])


def decode_cells(parts: Sequence[bytes | msgspec.Raw]) -> list[list[Any]]:
    """Return the rows of all parts."""
    return [row for part in parts for row in _cells(part)]


def encode_table(columns: Columns, signature: Signature) -> dict[str, bytes | list[str | None]]:
    """Return a table's columns, those of the signature, as they go into ``Table.columns``."""
    return {
        column.name: _encode_column(column.kind, columns[column.name])
        for column in signature.columns
        if column.name in columns
    }


def decode_table(table: Table, signature: Signature) -> dict[str, npt.NDArray[Any]]:
    """Return a table as it was given to ``encode_table``."""
    kinds = {column.name: column.kind for column in signature.columns}
    return {name: _decode_column(kinds[name], data) for name, data in table.columns.items()}


def pack_scores(scores: FloatArray) -> bytes:
    """Return scores as they go into ``Scores.values``."""
    return np.ascontiguousarray(scores, dtype=np.float64).tobytes()


def _encode_column(kind: ColumnKind, values: npt.NDArray[Any]) -> bytes | list[str | None]:
    if kind == "categorical":
        return [as_text(value) for value in values.tolist()]
    array = as_numbers(values) if kind == "numeric" else as_moments(values)
    return array.tobytes()


def _decode_column(kind: ColumnKind, data: bytes | list[str | None]) -> npt.NDArray[Any]:
    if isinstance(data, bytes):
        return np.frombuffer(data, dtype=np.float64 if kind == "numeric" else "datetime64[us]")
    texts = np.empty(len(data), dtype=object)
    texts[:] = data
    return texts
