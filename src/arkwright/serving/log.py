"""The prediction log: every scored row, on this data plane's own disk, without a request ever waiting for it.

Requests put what they scored into a bounded queue and go on; one thread encodes and appends. When the queue is full,
or the disk is, rows are counted in ``arkwright_prediction_log_dropped_total`` and let go.

- Rows reach the operating system within ``FLUSH_SECONDS``: that is what a ``kill -9`` can cost.
- A segment is sealed after ``SEAL_SECONDS``, at ``SEAL_BYTES``, when nothing came for ``IDLE_SECONDS``, when somebody
  asks for it (:data:`~arkwright.contracts.SEAL_REQUEST`), and at the end.
- An open segment is locked by its writer. At start, open segments that nobody locks belonged to a process that died:
  a torn last line is cut off and they are sealed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from arkwright.contracts import SEAL_REQUEST, Endpoint, PredictionRecord, SegmentName
from arkwright.kit.logging import get_logger
from arkwright.serving import metrics
from arkwright.serving.state import LiveArm

FLUSH_SECONDS = 1.0
SEAL_SECONDS = 30.0
IDLE_SECONDS = 5.0
SEAL_BYTES = 16_000_000
MAX_QUEUED_ROWS = 50_000

# Rows encoded before the thread lets the others run.
_SLICE_ROWS = 200

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request that was answered: its rows as received, and what was predicted for each.

    ``predictions`` holds, for each row, the members of the response.
    """

    request_id: str
    time: float
    endpoint: Endpoint
    live: LiveArm
    latency_ms: float
    request_size_bytes: int
    rows: Sequence[dict[str, Any]]
    predictions: Sequence[dict[str, Any]]

    def records(self) -> Iterator[PredictionRecord]:
        """Yield one record for each row, with the model's inputs only."""
        arm, names = self.live.arm, self.live.feature_names
        # By task, not by name: a row may carry an identifier column called "score", which is echoed.
        regression = self.live.bundle.signature.task == "regression"
        for index, (row, prediction) in enumerate(zip(self.rows, self.predictions, strict=True)):
            yield PredictionRecord(
                request_id=self.request_id,
                row=index,
                time=self.time,
                deployment_id=self.endpoint.deployment_id,
                workspace_id=self.endpoint.workspace_id,
                model_version_id=arm.model_version_id,
                semver=arm.semver,
                arm=arm.name,
                latency_ms=self.latency_ms,
                request_size_bytes=self.request_size_bytes,
                features={name: row[name] for name in names if name in row},
                label=None if regression else prediction["label"],
                score=None if regression else prediction["score"],
                value=prediction["value"] if regression else None,
            )


class PredictionLog:
    """Writes segments.

    Parameters
    ----------
    folder
        The data plane's log folder.
    replica
        Name of this data plane in its segments' names.
    """

    def __init__(
        self,
        folder: Path,
        replica: str,
        *,
        flush_seconds: float = FLUSH_SECONDS,
        seal_seconds: float = SEAL_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        seal_bytes: int = SEAL_BYTES,
        max_queued_rows: int = MAX_QUEUED_ROWS,
    ) -> None:
        self._folder = folder
        self._replica = replica
        self._flush_seconds = flush_seconds
        self._seal_seconds = seal_seconds
        self._idle_seconds = idle_seconds
        self._seal_bytes = seal_bytes
        self._max_queued_rows = max_queued_rows
        self._queue: deque[LoggedRequest] = deque()
        self._queued_rows = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._segments: dict[tuple[str, str], _Segment] = {}
        self._counter = 0
        self._start_ms = time.time_ns() // 1_000_000
        self._complained_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="arkwright-prediction-log", daemon=True)

    def start(self) -> None:
        """Seal what dead processes left, then begin to write."""
        for path in sorted(self._folder.glob("*/*/*.open")):
            recover_segment(path)
        self._thread.start()

    def append(self, request: LoggedRequest) -> bool:
        """Queue a request's rows; return False if they were dropped because the queue is full."""
        n_rows = len(request.rows)
        with self._lock:
            if self._closing or self._queued_rows + n_rows > self._max_queued_rows:
                kept = False
            else:
                kept = True
                self._queued_rows += n_rows
                self._queue.append(request)
                crowded = self._queued_rows > self._max_queued_rows // 4
        if not kept:
            metrics.LOG_DROPPED.labels("queue_full").inc(n_rows)
            return False
        if crowded:
            self._wake.set()
        return True

    def close(self) -> None:
        """Write what is queued, seal every segment and stop."""
        with self._lock:
            self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(self._flush_seconds)
            self._wake.clear()
            self._write_queued()
            self._seal_due()
        self._write_queued()
        for key in list(self._segments):
            self._seal(key)

    def _write_queued(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    return
                request = self._queue.popleft()
            try:
                self._write(request)
            except Exception as error:
                metrics.LOG_DROPPED.labels("unwritable").inc(len(request.rows))
                log.exception("request could not be logged", request_id=request.request_id, reason=str(error))
            finally:
                with self._lock:
                    self._queued_rows -= len(request.rows)

    def _write(self, request: LoggedRequest) -> None:
        encoder = msgspec.json.Encoder()
        lines: list[bytes] = []
        for record in request.records():
            lines.append(encoder.encode(record))
            if len(lines) >= _SLICE_ROWS:
                self._append_lines(request.endpoint, lines)
                lines = []
                time.sleep(0)
        if lines:
            self._append_lines(request.endpoint, lines)

    def _append_lines(self, endpoint: Endpoint, lines: list[bytes]) -> None:
        key = (endpoint.workspace_id, endpoint.deployment_id)
        try:
            segment = self._segments.get(key)
            if segment is None:
                segment = self._segments[key] = self._open(key)
            segment.append(b"\n".join(lines) + b"\n")
        except OSError as error:
            metrics.LOG_DROPPED.labels("disk").inc(len(lines))
            if time.monotonic() - self._complained_at > 60:
                self._complained_at = time.monotonic()
                log.warning("prediction log cannot be written, rows are dropped", reason=error.strerror or str(error))
            return
        metrics.LOG_ROWS.inc(len(lines))
        if segment.size_bytes >= self._seal_bytes:
            self._seal(key)

    def _open(self, key: tuple[str, str]) -> _Segment:
        self._counter += 1
        name = SegmentName(replica=self._replica, start_ms=self._start_ms, counter=self._counter)
        folder = self._folder / key[0] / key[1]
        folder.mkdir(parents=True, exist_ok=True)
        return _Segment(folder / f"{name.stem}.open")

    def _seal_due(self) -> None:
        now = time.monotonic()
        for key, segment in list(self._segments.items()):
            request = segment.path.parent / SEAL_REQUEST
            wanted = request.exists()
            if (
                wanted
                or now - segment.opened_at >= self._seal_seconds
                or now - segment.written_at >= self._idle_seconds
            ):
                self._seal(key)
            if wanted:
                request.unlink(missing_ok=True)

    def _seal(self, key: tuple[str, str]) -> None:
        segment = self._segments.pop(key)
        try:
            segment.seal()
        except OSError as error:
            # It stays open on disk and is sealed at the next start.
            log.warning("segment could not be sealed", file=str(segment.path), reason=error.strerror or str(error))


class _Segment:
    """One open file, locked for as long as this process writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self.opened_at = self.written_at = time.monotonic()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def append(self, content: bytes) -> None:
        """Write whole lines, or none of them."""
        view = memoryview(content)
        done = 0
        try:
            while done < len(content):
                done += os.pwrite(self._descriptor, view[done:], self.size_bytes + done)
        except OSError:
            os.ftruncate(self._descriptor, self.size_bytes)
            raise
        self.size_bytes += len(content)
        self.written_at = time.monotonic()

    def seal(self) -> None:
        """Make it durable and give it its final name."""
        try:
            os.fsync(self._descriptor)
            if self.size_bytes:
                self.path.rename(self.path.with_suffix(".jsonl"))
            else:
                self.path.unlink()
        finally:
            os.close(self._descriptor)


def recover_segment(path: Path) -> Path | None:
    """Seal an open segment whose writer is dead; return the sealed file, or None if there was nothing to keep.

    A segment that another process still writes is left alone.
    """
    with contextlib.suppress(BlockingIOError, FileNotFoundError), path.open("r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        whole_bytes = _last_newline(stream.fileno())
        if whole_bytes == 0:
            path.unlink()
            return None
        stream.truncate(whole_bytes)
        os.fsync(stream.fileno())
        return path.rename(path.with_suffix(".jsonl"))
    return None


def _last_newline(descriptor: int) -> int:
    """Return the length of a file up to and including its last newline."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - 65_536)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
