"""A full disk: the answer says so, nothing half-written stays, and work goes on once there is space."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from arkwright.core.context import DEFAULT_WORKSPACE_ID, system_context
from arkwright.core.errors import Unavailable
from tests.conftest import EVALUATION, LINEAGE, small_bundle
from tests.unit.server.conftest import ControlPlane, a_run, running_control_plane

SIZE_BYTES = 16_000_000
TABLE = b"a,b,y\n" + b"".join(b"%d,%d,%d\n" % (row % 97, row % 89, row % 2) for row in range(400))


class SmallDisk:
    """A disk of a few megabytes that can be filled and emptied."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def full(self, *, free_bytes: int = 0) -> Iterator[None]:
        """Leave only so much space while the block runs."""
        filler = self.path / "filler"
        descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
        try:
            for piece in (1_000_000, 4096, 1):
                with contextlib.suppress(OSError):
                    while os.write(descriptor, b"x" * piece):
                        pass
        finally:
            os.close(descriptor)
        if free_bytes:
            os.truncate(filler, max(0, filler.stat().st_size - free_bytes))
        try:
            yield
        finally:
            filler.unlink()

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.path)) for path in self.path.rglob("*") if path.is_file())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "arkwright-test", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command, so no small disk can be made")
    if mounted.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def plane(migrated_sqlite: Path, tmp_path: Path, disk: SmallDisk) -> Iterator[ControlPlane]:
    """A platform whose objects lie on the small disk."""
    with running_control_plane(
        migrated_sqlite, tmp_path / "home", objects_url=f"file://{disk.path / 'objects'}"
    ) as running:
        yield running


def check_full(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    check_problem(answer.json())


def check_problem(problem: dict[str, Any]) -> None:
    assert (problem["status"], problem["code"]) == (503, "disk.full"), problem
    assert "no space" in problem["detail"]
    assert "Free some space" in problem["hint"]


def start(plane: ControlPlane, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = plane.client.post(path, json=body)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = plane.client.get(answer.headers["location"]).json()
    return job


def test_an_upload_to_a_full_disk_is_refused_and_works_later(plane: ControlPlane, disk: SmallDisk) -> None:
    with disk.full(free_bytes=100_000):
        before = disk.files()
        answer = plane.client.post("/v1/uploads", content=b"x" * 2_000_000)
        check_full(answer)
        assert disk.files() == before
    assert plane.client.post("/v1/uploads", content=b"x" * 2_000_000).status_code == 201


def test_an_ingestion_on_a_full_disk_fails_with_the_reason_and_works_later(
    plane: ControlPlane, disk: SmallDisk
) -> None:
    source = {"upload_id": plane.upload(TABLE)}
    with disk.full():
        before = disk.files()
        job = start(plane, "/v1/datasets/ingest", {"source": source})
        assert job["status"] == "failed"
        check_problem(job["error"])
        assert disk.files() == before
        assert plane.client.get("/v1/datasets").json()["items"] == []
    job = start(plane, "/v1/datasets/ingest", {"source": source})
    assert job["status"] == "succeeded"


@pytest.mark.parametrize("scratch_is_full", [True, False])
def test_a_training_on_a_full_disk_fails_with_the_reason_and_registers_nothing(
    plane: ControlPlane, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch, scratch_is_full: bool
) -> None:
    if scratch_is_full:
        (disk.path / "tmp").mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(disk.path / "tmp"))
        monkeypatch.setenv("TMPDIR", str(disk.path / "tmp"))
    job = start(plane, "/v1/datasets/ingest", {"source": {"upload_id": plane.upload(TABLE)}})
    dataset_id = plane.finished(job["id"])["dataset_id"]
    body = {"dataset_id": dataset_id, "target": "y", "config": {"budget_seconds": 5}}
    experiment_id = plane.client.post("/v1/experiments", json=body).json()["experiment_id"]
    # Enough for the split in the objects, so that it is the scratch folder that is too small.
    with disk.full(free_bytes=12_000 if scratch_is_full else 0):
        before = [name for name in disk.files() if "/jobs/" not in name]
        job = start(plane, f"/v1/experiments/{experiment_id}/run", {})
        assert job["status"] == "failed"
        check_problem(job["error"])
        assert [name for name in disk.files() if "/jobs/" not in name] == before
    assert plane.client.get("/v1/models").json()["items"] == []
    assert plane.client.get(f"/v1/experiments/{experiment_id}").json()["status"] == "failed"


def test_a_full_database_refuses_writes_whole_and_still_answers_reads(
    migrated_sqlite: Path, disk: SmallDisk, tmp_path: Path
) -> None:
    """Promotion included: the stage before is the stage after."""
    with running_control_plane(migrated_sqlite, disk.path / "home") as plane:
        platform = plane.platform
        units = platform.database.bound(system_context(DEFAULT_WORKSPACE_ID))
        digest = small_bundle(tmp_path / "bundle", lineage={**LINEAGE, "run_id": a_run(plane)})
        with units.write() as unit:
            platform.registry.bundles.save(DEFAULT_WORKSPACE_ID, tmp_path / "bundle", digest)
            platform.governance.file(unit, "evaluation", digest, EVALUATION)
            platform.registry.ensure(unit, "churn")
        platform.registry.register(units, "churn", digest, workspace_name="default")
        with platform.database.engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")
        with disk.full():
            check_full(plane.client.post("/v1/models", json={"name": "another"}))
            keyed = plane.client.post("/v1/models", json={"name": "another"}, headers={"Idempotency-Key": "k"})
            check_full(keyed)
            check_full(plane.client.post("/v1/models/churn/versions/1/promote", json={"stage": "production"}))
            check_full(plane.client.post("/v1/uploads", content=b"a\n1\n" * 100_000))
            with pytest.raises(Unavailable):
                platform.publisher.publish()
                with units.write() as unit:
                    platform.registry.ensure(unit, "third")
            assert plane.client.get("/v1/models").json()["items"][0]["name"] == "churn"
            assert plane.client.get("/v1/models/churn/versions/1").json()["stage"] == "staged"
            assert plane.client.get("/v1/auditlogs/verify").json()["intact"]
        promoted = plane.client.post("/v1/models/churn/versions/1/promote", json={"stage": "production"})
        assert promoted.json()["stage"] == "production"
        assert plane.client.get("/v1/auditlogs/verify").json()["intact"]
        assert len(plane.client.get("/v1/models").json()["items"]) == 1
