"""The whole control plane in one process: real services, a logbook in memory, jobs run as they are submitted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from arkwright.kit.jobs import InlineQueue, Lane
from arkwright.kit.settings import load_settings
from arkwright.server.app import create_app
from arkwright.server.composition import Platform
from arkwright.testing import InMemoryTracking
from arkwright.tracking.ports import TrialRecord


class _Late:
    """A queue that is filled once the platform that needs it exists."""

    inner: InlineQueue

    def enqueue(self, workspace_id: str, job_id: str, kind: str, lane: Lane) -> None:
        self.inner.enqueue(workspace_id, job_id, kind, lane)

    def states(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        return self.inner.states(job_ids)

    def withdraw(self, job_id: str) -> None:
        self.inner.withdraw(job_id)


@dataclass
class ControlPlane:
    """The application with a client that is signed in as the admin."""

    platform: Platform
    app: FastAPI
    client: TestClient
    key: str

    def finished(self, job_id: str) -> dict[str, object]:
        job: dict[str, object] = self.client.get(f"/v1/jobs/{job_id}").json()
        assert job["status"] == "succeeded", job["error"]
        return job["result"]  # type: ignore[return-value]

    def upload(self, content: bytes, filename: str = "table.csv") -> str:
        answer = self.client.post("/v1/uploads", content=content, headers={"X-Filename": filename})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["upload_id"])


def a_run(plane: ControlPlane) -> str:
    """Log a run, for a bundle to come from."""
    tracking = plane.platform.tracking
    experiment = tracking.ensure_experiment("default", "churn")
    trial = TrialRecord(key="t1", experiment_id=experiment, name="t1", status="succeeded", started_at=datetime.now(UTC))
    return tracking.log_trial("default", trial)


@contextmanager
def running_control_plane(migrated_sqlite: Path, home: Path, **overrides: object) -> Iterator[ControlPlane]:
    """Start the application on a home of its own, with these settings."""
    home.mkdir()
    shutil.copy(migrated_sqlite, home / "arkwright.db")
    queue = _Late()
    wanted = {"internal_token": "internal-secret", "evaluate_after_training": False, **overrides}
    settings = load_settings(home=home, **wanted)
    platform = Platform(settings, tracking=InMemoryTracking(), queue=queue)
    queue.inner = InlineQueue(platform.database, platform.worker_jobs())
    app = create_app(platform)
    with TestClient(app, raise_server_exceptions=False) as client:
        key = (home / "credentials" / "admin.key").read_text().strip()
        client.headers["Authorization"] = f"Bearer {key}"
        yield ControlPlane(platform, app, client, key)


@pytest.fixture
def control_plane(migrated_sqlite: Path, tmp_path: Path) -> Iterator[ControlPlane]:
    with running_control_plane(migrated_sqlite, tmp_path / "home") as running:
        yield running
