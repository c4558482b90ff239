"""The prediction log: every scored row, on this data plane's own disk, without a request ever waiting for it.

Requests put what they scored into a bounded queue and go on; one thread turns many at once into Arrow columns and
appends them. What cannot be kept is counted in ``arkwright_prediction_log_dropped_total`` by reason and let go.

- A row is *acknowledged* when its batch was appended and ``arkwright_prediction_log_rows_total`` has counted it, about
  ``FLUSH_SECONDS`` after its answer: from then on ``kill -9`` of this process does not lose it. It is synced to the
  disk within another ``SYNC_SECONDS``, and when its segment is sealed: from then on a power cut does not either.
- Outcomes (feedback) are synced before the caller is answered.
- A segment is sealed after ``SEAL_SECONDS``, at ``SEAL_BYTES``, when nothing came for ``IDLE_SECONDS``, when somebody
  asks for it (:data:`~arkwright.contracts.SEAL_REQUEST`), and at the end.
- An open segment is locked by its writer. At start, open segments that nobody locks belonged to a process that died:
  a torn last batch is cut off and they are sealed.
- The folder is capped: beyond ``MAX_FOLDER_BYTES`` new rows are dropped, because nothing that was acknowledged is ever
  deleted before it is shipped.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkwright.contracts import OPEN_SUFFIX, SEAL_REQUEST, USAGE_KEY, Arm, Endpoint, SegmentKind, SegmentName
from arkwright.core.errors import Unavailable
from arkwright.kit.logging import get_logger
from arkwright.serving import metrics
from arkwright.serving.logged import LoggedOutcomes, LoggedRequest, LoggedRows, Outcome, rows_to_log

if TYPE_CHECKING:
    from arkwright.kit.segments import SegmentWriter
    from arkwright.serving.log_columns import PredictionColumns

FLUSH_SECONDS = 0.25
SYNC_SECONDS = 1.0
SEAL_SECONDS = 30.0
IDLE_SECONDS = 5.0
SEAL_BYTES = 16_000_000
MAX_QUEUED_ROWS = 50_000
MAX_QUEUED_BYTES = 32_000_000
MAX_FOLDER_BYTES = 2_000_000_000
MAX_QUEUED_OUTCOMES = 50_000

# Rows turned into columns before the thread lets the others run: a third of a millisecond.
_SLICE_ROWS = 1_000
# A batch costs a millisecond and some twenty hand-overs of the interpreter, however few rows it has: so rather few and
# long ones. Full ones are not waited with.
_BATCH_ROWS = 10_000
_WAKE_ROWS = 5_000
_MEASURE_SECONDS = 5.0
_COMPLAIN_SECONDS = 60.0

__all__ = ["LoggedOutcomes", "LoggedRequest", "Outcome", "PredictionLog"]

log = get_logger(__name__)

_Key = tuple[str, str]


class PredictionLog:
    """Writes segments.

    Parameters
    ----------
    folder
        The data plane's log folder; several processes may share it.
    replica
        Name of this process in its segments' names: no two that run at once have the same.
    """

    def __init__(
        self,
        folder: Path,
        replica: str,
        *,
        flush_seconds: float = FLUSH_SECONDS,
        sync_seconds: float = SYNC_SECONDS,
        seal_seconds: float = SEAL_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        seal_bytes: int = SEAL_BYTES,
        max_queued_rows: int = MAX_QUEUED_ROWS,
        max_queued_bytes: int = MAX_QUEUED_BYTES,
        max_folder_bytes: int = MAX_FOLDER_BYTES,
    ) -> None:
        self._folder = folder
        self._replica = replica
        self._flush_seconds = flush_seconds
        self._sync_seconds = sync_seconds
        self._seal_seconds = seal_seconds
        self._idle_seconds = idle_seconds
        self._seal_bytes = seal_bytes
        self._max_queued_rows = max_queued_rows
        self._max_queued_bytes = max_queued_bytes
        self._max_folder_bytes = max_folder_bytes
        self._queue: deque[LoggedRows] = deque()
        self._outcomes: deque[tuple[LoggedOutcomes, Future[None]]] = deque()
        self._lost: dict[tuple[_Key, Arm, str], list[int]] = {}
        self._queued_rows = 0
        self._queued_bytes = 0
        self._queued_outcomes = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._columns: dict[_Key, PredictionColumns] = {}
        self._segments: dict[tuple[SegmentKind, _Key], _OpenSegment] = {}
        self._counter = 0
        self._start_ms = time.time_ns() // 1_000_000
        self._folder_bytes = 0
        self._measured_at = float("-inf")
        self._complained_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="arkwright-prediction-log", daemon=True)

    def start(self) -> None:
        """Begin to write; the thread first seals what dead processes left."""
        self._thread.start()

    def append(self, request: LoggedRequest) -> bool:
        """Queue a request's rows; return False if they were dropped, because the queue is full or they are no rows."""
        try:
            rows = rows_to_log(request)
        except Exception as error:
            # A model may answer in a shape that nobody foresaw; that is no reason to fail a request that was answered.
            metrics.LOG_DROPPED.labels("unwritable").inc(len(request.rows))
            log.exception("request could not be logged", request_id=request.request_id, reason=str(error))
            return False
        return self.append_rows(rows)

    def append_rows(self, rows: LoggedRows) -> bool:
        """Queue rows that are ready to be written; return False if they were dropped, because the queue is full."""
        n_rows = rows.n_rows
        with self._lock:
            queued = self._queued_rows + n_rows
            if queued <= self._max_queued_rows and self._queued_bytes <= self._max_queued_bytes and not self._closing:
                self._queued_rows = queued
                self._queued_bytes += len(rows.lines)
                self._queue.append(rows)
                kept = True
            else:
                kept = False
                counts = self._lost.setdefault((_key(rows.endpoint), rows.arm, rows.arm_name), [0, 0, 0])
                counts[0] += 1
                counts[1] += n_rows
                counts[2] += rows.size_bytes
        if not kept:
            metrics.LOG_DROPPED.labels("queue_full").inc(n_rows)
        elif queued >= _WAKE_ROWS > queued - n_rows:
            self._wake.set()
        return kept

    def append_outcomes(self, outcomes: LoggedOutcomes) -> Future[None]:
        """Queue outcomes; the future is done when they are on the disk, or fails with the reason they are not.

        Raises
        ------
        Unavailable
            If too many wait already.
        """
        done: Future[None] = Future()
        with self._lock:
            queued = self._queued_outcomes + len(outcomes.outcomes)
            if queued > MAX_QUEUED_OUTCOMES or self._closing:
                raise Unavailable(
                    "Too many outcomes wait to be written.",
                    code="feedback.busy",
                    retry_after_seconds=1,
                    hint="Send them again in a second; sending an outcome twice changes nothing.",
                )
            self._queued_outcomes = queued
            self._outcomes.append((outcomes, done))
        self._wake.set()
        return done

    def close(self) -> None:
        """Write what is queued, seal every segment and stop."""
        with self._lock:
            self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        # Here and not above: Arrow takes a tenth of a second and 25 MB that the rest of a data plane can do without.
        from arkwright.kit.segments import recover_folder  # noqa: PLC0415

        self._attempt(lambda: recover_folder(self._folder))
        while not self._closing:
            self._wake.wait(self._flush_seconds)
            self._wake.clear()
            self._attempt(self._turn)
        self._attempt(self._turn)
        for key in list(self._segments):
            self._seal(key)

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            # The edge of this thread: whatever one turn trips over, the next rows are written.
            log.exception("the prediction log stumbled", reason=str(error))

    def _turn(self) -> None:
        self._write_outcomes()
        self._write_predictions()
        self._look_after_segments()

    def _write_outcomes(self) -> None:
        waiting: dict[_Key, list[tuple[LoggedOutcomes, Future[None]]]] = {}
        while self._outcomes:
            given, done = self._outcomes.popleft()
            waiting.setdefault((given.workspace_id, given.deployment_id), []).append((given, done))
        for key, entries in waiting.items():
            n_rows = sum(len(given.outcomes) for given, _ in entries)
            with self._lock:
                self._queued_outcomes -= n_rows
            # Whoever has left does not wait for an answer; what they said is kept all the same.
            there = [done for _, done in entries if done.set_running_or_notify_cancel()]
            error = self._keep_outcomes(key, [given for given, _ in entries], n_rows)
            for done in there:
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)

    def _keep_outcomes(self, key: _Key, given: list[LoggedOutcomes], n_rows: int) -> Unavailable | None:
        from arkwright.serving.log_columns import outcomes_batch  # noqa: PLC0415

        reason = "the folder is full"
        if not self._is_full():
            try:
                segment = self._append(("outcomes", key), outcomes_batch(given), {})
                segment.writer.sync()
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
                reason = self._complain(error)
            else:
                metrics.OUTCOME_ROWS.inc(n_rows)
                return None
        return Unavailable(
            f"The outcomes cannot be written on this data plane: {reason}.",
            code="feedback.unwritable",
            retry_after_seconds=30,
            hint="Send them again later; sending an outcome twice changes nothing.",
        )

    def _write_predictions(self) -> None:
        more = True
        while more:
            more = self._take_slice()
            for key, columns in self._columns.items():
                if len(columns) >= _BATCH_ROWS or not more:
                    self._write_batch(key, columns)
            # Hand the interpreter over: the event loop may have requests to answer.
            time.sleep(0)

    def _take_slice(self) -> bool:
        """Turn some queued requests into columns; return whether there may be more."""
        queue, taken = self._queue, []
        taken_rows = 0
        while queue and taken_rows < _SLICE_ROWS:
            rows = queue.popleft()
            taken_rows += rows.n_rows
            taken.append(rows)
        with self._lock:
            self._queued_rows -= taken_rows
            self._queued_bytes -= sum([len(rows.lines) for rows in taken])
        first = 0
        for index, rows in enumerate(taken):
            start = taken[first]
            if rows.arm is not start.arm or rows.endpoint is not start.endpoint or rows.arm_name != start.arm_name:
                self._columns_of(_key(start.endpoint)).add(taken[first:index])
                first = index
        if taken:
            self._columns_of(_key(taken[first].endpoint)).add(taken[first:])
        if queue:
            return True
        self._take_lost()
        return False

    def _take_lost(self) -> None:
        """Take over what was used by requests that the full queue refused."""
        if not self._lost:
            return
        with self._lock:
            lost, self._lost = self._lost, {}
        for (key, arm, arm_name), counts in lost.items():
            self._columns_of(key).count(arm.model_version_id, arm.semver, arm_name, *counts)

    def _columns_of(self, key: _Key) -> PredictionColumns:
        columns = self._columns.get(key)
        if columns is None:
            from arkwright.serving.log_columns import PredictionColumns  # noqa: PLC0415

            columns = self._columns[key] = PredictionColumns(*key)
        return columns

    def _write_batch(self, key: _Key, columns: PredictionColumns) -> None:
        n_rows = len(columns)
        reason = ""
        try:
            batch, usage = columns.take()
            if batch is None:
                return
            if self._is_full():
                reason = "folder_full"
                batch = batch.slice(0, 0)  # what was used is still to be billed
            self._append(("predictions", key), batch, {USAGE_KEY: usage})
        except OSError as error:
            reason = "disk"
            columns.put_usage_back()
            self._complain(error)
        except Exception as error:
            reason = "unwritable"
            columns.put_usage_back()
            log.exception("rows could not be logged", rows=n_rows, reason=str(error))
        if reason:
            metrics.LOG_DROPPED.labels(reason).inc(n_rows)
        else:
            metrics.LOG_ROWS.inc(n_rows)

    def _append(self, key: tuple[SegmentKind, _Key], batch: Any, metadata: dict[bytes, bytes]) -> _OpenSegment:
        segment = self._segments.get(key)
        if segment is None:
            segment = self._segments[key] = self._open(key)
        before = segment.writer.size_bytes
        segment.writer.append(batch, metadata)
        segment.written_at = time.monotonic()
        self._folder_bytes += segment.writer.size_bytes - before
        return segment

    def _open(self, key: tuple[SegmentKind, _Key]) -> _OpenSegment:
        from arkwright.kit.segments import SegmentWriter  # noqa: PLC0415

        kind, (workspace_id, deployment_id) = key
        self._counter += 1
        name = SegmentName(replica=self._replica, start_ms=self._start_ms, counter=self._counter, kind=kind)
        folder = self._folder / workspace_id / deployment_id
        folder.mkdir(parents=True, exist_ok=True)
        return _OpenSegment(SegmentWriter(folder / f"{name.stem}{OPEN_SUFFIX}", kind))

    def _look_after_segments(self) -> None:
        now = time.monotonic()
        for key, segment in list(self._segments.items()):
            if (
                segment.writer.size_bytes >= self._seal_bytes
                or now - segment.opened_at >= self._seal_seconds
                or now - segment.written_at >= self._idle_seconds
                or segment.is_wanted()
            ):
                self._seal(key)
            elif now - segment.synced_at >= self._sync_seconds:
                segment.synced_at = now
                try:
                    segment.writer.sync()
                except OSError as error:
                    self._complain(error)

    def _seal(self, key: tuple[SegmentKind, _Key]) -> None:
        segment = self._segments.pop(key)
        try:
            segment.writer.seal()
        except OSError as error:
            # It stays open on disk; whoever comes next finds it without a lock and seals it.
            log.warning("segment could not be sealed", file=str(segment.writer.path), reason=_reason(error))

    def _is_full(self) -> bool:
        now = time.monotonic()
        if now - self._measured_at >= _MEASURE_SECONDS:
            self._measured_at = now
            self._folder_bytes = _size_of(self._folder)
            metrics.LOG_FOLDER_BYTES.set(self._folder_bytes)
        full = self._folder_bytes >= self._max_folder_bytes
        if full:
            self._complain(OSError("the folder has reached its cap and nothing is shipped"))
        return full

    def _complain(self, error: Exception) -> str:
        reason = _reason(error)
        if time.monotonic() - self._complained_at > _COMPLAIN_SECONDS:
            self._complained_at = time.monotonic()
            log.error("the prediction log cannot be written, rows are dropped", reason=reason, folder=str(self._folder))
        return reason


class _OpenSegment:
    """A segment that is written, and when something happened to it."""

    def __init__(self, writer: SegmentWriter) -> None:
        self.writer = writer
        self.opened_at = self.written_at = self.synced_at = time.monotonic()
        self._request = writer.path.parent / SEAL_REQUEST

    def is_wanted(self) -> bool:
        """Tell whether somebody has asked for it since it was opened."""
        try:
            return self._request.stat().st_mtime_ns >= self.writer.opened_ns
        except FileNotFoundError:
            return False


def _key(endpoint: Endpoint) -> _Key:
    return endpoint.workspace_id, endpoint.deployment_id


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _size_of(folder: Path) -> int:
    size_bytes = 0
    for path in folder.glob("*/*/*"):
        with suppress(FileNotFoundError):
            size_bytes += path.stat().st_size
    return size_bytes
