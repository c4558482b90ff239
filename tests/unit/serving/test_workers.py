"""``arkwright serve`` as real processes that share a port."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.unit.serving.conftest import KEY, until

from arkwright.core.errors import Conflict
from arkwright.serving.process import bind, replica_name
from arkwright.serving.shared_metrics import SharedMetrics, merged

ROWS = {"instances": [{"tenure": 3, "contract": "month"}]}
PREDICT = "/v1/inference/dep_1:predict"


async def saved_plan(platform):
    """Let a data plane see the plan once, so that it lies on the disk; the control plane is then away for good."""
    platform.publish(1, platform.arm(platform.bundle(1.0)))
    plane = platform.plane()
    await plane.start()
    await until(lambda: plane.holder.ready and (platform.settings.home / "serving" / "plan.json").exists())
    await plane.stop()


@contextmanager
def served(platform, workers):
    """Run ``arkwright serve`` on a free port; give its process and address."""
    with bind("127.0.0.1", 0, shared=False) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, **platform.settings.child_environment(), "ARKWRIGHT_PORT": str(port)}
    environment["ARKWRIGHT_SERVE_WORKERS"] = str(workers)
    with subprocess.Popen([sys.executable, "-m", "arkwright.serving"], env=environment) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 30
            while not answers(url):
                assert process.poll() is None
                assert time.monotonic() < deadline
            yield process, url
        finally:
            process.terminate()
            process.wait(40)


def answers(url):
    try:
        return httpx.get(f"{url}/health/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def get(url, path):
    return httpx.get(url + path, timeout=5)


def predict(url):
    """Ask over a connection of its own, so that any worker may be the one."""
    return httpx.post(url + PREDICT, json=ROWS, headers={"Authorization": f"Bearer {KEY}"}, timeout=10)


def workers_of(process):
    """Return the pids of a process's children."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in children.read_text().split()]


def replicas(url):
    return {get(url, "/health").json()["serving"]["replica"] for _ in range(40)}


async def test_one_process_serves_from_the_saved_plan_and_leaves_when_told(platform):
    await saved_plan(platform)
    with served(platform, 1) as (process, url):
        assert predict(url).status_code == 200
        health = get(url, "/health").json()
        assert health["serving"]["control_plane_reachable"] is False
        process.terminate()
        assert process.wait(40) == 0
    sealed = list(platform.settings.home.glob("serving/log/*/dep_1/*"))
    assert sealed
    assert not [path for path in sealed if path.suffix == ".open"]


async def test_what_is_in_flight_is_answered_before_a_process_leaves(platform):
    await saved_plan(platform)
    body = json.dumps(ROWS).encode()
    head = (
        f"POST {PREDICT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with served(platform, 1) as (process, url):
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(head.encode() + body[:-5])
            await until(lambda: "arkwright_inference_in_flight 1.0" in get(url, "/metrics").text, 20)
            process.terminate()
            await until(lambda: not answers(url), 20)
            connection.sendall(body[-5:])
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert process.wait(40) == 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc")
async def test_workers_share_a_port_and_one_that_is_killed_comes_back(platform):
    await saved_plan(platform)
    with served(platform, 2) as (process, url):
        await until(lambda: len(replicas(url)) == 2, 30)
        assert {predict(url).status_code for _ in range(20)} == {200}
        text = get(url, "/metrics").text
        assert 'arkwright_plan_generation{worker="0"} 1.0' in text
        before = workers_of(process)
        os.kill(before[0], signal.SIGKILL)
        await until(lambda: set(workers_of(process)) != set(before) and len(workers_of(process)) == 2, 30)
        assert {predict(url).status_code for _ in range(20)} == {200}
        await until(lambda: len(replicas(url)) == 2, 30)
        own = workers_of(process)
    assert not any(Path(f"/proc/{pid}").exists() for pid in own)


def test_a_port_that_another_program_has_is_said_so():
    with bind("127.0.0.1", 0, shared=False) as taken:
        taken.listen()
        with pytest.raises(Conflict, match="cannot be used"):
            bind("127.0.0.1", taken.getsockname()[1], shared=False)


def test_replicas_on_one_machine_have_different_names():
    names = {replica_name(8586), replica_name(8586, 0), replica_name(8586, 1), replica_name(8587, 1)}
    assert len(names) == 4
    assert all(name.replace("_", "").isalnum() and name == name.lower() for name in names)


def test_a_worker_that_is_gone_is_left_out_of_the_metrics(tmp_path):
    shared = SharedMetrics(tmp_path, 0)
    shared.write()
    SharedMetrics(tmp_path, 1).write()
    (tmp_path / "2.prom").write_bytes(b"# HELP a x\na 1.0\n")
    os.utime(tmp_path / "2.prom", (1, 1))
    text = shared.read().decode()
    assert 'worker="0"' in text
    assert 'worker="1"' in text
    assert 'worker="2"' not in text


def test_merged_metrics_are_read_by_prometheus_own_parser():
    from prometheus_client.parser import text_string_to_metric_families

    from arkwright.kit.telemetry import exposition

    families = list(text_string_to_metric_families(merged({"0": exposition(), "1": exposition()}).decode()))
    assert len({family.name for family in families}) == len(families)
    assert all(sample.labels["worker"] in "01" for family in families for sample in family.samples)
