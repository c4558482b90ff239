"""The data room's services over a real database, object store and inline jobs."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from arkwright.access import authorise, record
from arkwright.core.context import Context
from arkwright.core.errors import NotAuthenticated
from arkwright.data import DatasetService, IngestJob, IngestRequest, UploadService
from arkwright.data.routes import router
from arkwright.kit.db import Database
from arkwright.kit.http import install_problem_handlers
from arkwright.kit.jobs import InlineQueue, JobRow, JobService, Lane
from arkwright.kit.objects import ObjectStore

MAX_UPLOAD_BYTES = 2_000_000


@dataclass
class Store:
    """What a test of the data room works with."""

    database: Database
    context: Context
    objects: ObjectStore
    uploads: UploadService
    datasets: DatasetService
    jobs: JobService
    job: IngestJob
    root: Path

    def upload(self, content: bytes, filename: str = "data.csv") -> str:
        units = self.database.bound(self.context)
        stream = io.BytesIO(content)
        return self.uploads.receive(units, lambda: stream.read(1000), filename).id

    def ingest(self, content: bytes, filename: str = "data.csv", **options: Any) -> JobRow:
        return self.start(upload_id=self.upload(content, filename), **options)

    def start(self, **options: Any) -> JobRow:
        with self.database.write(self.context) as unit:
            job, _ = self.datasets.start_ingest(unit, IngestRequest(**options))
        with self.database.read(self.context) as unit:
            return self.jobs.get(unit, job.id)

    def keys(self, prefix: str) -> list[str]:
        return self.objects.for_workspace(self.context.workspace_id).list(prefix)


class _LateQueue(InlineQueue):
    """An inline queue whose kinds are told after it was made: a job needs services that need the queue."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, [])

    def serve(self, job: IngestJob) -> None:
        self._jobs[job.kind] = job


@pytest.fixture
def store(database: Database, context: Context, object_store: ObjectStore, tmp_path: Path) -> Store:
    root = tmp_path / "allowed"
    root.mkdir()
    queue = _LateQueue(database)
    jobs = JobService(queue, {IngestJob.kind: Lane.LIGHT}, authorise=authorise, record=record)
    uploads = UploadService(object_store, max_upload_bytes=MAX_UPLOAD_BYTES)
    datasets = DatasetService(jobs, uploads, object_store, allowed_roots=[root])
    job = IngestJob(datasets, uploads, object_store)
    queue.serve(job)
    return Store(database, context, object_store, uploads, datasets, jobs, job, root)


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    app = FastAPI()

    def authenticate(secret: str, _request_id: str) -> Context:
        if secret != "good":
            raise NotAuthenticated("The key is not known.")
        return store.context

    app.state.database = store.database
    app.state.services = {UploadService: store.uploads, DatasetService: store.datasets}
    app.state.authenticate = authenticate
    install_problem_handlers(app)
    app.include_router(router)
    with TestClient(app, headers={"Authorization": "Bearer good"}) as opened:
        yield opened


@pytest.fixture
def send(client: TestClient) -> Callable[..., dict[str, Any]]:
    """Upload and ingest over HTTP; returns the answer to the ingest request."""

    def call(content: bytes, filename: str = "data.csv", **options: Any) -> dict[str, Any]:
        uploaded = client.post("/v1/uploads", content=content, headers={"X-Filename": filename})
        assert uploaded.status_code == 201, uploaded.text
        body = {"source": {"upload_id": uploaded.json()["upload_id"]}, **options}
        answer = client.post("/v1/datasets/ingest", json=body)
        assert answer.status_code == 202, answer.text
        assert answer.headers["Location"] == f"/v1/jobs/{answer.json()['job_id']}"
        found: dict[str, Any] = answer.json()
        return found

    return call
