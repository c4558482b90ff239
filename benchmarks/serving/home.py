"""A home for ``arkwright serve`` with models, a plan and credentials, and a control plane that only hands out plans."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any, Self

import msgspec

from arkwright.contracts import Arm, Credential, Endpoint, Limits, RoutePlan

KEY = "ak_" + "b" * 40
WORKSPACE = "ws_00000000000000000000000001"


def place_bundle(home: Path, written: Path, digest: str) -> None:
    """Put a bundle where a data plane keeps those it has fetched."""
    place = home / "serving" / "bundles" / digest.removeprefix("sha256:")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(written, place)


def arm_of(digest: str, number: int = 1, **wanted: Any) -> Arm:
    """Return an arm of a version of the reference model."""
    return Arm(
        model_version_id=f"mv_{number}",
        number=number,
        semver=f"1.{number}.0",
        bundle_digest=digest,
        bundle_uri=f"bundles/{digest.removeprefix('sha256:')}",
        **wanted,
    )


def make_plan(endpoints: dict[str, tuple[Arm, ...]], generation: int = 1, **wanted: Any) -> RoutePlan:
    """Return a plan with an admin's key and endpoints by id."""
    credential = Credential(
        secret_sha256=hashlib.sha256(KEY.encode()).hexdigest(),
        actor_id="key_1",
        actor_kind="api_key",
        workspace_id=WORKSPACE,
        role="admin",
    )
    # A limit that nobody reaches, so that counting towards it is part of what is measured.
    wanted.setdefault("limits", Limits(requests_per_second=1e6, burst=1_000_000))
    compiled = {
        name: Endpoint(
            deployment_id=name,
            workspace_id=WORKSPACE,
            project_id="proj_1",
            name=name,
            model_name="reference",
            arms=arms,
            **wanted,
        )
        for name, arms in endpoints.items()
    }
    return RoutePlan(generation=generation, endpoints=compiled, credentials=(credential,))


def write_plan(home: Path, plan: RoutePlan) -> None:
    """Write the plan as the last good one."""
    (home / "serving").mkdir(parents=True, exist_ok=True)
    (home / "serving" / "plan.json").write_bytes(msgspec.json.encode({"epoch": "bench", "plan": plan}))


class ControlPlane:
    """Hands out plans on a unix socket; a context manager."""

    def __init__(self, socket: Path, plan: RoutePlan) -> None:
        self.plan = plan
        socket.parent.mkdir(parents=True, exist_ok=True)
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self) -> str:
                return "unix"

            def do_GET(self) -> None:
                after = int(self.path.rpartition("after=")[2] or 0)
                plan = stand_in.plan
                self._answer(200, msgspec.json.encode(plan)) if plan.generation != after else self._answer(204, b"")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._answer(200, b"{}")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("X-Arkwright-Epoch", "bench")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        class Server(ThreadingMixIn, UnixStreamServer):
            daemon_threads = True

        self._server = Server(str(socket), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def prediction_of(answer: bytes) -> dict[str, Any]:
    """Return the body of an answer."""
    found: dict[str, Any] = json.loads(answer)
    return found
