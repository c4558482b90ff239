"""Long work: following it, waiting for it, ending it."""

from __future__ import annotations

import time
from collections.abc import Callable

from arkwright.core.errors import ArkwrightError, Conflict, Unavailable
from arkwright.core.problems import error_from_document
from arkwright.sdk.transport import Items, Transport, segment
from arkwright.sdk.types import Job, JobLogLine

OnProgress = Callable[[Job], None]
FINAL = frozenset({"succeeded", "failed", "cancelled"})
# The control plane may be restarting while its worker goes on; jobs survive that, so waiting for one does too.
PATIENCE_SECONDS = 120.0
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 0.5


class Jobs:
    """``client.jobs``."""

    def __init__(self, transport: Transport, sleep: Callable[[float], None] = time.sleep) -> None:
        self._transport = transport
        self._sleep = sleep

    def get(self, job_id: str) -> Job:
        """Return a job."""
        found: Job = self._transport.get(f"/v1/jobs/{segment(job_id)}")
        return found

    def list(
        self,
        *,
        status: str = "",
        kind: str = "",
        subject_type: str = "",
        subject_id: str = "",
        limit: int | None = 50,
    ) -> Items[Job]:
        """Return jobs, newest first; ``limit=None`` for all of them."""
        return self._transport.pages(
            "/v1/jobs", limit=limit, status=status, kind=kind, subject_type=subject_type, subject_id=subject_id
        )

    def logs(self, job_id: str, *, after: int = 0) -> Items[JobLogLine]:
        """Return a job's log lines, oldest first, from the one after number ``after``."""
        return self._transport.pages(f"/v1/jobs/{segment(job_id)}/logs", after=after or None)

    def cancel(self, job_id: str) -> Job:
        """Ask for a job to end; a training keeps its best candidate so far."""
        found: Job = self._transport.post(f"/v1/jobs/{segment(job_id)}/cancel")
        return found

    def wait(self, job_id: str, *, on_progress: OnProgress | None = None, timeout_seconds: float | None = None) -> Job:
        """Wait until a job has ended, and return it.

        A job that was cancelled and has a result all the same (a training that kept its best candidate) is returned.

        Parameters
        ----------
        on_progress
            Called with the job whenever it has something new to say, and once at its end.
        timeout_seconds
            How long to wait; None for as long as it takes.

        Raises
        ------
        ArkwrightError
            What the job failed with, as the class it was raised as.
        Conflict
            If it was cancelled and has no result.
        Unavailable
            If it has not ended in time, or the platform cannot be reached for two minutes.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        pause, shown, out_of_reach_since = _FIRST_PAUSE_SECONDS, None, None
        while True:
            try:
                job = self.get(job_id)
            except Unavailable as error:
                out_of_reach_since = out_of_reach_since or time.monotonic()
                if error.code == "platform.unreachable" or time.monotonic() - out_of_reach_since > PATIENCE_SECONDS:
                    raise
                self._sleep(_LONGEST_PAUSE_SECONDS)
                continue
            out_of_reach_since = None
            news = (job["status"], job["progress"], job["message"], job["data"])
            if on_progress is not None and news != shown:
                on_progress(job)
            pause = _FIRST_PAUSE_SECONDS if news != shown else min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
            shown = news
            if job["status"] in FINAL:
                return finished(job)
            if deadline is not None and time.monotonic() > deadline:
                raise Unavailable(
                    f"The job {job_id} is still {job['status']} after {timeout_seconds:g} seconds.",
                    code="job.still_running",
                    hint=f"It goes on; wait again with `arkwright job wait {job_id}`.",
                )
            self._sleep(pause)


def finished(job: Job) -> Job:
    """Return a job that ended with a result; raise what it failed with otherwise."""
    if job["status"] == "failed":
        raise failure_of(job)
    if job["status"] == "cancelled" and not job.get("result"):
        raise Conflict(f"The job {job['id']} was cancelled.", code="job.cancelled", hint="Nothing was changed by it.")
    return job


def failure_of(job: Job) -> ArkwrightError:
    """Return the error that a failed job's problem document stands for."""
    return error_from_document(job.get("error") or {"detail": f"The job {job['id']} failed and did not say why."})
