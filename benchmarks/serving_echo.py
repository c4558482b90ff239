"""How much of a server's speed is left once a prediction is really made: ours against a raw-ASGI echo, in one run.

Usage: python benchmarks/serving_echo.py [--seconds 5] [--connections 64]

Both run in one process each on the same uvicorn, httptools and uvloop. Ours answers a row of fifteen mixed columns with
a LightGBM model of 100 trees, with authentication, limits, validation, prediction log and metrics on; the echo sends
back 200 bytes. The load comes from wrk where it is installed, else from a small client of our own.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import lightgbm
import msgspec
import numpy as np

from arkwright.bundles import LightGBMEvaluator, Predictor, fit_baseline, fit_encoder, measure_parity, write_bundle
from arkwright.contracts import Arm, Column, Credential, Endpoint, RoutePlan, Signature

KEY = "ak_" + "b" * 40
WORKSPACE = "ws_00000000000000000000000001"


def make_home(home: Path) -> bytes:
    """Write a model, its bundle and a plan below a home; return the body of a request."""
    rng = np.random.default_rng(0)
    n_rows = 4_000
    spec = tuple(Column(name=f"number_{i}", kind="numeric") for i in range(8)) + tuple(
        Column(name=f"category_{i}", kind="categorical") for i in range(7)
    )
    columns = {}
    for column in spec:
        if column.kind == "numeric":
            columns[column.name] = rng.normal(size=n_rows).round(3)
        else:
            values = np.empty(n_rows, dtype=object)
            values[:] = [f"level {level}" for level in rng.integers(0, 6, n_rows)]
            columns[column.name] = values
    target = (columns["number_0"] + columns["number_1"] ** 2 + rng.normal(size=n_rows) > 1).astype(int)
    signature = Signature(task="binary", target="churn", columns=spec, classes=("No", "Yes"), identifiers=("id",))
    encoder = fit_encoder(spec, columns, layout="tree")
    train = lightgbm.Dataset(
        encoder.encode_columns(columns), target, categorical_feature=list(encoder.categorical_feature)
    )
    options = {"objective": "binary", "num_leaves": 31, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(options, train, 100)
    evaluator = LightGBMEvaluator(booster.model_to_string())
    predictor = Predictor(signature, encoder, evaluator)
    row = {name: values[0] if isinstance(values[0], str) else float(values[0]) for name, values in columns.items()}
    digest = write_bundle(
        home / "written",
        signature=signature,
        encoder=encoder,
        estimator=evaluator,
        baseline=fit_baseline(signature, columns, predictor.predict_columns(columns)),
        example_rows=[row],
        learner="lightgbm",
        parity=measure_parity(predictor, columns),
    )
    place = home / "serving" / "bundles" / digest.removeprefix("sha256:")
    place.parent.mkdir(parents=True)
    shutil.move(home / "written", place)
    arm = Arm(model_version_id="mv_1", number=1, semver="1.0.0", bundle_digest=digest, bundle_uri=f"bundles/{digest}")
    endpoint = Endpoint(
        deployment_id="dep_1",
        workspace_id=WORKSPACE,
        project_id="proj_1",
        name="churn",
        model_name="churn",
        arms=(arm,),
    )
    credential = Credential(
        secret_sha256=hashlib.sha256(KEY.encode()).hexdigest(),
        actor_id="key_1",
        actor_kind="api_key",
        workspace_id=WORKSPACE,
        role="admin",
    )
    plan = RoutePlan(generation=1, endpoints={"dep_1": endpoint}, credentials=(credential,))
    (home / "serving" / "plan.json").write_bytes(msgspec.json.encode({"epoch": "bench", "plan": plan}))
    return json.dumps({"instances": [{"id": "7590-VHVEG", **row}]}).encode()


ECHO = """
import uvicorn
async def echo(scope, receive, send):
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"200")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"x" * 200})
options = {"lifespan": "off", "access_log": False, "log_level": "warning", "server_header": False}
uvicorn.run(echo, port=PORT, http="httptools", loop="uvloop", **options)
"""


def start_echo(port: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", ECHO.replace("PORT", str(port))])


def start_ours(home: Path, port: int) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ, "ARKWRIGHT_HOME": str(home), "ARKWRIGHT_PORT": str(port), "ARKWRIGHT_LOG_LEVEL": "error",
    }  # fmt: skip
    return subprocess.Popen([sys.executable, "-m", "arkwright.serving"], env=environment)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has used, as Linux counts it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_ready(url: str, seconds: float = 30.0) -> float:
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return time.perf_counter() - begun
        except (OSError, urllib.error.URLError):
            time.sleep(0.02)
    raise SystemExit(f"{url} does not answer")


def load(url: str, body: bytes, connections: int, seconds: float, folder: Path) -> tuple[float, str]:
    """Return requests a second, and what the loader said of latency and errors."""
    if shutil.which("wrk"):
        script = folder / "post.lua"
        script.write_text(
            f"wrk.method = 'POST'\nwrk.body = [==[{body.decode()}]==]\n"
            f"wrk.headers['Authorization'] = 'Bearer {KEY}'\nwrk.headers['Content-Type'] = 'application/json'\n"
        )
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            "--latency",
            "-s",
            str(script),
            url,
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = re.search(r"Requests/sec:\s+([\d.]+)", said)
        rest = re.findall(r"^\s+(50%|99%)\s+(\S+)", said, re.MULTILINE)
        errors = re.findall(r"(Non-2xx.*|Socket errors.*)", said)
        return float(found[1]), ", ".join([*(f"{name} {value}" for name, value in rest), *errors])
    return asyncio.run(_own_load(url, body, connections, seconds)), "own client"


async def _own_load(url: str, body: bytes, connections: int, seconds: float) -> float:
    host, port = url.split("/")[2].split(":")
    path = "/" + url.split("/", 3)[3]
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    until = time.perf_counter() + seconds
    counts = [0] * connections

    async def one(index: int) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while time.perf_counter() < until:
            writer.write(request)
            top = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", top)[1]))
            counts[index] += 1
        writer.close()

    await asyncio.gather(*(one(index) for index in range(connections)))
    return sum(counts) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        home.mkdir()
        body = make_home(home)
        ports = free_port(), free_port()
        processes = [start_echo(ports[0]), start_ours(home, ports[1])]
        try:
            wait_ready(f"http://127.0.0.1:{ports[0]}/")
            print(f"ours was ready after {wait_ready(f'http://127.0.0.1:{ports[1]}/health/ready'):.2f} s")
            url = f"http://127.0.0.1:{ports[1]}/v1/inference/dep_1:predict"
            load(url, body, 8, 1, Path(name))
            rates, costs = {}, {}
            targets = {"echo": (f"http://127.0.0.1:{ports[0]}/", processes[0]), "ours": (url, processes[1])}
            for label, (target, process) in targets.items():
                before = cpu_seconds(process.pid)
                rates[label], said = load(target, body, arguments.connections, arguments.seconds, Path(name))
                used = cpu_seconds(process.pid) - before
                costs[label] = used / (rates[label] * arguments.seconds) * 1e6
                print(f"{label}: {rates[label]:,.0f} requests/s, {costs[label]:.0f} us of processor each ({said})")
            print(f"ours / echo: {rates['ours'] / rates['echo']:.2f} of the rate")
            print(
                f"echo / ours: {costs['echo'] / costs['ours']:.2f} of the processor time, which neighbours disturb less"
            )
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(20)


if __name__ == "__main__":
    main()
