"""What a user has in hand, as bytes to send: a file, bytes, or a table in memory."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from arkwright.core.errors import Invalid, NotFound

Source = str | Path | bytes | Any
"""A path, the bytes of a file, or a table that speaks Arrow (pandas, polars, pyarrow, DuckDB)."""


@contextmanager
def open_source(source: Source, name: str | None = None) -> Iterator[tuple[BinaryIO, str]]:
    """Open a source; yields a seekable stream and the file's name.

    A table in memory is written to a temporary Parquet file, batch by batch.

    Raises
    ------
    NotFound
        If there is no such file.
    Invalid
        If it is a folder, or nothing that can be read.
    """
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        with _open_file(path) as stream:
            yield stream, path.name
    elif isinstance(source, bytes):
        yield io.BytesIO(source), name or "data"
    elif hasattr(source, "__arrow_c_stream__"):
        with tempfile.TemporaryFile(prefix="arkwright-upload-") as file:
            _write_parquet(source, file)
            file.seek(0)
            yield file, f"{name or 'table'}.parquet"
    else:
        raise Invalid(
            f"A {type(source).__name__} cannot be uploaded.",
            code="sdk.source",
            hint="Give a path, bytes, or a table that offers __arrow_c_stream__ (pandas 2.2+, polars, pyarrow).",
        )


def default_name(source: Source, fallback: str = "table") -> str:
    """Return a dataset's name for a source: the file's name without its endings.

    Examples
    --------
    >>> default_name("examples/telco_churn.csv.gz"), default_name(b"a,b")
    ('telco_churn', 'table')
    """
    if not isinstance(source, str | Path):
        return fallback
    return Path(source).name.split(".", 1)[0] or fallback


def _open_file(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise NotFound(
            f"There is no file {str(path)!r} on this machine.", code="file.not_found", hint="Check the path."
        ) from None
    except IsADirectoryError:
        raise Invalid(
            f"{str(path)!r} is a folder.", code="file.folder", hint="Give one CSV, Parquet or JSON lines file."
        ) from None
    except PermissionError:
        raise Invalid(
            f"The file {str(path)!r} may not be read.", code="file.permission", hint="Check its permissions."
        ) from None


def _write_parquet(table: Any, file: Any) -> None:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    reader = pa.RecordBatchReader.from_stream(table)
    with pq.ParquetWriter(file, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
