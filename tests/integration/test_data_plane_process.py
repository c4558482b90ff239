"""A data plane as the process it is: killed, restarted, and left alone by its control plane."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn
from tests.unit.serving.conftest import KEY, ControlPlane, Platform

from arkwright.contracts import Fuse, Objectives, RoutePlan, WindowReport
from arkwright.kit.objects import ObjectStore
from arkwright.kit.settings import load_settings


@dataclass
class Control:
    """A control plane on the unix socket: hands out a plan, and can be away."""

    path: Path
    plan: RoutePlan | None = None
    handed_out: list[int] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    reports: list[WindowReport] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        status, content = 204, b""
        if scope["path"] == "/internal/plan" and self.plan is not None:
            if f"after={self.plan.generation}".encode() != scope["query_string"]:
                status, content = 200, msgspec.json.encode(self.plan)
                self.handed_out.append(self.plan.generation)
        elif scope["path"] == "/internal/plan/ack":
            self.acknowledged.append(msgspec.json.decode(body)["generation"])
        elif scope["path"] == "/internal/windows":
            self.reports.append(msgspec.json.decode(body, type=WindowReport))
        await send({"type": "http.response.start", "status": status, "headers": [(b"x-arkwright-epoch", b"a")]})
        await send({"type": "http.response.body", "body": content})

    @contextlib.contextmanager
    def reachable(self) -> Iterator[None]:
        """Answer for the length of the block."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        server = uvicorn.Server(
            uvicorn.Config(self, uds=str(self.path), lifespan="off", log_config=None, access_log=False)
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        wait_for(lambda: server.started)
        try:
            yield
        finally:
            server.should_exit = server.force_exit = True
            thread.join(10)


def wait_for(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError("it did not become true")


@dataclass
class Served:
    """A data plane's process, and a way to ask it."""

    home: Path
    objects_url: str
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {
            **os.environ,
            "ARKWRIGHT_HOME": str(self.home),
            "ARKWRIGHT_OBJECTS_URL": self.objects_url,
            "ARKWRIGHT_PORT": str(self.port),
            "ARKWRIGHT_INTERNAL_TOKEN": "token",
            "ARKWRIGHT_LOG_LEVEL": "error",
        }
        self.process = subprocess.Popen([sys.executable, "-m", "arkwright.serving"], env=environment)

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)
            self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, client: httpx.Client, request_id: str) -> dict[str, Any]:
        answer = client.post(
            f"http://127.0.0.1:{self.port}/v1/inference/dep_1:predict",
            json={"instances": [{"tenure": 3, "contract": "month"}]},
            headers={"authorization": f"Bearer {KEY}", "x-request-id": request_id},
        )
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document


@dataclass
class Scene:
    """Everything a test here starts from."""

    platform: Platform
    control: Control
    served: Served

    def publish(self, generation: int, *arms: Any, **changes: Any) -> None:
        """Hand out a plan; ``changes`` are the endpoint's."""
        plan = self.platform.publish(generation, *arms)
        endpoint = msgspec.structs.replace(plan.endpoints["dep_1"], **changes)
        self.control.plan = msgspec.structs.replace(plan, endpoints={"dep_1": endpoint})


@pytest.fixture
def scene(tmp_path: Path, object_store: ObjectStore) -> Iterator[Scene]:
    settings = load_settings(home=tmp_path / "home", objects_url=object_store.url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    served = Served(settings.home, object_store.url, port)
    platform = Platform(settings, object_store, ControlPlane(), tmp_path / "written")
    try:
        yield Scene(platform, Control(settings.server_socket), served)
    finally:
        served.kill()


@contextlib.contextmanager
def traffic(served: Served) -> Iterator[tuple[list[dict[str, Any]], list[BaseException]]]:
    """Ask all the time, from two clients; yields what was answered and what went wrong."""
    answers: list[dict[str, Any]] = []
    faults: list[BaseException] = []
    done = threading.Event()

    def ask(name: str) -> None:
        with httpx.Client() as client:
            count = 0
            while not done.is_set():
                count += 1
                try:
                    answers.append(served.ask(client, f"{name}-{count}"))
                except BaseException as error:  # noqa: BLE001 - whatever it is, the test must see it
                    faults.append(error)
                    return

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    try:
        yield answers, faults
    finally:
        done.set()
        for thread in threads:
            thread.join(20)


@pytest.mark.parametrize("delay_ms", [0, 3, 15, 60])
def test_killed_during_a_reload_it_starts_again_from_a_good_plan_without_its_control_plane(scene, delay_ms):
    platform, control, served = scene.platform, scene.control, scene.served
    first, second = platform.arm(platform.bundle(1.0)), platform.arm(platform.bundle(2.0), "2.0.0")
    scene.publish(1, first)
    with control.reachable():
        served.start()
        wait_for(served.ready)
        wait_for(lambda: control.acknowledged)
        scene.publish(2, second)
        wait_for(lambda: 2 in control.handed_out)
        time.sleep(delay_ms / 1000)
        served.kill()
    served.start()
    wait_for(served.ready)
    with httpx.Client() as client:
        assert served.ask(client, "req_1")["model_version"] in ("1.0.0", "2.0.0")
    served.stop()


def test_a_new_version_and_canary_steps_under_load_lose_no_request_and_a_kill_between_them_costs_no_plan(scene):
    platform, control, served = scene.platform, scene.control, scene.served
    old, new = platform.bundle(1.0), platform.bundle(2.0)

    def split(generation: int, percent: float) -> None:
        stable = platform.arm(old, traffic_percent=100.0 - percent)
        scene.publish(generation, stable, platform.arm(new, "2.0.0", name="canary", traffic_percent=percent))

    scene.publish(1, platform.arm(old))
    with control.reachable():
        served.start()
        wait_for(served.ready)
        with traffic(served) as (answers, faults):
            for generation, percent in enumerate((10.0, 50.0, 100.0), start=2):
                split(generation, percent)
                wait_for(lambda generation=generation: generation in control.acknowledged)
                begun = len(answers)
                wait_for(lambda begun=begun: faults or len(answers) > begun + 150)
                arms = Counter(answer["arm"] for answer in answers[begun + 10 :])
                assert not faults
                assert abs(arms["canary"] / arms.total() - percent / 100) < 0.2
            scene.publish(5, platform.arm(new, "2.0.0"))
            wait_for(lambda: faults or answers[-1]["arm"] == "stable")
        assert not faults
        split(6, 50.0)
        wait_for(lambda: 6 in control.handed_out)
        served.kill()
    served.start()
    wait_for(served.ready)
    with httpx.Client() as client:
        assert served.ask(client, "req_1")["model_version"] in ("1.0.0", "2.0.0")
    served.stop()


def test_with_its_control_plane_away_it_serves_and_its_fuse_takes_a_bad_canary_out(scene):
    platform, control, served = scene.platform, scene.control, scene.served
    scene.publish(
        1,
        platform.arm(platform.bundle(1.0), traffic_percent=50.0),
        platform.arm(platform.bundle(2.0), "2.0.0", name="canary", traffic_percent=50.0),
        # No model is that quick, so the canary breaks the objective with every request.
        objectives=Objectives(latency_ms_p95=0.0001),
        fuse=Fuse(min_requests=20),
    )
    with control.reachable():
        served.start()
        wait_for(served.ready)
    with traffic(served) as (answers, faults):
        wait_for(lambda: faults or any(answer["arm"] == "canary" for answer in answers))
        wait_for(lambda: faults or {answer["arm"] for answer in answers[-200:]} == {"stable"})
    assert not faults
    metrics = httpx.get(f"http://127.0.0.1:{served.port}/metrics").text
    assert 'arkwright_fuse_blown{arm="canary",deployment="dep_1"} 1.0' in metrics
    with control.reachable():
        wait_for(lambda: any(window.blown for report in control.reports for window in report.windows))
    counted = sum(window.requests for report in control.reports for window in report.windows)
    served.stop()
    assert counted > 0
