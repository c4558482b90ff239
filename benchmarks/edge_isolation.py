"""Do predictions notice what happens behind the edge? Their latency, phase by phase, on a platform of its own.

Usage: python benchmarks/edge_isolation.py [--seconds 8] [--rate 150]

Requests go out on a fixed schedule (open loop), over one keep-alive connection from a process that does nothing else,
and each latency is counted from the moment its request was due: a stalled server cannot hide behind a waiting client.
Beside it a process that serves nothing wakes up on the same schedule: what it waits, the machine makes everybody wait.
Run as root, the client has real-time priority, so that only the platform's own waits for a processor are counted.
A quiet phase goes before each disturbed one.
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
from arkwright.kit.priority import ask_for_short_slices
from arkwright.kit.settings import load_settings
from arkwright.sdk import Client

DATA = Path(__file__).parents[1] / "examples" / "telco_churn.csv"
PREDICTION_SECONDS = 0.0003
NUMBERS = ("SeniorCitizen", "tenure", "MonthlyCharges", "TotalCharges")


Measured = tuple[list[float], int, list[float]]
"""Latencies of the predictions, how many failed, and what the bare process took."""


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


def bare(seconds: float, rate: float) -> list[float]:
    """Wake up on the same schedule and compute for as long as a prediction takes; return how long it took, in ms.

    What a process that does nothing else must wait for a processor, no server can avoid.
    """
    ask_for_short_slices()
    latencies = []
    begun = time.perf_counter()
    for number in range(int(seconds * rate)):
        due = begun + (number + 0.5) / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        until = time.thread_time() + PREDICTION_SECONDS
        while time.thread_time() < until:
            pass
        latencies.append((time.perf_counter() - due) * 1e3)
    return latencies


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


def during(disturb: Callable[[threading.Event], None], measure: Callable[[], Measured]) -> Measured:
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

        clients = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))

        def measure() -> Measured:
            beside = clients.submit(bare, arguments.seconds, arguments.rate)
            latencies, failures = clients.submit(load, url, key, deployment, arguments.seconds, arguments.rate).result()
            return latencies, failures, beside.result()

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
        print(f"\n{'phase':22} {'n':>6} {'failed':>6} {'p50 ms':>8} {'p99 ms':>8} {'bare process p99 ms':>20}")
        for name, disturb in disturbances.items():
            show("quiet", measure())
            show(name, during(disturb, measure))


def show(name: str, measured: Measured) -> None:
    latencies, failures, beside = measured
    p50, p99 = percentile(latencies, 50), percentile(latencies, 99)
    print(
        f"{name:22} {len(latencies):>6} {failures:>6} {p50:>8.2f} {p99:>8.2f} {percentile(beside, 99):>20.2f}",
        flush=True,
    )


def percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


if __name__ == "__main__":
    main()
