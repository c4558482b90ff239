"""Long work that survives a crash: jobs, their progress, cancellation, logs and retries.

A room writes a :class:`Job` (a versioned ``kind`` and ``run``); the control plane submits it through
:class:`JobService` in the caller's own commit; a worker's :class:`JobRunner` runs it on DBOS. After ``kill -9`` and a
restart a job goes on from its last finished step.

**Who runs a job: a decision.** DBOS resumes a dead worker's jobs only for a worker of the same executor id, and
resuming the jobs of one that lives would run a step twice. So (1) an executor id is a *seat* with one occupant: the
worker holds an operating-system lock (SQLite) or an advisory lock (PostgreSQL) on it, which ends with the process, and
its successor sits down in the same seat and finds its jobs; (2) each start of a job raises ``attempt`` on its row, and
every write of a run checks that number under a row lock: a run that was superseded, for whatever reason, can no longer
commit anything. A heartbeat lease was the alternative: it needs a time-out, which is either longer than the patience
of a person or shorter than the longest pause of a busy machine; a lock needs neither.

**What a job may rely on.** A finished step is never run again; a step that was running when the process died runs
again from its start, so what it writes is either keyed by (job, step), as :meth:`JobRun.write_once` does, or harmless
to repeat. Steps come in the same order in every run: a kind whose steps change gets a new version in its name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.kit.jobs.errors import JobCancelled, Superseded, WorkerStopping
    from arkwright.kit.jobs.inline import InlineQueue
    from arkwright.kit.jobs.ports import Job, Lane
    from arkwright.kit.jobs.queue import JobQueue
    from arkwright.kit.jobs.run import JobRun
    from arkwright.kit.jobs.runner import JobRunner
    from arkwright.kit.jobs.service import JobService
    from arkwright.kit.jobs.tables import JobLogRow, JobRow

_HOMES = {
    "InlineQueue": "inline",
    "Job": "ports",
    "JobCancelled": "errors",
    "JobLogRow": "tables",
    "JobQueue": "queue",
    "JobRow": "tables",
    "JobRun": "run",
    "JobRunner": "runner",
    "JobService": "service",
    "Lane": "ports",
    "Superseded": "errors",
    "WorkerStopping": "errors",
}

__all__ = [
    "InlineQueue",
    "Job",
    "JobCancelled",
    "JobLogRow",
    "JobQueue",
    "JobRow",
    "JobRun",
    "JobRunner",
    "JobService",
    "Lane",
    "Superseded",
    "WorkerStopping",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
