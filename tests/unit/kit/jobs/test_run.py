"""What a job can lean on while it runs; run in the calling thread."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from arkwright.access import authorise, record
from arkwright.core.context import DEFAULT_WORKSPACE_ID, Context
from arkwright.core.errors import ArkwrightError, Conflict, NotFound
from arkwright.kit.db import Database
from arkwright.kit.jobs import InlineQueue, JobLogRow, JobRow, JobRun, JobService, Lane, Superseded

Work = Callable[[JobRun, dict[str, Any]], dict[str, Any]]


@pytest.fixture
def run(database: Database, context: Context, recipe: Any) -> Callable[..., JobRow]:
    """Submit a job, run it, and return its row."""

    def runner(work: Work, payload: dict[str, Any] | None = None, before: dict[str, Any] | None = None) -> JobRow:
        job = recipe("test.any.v1", work)
        queue = InlineQueue(database, [job])
        service = JobService(queue, {job.kind: Lane.LIGHT}, authorise=authorise, record=record)
        with database.write(context) as unit:
            row = service.submit(unit, job.kind, payload or {})
            for name, value in (before or {}).items():
                setattr(row, name, value)
        with database.read(context) as unit:
            return service.get(unit, row.id)

    return runner


def test_numbers_of_any_kind_come_back_from_a_step_as_json_keeps_them(run: Any) -> None:
    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        got = job.step("numbers", lambda: {"n": np.int64(3), "x": np.float32(0.5), "nan": math.nan, "pair": (1, 2)})
        assert got == {"n": 3, "x": 0.5, "nan": None, "pair": [1, 2]}
        return {"auc": np.float64(0.75), "loss": math.inf}

    assert run(work).result == {"auc": 0.75, "loss": None}


def test_a_result_that_is_no_json_fails_the_job(run: Any) -> None:
    row = run(lambda _job, _payload: {"model": object()})
    assert (row.status, row.error["code"]) == ("failed", "internal")


def test_a_library_that_leaves_by_sys_exit_fails_the_job_not_the_worker(run: Any) -> None:
    def work(_job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        raise SystemExit(3)

    assert run(work).status == "failed"


def test_a_step_raises_the_class_that_was_raised_inside(run: Any) -> None:
    def missing() -> None:
        raise NotFound("There is no dataset.", code="dataset.not_found")

    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        with pytest.raises(NotFound) as caught:
            job.step("find", missing)
        with pytest.raises(ArkwrightError) as unforeseen:
            job.step("divide", lambda: 1 // 0)
        return {"found": caught.value.code, "divided": unforeseen.value.code}

    assert run(work).result == {"found": "dataset.not_found", "divided": "internal"}


def test_writes_of_a_run_that_was_superseded_are_refused(database: Database, context: Context, run: Any) -> None:
    seen: list[str] = []

    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        seen.append(job.job_id)
        with database.write(context) as unit:  # another process has started the job again
            row = unit.session.get(JobRow, (context.workspace_id, job.job_id))
            assert row is not None
            row.attempt += 1
        with suppress(Exception), job.write() as unit:
            unit.session.add(JobLogRow(job_id=job.job_id, seq=99, time=unit.clock.now(), message="stale"))
        return {"from": "the stale run"}

    with pytest.raises(Superseded):
        run(work)
    with database.read(context) as unit:
        row = unit.session.get(JobRow, (context.workspace_id, seen[0]))
        assert row is not None
        assert (row.status, row.result) == ("running", None)
        assert unit.session.get(JobLogRow, (context.workspace_id, seen[0], 99)) is None


def test_a_job_that_was_ended_by_another_hand_stays_as_it_was_ended(
    database: Database, context: Context, run: Any
) -> None:
    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        with database.write(context) as unit:
            row = unit.session.get(JobRow, (context.workspace_id, job.job_id))
            assert row is not None
            row.status = "failed"
        return {"late": True}

    row = run(work)
    assert (row.status, row.result) == ("failed", None)


def test_writing_once_runs_its_writes_once_even_if_the_step_runs_twice(run: Any) -> None:
    calls: list[int] = []

    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        def write(unit: Any) -> dict[str, int]:
            calls.append(1)
            return {"n": len(calls)}

        return {"first": job.write_once("save", write), "again": job.write_once("save", write)}

    assert run(work).result == {"first": {"n": 1}, "again": {"n": 1}}
    assert calls == [1]


def test_a_write_that_fails_leaves_nothing_and_may_be_made_again(run: Any) -> None:
    def refuse(_unit: Any) -> None:
        raise Conflict("Not now.")

    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        with pytest.raises(Conflict):
            job.write_once("save", refuse)
        return {"saved": job.write_once("save", lambda _unit: True)}

    assert run(work).result == {"saved": True}


def test_units_of_work_do_not_nest(run: Any) -> None:
    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        with pytest.raises(RuntimeError, match="do not nest"), job.write(), job.write():
            pass
        with job.write() as unit:
            return {"workspace": unit.context.workspace_id}

    assert run(work).result == {"workspace": DEFAULT_WORKSPACE_ID}


def test_a_job_reads_and_writes_as_the_actor_who_submitted_it(run: Any) -> None:
    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        with job.read() as unit:
            return {"actor": unit.context.actor.id, "role": unit.context.actor.role, "request": unit.context.request_id}

    assert run(work).result == {"actor": "user_test", "role": "admin", "request": "req_test"}


def test_reporting_inside_a_unit_of_work_does_not_wait_for_it(run: Any) -> None:
    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        with job.write():
            job.progress(0.3, "writing", rows=10)
            job.log("in the middle")
            job.cancel_requested()
        return {}

    row = run(work)
    assert (row.status, row.message, row.data) == ("succeeded", "writing", {"rows": 10})


def test_progress_stays_between_nothing_and_all_and_merges_its_numbers(run: Any) -> None:
    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        job.progress(-1, "starting", trials=1, best=math.nan)
        job.progress(7, trials=2)
        raise Conflict("Stop here.")

    row = run(work)
    assert (row.progress, row.message, row.data) == (1.0, "starting", {"trials": 2, "best": None})


def test_time_spent_in_earlier_attempts_counts(run: Any) -> None:
    row = run(lambda job, _payload: {"spent": job.elapsed_seconds()}, before={"spent_seconds": 50.0, "attempt": 1})
    assert 50.0 <= row.result["spent"] < 60.0
    assert row.spent_seconds >= row.result["spent"]
    assert row.attempt == 2


def test_a_cancellation_seen_in_an_earlier_attempt_still_ends_the_job_as_cancelled(
    run: Any, database: Database
) -> None:
    moment = database.clock.now()
    row = run(lambda *_: {"best": 1}, before={"cancel_requested_at": moment, "cancel_noticed_at": moment})
    assert (row.status, row.result) == ("cancelled", {"best": 1})


def test_a_job_that_never_asks_is_not_called_cancelled(run: Any, database: Database) -> None:
    row = run(lambda *_: {"done": True}, before={"cancel_requested_at": database.clock.now()})
    assert row.status == "succeeded"


def test_the_pulse_and_the_end_of_a_job_never_write_the_same_line_twice(run: Any) -> None:
    over = threading.Event()

    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        def tick() -> None:
            while not over.is_set():
                job.tick()

        threads.append(threading.Thread(target=tick))
        threads[-1].start()
        for n in range(30):
            job.log(f"line {n}")
        return {}

    threads: list[threading.Thread] = []
    try:
        assert [run(work).status for _ in range(5)] == ["succeeded"] * 5
    finally:
        over.set()
        for thread in threads:
            thread.join()
