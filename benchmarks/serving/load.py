"""Two ways of asking: as fast as the answers come (wrk), and at a fixed rate whatever the answers do."""

from __future__ import annotations

import asyncio
import json
import math
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop

_LUA = r"""
local requests = {}
local at = 0
function init(args)
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, { HEADERS }, line)
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\nRESULT {"n": %d, "seconds": %.6f, "p50": %.3f, "p95": %.3f, "p99": %.3f, "failed": %d, "lost": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(95) / 1e3,
    latency:percentile(99) / 1e3, e.status, e.connect + e.read + e.write + e.timeout))
end
"""


@dataclass(frozen=True)
class Target:
    """Where requests go, with what."""

    url: str
    bodies: Sequence[bytes]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """What came of a load. Latencies in ms; ``failed`` answers were no 200, ``lost`` requests had none."""

    rate: float
    p50: float
    p95: float
    p99: float
    n: int
    failed: int
    lost: int

    @property
    def errors(self) -> int:
        return self.failed + self.lost

    @property
    def good_rate(self) -> float:
        return self.rate * (1 - self.failed / self.n) if self.n else 0.0


def closed_loop(target: Target, connections: int, seconds: float, folder: Path) -> Measured:
    """Keep so many connections busy with wrk, on one thread."""
    (folder / "bodies").write_bytes(b"\n".join(target.bodies) + b"\n")
    headers = {"Content-Type": "application/json", **target.headers}
    listed = ", ".join(f'["{name}"] = "{value}"' for name, value in headers.items())
    (folder / "post.lua").write_text(_LUA.replace("HEADERS", listed))
    command = [
        "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout", "10s", "--latency",
        "-s", str(folder / "post.lua"), target.url, "--", str(folder / "bodies"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    found = re.search(r"RESULT (\{.*\})", done.stdout)
    if found is None:
        raise RuntimeError(f"wrk said: {done.stdout}{done.stderr}")
    said = json.loads(found[1])
    return Measured(
        said["n"] / said["seconds"], said["p50"], said["p95"], said["p99"], said["n"], said["failed"], said["lost"]
    )


class _Connection(asyncio.Protocol):
    """One HTTP connection with one request under way."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> asyncio.Future[int]:
        assert self.transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, separator, rest = self._data.partition(b"\r\n\r\n")
        if not separator:
            return
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        # Without a length it comes in chunks, the last of which is empty.
        complete = len(rest) >= int(length[1]) if length else rest.endswith(b"0\r\n\r\n")
        if complete and self._answer is not None and not self._answer.done():
            self._data = b""
            self._answer.set_result(int(head[9:12]))

    def drop(self) -> None:
        """Give the connection up."""
        if self.transport is not None:
            self.transport.abort()
            self.transport = None

    def connection_lost(self, _error: Exception | None) -> None:
        self.transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(0)


class _Schedule:
    """Sends requests when they are due, each over a connection that is free."""

    def __init__(self, target: Target, connections: int, patience_seconds: float) -> None:
        parts = urlsplit(target.url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        headers = {"Host": parts.netloc, "Content-Type": "application/json", **target.headers}
        head = f"POST {parts.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._requests = [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in target.bodies]
        self._connections = connections
        self._patience_seconds = patience_seconds
        self._free: asyncio.Queue[_Connection] = asyncio.Queue()
        self._latencies: list[float] = []
        self._failed = self._lost = 0

    async def run(self, rate: float, seconds: float) -> Measured:
        """Send for so long, and wait for the last answers."""
        loop = asyncio.get_running_loop()
        for _ in range(self._connections):
            self._free.put_nowait(await self._connect())
        begun = time.perf_counter()
        tasks: set[asyncio.Task[None]] = set()
        for number in range(int(rate * seconds)):
            due = begun + number / rate
            if (delay := due - time.perf_counter()) > 0:
                await asyncio.sleep(delay)
            task = loop.create_task(self._ask(number, due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            if time.perf_counter() - begun > 2 * seconds + self._patience_seconds:
                break  # the server is so far behind that the client must not wait for it
        if tasks:
            await asyncio.wait(tasks, timeout=self._patience_seconds + 5)
        took = time.perf_counter() - begun
        self._lost += len(tasks)
        while not self._free.empty():
            self._free.get_nowait().drop()
        ordered = sorted(self._latencies)
        n = len(ordered) + self._failed + self._lost
        shown = (_percentile(ordered, share) for share in (0.5, 0.95, 0.99))
        return Measured(n / took, *shown, n, self._failed, self._lost)

    async def _connect(self) -> _Connection:
        return (await asyncio.get_running_loop().create_connection(_Connection, *self._address))[1]

    async def _ask(self, number: int, due: float) -> None:
        connection = await self._free.get()
        status = 0
        try:
            if connection.transport is None:
                connection = await self._connect()
            async with asyncio.timeout(self._patience_seconds):
                status = await connection.ask(self._requests[number % len(self._requests)])
        except (OSError, TimeoutError):
            connection.drop()
        finally:
            self._free.put_nowait(connection)
        if status == 200:
            self._latencies.append(1e3 * (time.perf_counter() - due))
        elif status:
            self._failed += 1
        else:
            self._lost += 1


def open_loop(
    target: Target, rate: float, seconds: float, *, connections: int = 64, patience_seconds: float = 10.0
) -> Measured:
    """Send at a fixed rate; a latency counts from when its request was due, so a stall is not hidden."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Schedule(target, connections, patience_seconds).run(rate, seconds))


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else math.nan


def wait_until_ready(url: str, seconds: float, alive: subprocess.Popen[bytes], target: Target | None = None) -> float:
    """Wait until an address, and then a first prediction, answers with 200; return how long it took."""
    begun = time.monotonic()
    asked = urllib.request.Request(url)
    while time.monotonic() - begun < seconds:
        if alive.poll() is not None:
            raise RuntimeError(f"the server ended with {alive.returncode}")
        try:
            with urllib.request.urlopen(asked, timeout=2):
                if target is None or asked.data is not None:
                    return time.monotonic() - begun
                headers = {"Content-Type": "application/json", **target.headers}
                asked = urllib.request.Request(target.url, target.bodies[0], headers)
        except (OSError, urllib.error.URLError):
            time.sleep(0.01)
    raise RuntimeError(f"{asked.full_url} did not answer within {seconds:g} s")
