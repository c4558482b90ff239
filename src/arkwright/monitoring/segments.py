"""Prediction-log segments: from a data plane's lines to Parquet, and the object each becomes.

The Parquet columns are the fields of :class:`~arkwright.contracts.PredictionRecord`. ``time`` is a UTC timestamp;
``label`` is text, whatever the type of the class; ``features`` is one JSON object, because what a column holds may
change from one model version to the next, while a file's schema may not.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from arkwright.contracts import PredictionRecord, SegmentName

SCHEMA = pa.schema(
    [
        pa.field("request_id", pa.string(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("deployment_id", pa.string(), nullable=False),
        pa.field("workspace_id", pa.string(), nullable=False),
        pa.field("model_version_id", pa.string(), nullable=False),
        pa.field("semver", pa.string(), nullable=False),
        pa.field("arm", pa.string(), nullable=False),
        pa.field("latency_ms", pa.float64(), nullable=False),
        pa.field("request_size_bytes", pa.int64(), nullable=False),
        pa.field("features", pa.string(), nullable=False),
        pa.field("label", pa.string()),
        pa.field("score", pa.float64()),
        pa.field("value", pa.float64()),
    ]
)

LOG_RETENTION_DAYS = 7

LOG_PREFIX = "predictions"
_SUFFIX = ".parquet"
_PARTITION = re.compile(r"/date=(\d{4}-\d{2}-\d{2})/")


class ParsedSegment(NamedTuple):
    """The records of a segment, and the lines that are none."""

    records: list[PredictionRecord]
    rejected: list[bytes]


def parse_segment(content: bytes) -> ParsedSegment:
    r"""Read a segment's lines.

    A last line without its newline was cut by a crash: it never counted, and is dropped. Any other line that is no
    record is handed back, so that nothing is lost silently.

    Examples
    --------
    >>> parse_segment(b'nonsense\n{"request_id": "req_1", "ro')
    ParsedSegment(records=[], rejected=[b'nonsense'])
    """
    *lines, _cut = content.split(b"\n")
    decoder = msgspec.json.Decoder(PredictionRecord)
    records: list[PredictionRecord] = []
    rejected: list[bytes] = []
    for line in lines:
        if not line.strip():
            continue
        try:
            records.append(decoder.decode(line))
        except msgspec.DecodeError:
            rejected.append(line)
    return ParsedSegment(records, rejected)


def to_parquet(records: Sequence[PredictionRecord]) -> bytes:
    """Return the records as one Parquet file, in their order."""
    encoder = msgspec.json.Encoder()
    rows: list[dict[str, Any]] = []
    for record in records:
        row = msgspec.structs.asdict(record)
        row["time"] = datetime.fromtimestamp(record.time, UTC)
        row["features"] = encoder.encode(record.features).decode()
        row["label"] = None if record.label is None else str(record.label)
        rows.append(row)
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), sink, compression="zstd")
    return sink.getvalue()


def deployment_prefix(deployment_id: str) -> str:
    """Return the prefix below which a deployment's shipped segments lie."""
    return f"{LOG_PREFIX}/{deployment_id}"


def object_key(deployment_id: str, name: SegmentName, first_time: float) -> str:
    """Return the key a segment is shipped to.

    Parameters
    ----------
    first_time
        Time of the segment's earliest record, in seconds since the epoch: its UTC date is the partition. It comes
        from the content, so shipping the same segment again gives the same key.

    Examples
    --------
    >>> object_key("dep_1", SegmentName(replica="edge", start_ms=1767323045000, counter=3), 1767398400.0)
    'predictions/dep_1/date=2026-01-03/edge-1767323045000-000003.parquet'
    """
    day = datetime.fromtimestamp(first_time, UTC).date()
    return f"{deployment_prefix(deployment_id)}/date={day.isoformat()}/{name.stem}{_SUFFIX}"


def replica_sequences(keys: Sequence[str]) -> list[list[str]]:
    """Return the keys of a deployment's log as one list for each replica, its newest segment first.

    A replica numbers its segments and writes one at a time, so each list is in order of time; between lists nothing
    is known. Keys that are no segments are left out.

    Examples
    --------
    >>> folder = "predictions/dep_1/date=2026-01-02"
    >>> keys = [f"{folder}/{stem}.parquet" for stem in ("a-9-000001", "a-9-000002", "b-7-000001")]
    >>> [[key.rpartition("/")[2] for key in sequence] for sequence in replica_sequences(keys)]
    [['a-9-000002.parquet', 'a-9-000001.parquet'], ['b-7-000001.parquet']]
    """
    by_replica: dict[str, list[tuple[int, int, str]]] = {}
    for key in keys:
        stem = key.rpartition("/")[2].removesuffix(_SUFFIX)
        name = SegmentName.parse(stem) if key.endswith(_SUFFIX) else None
        if name is not None:
            by_replica.setdefault(name.replica, []).append((name.start_ms, name.counter, key))
    return [[key for _, _, key in sorted(entries, reverse=True)] for _, entries in sorted(by_replica.items())]


def expired_keys(keys: Sequence[str], today: date, *, keep_days: int = LOG_RETENTION_DAYS) -> list[str]:
    """Return the keys whose partition is more than ``keep_days`` days old; keys without a date never expire.

    Examples
    --------
    >>> days = ("2026-01-01", "2026-01-02", "2026-01-09")
    >>> keys = [f"predictions/dep_1/date={day}/a-9-000001.parquet" for day in days]
    >>> [key.split("/")[2] for key in expired_keys(keys, date(2026, 1, 9))]
    ['date=2026-01-01']
    """
    oldest = (today - timedelta(days=keep_days)).isoformat()
    found = ((key, _PARTITION.search(key)) for key in keys)
    return [key for key, partition in found if partition is not None and partition[1] < oldest]
