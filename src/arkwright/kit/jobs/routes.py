"""Jobs over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from arkwright.kit.http import Limit, Page, PageCursor, Read, Write, page_of, read_cursor, read_number_cursor, service
from arkwright.kit.jobs.payloads import Job, JobLogLine
from arkwright.kit.jobs.service import JobService
from arkwright.kit.jobs.status import Status

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.get("")
def list_jobs(
    unit: Read,
    limit: Limit = 50,
    cursor: PageCursor = "",
    status: Annotated[Status | None, Query(description="Only jobs in this state.")] = None,
    kind: Annotated[str, Query(description="Only jobs of this kind.")] = "",
    subject_type: Annotated[str, Query(description="Only jobs about things of this type.")] = "",
    subject_id: Annotated[str, Query(description="Only jobs about this thing.")] = "",
    jobs: JobService = service(JobService),
) -> Page[Job]:
    """Return the workspace's jobs, newest first."""
    rows = jobs.list(
        unit,
        limit=limit + 1,
        before=read_cursor(cursor),
        status=status or "",
        kind=kind,
        subject_type=subject_type,
        subject_id=subject_id,
    )
    return page_of(rows, limit, lambda row: row.id, Job.model_validate)


@router.get("/{job_id}")
def get_job(unit: Read, job_id: str, jobs: JobService = service(JobService)) -> Job:
    """Return a job."""
    return Job.model_validate(jobs.get(unit, job_id))


@router.get("/{job_id}/logs")
def list_job_logs(
    unit: Read,
    job_id: str,
    limit: Limit = 200,
    cursor: PageCursor = "",
    after: Annotated[
        int, Query(ge=0, le=2**62, description="Only lines after this number: to follow a running job.")
    ] = 0,
    jobs: JobService = service(JobService),
) -> Page[JobLogLine]:
    """Return a job's log, oldest line first."""
    position = read_number_cursor(cursor)
    rows = jobs.logs(unit, job_id, limit=limit + 1, after=after if position is None else position)
    return page_of(rows, limit, lambda row: str(row.seq), JobLogLine.model_validate)


@router.post("/{job_id}/cancel")
def cancel_job(unit: Write, job_id: str, jobs: JobService = service(JobService)) -> Job:
    """Ask for a job to end: at once while it waits, at its next look when it runs."""
    return Job.model_validate(jobs.cancel(unit, job_id))
