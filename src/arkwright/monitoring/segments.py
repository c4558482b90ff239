"""Shipped segments: the Parquet that a data plane's Arrow becomes, and the object each segment is kept as.

The columns are those of the local segment (:mod:`arkwright.contracts.prediction`): ``time`` is a UTC timestamp,
``label`` is text whatever the type of the class, and ``features`` is one JSON object, because what a column holds may
change from one model version to the next, while a file's schema may not.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from arkwright.contracts import USAGE_KEY, SegmentKind, SegmentName, UsageCount
from arkwright.kit.segments import segment_schema

SCHEMA = segment_schema("predictions")
OUTCOME_SCHEMA = segment_schema("outcomes")

LOG_RETENTION_DAYS = 7

PREFIXES: dict[SegmentKind, str] = {"predictions": "predictions", "outcomes": "outcomes"}
_SUFFIX = ".parquet"
_PARTITION = re.compile(r"/date=(\d{4}-\d{2}-\d{2})/")


def to_parquet(table: pa.Table) -> bytes:
    """Return a segment's rows as one Parquet file, in their order."""
    sink = io.BytesIO()
    pq.write_table(table.combine_chunks(), sink, compression="zstd")
    return sink.getvalue()


def usage_of(metadata: Iterable[dict[bytes, bytes]]) -> list[UsageCount]:
    """Add up the usage that a segment's batches carry, by version and arm.

    Examples
    --------
    >>> batch = {b"usage": b'[{"model_version_id":"mv_1","semver":"1.0.0","arm":"stable","requests":2,"rows":5}]'}
    >>> [total] = usage_of([batch, {}, batch])
    >>> total.requests, total.rows
    (4, 10)
    """
    decoder = msgspec.json.Decoder(list[UsageCount])
    totals: dict[tuple[str, str, str], UsageCount] = {}
    for each in metadata:
        for count in decoder.decode(each[USAGE_KEY]) if USAGE_KEY in each else ():
            key = (count.model_version_id, count.semver, count.arm)
            known = totals.get(key)
            totals[key] = (
                count
                if known is None
                else msgspec.structs.replace(
                    known,
                    requests=known.requests + count.requests,
                    rows=known.rows + count.rows,
                    request_bytes=known.request_bytes + count.request_bytes,
                )
            )
    return [totals[key] for key in sorted(totals)]


def deployment_prefix(deployment_id: str, kind: SegmentKind = "predictions") -> str:
    """Return the prefix below which a deployment's shipped segments lie."""
    return f"{PREFIXES[kind]}/{deployment_id}"


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
    return f"{deployment_prefix(deployment_id, name.kind)}/date={day.isoformat()}/{name.stem}{_SUFFIX}"


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
    return [key for key in keys if (partition := _PARTITION.search(key)) is not None and partition[1] < oldest]


def keys_since(keys: Sequence[str], first_day: date) -> list[str]:
    """Return the keys whose partition is not older than a day; keys without a date are left out.

    Examples
    --------
    >>> keys = [f"outcomes/dep_1/date=2026-01-0{day}/outcomes-a-9-000001.parquet" for day in (1, 2)]
    >>> [key.split("/")[2] for key in keys_since(keys, date(2026, 1, 2))]
    ['date=2026-01-02']
    """
    first = first_day.isoformat()
    return [key for key in keys if (partition := _PARTITION.search(key)) is not None and partition[1] >= first]
