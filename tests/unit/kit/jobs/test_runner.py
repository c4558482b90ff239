"""A worker on the real engine, in this process."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from arkwright.core.errors import AdapterError, Conflict, PolicyRefused, Unavailable
from arkwright.kit.jobs import JobCancelled, JobRun, JobRunner


def test_a_job_runs_its_steps_and_ends_with_its_result(bench: Any, recipe: Any) -> None:
    def work(job: JobRun, payload: dict[str, Any]) -> dict[str, Any]:
        job.log("reading")
        rows = job.step("count", lambda: {"rows": payload["rows"] + 1})
        job.progress(0.5, "half way", rows=rows["rows"])
        return {"rows": rows["rows"], "actor": job.context.actor.id}

    kind = recipe("test.count.v1", work)
    service = bench.service(kind)
    bench.worker(service, kind)
    job_id = bench.submit(service, "test.count.v1", {"rows": 41})
    row = bench.ended(job_id)
    assert (row.status, row.result, row.error) == ("succeeded", {"rows": 42, "actor": "user_test"}, None)
    assert (row.progress, row.message, row.data) == (1.0, "half way", {"rows": 42})
    assert (row.attempt, row.subject_id) == (1, "thing_1")
    assert bench.messages(service, job_id) == ["reading"]


def test_jobs_that_were_queued_while_no_worker_ran_are_done_when_one_starts(bench: Any, recipe: Any) -> None:
    kind = recipe("test.echo.v1", lambda _job, payload: payload)
    service = bench.service(kind)
    ids = [bench.submit(service, "test.echo.v1", {"n": n}) for n in range(3)]
    assert {bench.row(job_id).status for job_id in ids} == {"queued"}
    bench.worker(service, kind)
    assert [bench.ended(job_id).result for job_id in ids] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_job_that_was_committed_but_never_enqueued_is_found(bench: Any, recipe: Any) -> None:
    kind = recipe("test.echo.v1", lambda _job, payload: payload)
    service = bench.service(kind)
    with bench.database.write(bench.context) as unit:
        job_id = service.submit(unit, "test.echo.v1", {"n": 1}).id
        unit._after_commit.clear()  # the process dies right after the commit
    assert bench.queue.states([job_id]) == {}
    bench.worker(service, kind)
    assert bench.ended(job_id).result == {"n": 1}


def test_a_job_whose_commit_is_rolled_back_never_runs(bench: Any, recipe: Any) -> None:
    kind = recipe("test.echo.v1", lambda _job, payload: payload)
    service = bench.service(kind)
    ids: list[str] = []

    def submit_and_fail() -> None:
        with bench.database.write(bench.context) as unit:
            ids.append(service.submit(unit, "test.echo.v1", {}).id)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        submit_and_fail()
    assert bench.queue.states(ids) == {}


def test_stopping_the_worker_takes_a_job_off_and_the_next_worker_finishes_it(bench: Any, recipe: Any) -> None:
    ran: list[str] = []
    inside = threading.Event()
    go = threading.Event()

    def second(job: JobRun) -> str:
        ran.append("second")
        inside.set()
        while not go.wait(0.01):
            job.progress(0.5)
        return "done"

    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        job.log("beginning")
        job.step("first", lambda: ran.append("first"))
        job.log("going to the second")
        return {"second": job.step("second", lambda: second(job))}

    kind = recipe("test.two.v1", work)
    service = bench.service(kind)
    runner = bench.worker(service, kind)
    job_id = bench.submit(service, "test.two.v1")
    assert inside.wait(10)
    assert runner.stop(grace_seconds=5.0)
    assert bench.row(job_id).status == "running"
    go.set()
    bench.worker(service, kind)
    row = bench.ended(job_id)
    assert (row.status, row.result, row.attempt) == ("succeeded", {"second": "done"}, 2)
    assert ran == ["first", "second", "second"]
    assert bench.messages(service, job_id) == [
        "beginning",
        "going to the second",
        "Going on after an interruption (attempt 2).",
    ]


def test_a_running_job_that_asks_is_cancelled_and_keeps_what_it_has(bench: Any, recipe: Any) -> None:
    started = threading.Event()

    def search(job: JobRun) -> dict[str, Any]:
        started.set()
        while not job.cancel_requested():
            started.wait(0.01)
        return {"best": 0.8}

    kind = recipe("test.search.v1", lambda job, _payload: job.step("search", lambda: search(job)))
    service = bench.service(kind)
    bench.worker(service, kind)
    job_id = bench.submit(service, "test.search.v1")
    assert started.wait(10)
    assert bench.cancel(service, job_id).status == "running"
    assert bench.cancel(service, job_id).cancel_requested  # asking twice is no error
    row = bench.ended(job_id)
    assert (row.status, row.result, row.error) == ("cancelled", {"best": 0.8}, None)
    assert bench.messages(service, job_id) == ["Cancelling."]


def test_a_job_that_gives_up_when_asked_is_cancelled_without_a_result(bench: Any, recipe: Any) -> None:
    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        while True:
            job.raise_if_cancelled()
            threading.Event().wait(0.01)

    kind = recipe("test.loop.v1", work)
    service = bench.service(kind)
    bench.worker(service, kind)
    job_id = bench.submit(service, "test.loop.v1")
    bench.until(lambda: bench.row(job_id).status == "running")
    bench.cancel(service, job_id)
    row = bench.ended(job_id)
    assert (row.status, row.result, row.error) == ("cancelled", None, None)


def test_a_queued_job_is_cancelled_at_once_and_never_runs(bench: Any, recipe: Any) -> None:
    ran: list[int] = []
    kind = recipe("test.note.v1", lambda _job, payload: ran.append(payload["n"]) or {})
    service = bench.service(kind)
    first, second = bench.submit(service, "test.note.v1", {"n": 1}), bench.submit(service, "test.note.v1", {"n": 2})
    assert bench.cancel(service, first).status == "cancelled"
    assert bench.queue.states([first, second]) == {first: "cancelled", second: "open"}
    bench.worker(service, kind)
    bench.ended(second)
    assert ran == [2]
    assert bench.row(first).status == "cancelled"
    with pytest.raises(Conflict, match="has succeeded already"):
        bench.cancel(service, second)


def test_an_error_of_ours_is_kept_whole(bench: Any, recipe: Any) -> None:
    def refuse() -> None:
        raise PolicyRefused("The gate said no.", code="gate.unmet", hint="Train longer.", unmet=["auc below 0.7"])

    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        job.step("gate", refuse)
        return {}

    kind = recipe("test.gate.v1", work)
    service = bench.service(kind)
    bench.worker(service, kind)
    row = bench.ended(bench.submit(service, "test.gate.v1"))
    assert row.status == "failed"
    assert row.error is not None
    assert {name: row.error[name] for name in ("code", "detail", "hint", "status", "unmet", "request_id")} == {
        "code": "gate.unmet",
        "detail": "The gate said no.",
        "hint": "Train longer.",
        "status": 409,
        "unmet": ["auc below 0.7"],
        "request_id": "req_test",
    }


@pytest.mark.parametrize("inside", [True, False])
def test_an_unforeseen_error_is_told_without_its_text(bench: Any, recipe: Any, inside: bool) -> None:
    def burst() -> None:
        raise KeyError("postgresql://user:secret@host")

    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        job.step("burst", burst) if inside else burst()
        return {}

    kind = recipe("test.burst.v1", work)
    service = bench.service(kind)
    bench.worker(service, kind)
    row = bench.ended(bench.submit(service, "test.burst.v1"))
    assert (row.status, row.error["code"]) == ("failed", "internal")
    assert "KeyError" in row.error["detail"]
    assert "secret" not in str(row.error)
    assert "Traceback" not in str(row.error)


def test_a_step_is_tried_again_while_something_is_not_available(bench: Any, recipe: Any) -> None:
    tries: list[int] = []

    def flaky() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise Unavailable("MLflow is warming up.")
        if len(tries) == 2:
            raise AdapterError("MLflow answered nonsense.")
        return "ok"

    kind = recipe("test.flaky.v1", lambda job, _payload: {"it": job.step("ask", flaky)})
    service = bench.service(kind)
    bench.worker(service, kind)
    job_id = bench.submit(service, "test.flaky.v1")
    assert bench.ended(job_id).result == {"it": "ok"}
    assert bench.messages(service, job_id) == [
        "ask: MLflow is warming up. Trying again in 0.01 s.",
        "ask: MLflow answered nonsense. Trying again in 0.01 s.",
    ]


def test_a_step_that_stays_unavailable_fails_the_job_with_that_error(bench: Any, recipe: Any) -> None:
    tries: list[int] = []

    def down() -> None:
        tries.append(1)
        raise Unavailable("MLflow is down.", code="tracking.unavailable", retry_after_seconds=9)

    kind = recipe("test.down.v1", lambda job, _payload: job.step("ask", down))
    service = bench.service(kind)
    bench.worker(service, kind)
    row = bench.ended(bench.submit(service, "test.down.v1"))
    assert (row.status, row.error["code"], row.error["retry_after_seconds"]) == ("failed", "tracking.unavailable", 9)
    assert len(tries) == 3


def test_the_engines_own_cancellation_is_not_swallowed_and_ends_the_row(bench: Any, recipe: Any) -> None:
    inside, go = threading.Event(), threading.Event()
    after: list[str] = []

    def one() -> bool:
        inside.set()
        return go.wait(10)

    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        try:
            job.step("one", one)
            job.step("two", lambda: after.append("two"))
        except Exception:  # noqa: BLE001
            after.append("swallowed")
        return {}

    kind = recipe("test.tool.v1", work)
    service = bench.service(kind)
    bench.worker(service, kind)
    job_id = bench.submit(service, "test.tool.v1")
    assert inside.wait(10)
    bench.queue.withdraw(job_id)  # as the engine's own command line would
    go.set()
    row = bench.ended(job_id)
    assert (row.status, after) == ("cancelled", [])


def test_a_worker_and_a_service_that_disagree_about_kinds_do_not_start(bench: Any, recipe: Any) -> None:
    known, other = recipe("test.a.v1", lambda *_: {}), recipe("test.b.v1", lambda *_: {})
    with pytest.raises(ValueError, match=r"test\.b\.v1"):
        JobRunner(bench.database, bench.service(known), [known, other], workspaces=list)


def test_a_job_of_a_kind_that_no_longer_exists_fails_when_the_worker_starts(bench: Any, recipe: Any) -> None:
    old, new = recipe("test.old.v1", lambda *_: {}), recipe("test.new.v1", lambda *_: {})
    job_id = bench.submit(bench.service(old), "test.old.v1")
    bench.worker(bench.service(new), new)
    row = bench.ended(job_id)
    assert (row.status, row.error["code"]) == ("failed", "job.kind_unknown")


def test_the_lanes_do_not_wait_for_each_other(bench: Any, recipe: Any) -> None:
    from arkwright.kit.jobs import JobService, Lane

    go = threading.Event()
    slow = recipe("test.slow.v1", lambda job, _payload: {"go": job.step("wait", lambda: go.wait(10))})
    quick = recipe("test.quick.v1", lambda *_: {})
    service = JobService(
        bench.queue,
        {"test.slow.v1": Lane.HEAVY, "test.quick.v1": Lane.LIGHT},
        authorise=lambda *_: None,
        record=lambda *_: None,
    )
    runner = bench.worker(service, slow, quick)
    first, second = bench.submit(service, "test.slow.v1"), bench.submit(service, "test.slow.v1")
    bench.until(lambda: "running" in {bench.row(first).status, bench.row(second).status})
    assert bench.ended(bench.submit(service, "test.quick.v1")).status == "succeeded"
    assert sorted([bench.row(first).status, bench.row(second).status]) == ["queued", "running"]
    assert runner.running() == 1
    go.set()
    assert {bench.ended(first).status, bench.ended(second).status} == {"succeeded"}


def test_a_cancellation_reaches_a_step_that_waits_for_something_unavailable(bench: Any, recipe: Any) -> None:
    caught: list[type] = []

    def down() -> None:
        raise Unavailable("MLflow is down.")

    def work(job: JobRun, _payload: dict[str, Any]) -> dict[str, Any]:
        try:
            job.step("ask", down)
        except JobCancelled as error:
            caught.append(type(error))
            raise
        return {}

    kind = recipe("test.down.v1", work)
    service = bench.service(kind)
    runner = JobRunner(
        bench.database,
        service,
        [kind],
        workspaces=lambda: [bench.context.workspace_id],
        retry_delays_seconds=(60.0,),
    )
    runner.start()
    bench._cleanup.callback(runner.stop)
    job_id = bench.submit(service, "test.down.v1")
    bench.until(lambda: bench.row(job_id).status == "running")
    bench.cancel(service, job_id)
    assert (bench.ended(job_id).status, caught) == ("cancelled", [JobCancelled])
