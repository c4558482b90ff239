"""The rows an evaluation needs later: those that were kept out of training, and a sample of those that were not.

They are kept as Parquet in the workspace's own objects, under the hash of their bytes, with every column of the dataset
but its identifiers: a sensitive column need not be an input of the model, and a customer's number is of no use here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from arkwright.core.structs import prepared
from arkwright.evaluation.stored_file import StoredFile, read_checked, store_file
from arkwright.kit.objects import WorkspaceObjects

DATA_KIND = "evaluation_data"
"""The kind of evidence that cites the rows."""

TRAINING_SAMPLE = 10_000
"""Most training rows that are kept: what is usual for a column is learnt from them."""

_PREFIX = "evaluations/rows"


class StoredRows(StoredFile, frozen=True, kw_only=True):
    """A table in the object store; ``sha256`` is over its bytes."""

    n_rows: int


class EvaluationData(msgspec.Struct, frozen=True, kw_only=True):
    """The body of the evidence: which rows were kept for a bundle.

    Attributes
    ----------
    holdout, training
        Rows nobody trained on, and a sample of those somebody did.
    columns
        Names of the columns, in order; ``target`` is one of them.
    reference_scores
        What the trivial model answers for every row.
    primary_metric, fold_scores
        What the training compared its candidates by, and the chosen one's value in each fold.
    seed
        Of the split and of the sample.
    """

    dataset_version_id: str
    target: str
    columns: tuple[str, ...]
    holdout: StoredRows
    training: StoredRows
    reference_scores: tuple[float, ...]
    primary_metric: str
    fold_scores: tuple[float, ...] = ()
    seed: int = 0


def sample_rows(rows: npt.NDArray[np.int64], most: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Return at most so many of the rows, in order.

    Examples
    --------
    >>> sample_rows(np.arange(10), 3, seed=0).size, sample_rows(np.array([4, 2]), 3, seed=0).tolist()
    (3, [2, 4])
    """
    chosen = rows if rows.size <= most else np.random.default_rng(seed).choice(rows, size=most, replace=False)
    return np.sort(chosen)


def take_rows(batches: Iterable[pa.RecordBatch], wanted: Sequence[npt.NDArray[np.int64]]) -> list[pa.Table]:
    """Return some rows of a table that comes in batches: one table for each list of row numbers.

    Parameters
    ----------
    wanted
        Row numbers in ascending order, counted from the first batch's first row.

    Examples
    --------
    >>> table = pa.table({"a": [1, 2, 3, 4]})
    >>> [part.column("a").to_pylist() for part in take_rows(table.to_batches(2), [np.array([1, 3])])]
    [[2, 4]]
    """
    parts: list[list[pa.RecordBatch]] = [[] for _ in wanted]
    start = 0
    for batch in batches:
        for part, rows in zip(parts, wanted, strict=True):
            first, last = np.searchsorted(rows, [start, start + batch.num_rows])
            # A batch of none keeps the schema.
            part.append(batch.take(pa.array(rows[first:last] - start)))
        start += batch.num_rows
    return [pa.Table.from_batches(part) for part in parts]


def store_rows(objects: WorkspaceObjects, table: pa.Table) -> StoredRows:
    """Keep a table; the same rows twice are one object."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content: bytes = sink.getvalue().to_pybytes()
    stored = store_file(objects, _PREFIX, content, "parquet")
    return StoredRows(key=stored.key, sha256=stored.sha256, n_rows=table.num_rows, size_bytes=stored.size_bytes)


def read_rows(objects: WorkspaceObjects, stored: StoredRows) -> pa.Table:
    """Return a table that was kept.

    Raises
    ------
    NotFound
        If the object is gone.
    Unavailable
        If it is not what was kept.
    """
    return pq.read_table(pa.BufferReader(read_checked(objects, stored)))


def body_of(data: EvaluationData) -> dict[str, Any]:
    """Return the evidence's body."""
    body: dict[str, Any] = msgspec.to_builtins(data)
    return body


prepared(EvaluationData)
