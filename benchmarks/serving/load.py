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
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Self, cast
from urllib.parse import urlsplit

import uvloop

_PATIENCE_SECONDS = 10.0
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


@dataclass(frozen=True)
class Arrivals:
    """What became of requests that came at a rate, whatever the answers did.

    Attributes
    ----------
    sent_rate, good_rate
        Requests sent and 200s received each second while requests came; answers after that count as nothing here.
    statuses
        How many answers had each; all of them, also the late ones.
    without_retry_after
        How many 429s and 503s did not say when to come again.
    lost
        Requests that had no answer.
    p50, p99
        Of the 200s, in ms, from when each request was due.
    refused_p50, refused_p99
        The same of the other answers.
    """

    sent: int
    sent_rate: float
    good_rate: float
    statuses: dict[int, int]
    without_retry_after: int
    lost: int
    p50: float
    p99: float
    refused_p50: float
    refused_p99: float


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
        self._answer: asyncio.Future[bytes] | None = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """Send a request; what comes of it is the head of its answer, empty if there was none."""
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
            self._answer.set_result(head)

    def drop(self) -> None:
        """Give the connection up."""
        if self.transport is not None:
            self.transport.abort()
            self.transport = None

    def connection_lost(self, _error: Exception | None) -> None:
        self.transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(b"")


class _Schedule:
    """Sends requests when they are due, each over a connection that is free."""

    def __init__(self, targets: Sequence[Target], connections: int, patience_seconds: float) -> None:
        parts = urlsplit(targets[0].url)
        self._address = (parts.hostname or "127.0.0.1", parts.port or 80)
        by_turns = zip(*(_requests_of(target) for target in targets), strict=True)
        self._requests = [request for turn in by_turns for request in turn]
        self._connections = connections
        self._patience_seconds = patience_seconds
        self._free: asyncio.Queue[_Connection] = asyncio.Queue()
        self._latencies: list[float] = []
        self._refused: list[float] = []
        self._statuses: Counter[int] = Counter()
        self._lost = self._silent = self._sent = self._good_in_time = 0
        self._took = self._sending = 0.0
        self._until = math.inf

    async def run(self, rate: float, seconds: float) -> None:
        """Send for so long, and wait for the last answers."""
        loop = asyncio.get_running_loop()
        for _ in range(self._connections):
            self._free.put_nowait(await self._connect())
        begun = time.perf_counter()
        self._until = begun + seconds
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
        self._sending = max(seconds, time.perf_counter() - begun)
        if tasks:
            await asyncio.wait(tasks, timeout=self._patience_seconds + 5)
        self._took = time.perf_counter() - begun
        self._lost += len(tasks)
        while not self._free.empty():
            self._free.get_nowait().drop()

    def measured(self) -> Measured:
        """Return what came of it."""
        ordered = sorted(self._latencies)
        failed = self._statuses.total() - len(ordered)
        n = len(ordered) + failed + self._lost
        shown = (_percentile(ordered, share) for share in (0.5, 0.95, 0.99))
        return Measured(n / self._took, *shown, n, failed, self._lost)

    def arrivals(self, seconds: float) -> Arrivals:
        """Return the same, refusals by their kind."""
        good, refused = sorted(self._latencies), sorted(self._refused)
        return Arrivals(
            self._sent,
            self._sent / self._sending,
            self._good_in_time / seconds,
            dict(sorted(self._statuses.items())),
            self._silent,
            self._lost,
            *(_percentile(ordered, share) for ordered in (good, refused) for share in (0.5, 0.99)),
        )

    async def _connect(self) -> _Connection:
        return (await asyncio.get_running_loop().create_connection(_Connection, *self._address))[1]

    async def _ask(self, number: int, due: float) -> None:
        connection = await self._free.get()
        head = b""
        try:
            if connection.transport is None:
                connection = await self._connect()
            async with asyncio.timeout(self._patience_seconds):
                self._sent += 1
                head = await connection.ask(self._requests[number % len(self._requests)])
        except (OSError, TimeoutError):
            connection.drop()
        finally:
            self._free.put_nowait(connection)
        if not head:
            self._lost += 1
            return
        status, now = int(head[9:12]), time.perf_counter()
        self._statuses[status] += 1
        (self._latencies if status == 200 else self._refused).append(1e3 * (now - due))
        if status == 200:
            self._good_in_time += now <= self._until
        elif status in (429, 503):
            self._silent += b"\r\nretry-after:" not in head.lower()


def open_loop(
    target: Target, rate: float, seconds: float, *, connections: int = 64, patience_seconds: float = _PATIENCE_SECONDS
) -> Measured:
    """Send at a fixed rate; a latency counts from when its request was due, so a stall is not hidden."""
    schedule = _Schedule([target], connections, patience_seconds)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(schedule.run(rate, seconds))
    return schedule.measured()


class Client:
    """A client in a process of its own, so that nothing else there keeps it from sending; a context manager."""

    def __init__(self) -> None:
        self._process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))

    def __enter__(self) -> Self:
        self._process.submit(_nothing).result()  # started before anything is measured
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown()

    def send(self, targets: Sequence[Target], rate: float, seconds: float, *, connections: int) -> Arrivals:
        """Send at a fixed rate, to each of the targets in turn (one that is named twice gets twice as many)."""
        return self._process.submit(_send, targets, rate, seconds, connections).result()


def _nothing() -> None:
    return


def _send(targets: Sequence[Target], rate: float, seconds: float, connections: int) -> Arrivals:
    schedule = _Schedule(targets, connections, _PATIENCE_SECONDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(schedule.run(rate, seconds))
    return schedule.arrivals(seconds)


def _requests_of(target: Target) -> list[bytes]:
    parts = urlsplit(target.url)
    headers = {"Host": parts.netloc, "Content-Type": "application/json", **target.headers}
    head = f"POST {parts.path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return [f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in target.bodies]


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
