"""Scoring whole tables: every row once, whatever happens on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arkwright.core.context import Context
from arkwright.core.errors import Unavailable
from arkwright.deployments import batch_worker, jobs
from arkwright.deployments.batch_plan import part_key
from arkwright.kit.db import UnitOfWork
from arkwright.kit.jobs.errors import JobCancelled
from arkwright.kit.objects import ObjectStore
from tests.unit.deployments.batch_bench import BatchBench, parquet, rows
from tests.unit.shelf import Shelf


@pytest.fixture
def bench(shelf: Shelf, context: Context, object_store: ObjectStore) -> BatchBench:
    return BatchBench.over(shelf, context, object_store)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "CHUNK_ROWS", 100)
    # One process: the runs are then scored one after the other in this one.
    monkeypatch.setattr(jobs, "available_cores", lambda: 1)


class Run:
    """A job at work, as ``BatchJob`` sees it; steps are not remembered."""

    def __init__(self, bench: BatchBench) -> None:
        self.job_id = "job_run"
        self.context = bench.context
        self._database = bench.shelf.database
        self.said: list[str] = []
        self.cancelled = False

    def step(self, _name: str, work: Callable[[], Any]) -> Any:
        return work()

    def progress(self, _fraction: float, message: str = "", **_data: Any) -> None:
        self.said.append(message)

    def log(self, message: str) -> None:
        self.said.append(message)

    def raise_if_cancelled(self) -> None:
        if self.cancelled:
            raise JobCancelled

    def read(self) -> AbstractContextManager[UnitOfWork]:
        return self._database.read(self.context)


class Crash(BaseException):
    """Stands for the end of the process: nothing in a job may catch it."""


def test_each_row_comes_out_once_in_order_with_what_a_request_would_have_answered(bench: BatchBench) -> None:
    table = rows()
    scored = bench.table(bench.score(parquet(table)))
    assert scored.select(table.column_names).equals(table)
    assert scored.column_names == [*table.column_names, "predicted_label", "predicted_score"]
    assert scored.column("predicted_score").to_pylist() == bench.expected(table)
    labels = ["Yes" if score >= 0.5 else "No" for score in bench.expected(table)]
    assert scored.column("predicted_label").to_pylist() == labels


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("row_group_size", [37, 100, 10_000])
def test_chunks_do_not_show_in_the_output(bench: BatchBench, row_group_size: int) -> None:
    table = rows(1_234)
    row = bench.score(parquet(table, row_group_size=row_group_size))
    scored = bench.table(row)
    assert scored.select(table.column_names).equals(table)
    assert scored.column("predicted_score").to_pylist() == bench.expected(table)
    assert bench.keys() == [f"batches/{row.id}/output.parquet"]
    assert row.result is not None
    assert (row.result["n_rows"], row.data["n_scored"]) == (1_234, 1_234)


@pytest.mark.parametrize("filename", ["rows.csv", "rows.jsonl", "rows.csv.gz"])
def test_text_files_are_scored_as_an_ingestion_would_read_them(bench: BatchBench, filename: str) -> None:
    import gzip

    table = rows(300).select(["customer", "tenure", "contract"])
    if "csv" in filename:
        lines = [",".join("" if cell is None else str(cell) for cell in row.values()) for row in table.to_pylist()]
        content = "\n".join(["customer,tenure,contract", *lines]).encode()
    else:
        import json

        content = "\n".join(json.dumps(row) for row in table.to_pylist()).encode()
    row = bench.score(gzip.compress(content) if filename.endswith("gz") else content, filename)
    assert bench.table(row).column("predicted_score").to_pylist() == bench.expected(table)
    assert bench.table(row).column("customer").to_pylist() == table.column("customer").to_pylist()
    assert bench.keys() == [f"batches/{row.id}/output.parquet"]


def test_a_dataset_version_is_scored(bench: BatchBench) -> None:
    table = rows(120).select(["customer", "tenure", "contract"])
    version_id = bench.ingest(parquet(table), "rows.parquet")
    scored = bench.table(bench.score(dataset_version_id=version_id))
    assert scored.column("predicted_score").to_pylist() == bench.expected(table)


def test_numbers_stored_as_text_are_numbers(bench: BatchBench) -> None:
    plain = pa.table({"tenure": [3.0, None, 7.0], "contract": ["month", "year", None]})
    stored = pa.table({"tenure": ["3", " ", "007"], "contract": plain.column("contract").dictionary_encode()})
    assert bench.table(bench.score(parquet(stored))).column("predicted_score").to_pylist() == bench.expected(plain)


def test_a_missing_column_ends_the_batch_before_it_begins(bench: BatchBench) -> None:
    row = bench.score(parquet(rows().drop_columns(["tenure"])))
    assert row.status == "failed"
    assert row.error is not None
    assert (row.error["code"], row.error["errors"]) == (
        "features.columns_missing",
        [{"field": "tenure", "message": "is missing"}],
    )
    assert bench.keys() == []


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("cell", ["abc", "inf"])
def test_a_bad_cell_ends_the_batch_and_is_named_with_its_row(bench: BatchBench, cell: str) -> None:
    table = rows(250)
    tenure: list[Any] = ["12"] * 250
    tenure[173] = cell
    values = pa.array(tenure if cell == "abc" else [float(each) for each in tenure])
    row = bench.score(parquet(table.set_column(1, "tenure", values)))
    assert row.status == "failed"
    assert row.error is not None
    assert row.error["code"] == "batch.bad_cell"
    assert "Row 174: the column 'tenure' holds" in row.error["detail"]
    assert row.error["errors"][0]["field"] == "row 174"
    assert "--on-error keep" in row.error["hint"]
    assert bench.keys() == []


@pytest.mark.usefixtures("small_chunks")
def test_bad_rows_can_be_kept_without_a_prediction(bench: BatchBench) -> None:
    table = rows(250)
    tenure: list[Any] = ["12"] * 250
    tenure[173] = "abc"
    row = bench.score(parquet(table.set_column(1, "tenure", pa.array(tenure))), on_error="keep")
    scored = bench.table(row)
    assert row.result is not None
    assert (scored.num_rows, row.result["n_failed"]) == (250, 1)
    bad = scored.slice(173, 1).to_pylist()[0]
    assert (bad["customer"], bad["predicted_label"], bad["predicted_score"]) == ("c173", None, None)
    assert bad["prediction_error"] == "the column 'tenure' holds 'abc', which is not a finite number"
    assert scored.column("predicted_score").null_count == scored.num_rows - 249
    assert scored.column("prediction_error").null_count == 249


def test_an_output_can_be_scored_again(bench: BatchBench) -> None:
    first = bench.output(bench.score(parquet(rows())), "parquet")
    again = bench.table(bench.score(first))
    assert again.column_names == bench.table(bench.score(parquet(rows()))).column_names


def test_scores_of_both_classes_are_added_on_request(bench: BatchBench) -> None:
    scored = bench.table(bench.score(parquet(rows(10)), with_scores=True))
    yes = scored.column("predicted_score_Yes").to_pylist()
    assert yes == scored.column("predicted_score").to_pylist()
    assert scored.column("predicted_score_No").to_pylist() == [1.0 - score for score in yes]


@pytest.mark.parametrize("n_crashed_after", [0, 3, 12])
@pytest.mark.usefixtures("small_chunks")
def test_after_a_crash_finished_chunks_are_not_scored_again(
    bench: BatchBench, monkeypatch: pytest.MonkeyPatch, n_crashed_after: int
) -> None:
    table = rows(1_234)  # 13 chunks
    payload = {"model_version_id": bench.version_id, "upload_id": bench.upload(parquet(table))}
    written: list[int] = []
    write_part = batch_worker.write_part

    def write(part: pa.Table, *rest: Any) -> None:
        if len(written) == n_crashed_after:
            raise Crash
        write_part(part, *rest)
        written.append(part.num_rows)

    run: Any = Run(bench)
    monkeypatch.setattr(batch_worker, "write_part", write)
    with pytest.raises(Crash):
        bench.job.run(run, payload)
    assert bench.keys("batches/job_run/parts") == [part_key("job_run", number) for number in range(n_crashed_after)]

    def write_rest(part: pa.Table, *rest: Any) -> None:
        write_part(part, *rest)
        written.append(part.num_rows)

    monkeypatch.setattr(batch_worker, "write_part", write_rest)
    result = bench.job.run(run, payload)
    assert written == [100] * 12 + [34]
    assert result["n_rows"] == 1_234
    # And a third time, as if the process had died before the last step was recorded.
    assert bench.job._join(run, payload, jobs.Source(key="", n_rows=1_234)) == result
    path = bench.objects.for_workspace(bench.context.workspace_id).local_path(result["output"])
    assert path is not None
    assert pq.read_table(path).column("customer").to_pylist() == table.column("customer").to_pylist()


def test_a_scoring_process_that_is_killed_loses_only_the_chunk_it_was_at(
    bench: BatchBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "CHUNK_ROWS", 100)
    monkeypatch.setattr(jobs, "available_cores", lambda: 2)
    payload = {"model_version_id": bench.version_id, "upload_id": bench.upload(parquet(rows(2_000)))}
    run: Any = Run(bench)
    progress = run.progress

    def kill_after_the_first_part(fraction: float, message: str = "", **data: Any) -> None:
        progress(fraction, message, **data)
        if "n_scored" in data:
            for pid in scoring_processes():
                os.kill(pid, signal.SIGKILL)

    run.progress = kill_after_the_first_part
    prepared = jobs.msgspec.convert(bench.job._prepare(run, payload), jobs.Source)
    with pytest.raises(Unavailable, match="signal 9"):
        bench.job._score(run, payload, prepared)
    done = bench.keys("batches/job_run/parts")
    assert 0 < len(done) < 20
    run.progress = progress
    assert bench.job._score(run, payload, prepared) == 20 - len(done)
    assert bench.job._join(run, payload, prepared)["n_rows"] == 2_000


def scoring_processes() -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == os.getpid() and b"batch_worker" in line:
            found.append(int(folder.name))
    return found


@pytest.mark.usefixtures("small_chunks")
def test_a_cancelled_batch_leaves_nothing_behind(bench: BatchBench) -> None:
    run: Any = Run(bench)
    progress = run.progress

    def cancel_half_way(fraction: float, message: str = "", **data: Any) -> None:
        progress(fraction, message, **data)
        run.cancelled = data.get("n_scored", 0) > 500

    run.progress = cancel_half_way
    payload = {"model_version_id": bench.version_id, "upload_id": bench.upload(parquet(rows(1_000)))}
    with pytest.raises(JobCancelled):
        bench.job.run(run, payload)
    assert bench.keys() == []


def test_a_damaged_file_is_explained(bench: BatchBench) -> None:
    row = bench.score(parquet(rows())[:3_000])
    assert row.status == "failed"
    assert row.error is not None
    assert row.error["code"] == "dataset.parquet_damaged"
