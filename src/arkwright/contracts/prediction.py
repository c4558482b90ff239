"""The prediction log.

A data plane appends one JSON line per scored row to a segment on its own disk and never waits for
anything else. A segment is *open* (``.open``) while it is written and *sealed* (``.jsonl``) by a
rename; only sealed segments are shipped. A crash can cut the last line of an open segment: readers
drop a last line that does not end in a newline.

Layout below the data plane's log folder::

    <workspace_id>/<deployment_id>/<replica>-<start_ms>-<counter>.open | .jsonl

Shipped rows are Parquet, below the object store's workspace prefix::

    predictions/<deployment_id>/date=YYYY-MM-DD/<segment stem>.parquet

Somebody who cannot wait for a segment to be sealed in its own time puts an empty file named ``seal.request`` beside
it: the writer seals what it has within a second and removes the file.

One segment becomes one object of the same stem, so shipping twice overwrites and never doubles.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

SEAL_REQUEST = "seal.request"


class PredictionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One scored row.

    ``time`` is in seconds since the epoch; ``row`` is the instance's index in its request;
    ``features`` holds the model's inputs as received; exactly one of (``label``, ``score``) and
    ``value`` is set, as in the response.
    """

    request_id: str
    row: int
    time: float
    deployment_id: str
    workspace_id: str
    model_version_id: str
    semver: str
    arm: str
    latency_ms: float
    request_size_bytes: int
    features: dict[str, Any]
    label: str | int | bool | None = None
    score: float | None = None
    value: float | None = None


class OutcomeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The truth about an earlier prediction, joined by ``request_id`` and ``row``."""

    request_id: str
    row: int
    time: float
    deployment_id: str
    workspace_id: str
    actual: str | int | float | bool


class SegmentName(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a segment's file name.

    Parameters
    ----------
    replica
        The data plane that wrote it.
    start_ms
        When that data plane's process started, in milliseconds since the epoch: the same for each of its segments.
    counter
        Which of the process's segments it is, counted from 0 or 1 upwards in the order they were opened.

    Examples
    --------
    >>> SegmentName(replica="edge", start_ms=1700000000000, counter=3).stem
    'edge-1700000000000-000003'
    """

    replica: str
    start_ms: int
    counter: int

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return f"{self.replica}-{self.start_ms}-{self.counter:06d}"

    @classmethod
    def parse(cls, stem: str) -> SegmentName | None:
        """Read a stem back, or return None if it is not one."""
        found = re.fullmatch(r"([a-z0-9_]+)-(\d+)-(\d+)", stem)
        if found is None:
            return None
        return cls(replica=found[1], start_ms=int(found[2]), counter=int(found[3]))
