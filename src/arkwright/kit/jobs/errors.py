"""How a job ends before its time.

``JobCancelled`` is an ordinary error. The other two are no errors of the job: they take it off this process and leave
it as it is, so they derive from ``BaseException`` and an ``except Exception`` in a job does not swallow them.
"""

from __future__ import annotations

from arkwright.core.errors import Conflict


class JobCancelled(Conflict):
    """Somebody asked for the job to end, and it did."""

    code = "job.cancelled"

    def __init__(self) -> None:
        super().__init__("The job was cancelled.")


class WorkerStopping(BaseException):
    """The worker is shutting down; the job goes on from its last finished step when one starts again."""


class Superseded(BaseException):
    """Another run of the same job has taken over, or the job is over; this one may write nothing more."""
