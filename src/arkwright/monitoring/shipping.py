"""Shipping: sealed segments on a data plane's disk become Parquet in the object store.

A segment is deleted from the local disk only after its object exists and its usage was told. A crash in between ships
it again to the same key and tells the same usage under the same id, which changes nothing; two shippers at once do the
same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import msgspec
import pyarrow.compute as pc

from arkwright.contracts import OPEN_SUFFIX, SEAL_REQUEST, SEALED_SUFFIX, SegmentName, UsageCount
from arkwright.kit.logging import get_logger
from arkwright.kit.objects import ObjectStore
from arkwright.kit.segments import read_segment, recover_segment
from arkwright.kit.telemetry import counter
from arkwright.monitoring.segments import PREFIXES, deployment_prefix, expired_keys, object_key, to_parquet, usage_of

_log = get_logger(__name__)
_ROWS = counter("arkwright_prediction_rows_shipped_total", "Logged rows taken over.", ("kind",))
_UNREADABLE = counter("arkwright_prediction_bytes_unreadable_total", "Bytes of segments that hold no whole batch.")

_SEALED = f"*{SEALED_SUFFIX}"
_OPEN = f"*{OPEN_SUFFIX}"
_SEAL_PATIENCE_SECONDS = 3.0
_SEAL_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class SegmentUsage:
    """What was used in the time of one segment; ``segment`` names it, and is the same whenever it is told."""

    workspace_id: str
    deployment_id: str
    segment: str
    counts: tuple[UsageCount, ...]


@dataclass(frozen=True, slots=True)
class Shipment:
    """What one round of shipping did."""

    n_segments: int = 0
    n_rows: int = 0
    unreadable_bytes: int = 0
    requests: int = field(default=0, compare=False)

    def __add__(self, other: Shipment) -> Shipment:
        return Shipment(
            self.n_segments + other.n_segments,
            self.n_rows + other.n_rows,
            self.unreadable_bytes + other.unreadable_bytes,
            self.requests + other.requests,
        )


class SegmentShipper:
    """Ships the segments of one local log folder.

    Parameters
    ----------
    folder
        The data plane's log folder; it need not exist yet.
    store
        Where the Parquet goes.
    on_usage
        Told what was used, at least once for each segment.
    """

    def __init__(
        self, folder: Path, store: ObjectStore, on_usage: Callable[[SegmentUsage], None] | None = None
    ) -> None:
        self._folder = folder
        self._store = store
        self._on_usage = on_usage

    def ship(self, workspace_id: str = "*", deployment_id: str = "*") -> Shipment:
        """Ship every sealed segment, oldest first, or those of one workspace or deployment.

        Segments that a dead data plane left open are sealed first.

        Raises
        ------
        Unavailable
            If the object store cannot be written; what was not shipped stays on the local disk for the next round.
        """
        for path in self._folder.glob(f"{workspace_id}/{deployment_id}/{_OPEN}"):
            if (name := SegmentName.parse(path.stem)) is not None:
                recover_segment(path, name.kind)
        total = Shipment()
        paths = self._folder.glob(f"{workspace_id}/{deployment_id}/{_SEALED}")
        named = [(name.start_ms, name.counter, path, name) for path in paths if (name := SegmentName.parse(path.stem))]
        for *_, path, name in sorted(named, key=lambda entry: entry[:3]):
            total += self._ship_segment(path, name)
        return total

    def collect(self, workspace_id: str, deployment_id: str) -> None:
        """Bring everything a deployment has logged so far into the object store.

        The data planes that still write a segment are asked to seal it; those that do not answer are not waited for
        long.
        """
        folder = self._folder / workspace_id / deployment_id
        if waiting := list(folder.glob(_OPEN)):
            request = folder / SEAL_REQUEST
            request.touch()
            deadline = time.monotonic() + _SEAL_PATIENCE_SECONDS
            while any(path.exists() for path in waiting) and time.monotonic() < deadline:
                time.sleep(_SEAL_LOOK_SECONDS)
                for path in waiting:
                    if (name := SegmentName.parse(path.stem)) is not None:
                        recover_segment(path, name.kind)
            request.unlink(missing_ok=True)
        self.ship(workspace_id, deployment_id)

    def expire(self, workspace_id: str, today: date) -> int:
        """Delete what a workspace logged more than seven days ago; return how many objects that was.

        Nothing can pin older rows yet: A/B tests and windows for late outcomes, which must, do not exist.
        """
        objects = self._store.for_workspace(workspace_id)
        expired = [key for prefix in PREFIXES.values() for key in expired_keys(objects.list(prefix), today)]
        for key in expired:
            objects.delete(key)
        return len(expired)

    def _ship_segment(self, path: Path, name: SegmentName) -> Shipment:
        try:
            size_bytes = path.stat().st_size
            found = read_segment(path, name.kind)
        except FileNotFoundError:
            return Shipment()  # another shipper was quicker
        workspace_id, deployment_id = path.parent.parent.name, path.parent.name
        objects = self._store.for_workspace(workspace_id)
        cut_bytes = size_bytes - found.whole_bytes
        if cut_bytes:
            key = f"rejected/{deployment_prefix(deployment_id, name.kind)}/{path.name}"
            objects.put_bytes(key, path.read_bytes())
            _UNREADABLE.inc(cut_bytes)
            _log.warning("prediction log cannot be read to its end", segment=path.name, bytes=cut_bytes, kept_at=key)
        if found.table.num_rows:
            first_time = pc.min(found.table.column("time")).as_py().timestamp()
            objects.put_bytes(object_key(deployment_id, name, first_time), to_parquet(found.table))
        try:
            usage = usage_of(found.metadata)
        except msgspec.DecodeError as error:
            # One segment that cannot be billed must not keep all others from being shipped.
            usage = []
            _log.error("usage cannot be read", segment=path.name, reason=str(error))
        if usage and self._on_usage is not None:
            self._on_usage(
                SegmentUsage(
                    workspace_id=workspace_id,
                    deployment_id=deployment_id,
                    segment=name.stem,
                    counts=tuple(usage),
                )
            )
        path.unlink(missing_ok=True)
        _ROWS.labels(name.kind).inc(found.table.num_rows)
        return Shipment(
            n_segments=1,
            n_rows=found.table.num_rows,
            unreadable_bytes=cut_bytes,
            requests=sum(count.requests for count in usage),
        )
