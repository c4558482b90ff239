"""One data plane as a process: HTTP and, where it is asked for, gRPC, until a signal says stop.

A stop takes no new connections, finishes what is in flight for up to ``GRACE_SECONDS`` and then writes out the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from arkwright.core.errors import Conflict, Unavailable
from arkwright.kit.logging import configure_logging, get_logger
from arkwright.kit.settings import Settings
from arkwright.serving.direct import direct_protocol
from arkwright.serving.plane import DataPlane
from arkwright.serving.shared_metrics import SharedMetrics
from arkwright.serving.source import HttpPlanSource

if TYPE_CHECKING:
    from arkwright.serving.grpc.server import GrpcServer

GRACE_SECONDS = 30
# With the default of 5 ms, a small request can wait that long for a thread that scores a large one.
SWITCH_INTERVAL_SECONDS = 0.001
# A request leaves few objects that refer to each other: looking for cycles after every 700 of them finds nothing.
_GC_THRESHOLDS = (20_000, 20, 50)
_PARENT_LOOK_SECONDS = 1.0

log = get_logger(__name__)


def replica_name(port: int, worker: int | None = None) -> str:
    """Return the name of this data plane in its acknowledgements and its log: of this machine, port and worker.

    Examples
    --------
    >>> replica_name(8586, 2).endswith("_8586_2")
    True
    """
    host = re.sub(r"[^a-z0-9]+", "_", socket.gethostname().lower()).strip("_")[:40]
    parts = ["serve", host, str(port), *([] if worker is None else [str(worker)])]
    return "_".join(part for part in parts if part)


def bind(host: str, port: int, *, shared: bool) -> socket.socket:
    """Return a socket on an address; ``shared`` lets other processes of ours have it too.

    Raises
    ------
    Conflict
        If the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Conflict(
            f"The address {host}:{port} cannot be used: {error.strerror}.",
            code="port.in_use",
            hint="Another program has it. Choose another port with --port, or 0 for any free one.",
        ) from error
    return listener


def serve(
    settings: Settings,
    *,
    worker: int | None = None,
    processes: int = 1,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; the control plane is the one of the same home.

    Parameters
    ----------
    worker
        Which of several processes this is.
    processes
        How many share the port.
    announce
        Called with the address once predictions can be asked for.
    """
    with bind(settings.host, settings.port, shared=worker is not None) as listener:
        configure_logging("serving", settings.log_level, _log_file(settings) if announce else None)
        _allow_many_connections()
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(settings, listener, worker, processes, announce))


async def _serve(
    settings: Settings,
    listener: socket.socket,
    worker: int | None,
    processes: int,
    announce: Callable[[str], None] | None,
) -> None:
    source = HttpPlanSource(settings.server_socket, settings.internal_token.get_secret_value())
    plane = DataPlane(settings, source, replica_name(settings.port, worker), processes=processes)
    server = _Server(
        uvicorn.Config(
            plane,
            interface="asgi3",
            http=direct_protocol(plane.inference),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=2048,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
    beside: list[asyncio.Task[None]] = []
    if worker is not None:
        shared = SharedMetrics(settings.home / "serving" / "metrics" / str(settings.port), worker)
        plane.exposition = shared.read
        beside = [asyncio.create_task(_stop_without_parent(server)), asyncio.create_task(shared.keep())]
    _stop_on_signals(server)
    await plane.start()
    grpc_server = None
    try:
        if settings.grpc_port and not server.should_exit:
            grpc_server = _grpc_server(plane, settings, shared=worker is not None)
            await grpc_server.start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        if announce is not None:
            announce(address_of(settings))
        await serving
    finally:
        for task in beside:
            task.cancel()
        if grpc_server is not None:
            await grpc_server.stop()
        await plane.stop()


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def address_of(settings: Settings) -> str:
    """Return the address for a person on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104 - not binding here
    return f"http://{host}:{settings.port}"


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes an event loop: uvloop's where there is one."""
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not on every platform

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _grpc_server(plane: DataPlane, settings: Settings, *, shared: bool) -> GrpcServer:
    try:
        from arkwright.serving.grpc.server import GrpcServer  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"gRPC was asked for, and {error.name} is not installed.",
            code="grpc.missing",
            hint="Run: pip install 'arkwright[grpc]', or leave ARKWRIGHT_GRPC_PORT at 0.",
        ) from error
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return GrpcServer(plane.core, f"{host}:{settings.grpc_port}", settings.predict_max_body_bytes, shared=shared)


def _stop_on_signals(server: uvicorn.Server) -> None:
    def stop() -> None:
        if server.should_exit:
            server.force_exit = True
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)


async def _stop_without_parent(server: uvicorn.Server) -> None:
    """Stop when the process that supervises this one is gone, however it went."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing tells a process that its parent is gone
        await asyncio.sleep(_PARENT_LOOK_SECONDS)
    log.warning("the supervising process is gone, stopping")
    server.should_exit = True


def _allow_many_connections() -> None:
    """Take as many open files as the machine grants; the usual 1,024 are fewer than the connections it can hold."""
    with contextlib.suppress(OSError, ValueError):
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _log_file(settings: Settings) -> Path:
    folder = settings.home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "serving.log"
