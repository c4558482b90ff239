"""Jobs over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from arkwright.access import authorise, record
from arkwright.core.errors import Invalid
from arkwright.kit.http import install_problem_handlers
from arkwright.kit.jobs import InlineQueue, JobRun, JobService, Lane
from arkwright.kit.jobs.routes import router


def work(job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
    for n in range(payload.get("lines", 0)):
        job.log(f"line {n + 1}")
    if payload.get("bad"):
        raise Invalid("The file is empty.", code="dataset.empty")
    return {"ok": True}


@pytest.fixture
def service(bench: Any, recipe: Any) -> JobService:
    queue = InlineQueue(bench.database, [recipe("test.http.v1", work)])
    return JobService(queue, {"test.http.v1": Lane.LIGHT}, authorise=authorise, record=record)


class Client:
    """Calls the application in this process."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def get(self, path: str, params: dict[str, Any] | None = None) -> httpx.Response:
        return asyncio.run(self._send("GET", path, params))

    def post(self, path: str) -> httpx.Response:
        return asyncio.run(self._send("POST", path, None))

    async def _send(self, method: str, path: str, params: dict[str, Any] | None) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app)
        headers = {"Authorization": "Bearer key"}
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            return await client.request(method, path, params=params)


@pytest.fixture
def client(bench: Any, service: JobService) -> Client:
    app = FastAPI()
    app.state.database = bench.database
    app.state.authenticate = lambda _secret, _request_id: bench.context
    app.state.services = {JobService: service}
    install_problem_handlers(app)
    app.include_router(router)
    return Client(app)


def test_a_job_is_shown_with_its_result(bench: Any, service: JobService, client: Client) -> None:
    job_id = bench.submit(service, "test.http.v1", {"lines": 1})
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert (job["id"], job["status"], job["result"], job["error"]) == (job_id, "succeeded", {"ok": True}, None)
    assert (job["attempt"], job["cancel_requested"], job["subject_id"]) == (1, False, "thing_1")
    assert "payload" not in job


def test_a_failed_job_shows_its_problem(bench: Any, service: JobService, client: Client) -> None:
    job_id = bench.submit(service, "test.http.v1", {"bad": True})
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["error"]["code"], job["error"]["status"]) == ("failed", "dataset.empty", 422)


def test_the_log_is_paged_and_can_be_followed(bench: Any, service: JobService, client: Client) -> None:
    job_id = bench.submit(service, "test.http.v1", {"lines": 5})
    url = f"/v1/jobs/{job_id}/logs"
    first = client.get(url, params={"limit": 3}).json()
    assert [line["message"] for line in first["items"]] == ["line 1", "line 2", "line 3"]
    second = client.get(url, params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert ([line["seq"] for line in second["items"]], second["next_cursor"]) == ([4, 5], None)
    assert [line["seq"] for line in client.get(url, params={"after": 4}).json()["items"]] == [5]
    assert client.get(url, params={"cursor": "bm8="}).json()["code"] == "cursor.invalid"


def test_jobs_are_listed_in_pages(bench: Any, service: JobService, client: Client) -> None:
    ids = [bench.submit(service, "test.http.v1") for _ in range(3)]
    first = client.get("/v1/jobs", params={"limit": 2}).json()
    second = client.get("/v1/jobs", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [job["id"] for job in first["items"] + second["items"]] == sorted(ids, reverse=True)
    assert second["next_cursor"] is None
    assert client.get("/v1/jobs", params={"status": "failed"}).json()["items"] == []
    assert client.get("/v1/jobs", params={"status": "odd"}).status_code == 422


def test_cancelling_what_has_ended_or_never_was_is_refused(bench: Any, service: JobService, client: Client) -> None:
    job_id = bench.submit(service, "test.http.v1")
    ended = client.post(f"/v1/jobs/{job_id}/cancel")
    assert (ended.status_code, ended.json()["code"]) == (409, "job.ended")
    unknown = client.post("/v1/jobs/job_nothing/cancel")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "job.not_found")


def test_cancelling_a_waiting_job_answers_with_it(bench: Any, recipe: Any, client: Client) -> None:
    waiting = bench.service(recipe("test.http.v1", work))
    job_id = bench.submit(waiting, "test.http.v1")
    client.app.state.services = {JobService: waiting}
    answer = client.post(f"/v1/jobs/{job_id}/cancel").json()
    assert (answer["status"], answer["cancel_requested"]) == ("cancelled", True)
