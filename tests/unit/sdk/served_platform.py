"""A platform in one process, on a real port: real services and a real data plane, a logbook in memory, jobs run inline.

What differs from ``arkwright up`` is the number of processes: the edge's proxying has tests of its own.
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread
import structlog
import uvicorn
from fastapi import FastAPI

from arkwright.contracts import PlanAcknowledgement, WindowReport
from arkwright.kit.jobs import InlineQueue, Lane
from arkwright.kit.settings import load_settings
from arkwright.server.app import create_app
from arkwright.server.composition import Platform
from arkwright.serving import DataPlane, FetchedPlan
from arkwright.testing import InMemoryTracking


@dataclass(frozen=True)
class Served:
    """Where it is."""

    url: str
    key: str
    home: Path
    platform: Platform


class _Late:
    """A queue that is filled once the platform that needs it exists; jobs run in a thread, as a worker's would."""

    inner: InlineQueue

    def enqueue(self, workspace_id: str, job_id: str, kind: str, lane: Lane) -> None:
        threading.Thread(target=self.inner.enqueue, args=(workspace_id, job_id, kind, lane), daemon=True).start()

    def states(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        return dict.fromkeys(job_ids, "open")

    def withdraw(self, job_id: str) -> None:
        self.inner.withdraw(job_id)


class _Plans:
    """The control plane, for a data plane in the same process."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._publisher = platform.publisher

    async def fetch(self, after: int) -> FetchedPlan | None:
        plan = await anyio.to_thread.run_sync(self._publisher.current)
        return None if plan.generation == after else FetchedPlan(plan, "test")

    async def acknowledge(self, acknowledgement: PlanAcknowledgement) -> None:
        await anyio.to_thread.run_sync(self._publisher.acknowledge, acknowledgement)

    async def report(self, report: WindowReport) -> None:
        await anyio.to_thread.run_sync(self._platform.windows.take, report, self._platform.workspace_ids())

    async def close(self) -> None:
        """Hold nothing."""


class _OnePort:
    """Predictions to the data plane, everything else to the control plane."""

    def __init__(self, app: FastAPI, plane: DataPlane) -> None:
        self._app, self._plane = app, plane

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1/inference/"):
            await self._plane(scope, receive, send)
            return

        async def both(message: Any) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._plane.start()
            elif message["type"] == "lifespan.shutdown.complete":
                await self._plane.stop()
            await send(message)

        await self._app(scope, receive, both)


@contextmanager
def served_platform(home: Path, schema: Path) -> Iterator[Served]:
    """Serve a platform until the block ends."""
    home.mkdir()
    shutil.copy(schema, home / "arkwright.db")
    queue = _Late()
    settings = load_settings(home=home, internal_token="internal", evaluate_after_training=False)
    platform = Platform(settings, tracking=InMemoryTracking(), queue=queue)
    queue.inner = InlineQueue(platform.database, platform.worker_jobs())
    application = _OnePort(create_app(platform), DataPlane(settings, _Plans(platform), "edge"))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_config=None, access_log=False, lifespan="on"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started, "the platform did not start"
    # The command line under test writes to this process's standard output; the server's log must not.
    logging_before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    try:
        key = (home / "credentials" / "admin.key").read_text().strip()
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", key, home, platform)
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        structlog.configure(**logging_before)
