"""Reading JSON lines (one object a line) and JSON arrays of objects as text cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import orjson
import pyarrow as pa

from arkwright.core.errors import Invalid
from arkwright.data.chunks import Chunk, no_rows
from arkwright.data.conversion import cell_of_json
from arkwright.data.schema import check_names
from arkwright.data.streams import PlainStream, locate_bad_utf8, refuse_bad_utf8

_CHUNK_ROWS = 20_000
_SHOWN = 60

Opener = Callable[[], tuple[PlainStream, IO[bytes]]]


class JsonLines:
    """JSON lines, or a JSON array when the content starts with ``[``.

    Keys become columns in the order in which they first occur; a key that an object lacks is missing there. Lists and
    objects inside a row are kept as JSON text.
    """

    def __init__(self, head: bytes, opener: Opener) -> None:
        self._open = opener
        self._is_array = head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows, cells as text.

        Raises
        ------
        Invalid
            If a line is not one JSON object, or a key is empty.
        """
        rows: list[dict[str, Any]] = []
        names: dict[str, None] = {}
        n_rows = 0
        for row in self._rows():
            rows.append(row)
            if len(rows) == _CHUNK_ROWS:
                n_rows += len(rows)
                yield _chunk(rows, names)
                rows = []
        if rows:
            yield _chunk(rows, names)
        elif not n_rows:
            raise no_rows(len(names))

    def _rows(self) -> Iterator[dict[str, Any]]:
        stream = self._open()[1]
        numbered: Iterable[tuple[str, Any]] = self._array(stream) if self._is_array else self._lines(stream)
        for where, value in numbered:
            if not isinstance(value, dict):
                raise Invalid(
                    f"{where} is not a JSON object but {_short(json.dumps(value))}.",
                    code="dataset.json_not_object",
                    hint='Write each row as an object with named columns: {"age": 42, "city": "Oslo"}.',
                )
            yield value

    def _lines(self, stream: IO[bytes]) -> Iterator[tuple[str, Any]]:
        for number, line in enumerate(stream, start=1):
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if text.strip():
                yield f"Line {number:,}", self._parse(text, f"Line {number:,}")

    def _array(self, stream: IO[bytes]) -> Iterator[tuple[str, Any]]:
        content = stream.read().removeprefix(b"\xef\xbb\xbf")
        for number, value in enumerate(self._parse(content, "The array"), start=1):
            yield f"Row {number:,}", value

    def _parse(self, text: bytes, where: str) -> Any:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            try:
                # Python and JavaScript programs write NaN and Infinity, which JSON does not know.
                return json.loads(text.decode("utf-8"))
            except UnicodeDecodeError:
                place = locate_bad_utf8(self._open()[1])
                assert place is not None  # noqa: S101 - the bytes just failed
                raise refuse_bad_utf8(place) from error
            except (json.JSONDecodeError, RecursionError) as problem:
                raise Invalid(
                    f"{where} is not valid JSON: {problem}.",
                    code="dataset.json_invalid",
                    hint="JSON lines hold one whole object on each line; a JSON array of objects is accepted too.",
                ) from problem


def _chunk(rows: list[dict[str, Any]], names: dict[str, None]) -> Chunk:
    for row in rows:
        for key in row:
            if key not in names:
                names[key] = None
                check_names(list(names))
    nested: dict[str, int] = {}
    columns: dict[str, pa.Array] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        count = sum(isinstance(value, dict | list) for value in values)
        if count:
            nested[name.strip()] = count
        columns[name.strip()] = pa.array([cell_of_json(value) for value in values], pa.string())
    return Chunk(len(rows), columns, nested)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
