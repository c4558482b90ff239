"""Reading CSV as text cells, and finding out what is wrong with one that cannot be read.

Arrow parses; when it refuses, a slow second look with the standard library finds the line to name.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from typing import IO

import pyarrow as pa
import pyarrow.csv as arrow_csv

from arkwright.core.errors import Invalid
from arkwright.data.chunks import Chunk, no_rows
from arkwright.data.schema import check_names
from arkwright.data.streams import PlainStream, locate_bad_utf8, refuse_bad_utf8

_BLOCK_BYTES = 8 << 20
_DELIMITERS = (",", "\t", ";", "|")
_SNIFFED_RECORDS = 50

Opener = Callable[[], tuple[PlainStream, IO[bytes]]]


class CsvText:
    """A CSV file, delimiter and header found out.

    Parameters
    ----------
    head
        The file's first plain bytes.
    opener
        Opens the plain bytes from the start.

    Raises
    ------
    Invalid
        If the header has duplicate or empty names, or there is nothing below it.
    """

    def __init__(self, head: bytes, opener: Opener) -> None:
        self._open = opener
        sample = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")
        self.delimiter = sniff_delimiter(sample)
        records = _records(sample, self.delimiter)
        self.names = check_names(next(records, []))

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows, cells as text.

        Raises
        ------
        Invalid
            If a line has more or fewer cells than the header, is not UTF-8, or a quote is never closed.
        """
        counted, stream = self._open()
        keys = [f"f{position}" for position in range(len(self.names))]
        seen = 0
        try:
            with arrow_csv.open_csv(
                stream,
                read_options=arrow_csv.ReadOptions(autogenerate_column_names=True, block_size=_BLOCK_BYTES),
                parse_options=arrow_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(keys, pa.string())),
            ) as reader:
                for batch in reader:
                    rows = batch.slice(1) if seen == 0 else batch
                    seen += batch.num_rows
                    if rows.num_rows:
                        yield Chunk(rows.num_rows, dict(zip(self.names, rows.columns, strict=True)))
        except pa.ArrowInvalid as error:
            raise self._diagnose(str(error)) from error
        if seen <= 1:
            raise no_rows(len(self.names))
        if counted.n_quotes % 2:
            self._check_quotes()

    def _check_quotes(self) -> None:
        """Refuse a file whose last quote is never closed: it swallows every row after it."""
        problem = self._first_problem()
        if problem is not None:
            raise problem

    def _diagnose(self, reason: str) -> Invalid:
        place = locate_bad_utf8(self._open()[1])
        if place is not None:
            return refuse_bad_utf8(place)
        return self._first_problem() or Invalid(
            f"The CSV cannot be read: {reason}.",
            code="dataset.csv_unreadable",
            hint="Check the lines around that place, and that one record is not larger than 8 MB.",
        )

    def _first_problem(self) -> Invalid | None:
        """Walk the records with the standard library and return what is wrong with the first bad one."""
        text = io.TextIOWrapper(self._open()[1], encoding="utf-8-sig", errors="replace", newline="")
        reader = csv.reader(text, delimiter=self.delimiter, strict=True)
        n_records, starts_at = 0, 1
        try:
            for record in reader:
                if record:
                    n_records += 1
                    if len(record) != len(self.names):
                        return _ragged(starts_at, len(record), len(self.names), self.delimiter)
                starts_at = reader.line_num + 1
        except csv.Error as error:
            if "unexpected end" not in str(error):
                return None
            return Invalid(
                f"The quote opened in the record at line {starts_at:,} is never closed.",
                code="dataset.quote_open",
                hint='Close it, or double a quote that belongs to the text ("" inside "...").',
            )
        return no_rows(len(self.names)) if n_records < 2 else None


def sniff_delimiter(sample: str) -> str:
    r"""Return the delimiter that cuts the first records into equally many cells.

    Examples
    --------
    >>> sniff_delimiter("a;b\n1,5;2\n"), sniff_delimiter("text\nhello\n")
    (';', ',')
    """
    best, best_score = ",", (False, 1)
    for delimiter in _DELIMITERS:
        widths = [len(record) for record in _records(sample, delimiter)]
        # The last record of the sample may be cut off.
        complete = widths[:-1] if len(widths) > 2 else widths
        if not complete or complete[0] < 2:
            continue
        score = (len(set(complete)) == 1, complete[0])
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _records(sample: str, delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    count = 0
    try:
        for record in reader:
            if record:
                yield record
                count += 1
            if count >= _SNIFFED_RECORDS:
                return
    except csv.Error:
        return


def _ragged(line: int, n_cells: int, n_columns: int, delimiter: str) -> Invalid:
    shown = {"\t": "a tab"}.get(delimiter, f"{delimiter!r}")
    return Invalid(
        f"Line {line:,} has {n_cells} {'cell' if n_cells == 1 else 'cells'}, but the header has {n_columns} "
        f"{'column' if n_columns == 1 else 'columns'}.",
        code="dataset.ragged_row",
        hint=f"Give each line {n_columns} cells; a cell that contains {shown}, the delimiter, needs quotes around it.",
    )
