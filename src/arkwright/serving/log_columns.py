"""From the rows that wait in the queue to Arrow record batches; runs in the log's thread."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from arkwright.contracts import UsageCount
from arkwright.kit.segments import segment_schema
from arkwright.serving.logged import LoggedOutcomes, LoggedRows

_PREDICTIONS = segment_schema("predictions")
_OUTCOMES = segment_schema("outcomes")
_NEWLINE = 10
_DTYPES = {pa.int32(): np.int32, pa.int64(): np.int64, pa.float64(): np.float64}

_encode = msgspec.json.Encoder().encode


class PredictionColumns:
    """The rows of one deployment that go into the next batch, and what was used meanwhile."""

    def __init__(self, workspace_id: str, deployment_id: str) -> None:
        self._workspace_id = workspace_id
        self._deployment_id = deployment_id
        self._usage: dict[tuple[str, str, str], list[int]] = {}
        self._taken: dict[tuple[str, str, str], list[int]] = {}
        self._clear()

    def __len__(self) -> int:
        return len(self._rows)

    def count(self, model_version_id: str, semver: str, arm: str, requests: int, n_rows: int, size_bytes: int) -> None:
        """Count requests that were answered, whether their rows are logged or not."""
        counts = self._usage.setdefault((model_version_id, semver, arm), [0, 0, 0])
        counts[0] += requests
        counts[1] += n_rows
        counts[2] += size_bytes

    def add(self, given: Sequence[LoggedRows]) -> None:
        """Add the rows of requests that one arm answered."""
        arm = given[0].arm
        origin = (arm.model_version_id, arm.semver, given[0].arm_name)
        n_rows = sum([rows.n_rows for rows in given])
        self.count(*origin, len(given), n_rows, sum([rows.size_bytes for rows in given]))
        given = [rows for rows in given if rows.lines]
        single = [rows for rows in given if rows.n_rows == 1]
        for some in (rows for rows in given if rows.n_rows != 1):
            self._add_many(some)
            self._came_from(origin, some.n_rows)
        # Column by column, because a step of a comprehension costs a third of an appended item.
        self._lines += [rows.lines for rows in single]
        self._request_ids += [rows.request_id for rows in single]
        self._rows += repeat(0, len(single))
        self._times += [rows.time for rows in single]
        self._latencies += [rows.latency_ms for rows in single]
        self._sizes += [rows.size_bytes for rows in single]
        self._labels += [rows.label for rows in single]
        self._scores += [rows.score for rows in single]
        self._values += [rows.value for rows in single]
        self._came_from(origin, len(single))

    def _add_many(self, given: LoggedRows) -> None:
        n_rows = given.n_rows
        self._lines.append(given.lines)
        self._request_ids += repeat(given.request_id, n_rows)
        self._rows += range(n_rows)
        self._times += repeat(given.time, n_rows)
        self._latencies += repeat(given.latency_ms, n_rows)
        self._sizes += repeat(given.size_bytes, n_rows)
        self._labels += repeat(None, n_rows) if given.label is None else given.label
        self._scores += repeat(None, n_rows) if given.score is None else given.score
        self._values += repeat(None, n_rows) if given.value is None else given.value

    def _came_from(self, origin: tuple[str, str, str], n_rows: int) -> None:
        if self._origins and self._origins[-1][0] == origin:
            self._origins[-1][1] += n_rows
        elif n_rows:
            self._origins.append([origin, n_rows])

    def take(self) -> tuple[pa.RecordBatch | None, bytes]:
        """Return the batch and the usage since the last call, and start anew; the batch is None if there is neither."""
        usage = [
            UsageCount(
                model_version_id=version, semver=semver, arm=arm, requests=requests, rows=rows, request_bytes=size_bytes
            )
            for (version, semver, arm), (requests, rows, size_bytes) in self._usage.items()
        ]
        try:
            batch = self._batch() if usage else None
        finally:
            self._taken, self._usage = self._usage, {}
            self._clear()
        return batch, _encode(usage)

    def put_usage_back(self) -> None:
        """Count again what was taken last, because it could not be written: it is still to be billed."""
        for (version, semver, arm), counts in self._taken.items():
            self.count(version, semver, arm, *counts)
        self._taken = {}

    def _batch(self) -> pa.RecordBatch:
        n_rows = len(self._rows)
        versions, semvers, arms = (_texts([(origin[part], n) for origin, n in self._origins]) for part in range(3))
        return pa.RecordBatch.from_arrays(
            [
                _strings(self._request_ids),
                _numbers(self._rows, "row"),
                _moments(self._times),
                _texts([(self._deployment_id, n_rows)]),
                _texts([(self._workspace_id, n_rows)]),
                versions,
                semvers,
                arms,
                _numbers(self._latencies, "latency_ms"),
                _numbers(self._sizes, "request_size_bytes"),
                _lines(self._lines, n_rows),
                _optional_strings(self._labels),
                _numbers(self._scores, "score"),
                _numbers(self._values, "value"),
            ],
            schema=_PREDICTIONS,
        )

    def _clear(self) -> None:
        self._request_ids: list[str] = []
        self._rows: list[int] = []
        self._times: list[float] = []
        self._origins: list[list[Any]] = []
        self._latencies: list[float] = []
        self._sizes: list[int] = []
        self._lines: list[bytes] = []
        self._labels: list[str | None] = []
        self._scores: list[float | None] = []
        self._values: list[float | None] = []


def outcomes_batch(given: Sequence[LoggedOutcomes]) -> pa.RecordBatch:
    """Return the outcomes of one deployment as a batch."""
    outcomes = [outcome for each in given for outcome in each.outcomes]
    n_rows = len(outcomes)
    return pa.RecordBatch.from_arrays(
        [
            _strings([outcome.request_id for outcome in outcomes]),
            _numbers([outcome.row for outcome in outcomes], "row"),
            _moments([each.time for each in given for _ in each.outcomes]),
            _texts([(given[0].deployment_id, n_rows)]),
            _texts([(given[0].workspace_id, n_rows)]),
            _optional_strings([outcome.label for outcome in outcomes]),
            _numbers([outcome.value for outcome in outcomes], "value"),
        ],
        schema=_OUTCOMES,
    )


# Columns are put together from buffers, never by pa.array or pa.scalar: these import pandas where it is installed, a
# quarter of a second and 60 MB, and let go of the interpreter a dozen times for each batch.


def _strings(values: Sequence[str]) -> pa.Array:
    joined = "".join(values)
    if joined.isascii():
        return _from_lengths(joined.encode("ascii"), [len(value) for value in values])
    encoded = [value.encode() for value in values]
    return _from_lengths(b"".join(encoded), [len(value) for value in encoded])


def _optional_strings(values: Sequence[str | None]) -> pa.Array:
    strings = _strings([value or "" for value in values])
    present = np.array([value is not None for value in values], dtype=bool)
    return pa.StringArray.from_buffers(
        len(values), strings.buffers()[1], strings.buffers()[2], _bitmap(present), int((~present).sum())
    )


def _texts(runs: Sequence[tuple[str, int]]) -> pa.Array:
    """Return texts that each come so many times in a row."""
    encoded = [(text.encode(), n_rows) for text, n_rows in runs]
    lengths = np.repeat([len(text) for text, _ in encoded], [n_rows for _, n_rows in encoded]).astype(np.int64)
    return _from_lengths(b"".join(text * n_rows for text, n_rows in encoded), lengths)


def _from_lengths(content: bytes, lengths: Sequence[int] | npt.NDArray[np.int64]) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.StringArray.from_buffers(len(lengths), pa.py_buffer(offsets), pa.py_buffer(content))


def _numbers(values: Sequence[float | None], name: str) -> pa.Array:
    """Return a column of numbers; None and NaN are null where the column may hold null."""
    field = _PREDICTIONS.field(name)
    numbers = np.array(values, dtype=_DTYPES[field.type])
    missing = np.isnan(numbers) if field.nullable else None
    bitmap = None if missing is None else _bitmap(~missing)
    n_missing = 0 if missing is None else int(missing.sum())
    return pa.Array.from_buffers(field.type, len(values), [bitmap, pa.py_buffer(numbers)], n_missing)


def _moments(seconds: Sequence[float]) -> pa.Array:
    micros = np.rint(np.array(seconds, dtype=np.float64) * 1e6).astype(np.int64)
    return pa.Array.from_buffers(_PREDICTIONS.field("time").type, len(seconds), [None, pa.py_buffer(micros)])


def _bitmap(present: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(present, bitorder="little"))


def _lines(lines: Sequence[bytes], n_rows: int) -> pa.Array:
    """Return each line as a text, found by its line break, of which JSON text has none."""
    joined = b"".join(lines)
    ends = np.flatnonzero(np.frombuffer(joined, dtype=np.uint8) == _NEWLINE)
    offsets = np.zeros(n_rows + 1, dtype=np.int32)
    offsets[1:] = ends - np.arange(n_rows)
    return pa.StringArray.from_buffers(n_rows, pa.py_buffer(offsets), pa.py_buffer(joined.replace(b"\n", b"")))
