"""An edge on a real port, in front of a stand-in control plane that is a real process on a unix socket."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn
from tests.unit.serving.conftest import Platform, platform, pytest_pyfunc_call, until

from arkwright.front.edge import Edge, create_edge
from arkwright.serving import DataPlane, HttpPlanSource, direct_protocol

__all__ = ["platform", "pytest_pyfunc_call"]

ROOT = Path(__file__).parents[3]
STAND_IN = "tests.unit.front.stand_in:app"


@contextmanager
def uvicorn_on(application: str, socket: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run an application as a child process on a unix socket."""
    socket.parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-m", "uvicorn", application, "--uds", str(socket), "--log-level", "warning"],
        cwd=ROOT,
        env={**os.environ, **environment},
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def wait_for_socket(socket: Path, path: str, seconds: float = 20.0) -> None:
    """Wait until something answers on a unix socket."""
    deadline = time.monotonic() + seconds
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://localhost") as client:
        while time.monotonic() < deadline:
            try:
                client.get(path)
            except httpx.TransportError:
                time.sleep(0.02)
            else:
                return
    raise AssertionError(f"nothing answers on {socket}")


@pytest.fixture(scope="session")
def shared_stand_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the socket of a stand-in that all tests share, and the plan it hands out."""
    folder = tmp_path_factory.mktemp("stand-in")
    with uvicorn_on(STAND_IN, folder / "s.sock", {"STAND_IN_PLAN": str(folder / "plan.json")}):
        wait_for_socket(folder / "s.sock", "/who")
        yield folder


@pytest.fixture
def control_plane(platform: Platform, shared_stand_in: Path) -> None:
    """The stand-in where this test's control plane is, with a plan that has one deployment."""
    plan = platform.publish(1, platform.arm(platform.bundle(1.0)))
    (shared_stand_in / "plan.json").write_bytes(msgspec.json.encode(plan))
    platform.settings.socket_dir.mkdir(parents=True, exist_ok=True)
    platform.settings.server_socket.symlink_to(shared_stand_in / "s.sock")


@pytest.fixture
def mortal_control_plane(platform: Platform) -> Iterator[subprocess.Popen[bytes]]:
    """A stand-in of the test's own, which it may kill."""
    plan = platform.publish(1, platform.arm(platform.bundle(1.0)))
    platform.folder.mkdir(parents=True, exist_ok=True)
    plan_file = platform.folder / "plan.json"
    plan_file.write_bytes(msgspec.json.encode(plan))
    with uvicorn_on(STAND_IN, platform.settings.server_socket, {"STAND_IN_PLAN": str(plan_file)}) as process:
        wait_for_socket(platform.settings.server_socket, "/who")
        yield process


@asynccontextmanager
async def edge_of(
    platform: Platform, *, from_socket: bool = True, **client_options: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, Edge, DataPlane]]:
    """Run an edge on a free port of this machine, and give a client of it."""
    source = HttpPlanSource(platform.settings.server_socket, "token") if from_socket else platform.control
    plane = DataPlane(platform.settings, source, "edge")
    edge = create_edge(platform.settings, plane, lambda: {"server": "ready", "worker": "starting"})
    await plane.start()
    server = uvicorn.Server(
        uvicorn.Config(
            edge,
            port=0,
            http=direct_protocol(plane.inference),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
    )
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, **client_options) as client:
            yield client, edge, plane
    finally:
        server.should_exit = True
        await serving
        await edge.close()
        await plane.stop()
