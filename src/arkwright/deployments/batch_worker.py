"""Scoring runs of chunks, and the program of a process that does: ``python -m arkwright.deployments.batch_worker``.

It reads JSON lines from its standard input, an :class:`Assignment` and then one :class:`Run` after the other, and says
on its standard output what it has done. It ends when its input ends, so it cannot outlive the process that started it;
on Linux the kernel ends it too, even in the middle of a library call.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from arkwright.bundles import load_bundle
from arkwright.bundles.model_process import GeneralScorer
from arkwright.core.errors import ArkwrightError
from arkwright.core.problems import problem_document
from arkwright.data import ColumnPlan, RowRanges
from arkwright.deployments.batch_plan import Assignment, Run, Told, part_key
from arkwright.deployments.scoring import BatchScorer, RowScorer, output_schema
from arkwright.kit.objects import ObjectStore
from arkwright.kit.offspring import die_with_parent
from arkwright.kit.priority import BACKGROUND, give_way

_SAMPLED_ROWS = 1000


class PartWriter:
    """Scores chunks of one source and stores each as an object of its own; a context manager."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._objects = ObjectStore(assignment.objects_url).for_workspace(assignment.workspace_id)
        self._resources = contextlib.ExitStack()
        texts = [column.name for column in assignment.inputs if column.kind == "categorical"]
        self._rows = RowRanges(Path(assignment.source_path), texts)
        self._scorer = BatchScorer(
            self._model(),
            msgspec.convert(assignment.plans, dict[str, ColumnPlan]),
            with_scores=assignment.with_scores,
            on_error=assignment.on_error,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    def write(self, run: Run) -> Iterator[tuple[int, int]]:
        """Score a run, and yield each chunk's number and rows once its object is stored."""
        start = run.start
        for number, table in enumerate(self._rows.tables(run.start, run.sizes), start=run.first):
            scored = self._scorer.score(table, start)
            with self._objects.open_write(part_key(self._assignment.job_id, number)) as sink:
                write_part(scored, output_schema(self._rows.schema, scored), sink)
            start += table.num_rows
            yield number, table.num_rows

    def _model(self) -> RowScorer:
        folder, digest = Path(self._assignment.bundle_folder), self._assignment.bundle_digest
        bundle = load_bundle(folder, digest)
        if bundle.compiled is not None:
            return bundle.compiled
        return self._resources.enter_context(GeneralScorer(folder, digest, bundle.signature))


def write_part(table: pa.Table, schema: pa.Schema, sink: IO[bytes]) -> None:
    """Write a table as one row group, with the stated schema for readers that know Arrow."""
    repeating = [name for name in table.column_names if _repeats(table.column(name))]
    bare = table.replace_schema_metadata(schema.metadata)
    with pq.ParquetWriter(
        sink, bare.schema, compression="zstd", compression_level=1, use_dictionary=repeating, store_schema=False
    ) as writer:
        writer.write_table(bare, row_group_size=max(1, table.num_rows))


def _repeats(column: pa.ChunkedArray) -> bool:
    """Tell whether a dictionary is worth its time, which is most of what writing takes.

    Numbers of measurement rarely repeat, and neither do identifiers: their dictionary would be thrown away.
    """
    if pa.types.is_floating(column.type):
        return False
    if pa.types.is_dictionary(column.type) or pa.types.is_nested(column.type):
        return True
    sample = column.slice(0, _SAMPLED_ROWS)
    return bool(pc.count_distinct(sample).as_py() <= len(sample) // 2)


def main() -> None:
    """Work until the input ends."""
    die_with_parent()
    give_way(BACKGROUND)
    # The kernels of one process run on one core; the processes share the cores out.
    pa.set_cpu_count(1)
    # Whatever a library prints must not get between the answers.
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    lines = iter(sys.stdin.buffer)
    with contextlib.ExitStack() as stack:
        try:
            writer = stack.enter_context(PartWriter(msgspec.json.decode(next(lines), type=Assignment)))
            for line in lines:
                for part, n_rows in writer.write(msgspec.json.decode(line, type=Run)):
                    _say(channel, Told(part=part, n_rows=n_rows))
                _say(channel, Told(done=True))
        except ArkwrightError as error:
            _say(channel, Told(problem=problem_document(error)))
        except Exception as error:  # noqa: BLE001 - the edge of the process: the job is told, and the log has the rest
            traceback.print_exc()
            _say(channel, Told(problem=problem_document(_unforeseen(error))))


def _unforeseen(error: Exception) -> ArkwrightError:
    return ArkwrightError(
        f"Scoring stopped on an unexpected {type(error).__name__}; it is a defect, not your mistake.",
        hint="The worker's log has the traceback.",
    )


def _say(channel: IO[bytes], told: Told) -> None:
    try:
        channel.write(msgspec.json.encode(told) + b"\n")
        channel.flush()
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
