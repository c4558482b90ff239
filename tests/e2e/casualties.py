"""Who dies, and who must not notice: the platform's processes, and predictions that go on all the while."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

WORKER, SERVER, MLFLOW = "worker", "server", "mlflow"
_PROGRAMS = (
    (WORKER, "arkwright.server.worker"),
    (SERVER, "arkwright.server"),
    (MLFLOW, "mlflow_server"),
    ("training", "arkwright.automl.worker"),
)
_POLL_SECONDS = 0.01


def children_of(pid: int) -> list[int]:
    """Return the processes that a process started and that still live."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(") ", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry.parent.name))
    return found


def descendants_of(pid: int) -> dict[int, str]:
    """Return every process below one, with what it is."""
    found: dict[int, str] = {}
    for child in children_of(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            found[child] = next((name for name, program in _PROGRAMS if program in command), command)
            found |= descendants_of(child)
    return found


def living(pids: list[int]) -> list[int]:
    """Return those that have not ended."""
    alive = []
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z":
                alive.append(pid)
    return alive


def kill_child(front_pid: int, name: str, patience_seconds: float = 30.0) -> list[int]:
    """Kill a child as soon as there is one of that name; return its own children, who must not outlive it."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        for pid in children_of(front_pid):
            below = descendants_of(front_pid)
            if below.get(pid) == name:
                orphans = children_of(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                return orphans
        time.sleep(_POLL_SECONDS)
    raise AssertionError(f"the supervisor did not start {name} again within {patience_seconds:g} s")


def wait_until_gone(pids: list[int], patience_seconds: float = 10.0) -> list[int]:
    """Return the processes that are still there after a while."""
    deadline = time.monotonic() + patience_seconds
    while (left := living(pids)) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return left


@dataclass
class Predictions:
    """A caller who sends one prediction after the other over one connection that stays open."""

    url: str
    key: str
    deployment_id: str
    row: dict[str, Any]
    failures: list[str] = field(default_factory=list)
    answered: list[tuple[float, str]] = field(default_factory=list)
    """When each answer came, on the monotonic clock, and its request's id."""
    latencies_ms: list[tuple[float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=30)

    def p99_ms(self, since: float, until: float = float("inf")) -> float:
        """Return the 99th percentile of the time to an answer within a span."""
        span = sorted(took for at, took in self.latencies_ms if since <= at < until)
        return span[int(0.99 * (len(span) - 1))] if span else float("nan")

    def _run(self) -> None:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=10)
        body = json.dumps({"instances": [self.row]})
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        while not self._stop.wait(0.004):
            started = time.monotonic()
            try:
                connection.request("POST", f"/v1/inference/{self.deployment_id}:predict", body, headers)
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                # The next request opens a new connection: also a lost one is a failure.
                self.failures.append(f"{type(error).__name__}: {error}")
                connection.close()
                self._stop.wait(0.05)
                continue
            now = time.monotonic()
            if answer.status != 200:
                self.failures.append(f"{answer.status}: {content[:200]!r}")
                self._stop.wait(0.05)
                continue
            self.latencies_ms.append((started, 1000 * (now - started)))
            self.answered.append((now, json.loads(content)["request_id"]))
