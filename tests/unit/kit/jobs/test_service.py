"""Submitting and looking after jobs, on the real job store, without a worker."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from arkwright.access.tables import AuditRow
from arkwright.core.context import Actor
from arkwright.core.errors import NotFound, NotPermitted, Unavailable
from arkwright.kit.jobs import JobQueue, JobService, Lane


@pytest.fixture
def service(bench: Any, recipe: Any) -> JobService:
    return bench.service(recipe("test.echo.v1", lambda _job, payload: payload))


def test_a_kind_that_no_worker_runs_is_refused(bench: Any, service: JobService) -> None:
    with pytest.raises(ValueError, match=r"'test\.ehco\.v1'; known are \['test\.echo\.v1'\]"):
        bench.submit(service, "test.ehco.v1")


def test_a_submitted_job_waits_in_the_queue(bench: Any, service: JobService) -> None:
    job_id = bench.submit(service, "test.echo.v1", {"n": 1})
    row = bench.row(job_id)
    assert (row.status, row.lane, row.payload, row.created_by) == ("queued", "light", {"n": 1}, "user_test")
    assert bench.queue.states([job_id, "job_unknown"]) == {job_id: "open"}


def test_jobs_of_another_workspace_do_not_exist(bench: Any, service: JobService) -> None:
    job_id = bench.submit(service, "test.echo.v1")
    other = replace(bench.context, workspace_id="ws_other")
    with bench.database.write(other) as unit:
        with pytest.raises(NotFound):
            service.get(unit, job_id)
        with pytest.raises(NotFound):
            service.cancel(unit, job_id)
        with pytest.raises(NotFound):
            service.logs(unit, job_id, limit=10)
        assert list(service.list(unit, limit=10)) == []


def test_an_actor_without_the_right_is_refused(bench: Any, service: JobService) -> None:
    job_id = bench.submit(service, "test.echo.v1")
    guest = bench.context.acting_as(Actor("user_guest", "user", "guest"))
    with bench.database.write(guest) as unit:
        for call in (
            lambda: service.get(unit, job_id),
            lambda: service.cancel(unit, job_id),
            lambda: service.list(unit, limit=1),
            lambda: service.logs(unit, job_id, limit=1),
        ):
            with pytest.raises(NotPermitted):
                call()


def test_a_cancellation_is_audited_in_the_same_commit(bench: Any, service: JobService) -> None:
    job_id = bench.submit(service, "test.echo.v1")
    bench.cancel(service, job_id)
    with bench.database.read(bench.context) as unit:
        entry = unit.session.scalars(select(AuditRow)).one()
    assert (entry.action, entry.entity_id, entry.metadata_json) == ("job.cancel", job_id, {"kind": "test.echo.v1"})


def test_jobs_are_listed_newest_first_and_by_what_they_are_about(bench: Any, service: JobService) -> None:
    ids = [bench.submit(service, "test.echo.v1") for _ in range(3)]
    bench.cancel(service, ids[1])
    with bench.database.read(bench.context) as unit:
        newest = [row.id for row in service.list(unit, limit=2)]
        rest = [row.id for row in service.list(unit, limit=2, before=newest[-1])]
        assert newest + rest == sorted(ids, reverse=True)
        assert [row.id for row in service.list(unit, limit=9, status="cancelled")] == [ids[1]]
        assert len(service.list(unit, limit=9, kind="test.echo.v1", subject_type="thing", subject_id="thing_1")) == 3
        assert not service.list(unit, limit=9, subject_id="thing_2")


def test_a_job_store_that_is_away_does_not_lose_the_job(bench: Any, recipe: Any) -> None:
    away = JobQueue("postgresql://nobody@127.0.0.1:1/jobs")
    kinds = {"test.echo.v1": Lane.LIGHT}
    lonely = JobService(away, kinds, authorise=lambda *_: None, record=lambda *_args: None)
    job_id = bench.submit(lonely, "test.echo.v1", {"n": 1})
    assert bench.row(job_id).status == "queued"
    with pytest.raises(Unavailable, match="job store postgresql://nobody@127"):
        away.open()
    back = JobService(bench.queue, kinds, authorise=lambda *_: None, record=lambda *_args: None)
    assert back.reconcile(bench.database, bench.context.workspace_id) == 1
    assert bench.queue.states([job_id]) == {job_id: "open"}
    assert back.reconcile(bench.database, bench.context.workspace_id) == 0


def test_the_checkpoints_of_jobs_that_ended_long_ago_are_forgotten(bench: Any, service: JobService) -> None:
    from datetime import UTC, datetime, timedelta

    kept, gone = bench.submit(service, "test.echo.v1"), bench.submit(service, "test.echo.v1")
    bench.cancel(service, gone)
    now = datetime.now(UTC)
    assert bench.queue.forget(now - timedelta(hours=1)) == 0
    assert bench.queue.forget(now + timedelta(seconds=1)) == 1
    assert bench.queue.states([kept, gone]) == {kept: "open"}
    assert service.reconcile(bench.database, bench.context.workspace_id) == 0


def test_submitting_jobs_needs_neither_the_engine_nor_a_worker_before_the_first_one() -> None:
    code = (
        "import sys, arkwright.kit.jobs.routes; from arkwright.kit.jobs import JobQueue, JobService, JobRun; "
        "JobQueue('sqlite:///nowhere.db'); print('dbos' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
