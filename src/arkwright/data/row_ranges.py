"""Reading part of a Parquet table, and some of its columns as the inputs of a model.

What a batch scores is read in ranges of rows, several at once, and written back as it was; only the columns that a
model takes are brought to canonical types. Text comes with a dictionary, so that each distinct value is looked at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from arkwright.core.errors import Invalid
from arkwright.data.cells import Lexeme, classify
from arkwright.data.chunks import no_rows
from arkwright.data.conversion import canonical_or_cells, convert_cells
from arkwright.data.inference import ColumnEvidence, ColumnPlan, decide_column
from arkwright.data.schema import check_names

_BATCH_ROWS = 65_536
_NUMBERS = frozenset({Lexeme.ZERO_ONE, Lexeme.INTEGER, Lexeme.PADDED_INTEGER, Lexeme.INTEGRAL, Lexeme.NUMBER}) | {
    Lexeme.HUGE_INTEGER
}
_TIMES = frozenset({Lexeme.TIME, Lexeme.ZONED_TIME})
_MISSING = (Lexeme.ABSENT, Lexeme.BLANK, Lexeme.MISSING_WORD)


class RowRanges:
    """A Parquet file by ranges of its rows.

    Parameters
    ----------
    path
        The file.
    coded
        Columns to read with a dictionary, if they hold text.

    Attributes
    ----------
    n_rows
        Number of rows.
    schema
        Names (without surrounding white space) and types as they are stored.

    Raises
    ------
    Invalid
        If the file is damaged or has no rows, or its column names cannot be used.
    """

    def __init__(self, path: Path, coded: Collection[str] = ()) -> None:
        self._path = path
        stored = self._open().schema_arrow
        names = check_names(stored.names)
        self._raw = dict(zip(names, stored.names, strict=True))
        self.schema = pa.schema(
            [field.with_name(name) for field, name in zip(stored, names, strict=True)], stored.metadata
        )
        wanted = [raw for raw, name in zip(stored.names, names, strict=True) if name in set(coded)]
        self._coded = [name for name in wanted if _is_plain_text(stored.field(name).type)]
        self._file = self._open(self._coded)
        self.n_rows: int = self._file.metadata.num_rows
        if not self.n_rows:
            raise no_rows(len(names))

    def tables(self, start: int, sizes: Sequence[int], columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield consecutive rows from row ``start`` (counted from 0) on, as tables of these sizes.

        Parameters
        ----------
        columns
            The columns to read; all by default.

        Raises
        ------
        Invalid
            If the file turns out to be damaged.
        """
        group, before = self._group_of(start)
        names = [name for name in self.schema.names if columns is None or name in columns]
        wanted, held, n_held = list(sizes), [], 0
        for batch in self._batches(group, start - before, min(_BATCH_ROWS, max(wanted)), names):
            held.append(batch)
            n_held += batch.num_rows
            while wanted and n_held >= wanted[0]:
                table = pa.Table.from_batches(held)
                yield table.slice(0, wanted[0])
                held = table.slice(wanted[0]).to_batches()
                n_held -= wanted.pop(0)
            if not wanted:
                return

    def _batches(self, group: int, skip: int, batch_rows: int, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a row group and those behind it, without the first ``skip``."""
        groups = list(range(group, self._file.num_row_groups))
        raw = [self._raw[name] for name in names]
        with _parquet_errors():
            for batch in self._file.iter_batches(batch_size=batch_rows, row_groups=groups, columns=raw):
                cut = min(skip, batch.num_rows)
                skip -= cut
                if cut < batch.num_rows:
                    yield batch.slice(cut).rename_columns(names)

    def plans(self, names: Collection[str]) -> dict[str, ColumnPlan]:
        """Decide what those of the columns that are stored as text hold, as an ingestion would.

        Raises
        ------
        Invalid
            If there is an infinity among numbers.
        """
        texts = [field.name for field in self.schema if field.name in names and _is_text(field.type)]
        plans = {}
        for name in texts:
            evidence = ColumnEvidence(name, None)
            for batch in self._batches(0, 0, _BATCH_ROWS, [name]):
                # What a column holds does not depend on how often it holds it.
                evidence.update(pc.cast(pc.unique(_distinct(batch.column(0))), pa.string()))
            plans[name] = decide_column(evidence)[0]
        return plans

    def _open(self, coded: Sequence[str] = ()) -> pq.ParquetFile:
        with _parquet_errors():
            return pq.ParquetFile(self._path, read_dictionary=list(coded))

    def _group_of(self, row: int) -> tuple[int, int]:
        """Return the row group that holds a row, and how many rows lie before that group."""
        before = 0
        for group in range(self._file.num_row_groups):
            size = self._file.metadata.row_group(group).num_rows
            if row < before + size:
                return group, before
            before += size
        raise IndexError(row)


def canonical(column: pa.ChunkedArray, plan: ColumnPlan | None) -> pa.Array:
    """Bring a column as it is stored to a canonical type; text stays with its dictionary.

    Parameters
    ----------
    plan
        What :meth:`RowRanges.plans` decided, for text that was not ingested yet.

    Examples
    --------
    >>> coded = pa.chunked_array([pa.array(["a", "b", "a"]).dictionary_encode()])
    >>> canonical(coded, None).indices.to_pylist()
    [0, 1, 0]
    """
    array = _whole(column)
    if pa.types.is_dictionary(array.type) and _is_text(array.type.value_type):
        values = pc.cast(array.dictionary, pa.string())
        values = values if plan is None else convert_cells(values, plan)
        if plan is not None and plan.type != "text":
            return values.take(array.indices)
        return pa.DictionaryArray.from_arrays(array.indices, values)
    found = canonical_or_cells(array)[0]
    return found if plan is None or not pa.types.is_string(found.type) else convert_cells(found, plan)


def read_cells(column: pa.Array, kind: Literal["number", "time"]) -> tuple[pa.Array, npt.NDArray[np.intp]]:
    """Read canonical text cell by cell as numbers or times.

    Returns
    -------
    tuple
        The values, null where a cell is missing or cannot be read, and the positions of those that cannot.

    Examples
    --------
    >>> values, bad = read_cells(pa.array(["1.5", "abc", " ", None]), "number")
    >>> values.to_pylist(), bad.tolist()
    ([1.5, None, None, None], [1])
    """
    cells = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    kinds = classify(cells, None)
    good = np.isin(kinds, list(_NUMBERS if kind == "number" else _TIMES))
    bad = np.flatnonzero(~good & ~np.isin(kinds, _MISSING))
    plan = ColumnPlan(name="", type=kind, na_values=None, words_missing=True, n_missing=0)
    readable = pc.if_else(pa.array(good), cells, pa.scalar(None, pa.string()))
    return convert_cells(readable, plan), bad


def _whole(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    whole = column.combine_chunks()
    return whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole


def _distinct(array: pa.Array) -> pa.Array:
    return array.dictionary if pa.types.is_dictionary(array.type) else array


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return _is_plain_text(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_plain_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind))


@contextmanager
def _parquet_errors() -> Iterator[None]:
    """Say what is wrong with a file that cannot be read."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise Invalid(
            f"The Parquet file cannot be read: {error}.",
            code="dataset.parquet_damaged",
            hint="It is damaged or was cut short; write it again.",
        ) from error
