"""A promotion that meets an evaluation of its version."""

from __future__ import annotations

import httpx
import pytest

from arkwright.core.errors import Conflict
from arkwright.core.problems import problem_document
from arkwright.registry.errors import under_evaluation
from arkwright.sdk.connection import Connection
from arkwright.sdk.models import Models
from arkwright.sdk.transport import Transport


def models(*, job_status: str = "succeeded", ends: bool = True) -> tuple[Models, list[str]]:
    """Return the registry of a platform that evaluates a version until its job was asked for, and what it was asked."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path.startswith("/v1/jobs/"):
            job = {"id": "job_7", "status": job_status, "progress": 1.0, "message": "", "data": {}, "result": None}
            return httpx.Response(200, json=job)
        if ends and "/v1/jobs/job_7" in asked:
            return httpx.Response(200, json={"stage": "production"})
        return httpx.Response(409, json=problem_document(under_evaluation("1.0.0", "job_7")))

    return Models(Transport(Connection("http://127.0.0.1:1"), handler=httpx.MockTransport(answer))), asked


@pytest.mark.parametrize("job_status", ["succeeded", "cancelled"])
def test_it_waits_and_asks_again_however_the_evaluation_ended(job_status: str) -> None:
    found, asked = models(job_status=job_status)
    told: list[str] = []
    promoted = found.promote("churn", 1, on_progress=lambda job: told.append(job["id"]))
    assert promoted["stage"] == "production"
    assert asked == ["/v1/models/churn/versions/1/promote", "/v1/jobs/job_7", "/v1/models/churn/versions/1/promote"]
    assert told == ["job_7"]


def test_it_does_not_wait_where_that_is_not_wanted() -> None:
    found, asked = models()
    with pytest.raises(Conflict) as refused:
        found.promote("churn", 1, wait=False)
    assert refused.value.code == "model_version.under_evaluation"
    assert asked == ["/v1/models/churn/versions/1/promote"]


def test_it_does_not_wait_for_the_same_evaluation_for_ever() -> None:
    found, asked = models(ends=False)
    with pytest.raises(Conflict):
        found.promote("churn", 1)
    assert len(asked) == 3
