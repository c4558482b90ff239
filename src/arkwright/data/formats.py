"""Which format a file has, told from its content and its name, and what it must not be.

A file whose content contradicts its name is refused rather than guessed at: a ``.csv`` that holds an HTML
page is nearly always a login or error page that a download saved by mistake.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Literal, cast, get_args

from arkwright.core.errors import Invalid

Format = Literal["csv", "parquet", "jsonl"]

HEAD_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
PARQUET_MAGIC = b"PAR1"

_EXTENSIONS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_NAMES: dict[Format, str] = {"csv": "CSV", "parquet": "Parquet", "jsonl": "JSON lines"}

# What people upload by mistake: first bytes, what it is, what to do.
_IMPOSTERS: tuple[tuple[bytes, str, str], ...] = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", "Open it in a spreadsheet and save the sheet as CSV UTF-8."),
    (b"PK\x03\x04", "a zip archive", "Unpack it and give one CSV, Parquet or JSON lines file."),
    (b"%PDF", "a PDF document", "Export the table behind it as CSV."),
    (b"BZh", "a bzip2 archive", "Unpack it, or compress it with gzip instead."),
    (b"\xfd7zXZ", "an xz archive", "Unpack it, or compress it with gzip instead."),
    (b"\x28\xb5\x2f\xfd", "a zstandard archive", "Unpack it, or compress it with gzip instead."),
    (b"ARROW1", "an Arrow IPC (Feather) file", "Write it as Parquet: pyarrow.parquet.write_table(table, path)."),
    (b"ORC", "an ORC file", "Write it as Parquet."),
    (b"SQLite format 3", "an SQLite database", "Export one table as CSV."),
    (b"\x93NUMPY", "a NumPy array", "Write it as CSV or Parquet with named columns."),
)
_HTML = re.compile(rb"^(<!doctype\s+html|<html|<head|<body|<script|<div|<table)", re.IGNORECASE)
_XML = re.compile(rb"^<\?xml", re.IGNORECASE)
_JSON = re.compile(rb'^(\{\s*["}\r\n]|\[\s*[\[{\]\r\n])')
_BOMS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_UTF8_BOM = b"\xef\xbb\xbf"


def format_of_name(filename: str) -> Format | None:
    """Return the format a file's name promises, or None where it promises nothing.

    Examples
    --------
    >>> format_of_name("churn.CSV.gz"), format_of_name("churn")
    ('csv', None)
    """
    name = filename.lower().removesuffix(".gz")
    return _EXTENSIONS.get(PurePosixPath(name).suffix)


def recognise_format(head: bytes, *, filename: str = "", declared: str | None = None) -> Format:
    """Tell the format of a file from its first bytes.

    Parameters
    ----------
    head
        The first bytes of the content after decompression and re-encoding, ``HEAD_BYTES`` where there are so many.
    filename
        The file's name; may be empty.
    declared
        What the caller says it is: ``csv``, ``parquet`` or ``jsonl``.

    Raises
    ------
    Invalid
        If the file is empty, is something else (HTML, Excel, an archive), or is not what it was said to be.
    """
    if declared is not None and declared not in get_args(Format):
        raise Invalid(
            f"{declared!r} is not a format that can be read.",
            code="dataset.format_unknown",
            hint="Use csv, parquet or jsonl, or leave it out to have it recognised.",
        )
    label = f"The file {filename!r}" if filename else "The file"
    text = head.removeprefix(_UTF8_BOM).lstrip()
    if not text:
        raise Invalid(
            f"{label} is empty.",
            code="dataset.empty_file",
            hint="Check that the export finished, then send a file with a header and at least one row.",
        )
    _refuse_imposters(label, head, text)
    expected = cast("Format | None", declared) or format_of_name(filename)
    found = _format_of_content(head, text)
    if expected is None:
        return found
    if found != expected:
        said = "declared as" if declared else "named like"
        raise Invalid(
            f"{label} is {said} {_NAMES[expected]}, but its content is {_describe(found, expected)}.",
            code=f"dataset.not_{expected}",
            hint=f"Pass format={found} (CLI: --format {found}), or send the file you meant.",
        )
    return found


def _format_of_content(head: bytes, text: bytes) -> Format:
    if head.startswith(PARQUET_MAGIC):
        return "parquet"
    return "jsonl" if _JSON.match(text) else "csv"


def _describe(found: Format, expected: Format) -> str:
    if found == "csv":
        return "plain text" if expected == "jsonl" else "not (it does not start with the bytes PAR1)"
    return {"parquet": "Parquet", "jsonl": "JSON"}[found]


def _refuse_imposters(label: str, head: bytes, text: bytes) -> None:
    if _HTML.match(text):
        raise Invalid(
            f"{label} is an HTML page, not a table.",
            code="dataset.is_html",
            hint="It is often a login or error page saved by a download. Open it in a browser to see, then fetch "
            "the data itself.",
        )
    if _XML.match(text):
        raise Invalid(f"{label} is an XML document, not a table.", code="dataset.is_xml", hint="Export it as CSV.")
    for magic, what, hint in _IMPOSTERS:
        if head.startswith(magic):
            excel = magic.startswith(b"PK") and (b"xl/" in head or b"[Content_Types].xml" in head)
            raise Invalid(
                f"{label} is {'an Excel workbook (.xlsx)' if excel else what}, not a table that can be read.",
                code="dataset.is_excel" if excel or "Excel" in what else "dataset.is_binary",
                hint="Open it in a spreadsheet and save the sheet as CSV UTF-8." if excel else hint,
            )
    for bom, name in _BOMS:
        if head.startswith(bom):
            raise Invalid(
                f"{label} is {name.upper()} text, not UTF-8 (its first bytes are a byte-order mark).",
                code="dataset.encoding",
                hint=f"Pass encoding={name} (CLI: --encoding {name}), or save it as UTF-8.",
            )
    if b"\x00" in head and not head.startswith(PARQUET_MAGIC):
        raise Invalid(
            f"{label} is binary: byte {head.index(0)} is a NUL.",
            code="dataset.is_binary",
            hint="Send CSV, Parquet or JSON lines, plain or compressed with gzip.",
        )
