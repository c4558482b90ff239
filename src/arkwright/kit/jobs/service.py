"""Submitting, following and cancelling jobs: the control plane's side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from arkwright.core.context import system_context
from arkwright.core.errors import ArkwrightError, Conflict, NotFound, Unavailable
from arkwright.core.ids import new_id
from arkwright.core.problems import problem_document
from arkwright.kit.db import Database, UnitOfWork
from arkwright.kit.jobs import repository
from arkwright.kit.jobs.ports import Authorise, Lane, Queue, Record
from arkwright.kit.jobs.status import CANCELLED, FAILED, FINAL, QUEUED
from arkwright.kit.jobs.tables import JobLogRow, JobRow
from arkwright.kit.jobs.values import json_value
from arkwright.kit.logging import get_logger

_log = get_logger(__name__)
_BATCH = 200


class JobService:
    """Jobs of a workspace.

    Parameters
    ----------
    queue
        Where committed jobs wait.
    kinds
        Every kind this platform can run, and its lane.
    authorise, record
        The access room's, handed in because it stands above this one.
    """

    def __init__(self, queue: Queue, kinds: Mapping[str, Lane], *, authorise: Authorise, record: Record) -> None:
        self.queue = queue
        self.kinds = dict(kinds)
        self._authorise = authorise
        self._record = record

    def submit(
        self, unit: UnitOfWork, kind: str, payload: dict[str, Any], subject_type: str = "", subject_id: str = ""
    ) -> JobRow:
        """Add a job in the caller's transaction; a worker can find it once that is committed.

        The caller has authorised what the job is about to do: it will act as the unit's actor.

        Parameters
        ----------
        payload
            JSON that the job needs.
        subject_type, subject_id
            What the job is about, such as ``experiment`` and its id.

        Raises
        ------
        ValueError
            If no worker knows the kind: it would wait for ever.
        """
        lane = self.kinds.get(kind)
        if lane is None:
            raise ValueError(f"no worker runs jobs of kind {kind!r}; known are {sorted(self.kinds)}")
        actor = unit.context.actor
        row = JobRow(
            id=new_id("job"),
            workspace_id=unit.context.workspace_id,
            kind=kind,
            lane=lane.value,
            status=QUEUED,
            progress=0.0,
            message="Waiting for a worker.",
            data={},
            payload=json_value(payload),
            subject_type=subject_type,
            subject_id=subject_id,
            created_by=actor.id,
            created_by_kind=actor.kind,
            created_by_role=actor.role,
            request_id=unit.context.request_id,
            attempt=0,
            spent_seconds=0.0,
            created_at=unit.clock.now(),
        )
        unit.session.add(row)
        unit.session.flush()
        unit.after_commit(lambda: self._enqueue(row))
        return row

    def get(self, unit: UnitOfWork, job_id: str) -> JobRow:
        """Return a job.

        Raises
        ------
        NotFound
            If the workspace has no such job.
        """
        self._authorise(unit, "job.get", "job", job_id)
        row = repository.find(unit, job_id)
        if row is None:
            raise _unknown(job_id)
        return row

    def open_about(self, unit: UnitOfWork, kind: str, subject_type: str, subject_id: str) -> str:
        """Return the id of the newest job of this kind about a thing that has not ended; empty if there is none.

        For decisions inside the house that such a job may change; nobody is told what it does.
        """
        row = repository.open_about(unit, kind, subject_type, subject_id)
        return "" if row is None else row.id

    def logs(self, unit: UnitOfWork, job_id: str, *, limit: int, after: int = 0) -> Sequence[JobLogRow]:
        """Return a job's log lines in order, from the one after number ``after``."""
        self.get(unit, job_id)
        return repository.log_lines(unit, job_id, after=after, limit=limit)

    def cancel(self, unit: UnitOfWork, job_id: str) -> JobRow:
        """Ask for a job to end: at once while it waits, at its next look when it runs. Asking twice is no error.

        Raises
        ------
        Conflict
            If it ended already.
        """
        self._authorise(unit, "job.cancel", "job", job_id)
        row = repository.lock(unit, job_id)
        if row is None:
            raise _unknown(job_id)
        if row.status == CANCELLED or (row.cancel_requested and row.status not in FINAL):
            return row
        if row.status in FINAL:
            raise Conflict(
                f"The job {job_id} has {row.status} already.",
                code="job.ended",
                hint=f"Read what it did at /v1/jobs/{job_id}.",
            )
        row.cancel_requested_at = unit.clock.now()
        if row.status == QUEUED:
            row.status, row.message, row.finished_at = CANCELLED, "Cancelled before it started.", unit.clock.now()
            unit.after_commit(lambda: self._withdraw(job_id))
        self._record(unit, "job.cancel", "job", job_id, {"kind": row.kind})
        return row

    def list(
        self,
        unit: UnitOfWork,
        *,
        limit: int,
        before: str = "",
        status: str = "",
        kind: str = "",
        subject_type: str = "",
        subject_id: str = "",
    ) -> Sequence[JobRow]:
        """Return jobs, newest first, older than the job ``before``; empty criteria are no criteria."""
        self._authorise(unit, "job.list", "job")
        return repository.page(
            unit,
            limit=limit,
            before=before,
            status=status,
            kind=kind,
            subject_type=subject_type,
            subject_id=subject_id,
        )

    def reconcile(self, database: Database, workspace_id: str) -> int:
        """Put right what a crash left between the two databases; return how many jobs that was.

        A job that was committed and never reached the queue is put in. One that the engine has given up (too many
        crashes), that was ended behind our back, or whose kind this version does not know, is ended here too.

        Raises
        ------
        Unavailable
            If either database cannot be used.
        """
        context = system_context(workspace_id)
        repaired, after = 0, ""
        while True:
            with database.read(context) as unit:
                rows = repository.open_jobs(unit, after=after, limit=_BATCH)
            states = self.queue.states([row.id for row in rows])
            for row in rows:
                state = states.get(row.id, "missing")
                if row.kind not in self.kinds:
                    repaired += self._settle(database, workspace_id, row.id, "unknown")
                elif state == "missing":
                    self.queue.enqueue(workspace_id, row.id, row.kind, self.kinds[row.kind])
                    _log.info("job put back into the queue", job_id=row.id, kind=row.kind)
                    repaired += 1
                elif state != "open":
                    repaired += self._settle(database, workspace_id, row.id, state)
            if len(rows) < _BATCH:
                return repaired
            after = rows[-1].id

    def _settle(self, database: Database, workspace_id: str, job_id: str, state: str) -> int:
        """End a job that no worker will end. Runs end their row first and the engine's second, so this is no race."""
        with database.write(system_context(workspace_id)) as unit:
            row = repository.lock(unit, job_id)
            if row is None or row.status in FINAL:
                return 0
            row.finished_at = unit.clock.now()
            if state == "cancelled":
                row.status = CANCELLED
            else:
                row.status = FAILED
                row.error = problem_document(_lost(row, state), row.request_id)
            unit.after_commit(lambda: self._withdraw(job_id))
        _log.warning("job ended by the reconciler", job_id=job_id, state=state)
        return 1

    def _enqueue(self, row: JobRow) -> None:
        try:
            self.queue.enqueue(row.workspace_id, row.id, row.kind, self.kinds[row.kind])
        except Unavailable as error:
            # The job is committed and the caller was told so; the worker's reconciler finds it.
            _log.warning("job could not be enqueued yet", job_id=row.id, error=error.detail)

    def _withdraw(self, job_id: str) -> None:
        try:
            self.queue.withdraw(job_id)
        except Unavailable as error:
            # The row says that the job is over; a worker that takes it from the queue sees that and drops it.
            _log.warning("job could not be taken out of the queue", job_id=job_id, error=error.detail)


def _unknown(job_id: str) -> NotFound:
    return NotFound(
        f"There is no job {job_id} in this workspace.", code="job.not_found", hint="GET /v1/jobs lists them."
    )


def _lost(row: JobRow, state: str) -> ArkwrightError:
    if state == "exhausted":
        return ArkwrightError(
            f"The worker died {row.attempt} times while it ran this job, so it is not started again.",
            code="job.kills_worker",
            hint="It may need more memory than this machine has: try it with less data.",
        )
    if state == "unknown":
        return Conflict(
            f"This version of Arkwright has no jobs of kind {row.kind!r}.",
            code="job.kind_unknown",
            hint="It was submitted by another version; submit it again.",
        )
    return ArkwrightError("The job ended without saying how.", code="job.lost", hint="Submit it again.")
