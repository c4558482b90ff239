"""``arkwright job``: long work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from arkwright.cli.console import Json, emit, facts, moment, say, table
from arkwright.cli.session import connect

if TYPE_CHECKING:
    from arkwright.sdk.types import Job

app = typer.Typer(help="Long work: ingests, trainings, batches, monitor runs.")
JobId = Annotated[str, typer.Argument(help="The job's id, job_...", metavar="JOB")]


@app.command("ls")
def list_jobs(
    status: Annotated[str, typer.Option(help="queued, running, succeeded, failed or cancelled.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at the most.")] = 20,
    _json: Json = False,
) -> None:
    """List jobs, newest first."""
    with connect() as client:
        found = client.jobs.list(status=status, limit=limit)
    columns: list[tuple[str, Any]] = [
        ("ID", lambda job: job["id"]),
        ("KIND", lambda job: job["kind"].rpartition(".v")[0]),
        ("STATUS", lambda job: f"running {job['progress']:.0%}" if job["status"] == "running" else job["status"]),
        ("CREATED (UTC)", lambda job: moment(job["created_at"])),
    ]
    emit(found, lambda: table(columns, found, empty="No jobs yet."))


@app.command("show")
def show_job(job: JobId, _json: Json = False) -> None:
    """Show a job."""
    with connect() as client:
        found = client.jobs.get(job)
    emit(found, lambda: show(found))


@app.command("wait")
def wait_for_job(
    job: JobId,
    timeout: Annotated[str, typer.Option(help="How long at the most, such as 5m; empty: as long as it takes.")] = "",
    _json: Json = False,
) -> None:
    """Wait until a job has ended; fails if it failed."""
    from arkwright.cli.progress import JobProgress
    from arkwright.core.units import parse_duration_seconds

    limit = parse_duration_seconds(timeout) if timeout else None
    with connect() as client, JobProgress() as progress:
        found = client.jobs.wait(job, on_progress=progress, timeout_seconds=limit)
    emit(found, lambda: show(found))


@app.command("cancel")
def cancel_job(job: JobId, _json: Json = False) -> None:
    """Ask for a job to end; a training keeps its best candidate so far."""
    with connect() as client:
        found = client.jobs.cancel(job)
    emit(found, lambda: say(f"{found['id']} is {found['status']}; it was asked to end."))


@app.command("logs")
def show_logs(job: JobId, _json: Json = False) -> None:
    """Show what a job wrote down."""
    with connect() as client:
        found = client.jobs.logs(job)

    def render() -> None:
        for line in found:
            say(f"{moment(line['time'])}  {line['message']}")
        if not found:
            say("Nothing was written down.", style="dim")

    emit(found, render)


def show(job: Job) -> None:
    """Write a job's facts, and what it failed with."""
    facts(
        {
            "id": job["id"],
            "kind": job["kind"],
            "status": job["status"],
            "done": f"{job['progress']:.0%}",
            "message": job["message"],
            "about": " ".join(part for part in (job["subject_type"], job["subject_id"]) if part),
            "created": moment(job["created_at"]),
            "finished": moment(job.get("finished_at")) if job.get("finished_at") else None,
            "started": f"{job['attempt']} times" if job["attempt"] > 1 else None,
        }
    )
    error = job.get("error")
    if error:
        facts({"failed with": error.get("detail"), "what to do": error.get("hint")})
