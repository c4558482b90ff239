"""Append-only Arrow segments on a local disk: written by a data plane, read by whoever ships them.

A segment is an Arrow IPC stream that any Arrow reader opens. It is written a whole message at a time, with its
writer's lock on the file; a message that could not be written whole is cut off again. See
:mod:`arkwright.contracts.prediction` for names, columns and the life of a segment.

What survives what: a batch that :meth:`SegmentWriter.append` has returned from survives the death of the process; one
that was followed by :meth:`SegmentWriter.sync` or :meth:`SegmentWriter.seal` survives the death of the machine too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from arkwright.contracts import OPEN_SUFFIX, SEALED_SUFFIX, SEGMENT_FIELDS, FieldType, SegmentKind, SegmentName

_NEW_SUFFIX = ".new"
_ABANDONED_SECONDS = 60.0
_TYPES: dict[FieldType, pa.DataType] = {
    "string": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "moment": pa.timestamp("us", tz="UTC"),
}


def segment_schema(kind: SegmentKind) -> pa.Schema:
    """Return the columns of a kind of segment.

    Examples
    --------
    >>> segment_schema("outcomes").names
    ['request_id', 'row', 'time', 'deployment_id', 'workspace_id', 'label', 'value']
    """
    return pa.schema([pa.field(name, _TYPES[type_], nullable) for name, type_, nullable in SEGMENT_FIELDS[kind]])


class SegmentWriter:
    """One open segment, locked for as long as this process writes it.

    Parameters
    ----------
    path
        Where it lies while it is open; it ends in ``.open``. There must be no such file.
    kind
        Decides the columns.

    Raises
    ------
    OSError
        If it cannot be created.
    """

    def __init__(self, path: Path, kind: SegmentKind) -> None:
        self.path = path
        self.n_rows = 0
        self._schema = segment_schema(kind)
        self._head = bytes(self._schema.serialize())
        self._synced = True
        # Locked before it has the name by which others find it.
        fresh = path.with_suffix(_NEW_SUFFIX)
        self._descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self.size_bytes = 0
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._write(self._head)
            fresh.rename(path)
        except OSError:
            os.close(self._descriptor)
            fresh.unlink(missing_ok=True)
            raise
        self.opened_ns = os.fstat(self._descriptor).st_mtime_ns

    def append(self, batch: pa.RecordBatch, metadata: Mapping[bytes, bytes] | None = None) -> None:
        """Write a whole batch, or none of it.

        Raises
        ------
        OSError
            If it cannot be written; the segment is as it was before.
        """
        sink = pa.BufferOutputStream()
        stream = pa.ipc.new_stream(sink, self._schema)
        stream.write_batch(batch, custom_metadata=metadata)
        # Not closed: that would append the end of the stream.
        self._write(memoryview(sink.getvalue())[len(self._head) :])
        self.n_rows += batch.num_rows

    def sync(self) -> None:
        """Make what was appended durable."""
        if not self._synced:
            os.fsync(self._descriptor)
            self._synced = True

    def seal(self) -> Path | None:
        """Make it durable and give it its final name; a segment without a batch is removed."""
        try:
            if self.size_bytes == len(self._head):
                self.path.unlink(missing_ok=True)
                return None
            self.sync()
            sealed = self.path.rename(self.path.with_suffix(SEALED_SUFFIX))
            _sync_folder(sealed.parent)
            return sealed
        finally:
            os.close(self._descriptor)

    def _write(self, content: bytes | memoryview) -> None:
        view = memoryview(content)
        done = 0
        self._synced = False
        try:
            while done < len(view):
                done += os.pwrite(self._descriptor, view[done:], self.size_bytes + done)
        except OSError:
            os.ftruncate(self._descriptor, self.size_bytes)
            raise
        self.size_bytes += len(view)


@dataclass(frozen=True)
class Segment:
    """What a segment holds.

    Attributes
    ----------
    table
        Its rows.
    metadata
        Of each batch, in their order; empty where a batch has none.
    whole_bytes
        Length of the file up to the end of its last whole batch.
    """

    table: pa.Table
    metadata: tuple[dict[bytes, bytes], ...]
    whole_bytes: int


def read_segment(path: Path, kind: SegmentKind) -> Segment:
    """Read a segment up to its last whole batch; what a crash cut off is not there.

    Raises
    ------
    FileNotFoundError
        If somebody else shipped or removed it.
    """
    schema = segment_schema(kind)
    batches: list[pa.RecordBatch] = []
    metadata: list[dict[bytes, bytes]] = []
    whole_bytes = 0
    with pa.OSFile(str(path), "rb") as source:
        try:
            stream = pa.ipc.open_stream(source)
            if stream.schema.equals(schema):
                whole_bytes = source.tell()
                while True:
                    batch, given = stream.read_next_batch_with_custom_metadata()
                    batch.validate(full=True)
                    batches.append(batch)
                    metadata.append(dict(given or {}))
                    whole_bytes = source.tell()
        except (StopIteration, pa.ArrowException, OSError, MemoryError):
            # The end, or the place where a crash cut it; what follows a torn length may claim to be of any size.
            pass
    return Segment(pa.Table.from_batches(batches, schema), tuple(metadata), whole_bytes)


def recover_segment(path: Path, kind: SegmentKind) -> Path | None:
    """Seal an open segment whose writer is dead; return the sealed file, or None if there was nothing to keep.

    A segment that another process still writes is left alone.
    """
    with contextlib.suppress(BlockingIOError, FileNotFoundError), path.open("r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists():
            return None  # it was sealed between opening and locking
        found = read_segment(path, kind)
        if not found.metadata:
            path.unlink()
            return None
        stream.truncate(found.whole_bytes)
        os.fsync(stream.fileno())
        sealed = path.rename(path.with_suffix(SEALED_SUFFIX))
        _sync_folder(sealed.parent)
        return sealed
    return None


def recover_folder(folder: Path) -> int:
    """Recover every open segment below a log folder that nobody writes; return how many were kept."""
    for path in folder.glob(f"*/*/*{_NEW_SUFFIX}"):
        # Died between making the file and naming it; a moment ago, it would be one that is just being made.
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                path.unlink()
    kept = 0
    for path in sorted(folder.glob(f"*/*/*{OPEN_SUFFIX}")):
        name = SegmentName.parse(path.stem)
        if name is not None and recover_segment(path, name.kind) is not None:
            kept += 1
    return kept


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
