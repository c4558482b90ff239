"""Reading Parquet as canonical arrays; columns of text are handed on as cells to be read like those of a CSV."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from arkwright.core.errors import Invalid
from arkwright.data.chunks import Chunk, no_rows
from arkwright.data.conversion import canonical_or_cells, cells_of, without_listed
from arkwright.data.schema import ARROW_TYPES, DataWarning, check_names

_BATCH_ROWS = 65_536
_PANDAS_INDEX = "__index_level_"


class ParquetTable:
    """A Parquet file.

    Parameters
    ----------
    stream
        The file; seekable.
    types
        The caller's overrides: a column declared otherwise than it is stored is handed on as text cells.
    na_values
        What the caller listed as missing.
    """

    def __init__(self, stream: IO[bytes], types: Mapping[str, str], na_values: tuple[str, ...] | None) -> None:
        self._types = types
        self._na_values = na_values
        try:
            self._file = pq.ParquetFile(stream)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(error) from error
        schema = self._file.schema_arrow
        self._kept = [position for position, name in enumerate(schema.names) if not name.startswith(_PANDAS_INDEX)]
        self.names = check_names([schema.names[position] for position in self._kept])
        self.text_columns = frozenset(
            name for name, position in zip(self.names, self._kept, strict=True) if _is_text(schema.field(position).type)
        )
        self.warnings = [
            DataWarning(code="index_dropped", message="the index that pandas stored without a name was left out")
            for _ in range(len(schema.names) > len(self._kept))
        ]
        if not self._file.metadata.num_rows:
            raise no_rows(len(self.names))

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows.

        Raises
        ------
        Invalid
            If the file is damaged, or a column of bytes is not text.
        """
        try:
            for batch in self._file.iter_batches(batch_size=_BATCH_ROWS):
                yield self._chunk(batch)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(error) from error

    def _chunk(self, batch: pa.RecordBatch) -> Chunk:
        columns: dict[str, pa.Array] = {}
        nested: dict[str, int] = {}
        for name, position in zip(self.names, self._kept, strict=True):
            column = batch.column(position)
            try:
                array, is_nested = canonical_or_cells(column)
            except (pa.ArrowInvalid, UnicodeDecodeError) as error:
                raise Invalid(
                    f"Column {name!r} (stored as {column.type}) cannot be read: {error}.",
                    code="dataset.column_unreadable",
                    hint="Leave the column out, or store it as text, numbers or timestamps.",
                ) from error
            if is_nested:
                nested[name] = len(array) - array.null_count
            array = without_listed(array, self._na_values)
            declared = self._types.get(name)
            if declared in ARROW_TYPES and ARROW_TYPES[declared] != array.type:
                array = cells_of(array)
            columns[name] = array
        return Chunk(batch.num_rows, columns, nested)


def seekable(stream: IO[bytes]) -> IO[bytes]:
    """Return a stream that can be read at any place: Parquet keeps its table of contents at the end."""
    return io.BytesIO(stream.read())


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return any((pa.types.is_string(kind), pa.types.is_large_string(kind), pa.types.is_string_view(kind)))


def _damaged(error: Exception) -> Invalid:
    return Invalid(
        f"The Parquet file cannot be read: {error}.",
        code="dataset.parquet_damaged",
        hint="It is damaged or was cut short; write it again.",
    )
