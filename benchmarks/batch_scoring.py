"""Reading, scoring and writing a Parquet table: ours against the usual pandas and scikit-learn script, in one run.

Usage: python benchmarks/batch_scoring.py [--rows 200000] [--processes 1]

Both do the same work with the same pipeline (``reference_model.py``) on one core: read every column, predict the
probability of the positive class, write every column with the label and the score beside it. Ours is what a batch job
runs: chunks of 65,536 rows, each stored as an object of its own (flushed to disk), and then joined to one file. The
scores are compared. The last line gives rows a second and the ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from reference_model import CLASSES, COLUMNS, make_columns, train_pipeline, write_reference_bundle

from arkwright.bundles import load_bundle
from arkwright.data import RowRanges
from arkwright.deployments.batch_plan import Assignment, Source, n_chunks, output_key, part_key, plan_runs
from arkwright.deployments.batch_pool import score_in_processes
from arkwright.deployments.batch_worker import PartWriter
from arkwright.deployments.parquet_parts import join_parquet
from arkwright.kit.objects import ObjectStore


def ours(folder: Path, source: Path, bundle: Path, digest: str, processes: int) -> Path:
    store = ObjectStore(f"file://{folder / 'objects'}")
    inputs = load_bundle(bundle, digest).signature.columns
    rows = RowRanges(source, [column.name for column in inputs])
    plans = msgspec.to_builtins(rows.plans([column.name for column in inputs]))
    wanted = Source(key="", n_rows=rows.n_rows, plans=plans)
    assignment = Assignment(
        objects_url=store.url,
        workspace_id="ws_1",
        job_id="job_1",
        bundle_folder=str(bundle),
        bundle_digest=digest,
        source_path=str(source),
        plans=plans,
        inputs=inputs,
    )
    runs = plan_runs(wanted, (), processes)
    if processes > 1:
        score_in_processes(assignment, runs, processes, on_part=lambda _number, _n_rows: None)
    else:
        with PartWriter(assignment) as writer:
            for run in runs:
                for _ in writer.write(run):
                    pass
    objects = store.for_workspace("ws_1")
    keys = [part_key("job_1", number) for number in range(n_chunks(rows.n_rows))]
    with objects.open_write(output_key("job_1")) as sink:
        join_parquet(((lambda key=key: objects.open_read(key)) for key in keys), sink)
    found = objects.local_path(output_key("job_1"))
    assert found is not None
    return found


def theirs(folder: Path, source: Path, pipeline: object) -> Path:
    frame = pd.read_parquet(source)
    inputs = frame[list(COLUMNS)]
    inputs = inputs.where(inputs.notna(), np.nan)
    scores = pipeline.predict_proba(inputs)[:, 1]
    frame["predicted_label"] = np.where(scores >= 0.5, CLASSES[1], CLASSES[0])
    frame["predicted_score"] = scores
    target = folder / "theirs.parquet"
    frame.to_parquet(target, compression="zstd", index=False)
    return target


def timed(work: Callable[[], Path]) -> tuple[Path, float, float]:
    """Return what the work returned, and its seconds by the clock and of processor time."""
    begun, spent = time.perf_counter(), os.times()
    found = work()
    after = os.times()
    used = sum(after[:4]) - sum(spent[:4])
    return found, time.perf_counter() - begun, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.processes == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pipeline = train_pipeline()
        digest = write_reference_bundle(folder / "bundle", pipeline)
        columns, _ = make_columns(arguments.rows, seed=3)
        table = pa.table({"id": [f"row-{number}" for number in range(arguments.rows)], **columns})
        pq.write_table(table, folder / "rows.parquet")
        del table, columns
        # Once over a few rows, so that neither pays for loading its libraries.
        pq.write_table(pq.read_table(folder / "rows.parquet").slice(0, 100), folder / "few.parquet")
        (folder / "warm").mkdir()
        ours(folder / "warm", folder / "few.parquet", folder / "bundle", digest, 1)
        theirs(folder / "warm", folder / "few.parquet", pipeline)

        results = {
            "theirs": timed(lambda: theirs(folder, folder / "rows.parquet", pipeline)),
            "ours": timed(
                lambda: ours(folder, folder / "rows.parquet", folder / "bundle", digest, arguments.processes)
            ),
        }
        scored = {who: pq.read_table(path) for who, (path, _, _) in results.items()}
        assert scored["ours"].num_rows == scored["theirs"].num_rows == arguments.rows
        assert scored["ours"].column("id").equals(scored["theirs"].column("id").cast(pa.string()))
        found, expected = (scored[who].column("predicted_score").to_numpy() for who in ("ours", "theirs"))
        difference = float(np.abs(found - expected).max())
    rates = {who: arguments.rows / seconds for who, (_, seconds, _) in results.items()}
    if arguments.json:
        print(json.dumps({"rows": arguments.rows, "rows_per_second": rates, "largest_difference": difference}))
        return
    print(f"{arguments.rows:,} rows, {len(COLUMNS)} inputs, {arguments.processes} process(es)")
    for who, (_, seconds, used) in results.items():
        print(f"  {who:7} {seconds:7.2f} s ({used:.2f} s of processor time)  {rates[who]:11,.0f} rows/s")
    print(f"  largest difference of a score: {difference:g}")
    print(f"  ours / theirs: {rates['ours'] / rates['theirs']:.1f}")


if __name__ == "__main__":
    main()
