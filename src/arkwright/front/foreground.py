"""``arkwright up``: hold the home, bind the port, start everything, say where it is, stop cleanly."""

from __future__ import annotations

import asyncio
import gc
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn
from pydantic import SecretStr

from arkwright.core.clock import SystemClock, isoformat
from arkwright.core.errors import ArkwrightError, Conflict, Unavailable
from arkwright.front.children import SERVER, child_specs
from arkwright.front.edge import create_edge
from arkwright.front.home import RunningPlatform, hold_home, leave_problem, published_state
from arkwright.front.supervisor import Supervisor
from arkwright.kit.logging import configure_logging, get_logger
from arkwright.kit.priority import ask_for_short_slices
from arkwright.kit.settings import Settings
from arkwright.serving import DataPlane, HttpPlanSource, direct_protocol, unix_transport

_log = get_logger(__name__)
_READY_SECONDS = 60.0
_LOOK_SECONDS = 0.05
# With the default of 5 ms, a small request can wait that long for a thread that scores a large one.
_SWITCH_INTERVAL_SECONDS = 0.001

Announce = Callable[[RunningPlatform, str], None]


def run(settings: Settings, announce: Announce | None = None) -> None:
    """Run the platform until SIGINT, SIGTERM or SIGHUP.

    Parameters
    ----------
    announce
        Called once everything answers, with where the platform is and the path of a one-time login link.

    Raises
    ------
    Conflict
        If the home is in use or the port is taken.
    ArkwrightError
        The reason the control plane could not start.
    """
    if not settings.internal_token.get_secret_value():
        settings = settings.model_copy(update={"internal_token": SecretStr(secrets.token_urlsafe(32))})
    try:
        with hold_home(settings), _bound(settings) as listener:
            # With a person at the terminal the log goes to its file, as in the background it does anyway.
            configure_logging("front", settings.log_level, _log_file(settings) if announce else None)
            port = listener.getsockname()[1]
            settings = settings.model_copy(update={"port": port})
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(_serve(settings, listener, announce))
    except ArkwrightError as error:
        leave_problem(settings, "front", error)
        raise


def _log_file(settings: Settings) -> Path:
    return settings.home / "logs" / "front.log"


class _EdgeServer(uvicorn.Server):
    """A uvicorn server that leaves signals to us."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def _serve(settings: Settings, listener: socket.socket, announce: Announce | None) -> None:
    token = settings.internal_token.get_secret_value()
    plane = DataPlane(settings, HttpPlanSource(settings.server_socket, token), "edge")
    supervisor = Supervisor(child_specs(settings))
    edge = create_edge(settings, plane, supervisor.status)
    server = _EdgeServer(
        uvicorn.Config(
            edge,
            http=direct_protocol(plane.inference),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=10,
        )
    )
    stopping = _stop_on_signals(server)
    sys.setswitchinterval(_SWITCH_INTERVAL_SECONDS)
    ask_for_short_slices()
    await plane.start()
    supervisor.start()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        ready = asyncio.create_task(supervisor.wait_ready(SERVER, _READY_SECONDS))
        await asyncio.wait({ready, serving}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.is_set() and not serving.done():
            await ready
            await _first_plan(plane, stopping)
            state = _state(settings)
            link = await _login_link(settings, stopping)
            gc.collect()
            gc.freeze()
            with published_state(settings, state):
                if announce is not None:
                    announce(state, link)
                await serving
        ready.cancel()
    finally:
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        await edge.close()
        await supervisor.stop()
        await plane.stop()


async def _first_plan(plane: DataPlane, stopping: asyncio.Event) -> None:
    """Wait until the data plane can answer: it has pulled the plan that the control plane has just compiled.

    Raises
    ------
    Unavailable
        If it cannot get one in time.
    """
    try:
        async with asyncio.timeout(_READY_SECONDS):
            while not plane.holder.ready and not stopping.is_set():  # noqa: ASYNC110 - a look now and then suffices
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise Unavailable(
            f"The data plane got no plan within {_READY_SECONDS:g} s.",
            code="platform.no_plan",
            hint="The control plane's log says why: logs/server.log in the home.",
        ) from None


def _stop_on_signals(server: uvicorn.Server) -> asyncio.Event:
    stopping = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():
            server.force_exit = True
        stopping.set()
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    return stopping


@contextmanager
def _bound(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as error:
        raise Conflict(
            f"The address {settings.host}:{settings.port} cannot be used: {error.strerror}.",
            code="port.in_use",
            hint="Another program has it. Choose another port with --port, or 0 for any free one.",
        ) from error
    with listener:
        yield listener


def _state(settings: Settings) -> RunningPlatform:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104 - not binding here
    return RunningPlatform(
        pid=os.getpid(),
        url=f"http://{host}:{settings.port}",
        home=str(settings.home),
        key_file=str(settings.home / "credentials" / "admin.key"),
        started_at=isoformat(SystemClock().now()),
    )


async def _login_link(settings: Settings, stopping: asyncio.Event) -> str:
    """Return the path of a one-time login link; empty if the platform is told to stop before there is one."""
    transport = unix_transport(settings.server_socket)
    headers = {"X-Arkwright-Internal": settings.internal_token.get_secret_value()}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        deadline = time.monotonic() + _READY_SECONDS
        while not stopping.is_set():
            try:
                answer = (await client.post("/internal/login-links")).raise_for_status()
            except httpx.HTTPError as error:
                # It may have died right after it had answered the probe: the supervisor starts it again.
                if isinstance(error, httpx.HTTPStatusError) or time.monotonic() > deadline:
                    raise Unavailable(
                        f"The control plane gave no login link: {error}.",
                        code="platform.login_link",
                        hint=f"Its log is {settings.home / 'logs' / 'server.log'}.",
                    ) from error
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                link: str = answer.json()["url_path"]
                return link
    return ""


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop  # noqa: PLC0415 - not on every platform

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
