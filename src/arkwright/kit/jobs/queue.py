"""The job engine's store: opening it, and what the control plane asks of it.

DBOS keeps its queues and checkpoints in a database of its own. Everything in it is JSON: nothing is pickled, so that
who can write to the store cannot run code in a worker.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from arkwright.core.errors import Unavailable
from arkwright.kit.jobs.ports import Lane

if TYPE_CHECKING:
    from dbos import DBOSClient

APPLICATION = "arkwright"
# DBOS would derive it from the source of the workflow functions, and leave jobs behind at every change of it. What
# makes a job resumable is its kind's version instead.
ENGINE_VERSION = "1"
QUEUES = {Lane.HEAVY: "arkwright-heavy", Lane.LIGHT: "arkwright-light"}

_OPEN = frozenset({"PENDING", "ENQUEUED", "DELAYED"})
_STATES = {"CANCELLED": "cancelled", "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "exhausted"}


class JobQueue:
    """The engine's store, named by URL.

    Nothing is opened before the first use, or :meth:`open`: importing the engine takes a second.

    Parameters
    ----------
    url
        ``sqlite:///path`` or ``postgresql://...``.
    heavy_slots, light_slots
        How many jobs of a lane one worker runs at once.
    poll_seconds
        How often a worker looks for new jobs.
    """

    def __init__(self, url: str, *, heavy_slots: int = 1, light_slots: int = 2, poll_seconds: float = 0.2) -> None:
        self.url = url
        self.poll_seconds = poll_seconds
        self._slots = {Lane.HEAVY: heavy_slots, Lane.LIGHT: light_slots}
        self._lock = threading.Lock()
        self._opened: DBOSClient | None = None

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return make_url(self.url).render_as_string(hide_password=True)

    def open(self) -> None:
        """Create or upgrade the store, and connect.

        Raises
        ------
        Unavailable
            If it cannot be reached.
        """
        self._client()

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            if self._opened is not None:
                self._opened.destroy()
                self._opened = None

    def enqueue(self, workspace_id: str, job_id: str, kind: str, lane: Lane) -> None:
        """Put a job at the end of its lane; a job that is known already stays as it is."""
        with self.translated():
            self._client().enqueue(
                {
                    "workflow_name": kind,
                    "queue_name": QUEUES[lane],
                    "workflow_id": job_id,
                    "app_version": ENGINE_VERSION,
                },
                workspace_id,
                job_id,
            )

    def states(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Return what the engine thinks of these jobs: ``open``, ``ended``, ``cancelled`` or ``exhausted``."""
        if not job_ids:
            return {}
        with self.translated():
            found = self._client().list_workflows(
                workflow_ids=list(job_ids), load_input=False, load_output=False, application_name=APPLICATION
            )
        return {
            item.workflow_id: "open" if item.status in _OPEN else _STATES.get(item.status, "ended") for item in found
        }

    def withdraw(self, job_id: str) -> None:
        """Take a job out that has not started."""
        with self.translated():
            self._client().cancel_workflow(job_id)

    def forget(self, before: datetime) -> int:
        """Delete the checkpoints of jobs that ended before a moment; return how many (at most 200 at once)."""
        with self.translated():
            client = self._client()
            old = client.list_workflows(
                completed_before=before.isoformat(),
                status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
                application_name=APPLICATION,
                load_input=False,
                load_output=False,
                limit=200,
            )
            if old:
                client.delete_workflows([item.workflow_id for item in old])
        return len(old)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the engine's failures to reach its store into a problem the caller can act on."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            cause = getattr(error, "orig", None) or error
            reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
            raise Unavailable(
                f"The job store {self.shown_url} cannot be used: {reason}.",
                code="jobs.store_unavailable",
                hint="Check that it can be reached and that ARKWRIGHT_JOBS_DATABASE_URL is right.",
            ) from error

    def _client(self) -> DBOSClient:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> DBOSClient:
        import logging  # noqa: PLC0415

        # A logger with a handler is left alone; otherwise DBOS writes to the console past our own format.
        logger = logging.getLogger("dbos")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        logger.setLevel(logging.WARNING)
        from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer  # noqa: PLC0415

        with self.translated():
            _use_write_ahead_log(self.url)
            DBOS.migrate(self.url)
            client = DBOSClient(
                system_database_url=self.url,
                serializer=DBOSPortableJSONSerializer(),
                application_name=APPLICATION,
                retry_connection_errors=False,
            )
            for lane, name in QUEUES.items():
                client.register_queue(
                    name, worker_concurrency=self._slots[lane], polling_interval_sec=self.poll_seconds
                )
        return client


def _use_write_ahead_log(url: str) -> None:
    """Set the mode before DBOS opens the file: it would not, and readers would then block writers."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return
    path = Path(parsed.database)
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=30)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
