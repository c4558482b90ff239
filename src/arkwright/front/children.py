"""The processes behind the public port, as the supervisor starts them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx

from arkwright.core.errors import ArkwrightError
from arkwright.front.home import problem_file, read_problem
from arkwright.front.supervisor import ChildSpec, Probe
from arkwright.kit.priority import CONTROL_PLANE
from arkwright.kit.settings import Settings
from arkwright.serving import unix_transport

SERVER = "server"
WORKER = "worker"
MLFLOW = "mlflow"

_PROBE_TIMEOUT_SECONDS = 2.0
# What a child needs of the parent's environment; settings and secrets are added by name.
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "USER", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH")
_PASSED_ON_PREFIXES = ("AWS_", "GOOGLE_", "AZURE_", "PG", "SSL_", "COVERAGE_", "FSSPEC_")


def child_specs(settings: Settings) -> list[ChildSpec]:
    """Return the control plane, the worker and, unless the user has one, MLflow."""
    inherited = {
        name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
    ours = {**inherited, **settings.child_environment(), "OMP_WAIT_POLICY": "PASSIVE"}
    token = settings.internal_token.get_secret_value()

    def reason() -> ArkwrightError | None:
        return read_problem(settings, SERVER)

    problem_file(settings, SERVER).unlink(missing_ok=True)
    specs = [
        ChildSpec(
            SERVER,
            [sys.executable, "-m", "arkwright.server"],
            ours,
            _log(settings, SERVER),
            _answers(settings.server_socket, "/internal/health", {"X-Arkwright-Internal": token}),
            niceness=CONTROL_PLANE,
            reason=reason,
        ),
        ChildSpec(
            WORKER,
            [sys.executable, "-m", "arkwright.server.worker"],
            ours,
            _log(settings, WORKER),
            _always,
            after=SERVER,
        ),
    ]
    if not settings.tracking_url:
        specs.append(
            ChildSpec(
                MLFLOW,
                [
                    sys.executable,
                    "-m",
                    "arkwright.adapters.tracking.mlflow_server",
                    "--uds",
                    str(settings.mlflow_socket),
                ],
                {**inherited, **_mlflow_environment(settings)},
                _log(settings, MLFLOW),
                _answers(settings.mlflow_socket, "/health", {"Host": "localhost"}),
                after=SERVER,
            )
        )
    return specs


def _mlflow_environment(settings: Settings) -> dict[str, str]:
    # MLflow's own command would set these; the names are private, so MLflow's version is pinned.
    return {
        "_MLFLOW_SERVER_FILE_STORE": settings.mlflow_backend_url,
        "_MLFLOW_SERVER_REGISTRY_STORE": settings.mlflow_backend_url,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": settings.mlflow_artifacts_url,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "MLFLOW_ENABLE_WORKSPACES": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "localhost",
    }


def _log(settings: Settings, name: str) -> Path:
    return settings.home / "logs" / f"{name}.log"


async def _always() -> bool:
    return True


def _answers(socket: Path, path: str, headers: dict[str, str]) -> Probe:
    async def probe() -> bool:
        async with httpx.AsyncClient(
            transport=unix_transport(socket),
            base_url="http://localhost",
            headers=headers,
            timeout=_PROBE_TIMEOUT_SECONDS,
            trust_env=False,
        ) as client:
            try:
                return (await client.get(path)).is_success
            except httpx.HTTPError:
                return False

    return probe
