"""How a batch is cut up, and where its parts lie.

The rows are cut into chunks of :data:`CHUNK_ROWS`, numbered from 0; each becomes one object. Neighbouring chunks that
are still to be scored make a *run*, which one process reads from front to back: to begin in the middle of a row group,
the rows before have to be read too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec

from arkwright.contracts import Column
from arkwright.core.structs import prepared

BATCH_KIND = "deployments.batch.v2"
CHUNK_ROWS = 65_536
MAX_RUN_CHUNKS = 8

OnError = Literal["fail", "keep"]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What the first step found out about the rows.

    Parameters
    ----------
    key
        The object that holds them, as Parquet.
    plans
        How to read columns of text that were not ingested: ``ColumnPlan`` as JSON, by name.
    """

    key: str
    n_rows: int
    plans: dict[str, Any] = {}
    chunk_rows: int = CHUNK_ROWS


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Neighbouring chunks: the number of the first, the row it begins at, and how many rows each has."""

    first: int
    start: int
    sizes: tuple[int, ...]


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """What a scoring process needs to know once."""

    objects_url: str
    workspace_id: str
    job_id: str
    bundle_folder: str
    bundle_digest: str
    source_path: str
    plans: Mapping[str, Any]
    inputs: tuple[Column, ...]
    with_scores: bool = False
    on_error: OnError = "fail"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a scoring process says: a part was written, a run is done, or what went wrong."""

    part: int = -1
    n_rows: int = 0
    done: bool = False
    problem: dict[str, Any] | None = None


def n_chunks(n_rows: int, chunk_rows: int = CHUNK_ROWS) -> int:
    """Return how many chunks so many rows make.

    Examples
    --------
    >>> n_chunks(10, 4)
    3
    """
    return -(-n_rows // chunk_rows)


def plan_runs(source: Source, done: Collection[int], n_workers: int) -> list[Run]:
    """Return what is still to be scored, in runs that keep every process busy.

    Examples
    --------
    >>> source = Source(key="rows", n_rows=10, chunk_rows=3)
    >>> [(run.first, run.start, run.sizes) for run in plan_runs(source, {1}, 1)]
    [(0, 0, (3,)), (2, 6, (3, 1))]
    """
    missing = [number for number in range(n_chunks(source.n_rows, source.chunk_rows)) if number not in done]
    longest = max(1, min(MAX_RUN_CHUNKS, -(-len(missing) // max(1, n_workers))))
    runs: list[list[int]] = []
    for number in missing:
        if runs and runs[-1][-1] == number - 1 and len(runs[-1]) < longest:
            runs[-1].append(number)
        else:
            runs.append([number])
    return [
        Run(
            first=numbers[0],
            start=numbers[0] * source.chunk_rows,
            sizes=tuple(min(source.chunk_rows, source.n_rows - number * source.chunk_rows) for number in numbers),
        )
        for numbers in runs
    ]


def batch_prefix(job_id: str) -> str:
    """Return where everything of a batch lies."""
    return f"batches/{job_id}"


def output_key(job_id: str) -> str:
    """Return the object key of a batch's output."""
    return f"{batch_prefix(job_id)}/output.parquet"


def input_key(job_id: str) -> str:
    """Return the key of the rows in a form that can be read in ranges, where the source itself cannot."""
    return f"{batch_prefix(job_id)}/input.parquet"


def parts_prefix(job_id: str) -> str:
    """Return where the scored chunks lie until they are joined."""
    return f"{batch_prefix(job_id)}/parts"


def part_key(job_id: str, number: int) -> str:
    """Return the key of a scored chunk.

    Examples
    --------
    >>> part_key("job_1", 7)
    'batches/job_1/parts/part-00007.parquet'
    """
    return f"{parts_prefix(job_id)}/part-{number:05}.parquet"


def number_of(key: str) -> int:
    """Return the number of the chunk that a part's key names.

    Examples
    --------
    >>> number_of(part_key("job_1", 7))
    7
    """
    return int(key.rpartition("-")[2].removesuffix(".parquet"))


prepared(Source, Run, Assignment, Told)
