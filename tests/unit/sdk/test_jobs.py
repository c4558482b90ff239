"""Waiting for long work."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from arkwright.core.errors import Conflict, Invalid, Unavailable
from arkwright.core.problems import problem_document
from arkwright.sdk.connection import Connection
from arkwright.sdk.jobs import Jobs
from arkwright.sdk.transport import Transport


def job(status: str, progress: float = 0.0, **more: Any) -> dict[str, Any]:
    return {
        "id": "job_1", "kind": "automl.train.v1", "status": status, "progress": progress, "message": f"at {progress}",
        "data": {}, "result": None, "error": None, **more,
    }  # fmt: skip


def waiting(*states: dict[str, Any] | Exception) -> Jobs:
    left = list(states)

    def answer(_request: httpx.Request) -> httpx.Response:
        state = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(state, Exception):
            raise state
        return httpx.Response(200, json=state)

    def no_pause(_seconds: float) -> None:
        """Go on at once."""

    transport = Transport(Connection("http://127.0.0.1:1"), handler=httpx.MockTransport(answer), sleep=no_pause)
    return Jobs(transport, sleep=no_pause)


def test_a_job_that_succeeds_is_returned_with_its_result() -> None:
    jobs = waiting(job("queued"), job("running", 0.5), job("succeeded", 1.0, result={"n_rows": 3}))
    assert jobs.wait("job_1")["result"] == {"n_rows": 3}


def test_progress_is_told_once_per_piece_of_news_and_at_the_end() -> None:
    told: list[tuple[str, float]] = []
    jobs = waiting(
        job("queued"), job("running", 0.2), job("running", 0.2), job("running", 0.9), job("succeeded", 1.0, result={})
    )
    jobs.wait("job_1", on_progress=lambda news: told.append((news["status"], news["progress"])))
    assert told == [("queued", 0.0), ("running", 0.2), ("running", 0.9), ("succeeded", 1.0)]


def test_a_failed_job_raises_what_it_failed_with() -> None:
    problem = problem_document(Invalid("column 'Churn' is constant", code="experiment.target", hint="choose another"))
    with pytest.raises(Invalid, match="is constant") as raised:
        waiting(job("failed", error=problem)).wait("job_1")
    assert (raised.value.code, raised.value.hint) == ("experiment.target", "choose another")


def test_a_cancelled_training_that_kept_its_best_is_a_result() -> None:
    assert waiting(job("cancelled", 1.0, result={"version": 1})).wait("job_1")["status"] == "cancelled"


def test_a_cancelled_job_without_a_result_is_a_conflict() -> None:
    with pytest.raises(Conflict) as raised:
        waiting(job("cancelled")).wait("job_1")
    assert raised.value.code == "job.cancelled"


def test_a_restarting_control_plane_does_not_end_the_waiting() -> None:
    lost = httpx.ReadError("reset")
    jobs = waiting(job("running"), *[lost] * 12, job("succeeded", 1.0, result={"ok": True}))
    assert jobs.wait("job_1")["result"] == {"ok": True}


def test_a_platform_that_is_gone_ends_the_waiting() -> None:
    with pytest.raises(Unavailable) as raised:
        waiting(job("running"), httpx.ConnectError("[Errno 111] Connection refused")).wait("job_1")
    assert raised.value.code == "platform.unreachable"


def test_a_job_that_takes_longer_than_allowed_goes_on_by_itself() -> None:
    with pytest.raises(Unavailable, match="still running") as raised:
        waiting(job("running", 0.5)).wait("job_1", timeout_seconds=0.01)
    assert "arkwright job wait job_1" in (raised.value.hint or "")
