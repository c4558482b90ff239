"""One worker for each executor id.

A lock of the operating system or of the database server, not a row with a time-out: it ends with the process that
holds it, at once and by itself, however that process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from arkwright.core.errors import Conflict

_RETRY_SECONDS = 0.1
# So that a server notices within half a minute that a worker's machine is gone, and frees the seat.
_KEEPALIVES = "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"


class Seat:
    """The right to run the jobs of an executor id.

    Parameters
    ----------
    url
        The job store's.
    executor_id
        The seat's name; stable over restarts.
    """

    def __init__(self, url: str, executor_id: str) -> None:
        self._url = make_url(url)
        self._executor_id = executor_id
        self._descriptor: int | None = None
        self._connection: psycopg.Connection[Any] | None = None

    def take(self, patience_seconds: float = 5.0) -> None:
        """Sit down.

        Parameters
        ----------
        patience_seconds
            How long to wait for a predecessor that is about to leave.

        Raises
        ------
        Conflict
            If another process keeps the seat.
        """
        deadline = time.monotonic() + patience_seconds
        while not self._try():
            if time.monotonic() >= deadline:
                raise Conflict(
                    f"Another worker already runs as {self._executor_id!r} on {self._url.render_as_string()}.",
                    code="worker.seat_taken",
                    hint="Stop it first (`arkwright down`), or give this worker another executor id.",
                )
            time.sleep(_RETRY_SECONDS)

    def leave(self) -> None:
        """Stand up."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _try(self) -> bool:
        if self._url.get_backend_name() == "sqlite":
            return self._try_file(Path(f"{self._url.database}.{self._executor_id}.lock"))
        return self._try_server()

    def _try_file(self, path: Path) -> bool:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # A POSIX record lock, not flock: a child forked by a job does not inherit it, and so cannot keep the
            # seat after its parent was killed.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def _try_server(self) -> bool:
        if self._connection is None:
            url = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
            self._connection = psycopg.connect(url, autocommit=True, connect_timeout=10, options=_KEEPALIVES)
        digest = hashlib.sha256(f"arkwright worker {self._executor_id}".encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        with contextlib.closing(self._connection.cursor()) as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", (key,))
            row = cursor.fetchone()
        return bool(row and row[0])
