"""``kill -9`` of the worker in the middle of a batch, and what its successor does."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from arkwright.access import authorise, record
from arkwright.core.context import Context
from arkwright.deployments import BatchService
from arkwright.deployments.batch_plan import part_key
from arkwright.deployments.batches import BatchRequest
from arkwright.deployments.jobs import BatchJob
from arkwright.kit.jobs import JobQueue, JobService, Lane
from arkwright.kit.objects import ObjectStore
from tests.unit.deployments.batch_bench import BatchBench, parquet, rows
from tests.unit.shelf import Shelf

WORKER = Path(__file__).parent / "batch_crash_worker.py"


def test_a_batch_goes_on_from_its_finished_chunks_after_kill_9(
    shelf: Shelf, context: Context, object_store: ObjectStore, tmp_path: Path
) -> None:
    bench = BatchBench.over(shelf, context, object_store)
    jobs_url = f"sqlite:///{tmp_path / 'jobs.db'}"
    queue = JobQueue(jobs_url)
    jobs = JobService(queue, {BatchJob.kind: Lane.LIGHT}, authorise=authorise, record=record)
    batches = BatchService(shelf.registry, bench.datasets, bench.uploads, jobs, object_store)
    table = rows(1_234)
    upload_id = bench.upload(parquet(table))
    with shelf.database.write(context) as unit:
        job_id = batches.submit(unit, BatchRequest(model="churn", upload_id=upload_id)).id

    def work(parts: int) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, str(WORKER), shelf.database.url, jobs_url, object_store.url, str(parts)]
        return subprocess.run(command, capture_output=True, timeout=60, check=False)

    assert work(5).returncode == -signal.SIGKILL
    assert bench.keys(f"batches/{job_id}/parts") == [part_key(job_id, number) for number in range(5)]
    assert work(4).returncode == -signal.SIGKILL
    assert len(bench.keys(f"batches/{job_id}/parts")) == 9
    # Four of thirteen are left: were it to write a fifth, it would kill itself.
    last = work(4)
    assert last.returncode == 0, last.stderr.decode()
    row = bench.row(job_id)
    assert (row.status, row.attempt) == ("succeeded", 3)
    with shelf.database.read(context) as unit:
        lines = [line.message for line in jobs.logs(unit, job_id, limit=50)]
        scored = pq.read_table(io.BytesIO(b"".join(batches.output(unit, job_id)[1])))
    assert "Going on: 900 of 1,234 rows were scored before." in lines
    assert scored.column("customer").to_pylist() == table.column("customer").to_pylist()
    assert scored.column("predicted_score").to_pylist() == bench.expected(table)
    queue.close()
