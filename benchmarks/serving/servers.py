"""Each server under test: its environment, how it is started, where it answers, and the shape of its bodies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from home import KEY
from load import Target, wait_until_ready
from reference_model import LEVELS

HERE = Path(__file__).parent
PEERS = HERE / "peers"
SOURCES = HERE.parents[1] / "src"
START_SECONDS = 120.0
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@dataclass(frozen=True)
class Work:
    """Where things lie during a run: the model, environments, scratch space."""

    model: Path
    environments: Path
    scratch: Path
    rows: Sequence[dict[str, object]]

    def python(self, peer: str) -> Path:
        return self.environments / peer / "bin" / "python"


@dataclass(frozen=True)
class Server:
    """One line of the table."""

    name: str
    title: str
    start: Callable[[Work, int], tuple[list[str], dict[str, str]]]
    target: Callable[[Work, int], Target]
    ready: str
    peer: str = ""
    predictor: str = "pipeline"


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    process: subprocess.Popen[bytes]
    target: Target
    ready_seconds: float

    def memory_megabytes(self) -> float:
        """Return the resident memory of all its processes."""
        return memory_megabytes(self.process.pid)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(server: Server, work: Work, extra: dict[str, str] | None = None) -> Iterator[Running]:
    """Start a server, wait for its first prediction, and end it with everything it started."""
    port = free_port()
    command, environment = server.start(work, port)
    environment = {**_plain_environment(), **environment, **(extra or {})}
    with (work.scratch / f"{server.name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True, cwd=work.scratch
        )
        known: dict[int, str] = {}
        try:
            target = server.target(work, port)
            try:
                took = wait_until_ready(f"http://127.0.0.1:{port}{server.ready}", START_SECONDS, process, target)
            except RuntimeError as error:
                said = (work.scratch / f"{server.name}.log").read_text(errors="replace")[-1500:]
                raise RuntimeError(f"{server.title}: {error}\n{said}") from None
            known = _born(process.pid)
            yield Running(process, target, took)
        finally:
            _end(process, {**known, **_born(process.pid)})


def tree(pid: int) -> Iterator[int]:
    """Yield a process and everything below it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from tree(int(child))


def memory_megabytes(pid: int) -> float:
    """Return the resident memory of a process and everything below it."""
    total = 0
    for each in tree(pid):
        try:
            status = Path(f"/proc/{each}/status").read_text()
        except OSError:
            continue
        total += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0)
    return total / 1024


def _born(pid: int) -> dict[int, str]:
    """Return a process and everything below it, each with when it was started: a number alone may be given anew."""
    return {each: started for each in tree(pid) if (started := _started(each))}


def _started(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _end(process: subprocess.Popen[bytes], known: dict[int, str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid, started in known.items():
        if pid != process.pid and _started(pid) == started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)


def _plain_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR")
    plain = {name: os.environ[name] for name in kept if name in os.environ}
    return {**plain, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def _peer_environment(work: Work, predictor: str) -> dict[str, str]:
    paths = [str(PEERS)] + ([str(SOURCES)] if predictor == "compiled" else [])
    return {
        "BENCH_MODEL": str(work.model),
        "BENCH_PREDICTOR": predictor,
        "PYTHONPATH": os.pathsep.join(paths),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "BENTOML_DO_NOT_TRACK": "true",
        "RAY_USAGE_STATS_ENABLED": "0",
        "BENTOML_HOME": str(work.scratch / "bentoml"),
    }


def _posting(
    path: str, shape: Callable[[dict[str, object]], object], *, key: str = ""
) -> Callable[[Work, int], Target]:
    def target(work: Work, port: int) -> Target:
        bodies = [json.dumps(shape(row), separators=(",", ":")).encode() for row in work.rows]
        headers = {"Authorization": f"Bearer {key}", "traceparent": TRACEPARENT} if key else {}
        return Target(f"http://127.0.0.1:{port}{path}", bodies, headers)

    return target


def _instances(row: dict[str, object]) -> object:
    return {"instances": [row]}


def _records(row: dict[str, object]) -> object:
    return {"dataframe_records": [row]}


def _tensors(row: dict[str, object]) -> object:
    """Return a row in the Open Inference Protocol: a tensor for each column; text has no null there."""
    inputs = []
    for name, cell in row.items():
        text = name in LEVELS
        datatype, content = ("BYTES", "str") if text else ("FP64", "np")
        data = ["" if cell is None and text else cell]
        parameters = {"content_type": content}
        inputs.append({"name": name, "shape": [1, 1], "datatype": datatype, "data": data, "parameters": parameters})
    return {"parameters": {"content_type": "pd"}, "inputs": inputs}


def ours(endpoint: str, title: str, name: str, *, home: str = "home") -> Server:
    """Return our data plane, as ``arkwright serve`` runs it, asked for one of the home's endpoints."""

    def start(work: Work, port: int) -> tuple[list[str], dict[str, str]]:
        environment = {
            "ARKWRIGHT_HOME": str(work.scratch / home),
            "ARKWRIGHT_PORT": str(port),
            "ARKWRIGHT_LOG_LEVEL": "error",
        }
        return [sys.executable, "-m", "arkwright.serving"], environment

    path = f"/v1/inference/{endpoint}:predict"
    return Server(name, title, start, _posting(path, _instances, key=KEY), "/health/live")


def _echo(_work: Work, port: int) -> tuple[list[str], dict[str, str]]:
    options = ["--port", str(port), "--http", "httptools", "--loop", "uvloop", "--log-level", "error"]
    command = [sys.executable, "-m", "uvicorn", "echo:app", "--no-access-log", *options]
    return command, {"PYTHONPATH": str(HERE)}


def _mlflow(work: Work, port: int, predictor: str) -> list[str]:
    model = work.model / f"mlflow-{predictor}"
    return [
        str(work.python("mlflow").with_name("mlflow")), "models", "serve", "-m", str(model), "-p", str(port),
        "-h", "127.0.0.1", "--env-manager", "local", "--workers", "1",
    ]  # fmt: skip


def _fastapi(work: Work, port: int, _predictor: str) -> list[str]:
    options = ["--port", str(port), "--no-access-log", "--log-level", "error"]
    return [str(work.python("fastapi")), "-m", "uvicorn", "fastapi_app:app", *options]


def _bentoml(work: Work, port: int, _predictor: str) -> list[str]:
    options = ["--port", str(port), "--host", "127.0.0.1", "--working-dir", str(PEERS)]
    return [str(work.python("bentoml")), "-m", "bentoml", "serve", "bentoml_service:Reference", *options]


def _litserve(work: Work, port: int, _predictor: str) -> list[str]:
    return [str(work.python("litserve")), str(PEERS / "litserve_app.py"), str(port)]


def _ray(work: Work, port: int, _predictor: str) -> list[str]:
    return [str(work.python("ray")), str(PEERS / "ray_app.py"), str(port)]


def _mlserver(work: Work, port: int, predictor: str) -> list[str]:
    folder = work.scratch / f"mlserver-{predictor}"
    folder.mkdir(exist_ok=True)
    settings = {
        "host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port(),
        "parallel_workers": 0, "debug": False,
    }  # fmt: skip
    model = {
        "name": "reference",
        "implementation": "mlserver_runtime.Reference",
        "max_batch_size": 64,
        "max_batch_time": 0.005,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    return [str(work.python("mlserver").with_name("mlserver")), "start", str(folder)]


_PEERS: tuple[tuple[str, str, Callable[[Work, int, str], list[str]], Callable[[Work, int], Target], str], ...] = (
    ("mlflow", "mlflow models serve", _mlflow, _posting("/invocations", _records), "/ping"),
    ("bentoml", "BentoML, batching", _bentoml, _posting("/predict", _instances), "/readyz"),
    ("litserve", "LitServe, batching", _litserve, _posting("/predict", _instances), "/health"),
    ("ray", "Ray Serve, batching", _ray, _posting("/predict", _instances), "/-/healthz"),
    (
        "mlserver",
        "MLServer, batching",
        _mlserver,
        _posting("/v2/models/reference/infer", _tensors),
        "/v2/models/reference/ready",
    ),
    ("fastapi", "FastAPI, naive", _fastapi, _posting("/predict", _instances), "/ready"),
)
BATCHING = ("bentoml", "litserve", "ray", "mlserver")


def peer_servers(predictor: str) -> list[Server]:
    """Return every peer, with the pipeline or with our compiled predictor in its handler."""
    found = []
    for name, title, command, target, ready in _PEERS:

        def start(
            work: Work, port: int, command: Callable[[Work, int, str], list[str]] = command, name: str = name
        ) -> tuple[list[str], dict[str, str]]:
            found = work.python(name).parent
            environment = _peer_environment(work, predictor)
            return command(work, port, predictor), {**environment, "PATH": f"{found}{os.pathsep}{os.environ['PATH']}"}

        suffix = "" if predictor == "pipeline" else "-compiled"
        shown = title if predictor == "pipeline" else f"{title}, our predictor"
        found.append(Server(f"{name}{suffix}", shown, start, target, ready, name, predictor))
    return found


ECHO = Server("echo", "raw ASGI echo (uvicorn)", _echo, _posting("/", _instances), "/")
