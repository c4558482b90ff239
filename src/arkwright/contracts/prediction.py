"""The prediction log and the outcomes that arrive later.

A data plane appends what it answered, and what it was told about earlier answers, to segments on its own disk and
never makes a prediction wait for it. A segment is an Arrow IPC *stream*: a schema, then one record batch for each
flush. It is *open* (``.open``) while it is written and *sealed* (``.arrows``) by a rename; only sealed segments are
shipped. A crash can cut the last batch of an open segment: readers and recovery drop it.

Layout below the data plane's log folder::

    <workspace_id>/<deployment_id>/<replica>-<start_ms>-<counter>.open | .arrows             predictions
    <workspace_id>/<deployment_id>/outcomes-<replica>-<start_ms>-<counter>.open | .arrows    outcomes

Shipped rows are Parquet of the same columns, below the object store's workspace prefix::

    predictions/<deployment_id>/date=YYYY-MM-DD/<segment stem>.parquet
    outcomes/<deployment_id>/date=YYYY-MM-DD/<segment stem>.parquet

Somebody who cannot wait for a segment to be sealed in its own time puts an empty file named ``seal.request`` beside
it: every writer seals what it opened before that, within a second. Who asked removes the file.

One segment becomes one object of the same stem, so shipping twice overwrites and never doubles.

A batch's metadata has one key, ``usage``: a JSON list of :class:`UsageCount`, all requests answered since the batch
before, those that were not sampled or had to be dropped included. A batch may hold usage and no rows.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal

import msgspec

SEAL_REQUEST = "seal.request"
OPEN_SUFFIX = ".open"
SEALED_SUFFIX = ".arrows"
USAGE_KEY = b"usage"
FALLBACK_ARM = "fallback"

SegmentKind = Literal["predictions", "outcomes"]
FieldType = Literal["string", "int32", "int64", "float64", "moment"]

REDACTED_PREFIX = "sha256:"
_REDACTED = re.compile(r"sha256:[0-9a-f]{64}")
_EXACT_INT = 2.0**53

PREDICTION_FIELDS: tuple[tuple[str, FieldType, bool], ...] = (
    ("request_id", "string", False),
    ("row", "int32", False),
    ("time", "moment", False),
    ("deployment_id", "string", False),
    ("workspace_id", "string", False),
    ("model_version_id", "string", False),
    ("semver", "string", False),
    ("arm", "string", False),
    ("latency_ms", "float64", False),
    ("request_size_bytes", "int64", False),
    ("features", "string", False),
    ("label", "string", True),
    ("score", "float64", True),
    ("value", "float64", True),
)
"""Name, type and whether null is allowed, for each column of a segment of predictions."""

OUTCOME_FIELDS: tuple[tuple[str, FieldType, bool], ...] = (
    ("request_id", "string", False),
    ("row", "int32", False),
    ("time", "moment", False),
    ("deployment_id", "string", False),
    ("workspace_id", "string", False),
    ("label", "string", True),
    ("value", "float64", True),
)
"""The same for a segment of outcomes."""

SEGMENT_FIELDS: dict[SegmentKind, tuple[tuple[str, FieldType, bool], ...]] = {
    "predictions": PREDICTION_FIELDS,
    "outcomes": OUTCOME_FIELDS,
}


class PredictionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One scored row.

    ``time`` is when the request was answered, a UTC timestamp in the log and seconds since the epoch here; ``row`` is
    the instance's index in its request. ``arm`` is the arm that answered, or ``fallback``. ``features`` holds the
    model's inputs as received, as one JSON object in the log because columns vary by version; the policy's redacted
    ones are replaced by :func:`redacted`. Exactly one of (``label``, ``score``) and ``value`` is set, as in the
    response; ``label`` is text in the log, whatever the type of the class.
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
    """The truth about an earlier prediction, joined by ``request_id`` and ``row``.

    ``time`` is when it was told. ``actual`` is a class, kept as its text in the column ``label``, or a number, kept
    in ``value``. Of several outcomes for one row the one with the latest time counts.
    """

    request_id: str
    row: int
    time: float
    deployment_id: str
    workspace_id: str
    actual: str | int | float | bool


class UsageCount(msgspec.Struct, frozen=True, kw_only=True):
    """What one arm answered, whether its rows were logged or not."""

    model_version_id: str
    semver: str
    arm: str
    requests: int
    rows: int
    request_bytes: int = 0


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
    kind
        What its rows are.

    Examples
    --------
    >>> SegmentName(replica="edge", start_ms=1700000000000, counter=3).stem
    'edge-1700000000000-000003'
    >>> SegmentName.parse("outcomes-edge-1700000000000-000004").kind
    'outcomes'
    """

    replica: str
    start_ms: int
    counter: int
    kind: SegmentKind = "predictions"

    @property
    def stem(self) -> str:
        """The name without its ending."""
        kind = "" if self.kind == "predictions" else f"{self.kind}-"
        return f"{kind}{self.replica}-{self.start_ms}-{self.counter:06d}"

    @classmethod
    def parse(cls, stem: str) -> SegmentName | None:
        """Read a stem back, or return None if it is not one."""
        found = re.fullmatch(r"(outcomes-)?([a-z0-9_]+)-(\d+)-(\d+)", stem)
        if found is None:
            return None
        kind: SegmentKind = "outcomes" if found[1] else "predictions"
        return cls(replica=found[2], start_ms=int(found[3]), counter=int(found[4]), kind=kind)


def sampled(request_id: str, percent: float) -> bool:
    """Tell whether a request is among the ``percent`` that are logged: the same answer everywhere and always.

    Another hash than the one that assigns arms, so that the sample of each arm is as large as its share.

    Examples
    --------
    >>> sum(sampled(f"req_{index}", 10.0) for index in range(10_000))
    1063
    >>> sampled("req_1", 100.0), sampled("req_1", 0.0)
    (True, False)
    """
    if percent >= 100.0:
        return True
    digest = hashlib.blake2b(request_id.encode(), digest_size=8, person=b"log-sample").digest()
    return int.from_bytes(digest, "big") < percent / 100.0 * 2**64


def redacted(value: Any) -> str | None:
    """Return what stands in the log for a redacted value: ``sha256:`` and the hash of its canonical text.

    The canonical text of a text is itself, of a whole number its digits, of another number its shortest decimal form,
    of a boolean ``True`` or ``False``: values that a model takes for the same have the same hash. Missing stays
    missing. A hash hides a value only from those who cannot guess it: a column of few possible values should rather
    not be sent.

    Examples
    --------
    >>> redacted("12") == redacted(12) == redacted(12.0) == REDACTED_PREFIX + hashlib.sha256(b"12").hexdigest()
    True
    >>> redacted(None) is None
    True
    """
    if value is None:
        return None
    if isinstance(value, float) and abs(value) < _EXACT_INT and value == int(value):
        value = int(value)
    text = value if isinstance(value, str) else str(value) if isinstance(value, int | float) else _json(value)
    return REDACTED_PREFIX + hashlib.sha256(text.encode()).hexdigest()


def is_redacted(value: object) -> bool:
    """Tell whether a logged value is the hash that :func:`redacted` makes.

    Examples
    --------
    >>> is_redacted(redacted("a")), is_redacted("a"), is_redacted(1.0)
    (True, False, False)
    """
    return isinstance(value, str) and value.startswith(REDACTED_PREFIX) and _REDACTED.fullmatch(value) is not None


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
