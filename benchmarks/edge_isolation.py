"""Do predictions notice what happens behind the edge? Their latency, phase by phase, on a platform of its own.

Usage: python benchmarks/edge_isolation.py [--seconds 8] [--rate 150]

Requests go out on a fixed schedule (open loop), over one keep-alive connection from a process that does nothing else,
and each latency is counted from the moment its request was due: a stalled server cannot hide behind a waiting client.
Run as root, that process has real-time priority, so that only the platform's own waits for a processor are counted.
Each disturbed phase follows a quiet one, and its ratio is to that one.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import http.client
import json
import multiprocessing
import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from arkwright.core.errors import Conflict
from arkwright.front import start_background, stop
from arkwright.kit.settings import load_settings
from arkwright.sdk import Client

DATA = Path(__file__).parents[1] / "examples" / "telco_churn.csv"
NUMBERS = ("SeniorCitizen", "tenure", "MonthlyCharges", "TotalCharges")


def a_row() -> dict[str, object]:
    with DATA.open(encoding="utf-8") as stream:
        row = next(csv.DictReader(stream))
    del row["Churn"]
    return {name: float(value) if name in NUMBERS else value for name, value in row.items()}


def load(url: str, key: str, deployment: str, seconds: float, rate: float) -> tuple[list[float], int]:
    """Send predictions on a schedule; return the latencies in ms and how many failed."""
    with contextlib.suppress(PermissionError):  # else the client's own waits for a processor count too
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    body = json.dumps({"instances": [a_row()]})
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    latencies, failures = [], 0
    begun = time.perf_counter()
    for number in range(int(seconds * rate)):
        due = begun + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        connection.request("POST", f"/v1/inference/{deployment}:predict", body, headers)
        answer = connection.getresponse()
        answer.read()
        failures += answer.status != 200
        latencies.append((time.perf_counter() - due) * 1e3)
    return latencies, failures


def children(pid: int) -> dict[str, int]:
    """Return the platform's processes by name, as Linux lists them."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rsplit(") ", 1)[1].split()[1])
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            name = "worker" if "server.worker" in command else "mlflow" if "mlflow" in command else "server"
            found[name] = int(entry.name)
    return found


def during(
    disturb: Callable[[threading.Event], None], measure: Callable[[], tuple[list[float], int]]
) -> tuple[list[float], int]:
    """Measure while something goes on."""
    over = threading.Event()
    thread = threading.Thread(target=disturb, args=(over,))
    thread.start()
    try:
        return measure()
    finally:
        over.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rate", type=float, default=150.0, help="requests a second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = folder
        settings = load_settings(home=Path(folder) / "home", port=0)
        begun = time.monotonic()
        state = start_background(settings)
        print(f"ready after {time.monotonic() - begun:.1f} s")
        try:
            run(state.url, state.pid, Path(state.key_file).read_text().strip(), arguments)
        finally:
            stop(settings)


def run(url: str, pid: int, key: str, arguments: argparse.Namespace) -> None:
    with Client(url, key) as client:
        model = client.train(DATA, target="Churn", budget=60, name="churn", config={"hpo": {"max_trials": 3}})
        model.promote()
        deployment = client.deployments.create(model="churn")["id"]
        client.deployments.wait_until_ready(deployment)

        clients = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

        def measure() -> tuple[list[float], int]:
            return clients.submit(load, url, key, deployment, arguments.seconds, arguments.rate).result()

        def busy(over: threading.Event) -> None:
            while not over.is_set():
                client.audit.verify()
                list(client.experiments.list())

        def killing(name: str) -> Callable[[threading.Event], None]:
            def kill(over: threading.Event) -> None:
                while not over.wait(2.0):
                    if name in (found := children(pid)):
                        os.kill(found[name], signal.SIGKILL)

            return kill

        def training(over: threading.Event) -> None:
            started = client.start_training(DATA, target="Churn", budget=60, name="beside")
            over.wait()
            with contextlib.suppress(Conflict):  # it may have ended by itself
                started.stop()

        measure()  # warm up
        disturbances = {
            "control plane busy": busy,
            "control plane killed": killing("server"),
            "worker killed": killing("worker"),
            "MLflow killed": killing("mlflow"),
            "training beside": training,
        }
        print(f"\n{'phase':22} {'n':>6} {'failed':>6} {'p50 ms':>8} {'p99 ms':>8} {'p99 / quiet before':>19}")
        quiet = []
        for name, disturb in disturbances.items():
            quiet.append(show("quiet", measure()))
            show(name, during(disturb, measure), quiet[-1])
        print(f"quiet p99: {min(quiet):.2f} to {max(quiet):.2f} ms")


def show(name: str, measured: tuple[list[float], int], before: float | None = None) -> float:
    """Print a phase's line; return its 99th percentile."""
    latencies, failures = measured
    p50, p99 = percentile(latencies, 50), percentile(latencies, 99)
    ratio = "" if before is None else f"{p99 / before:.2f}"
    print(f"{name:22} {len(latencies):>6} {failures:>6} {p50:>8.2f} {p99:>8.2f} {ratio:>19}", flush=True)
    return p99


def percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


if __name__ == "__main__":
    main()
