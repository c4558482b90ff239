"""A control plane with one model trained on a few rows of the adult table, for the tests of jobs and routes."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from arkwright.evaluation import jobs
from arkwright.evaluation.material import NotComputed
from tests.unit.server.conftest import ControlPlane, running_control_plane

ADULT = Path(__file__).with_name("adult_1500.csv.gz")
SENSITIVE = {"sensitive": ["sex", "race", "age"], "sensitive_bins": {"age": [30, 50]}}


@dataclass
class Evaluated:
    """The platform, and the version that was trained on it."""

    plane: ControlPlane
    training: dict[str, Any]
    dataset_version_id: str

    @property
    def version_id(self) -> str:
        return str(self.training["model_version_id"])

    def start(self, **body: Any) -> Any:
        body.setdefault("profile", "quick")
        if "model_version_id" not in body and "model" not in body:
            body["model_version_id"] = self.version_id
        return self.plane.client.post("/v1/evaluations", json=body)

    def job(self, **body: Any) -> dict[str, Any]:
        """Start an evaluation, and return its job, which has ended."""
        answer = self.start(**body)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = self.plane.client.get(answer.headers["Location"]).json()
        return job

    def evaluate(self, **body: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Evaluate, and return the job's result and the document."""
        job = self.job(**body)
        assert job["status"] == "succeeded", job["error"]
        document = self.plane.client.get(f"/v1/evaluations/{job['id']}")
        assert document.status_code == 200, document.text
        return job["result"], document.json()


def compute_only(patched: pytest.MonkeyPatch, *kept: str) -> None:
    """Leave all but some sections out: what a test does not look at need not be computed."""
    real = jobs.section

    def section(name: Any, *rest: Any) -> Any:
        if name not in kept:
            raise NotComputed("Left out.")
        return real(name, *rest)

    patched.setattr(jobs, "section", section)


def hold_jobs(adult: Evaluated, patched: pytest.MonkeyPatch) -> None:
    """Let jobs wait in the queue, where the reconciler leaves them."""
    queue: Any = adult.plane.platform.queue
    patched.setattr(queue.inner, "enqueue", lambda _, job_id, *__: queue.inner._states.update({job_id: "open"}))


@contextmanager
def evaluated_platform(migrated_sqlite: Path, home: Path, **settings: object) -> Iterator[Evaluated]:
    """Train a small model whose inputs are neither sex nor race."""
    with running_control_plane(migrated_sqlite, home, **settings) as plane:
        upload = plane.upload(gzip.decompress(ADULT.read_bytes()), "adult.csv")
        ingest = plane.client.post("/v1/datasets/ingest", json={"source": {"upload_id": upload}, "name": "adult"})
        dataset = plane.finished(ingest.json()["job_id"])
        config = {
            "budget_seconds": 120,
            "hpo": {"max_trials": 2},
            "cv": {"folds": 2},
            "model_name": "adult",
            "ignore_columns": ["sex", "race"],
        }
        body = {"dataset_id": dataset["dataset_id"], "target": "class", "config": config}
        experiment = plane.client.post("/v1/experiments", json=body).json()
        started = plane.client.post(f"/v1/experiments/{experiment['experiment_id']}/run").json()
        yield Evaluated(plane, plane.finished(started["job_id"]), str(dataset["dataset_version_id"]))
