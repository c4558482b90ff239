"""Reading a table from a file: format, types, warnings, and then its rows in canonical Arrow types.

The file is read twice, a chunk at a time, so that memory does not grow with it: first to find every column's type
from all its cells, then to convert them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

import pyarrow as pa

from arkwright.data.chunks import Chunk
from arkwright.data.conversion import convert_cells, infinite_values
from arkwright.data.csv_text import CsvText
from arkwright.data.formats import GZIP_MAGIC, Format, recognise_format
from arkwright.data.inference import (
    ColumnEvidence,
    ColumnPlan,
    all_missing_warning,
    check_overrides,
    decide_column,
    refuse_infinity,
)
from arkwright.data.json_lines import JsonLines
from arkwright.data.parquet_table import ParquetTable, seekable
from arkwright.data.schema import ARROW_TYPES, ColumnSchema, ColumnType, DataWarning, arrow_schema
from arkwright.data.streams import head_of, plain_stream

DEFAULT_LIMIT_BYTES = 100_000_000_000


@dataclass(frozen=True)
class ReadOptions:
    """How a caller wants a file to be read.

    Parameters
    ----------
    filename
        The file's name: its ending promises a format.
    format
        ``csv``, ``parquet`` or ``jsonl``; None has it recognised.
    encoding
        Text encoding; None means UTF-8.
    types
        Types by column that override inference: ``integer``, ``number``, ``boolean``, ``text`` or ``time``.
    na_values
        Texts that mean "missing" in every column, instead of the usual words in columns of numbers; blank cells
        are missing in any case. None keeps the usual words.
    limit_bytes
        Most bytes the content may have once unpacked.
    """

    filename: str = ""
    format: str | None = None
    encoding: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    na_values: Sequence[str] | None = None
    limit_bytes: int = DEFAULT_LIMIT_BYTES


@dataclass
class _Typed:
    """What a column that needs no reading looks like."""

    kind: ColumnType
    n_missing: int = 0
    n_infinite: int = 0
    first_infinite: tuple[int, str] = (0, "")


class TableReader:
    """A table in a file.

    Parameters
    ----------
    raw
        The file; binary and seekable, plain or compressed with gzip.
    options
        How to read it.
    watch
        Called after each chunk of rows, in both passes; what it raises ends the reading.

    Attributes
    ----------
    format
        ``csv``, ``parquet`` or ``jsonl``.
    n_rows
        Number of rows.
    columns
        Name, type and missing cells of each column, in the file's order.
    warnings
        What a person should know, in the order of the columns.

    Raises
    ------
    Invalid
        If the file is no table, or not one that can be read as asked; the message says where and what to do.
    """

    def __init__(
        self, raw: IO[bytes], options: ReadOptions | None = None, *, watch: Callable[[], None] = lambda: None
    ) -> None:
        self._raw = raw
        self._watch = watch
        self._options = options or ReadOptions()
        self._na_values = None if self._options.na_values is None else tuple(dict.fromkeys(self._options.na_values))
        limit, encoding = self._options.limit_bytes, self._options.encoding
        head = head_of(raw, encoding=encoding, limit_bytes=limit)
        self.format: Format = recognise_format(head, filename=self._options.filename, declared=self._options.format)
        self.warnings: list[DataWarning] = []
        self.n_rows = 0
        self._source = self._open_source(head)
        self._plans: dict[str, ColumnPlan | _Typed] = {}
        self._scan()
        self.columns = tuple(
            ColumnSchema(
                name=name,
                type=plan.kind if isinstance(plan, _Typed) else plan.type,
                nullable=plan.n_missing > 0,
                n_missing=plan.n_missing,
            )
            for name, plan in self._plans.items()
        )
        self.arrow_schema = arrow_schema([(column.name, column.type) for column in self.columns])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows in canonical types (:data:`arkwright.data.schema.ARROW_TYPES`)."""
        for chunk in self._source.chunks():
            arrays = [self._array(chunk, column) for column in self.columns]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.arrow_schema)
            self._watch()

    def read(self) -> pa.Table:
        """Return all rows."""
        return pa.Table.from_batches(self.batches(), schema=self.arrow_schema)

    def _open_source(self, head: bytes) -> CsvText | JsonLines | ParquetTable:
        options = self._options

        if self.format == "parquet":
            self._raw.seek(0)
            compressed = self._raw.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            self._raw.seek(0)
            plain = plain_stream(self._raw, encoding=None, limit_bytes=options.limit_bytes)[1] if compressed else None
            source = ParquetTable(seekable(plain) if plain else self._raw, options.types, self._na_values)
            self.warnings.extend(source.warnings)
            return source
        reader = CsvText if self.format == "csv" else JsonLines
        return reader(head, lambda: plain_stream(self._raw, encoding=options.encoding, limit_bytes=options.limit_bytes))

    def _scan(self) -> None:
        """Go through all rows once and decide every column."""
        evidence: dict[str, ColumnEvidence | _Typed] = {}
        nested: dict[str, int] = {}
        for chunk in self._source.chunks():
            for name, array in chunk.columns.items():
                self._look_at(name, array, evidence)
            for name, known in evidence.items():
                if name not in chunk.columns and isinstance(known, ColumnEvidence):
                    known.update(pa.nulls(chunk.n_rows, pa.string()))
            for name, count in chunk.nested.items():
                nested[name] = nested.get(name, 0) + count
            self.n_rows += chunk.n_rows
            self._watch()
        check_overrides(self._options.types, evidence)
        for name, known in evidence.items():
            self._plans[name] = self._decide(name, known)
            if name in nested:
                self.warnings.append(_nested_warning(name, nested[name]))

    def _look_at(self, name: str, array: pa.Array, evidence: dict[str, ColumnEvidence | _Typed]) -> None:
        is_text = pa.types.is_string(array.type)
        known = evidence.get(name)
        if known is None:
            known = ColumnEvidence(name, self._na_values, self.n_rows) if is_text else _Typed(_type_of(array))
            evidence[name] = known
        if isinstance(known, ColumnEvidence):
            known.update(array)
            return
        known.n_missing += array.null_count
        infinite = infinite_values(array)
        if len(infinite):
            if not known.n_infinite:
                index = int(infinite[0])
                known.first_infinite = (self.n_rows + index + 1, str(array[index].as_py()))
            known.n_infinite += len(infinite)

    def _decide(self, name: str, known: ColumnEvidence | _Typed) -> ColumnPlan | _Typed:
        if isinstance(known, _Typed):
            if known.n_infinite:
                raise refuse_infinity(name, known.n_infinite, *known.first_infinite)
            if known.n_missing == self.n_rows:
                self.warnings.append(all_missing_warning(name, self.n_rows))
            return known
        override = self._options.types.get(name)
        plan, warnings = decide_column(known, override)
        if override is None and plan.type != "text" and name in getattr(self._source, "text_columns", ()):
            warnings.insert(
                0,
                DataWarning(
                    code="stored_as_text",
                    column=name,
                    message=f"column {name!r} is stored as text and every value in it is a {plan.type}, so it is read "
                    "as one; declare it text to keep it so",
                ),
            )
        self.warnings.extend(warnings)
        return plan

    def _array(self, chunk: Chunk, column: ColumnSchema) -> pa.Array:
        array = chunk.columns.get(column.name)
        if array is None:
            return pa.nulls(chunk.n_rows, ARROW_TYPES[column.type])
        plan = self._plans[column.name]
        return array if isinstance(plan, _Typed) else convert_cells(array, plan)


def read_table(raw: IO[bytes], options: ReadOptions | None = None) -> tuple[pa.Table, list[DataWarning]]:
    r"""Read a whole table into memory.

    Examples
    --------
    >>> import io
    >>> table, warnings = read_table(io.BytesIO(b"age,city\n42,Oslo\n ,Rome\n"))
    >>> table.column("age").to_pylist(), warnings[0].message
    ([42, None], "column 'age' has 1 blank cell, read as missing")
    """
    reader = TableReader(raw, options)
    return reader.read(), reader.warnings


def _type_of(array: pa.Array) -> ColumnType:
    for name, kind in ARROW_TYPES.items():
        if kind == array.type:
            return name
    raise TypeError(f"{array.type} is no canonical type")


def _nested_warning(name: str, count: int) -> DataWarning:
    return DataWarning(
        code="nested_values",
        column=name,
        count=count,
        message=f"column {name!r} has {count:,} lists or objects, kept as JSON text; flatten them to train on what "
        "is inside",
    )
