"""Jobs without a worker: each runs in the thread that submitted it, right after the commit.

For tests of jobs and for scripts that embed the platform. Nothing survives a crash here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from arkwright.kit.db import Database
from arkwright.kit.jobs.execution import Execution
from arkwright.kit.jobs.ports import Job, Lane


class InlineQueue:
    """A queue that runs a job as soon as it is put in.

    Parameters
    ----------
    jobs
        The kinds it can run.
    """

    def __init__(self, database: Database, jobs: Iterable[Job]) -> None:
        self._execution = Execution(database, retry_delays_seconds=())
        self._jobs = {job.kind: job for job in jobs}
        self._states: dict[str, str] = {}

    def enqueue(self, workspace_id: str, job_id: str, kind: str, lane: Lane) -> None:  # noqa: ARG002
        """Run the job, unless it ran before."""
        if job_id in self._states:
            return
        self._states[job_id] = "open"
        try:
            self._execution.run(self._jobs[kind], workspace_id, job_id, _direct)
        finally:
            self._states[job_id] = "ended"

    def states(self, job_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the state of each known job."""
        return {job_id: self._states[job_id] for job_id in job_ids if job_id in self._states}

    def withdraw(self, job_id: str) -> None:
        """Do nothing: no job waits here."""


def _direct(_name: str, work: Callable[[], Any]) -> Any:
    return work()
