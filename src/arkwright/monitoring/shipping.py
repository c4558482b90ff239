"""Shipping: sealed segments on a data plane's disk become Parquet in the object store.

A segment is deleted from the local disk only after its object exists. A crash in between ships it again to the same
key, which changes nothing; two shippers at once do the same.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from arkwright.contracts import SEAL_REQUEST, SegmentName
from arkwright.kit.logging import get_logger
from arkwright.kit.objects import ObjectStore
from arkwright.kit.telemetry import counter
from arkwright.monitoring.segments import (
    LOG_PREFIX,
    deployment_prefix,
    expired_keys,
    object_key,
    parse_segment,
    to_parquet,
)

_log = get_logger(__name__)
_ROWS = counter("arkwright_prediction_rows_shipped_total", "Logged predictions taken over.", ("outcome",))

_SEALED = "*.jsonl"
_OPEN = "*.open"
_SEAL_PATIENCE_SECONDS = 3.0
_SEAL_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Shipment:
    """What one round of shipping did."""

    n_segments: int = 0
    n_rows: int = 0
    n_rejected_lines: int = 0

    def __add__(self, other: Shipment) -> Shipment:
        return Shipment(
            self.n_segments + other.n_segments,
            self.n_rows + other.n_rows,
            self.n_rejected_lines + other.n_rejected_lines,
        )


class SegmentShipper:
    """Ships the segments of one local log folder.

    Parameters
    ----------
    folder
        The data plane's log folder; it need not exist yet.
    store
        Where the Parquet goes.
    """

    def __init__(self, folder: Path, store: ObjectStore) -> None:
        self._folder = folder
        self._store = store

    def ship(self, workspace_id: str = "*", deployment_id: str = "*") -> Shipment:
        """Ship every sealed segment, oldest first, or those of one workspace or deployment.

        Raises
        ------
        Unavailable
            If the object store cannot be written; what was not shipped stays on the local disk for the next round.
        """
        total = Shipment()
        paths = self._folder.glob(f"{workspace_id}/{deployment_id}/{_SEALED}")
        named = [(name.start_ms, name.counter, path) for path in paths if (name := SegmentName.parse(path.stem))]
        for _, _, path in sorted(named):
            total += self._ship_segment(path)
        return total

    def collect(self, workspace_id: str, deployment_id: str) -> None:
        """Bring everything a deployment has logged so far into the object store.

        A data plane that still writes a segment is asked to seal it; one that does not answer is not waited for long.
        """
        folder = self._folder / workspace_id / deployment_id
        if any(folder.glob(_OPEN)):
            request = folder / SEAL_REQUEST
            request.touch()
            deadline = time.monotonic() + _SEAL_PATIENCE_SECONDS
            while request.exists() and time.monotonic() < deadline:
                time.sleep(_SEAL_LOOK_SECONDS)
            request.unlink(missing_ok=True)
        self.ship(workspace_id, deployment_id)

    def expire(self, workspace_id: str, today: date) -> int:
        """Delete what a workspace logged more than seven days ago; return how many objects that was.

        Nothing can pin older rows yet: A/B tests and windows for late outcomes, which must, do not exist.
        """
        objects = self._store.for_workspace(workspace_id)
        expired = expired_keys(objects.list(LOG_PREFIX), today)
        for key in expired:
            objects.delete(key)
        return len(expired)

    def _ship_segment(self, path: Path) -> Shipment:
        name = SegmentName.parse(path.stem)
        if name is None:
            return Shipment()
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return Shipment()  # another shipper was quicker
        deployment_id = path.parent.name
        objects = self._store.for_workspace(path.parent.parent.name)
        records, rejected = parse_segment(content)
        if rejected:
            key = f"rejected/{deployment_prefix(deployment_id)}/{name.stem}.jsonl"
            objects.put_bytes(key, b"\n".join([*rejected, b""]))
            _log.warning("prediction log has unreadable lines", segment=path.name, lines=len(rejected), kept_at=key)
        if records:
            first_time = min(record.time for record in records)
            objects.put_bytes(object_key(deployment_id, name, first_time), to_parquet(records))
        path.unlink(missing_ok=True)
        _ROWS.labels("shipped").inc(len(records))
        _ROWS.labels("rejected").inc(len(rejected))
        return Shipment(n_segments=1, n_rows=len(records), n_rejected_lines=len(rejected))
