"""A dataset version's fingerprint: a hash of what the table says, not of how a file wrote it down.

Two files have one fingerprint exactly when they hold the same columns (name, type, order) and the same values in the
same order. Quoting, compression, chunk and row-group sizes, and the Parquet writer do not matter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from arkwright.data.schema import ColumnSchema

# Changes whenever the same table would get another fingerprint.
_SCHEME = "arkwright-table-1"


class Fingerprint:
    """The SHA-256 of a table, fed chunk by chunk.

    For each column, one hash runs over a byte per row that tells present from missing, one over the values (8 bytes
    each, little-endian, zero where missing; truths one byte; texts their UTF-8 length and then, in a hash of their
    own, their bytes). The fingerprint is the hash of the schema, the number of rows and those hashes, as JSON.

    Parameters
    ----------
    columns
        The schema; only names and types count.

    Examples
    --------
    >>> columns = [ColumnSchema(name="x", type="integer", nullable=True, n_missing=1)]
    >>> whole, parts = Fingerprint(columns), Fingerprint(columns)
    >>> whole.update(pa.record_batch({"x": [1, None, 3]}))
    >>> parts.update(pa.record_batch({"x": [1, None]}))
    >>> parts.update(pa.record_batch({"x": [3]}))
    >>> whole.digest() == parts.digest()
    True
    """

    def __init__(self, columns: Sequence[ColumnSchema]) -> None:
        self._columns = columns
        self._hashes = [(hashlib.sha256(), hashlib.sha256(), hashlib.sha256()) for _ in columns]
        self._n_rows = 0

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows, in canonical types."""
        self._n_rows += batch.num_rows
        for array, (presence, values, texts) in zip(batch.columns, self._hashes, strict=True):
            presence.update(array.is_valid().to_numpy(zero_copy_only=False).astype(np.uint8).tobytes())
            if pa.types.is_string(array.type):
                filled = array.fill_null("")
                lengths = pc.binary_length(filled).to_numpy(zero_copy_only=False)
                values.update(lengths.astype("<i8").tobytes())
                texts.update(_text_bytes(filled))
            else:
                values.update(_fixed_bytes(array))

    def digest(self) -> str:
        """Return the fingerprint of the rows so far, as ``sha256:<64 hex digits>``."""
        document = {
            "scheme": _SCHEME,
            "n_rows": self._n_rows,
            "columns": [
                [column.name, column.type, *(part.hexdigest() for part in parts)]
                for column, parts in zip(self._columns, self._hashes, strict=True)
            ],
        }
        content = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
        return "sha256:" + hashlib.sha256(content).hexdigest()


def fingerprint_table(table: pa.Table, columns: Sequence[ColumnSchema]) -> str:
    """Return the fingerprint of a whole table in canonical types."""
    fingerprint = Fingerprint(columns)
    for batch in table.to_batches():
        fingerprint.update(batch)
    return fingerprint.digest()


def _fixed_bytes(array: pa.Array) -> bytes:
    if pa.types.is_boolean(array.type):
        truths: np.ndarray = array.fill_null(False).to_numpy(zero_copy_only=False)
        return truths.astype(np.uint8).tobytes()
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.int64())
    numbers: np.ndarray = array.fill_null(0).to_numpy(zero_copy_only=False)
    if pa.types.is_floating(array.type):
        # 0.0 and -0.0 are one value.
        return (numbers + 0.0).astype("<f8").tobytes()
    return numbers.astype("<i8").tobytes()


def _text_bytes(array: pa.StringArray) -> memoryview | bytes:
    _, offsets, data = array.buffers()
    if data is None:
        return b""
    bounds = np.frombuffer(offsets, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    return memoryview(data)[int(bounds[0]) : int(bounds[-1])]
