"""Reading CSV, JSON lines and Parquet, and refusing what is no table."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import decimal
import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid, PayloadTooLarge
from arkwright.data import ReadOptions, TableReader, fingerprint_table, read_table


def reader(content: bytes, **options: Any) -> TableReader:
    return TableReader(io.BytesIO(content), ReadOptions(**options))


def refusal(content: bytes, **options: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        reader(content, **options).read()
    assert caught.value.hint
    return caught.value


def parquet(table: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def types(table: TableReader) -> dict[str, str]:
    return {column.name: column.type for column in table.columns}


def test_the_telco_file_reads_as_people_expect(telco_csv: Path) -> None:
    with telco_csv.open("rb") as file:
        found = TableReader(file, ReadOptions(filename=telco_csv.name))
        table = found.read()
    assert (found.n_rows, table.num_rows, len(found.columns)) == (7043, 7043, 21)
    kinds = types(found)
    assert kinds["customerID"] == "text"
    assert kinds["SeniorCitizen"] == "integer"
    assert kinds["TotalCharges"] == "number"
    assert [warning.message for warning in found.warnings] == [
        "column 'TotalCharges' has 11 blank cells, read as missing"
    ]
    assert table.column("TotalCharges").null_count == 11


def test_the_same_table_in_every_format_has_one_fingerprint(telco_csv: Path) -> None:
    content = telco_csv.read_bytes()
    plain = reader(content)
    table = plain.read()
    expected = fingerprint_table(table, plain.columns)
    rows = [json.dumps(row) for row in table.to_pylist()]
    others = [
        reader(gzip.compress(content), filename="telco.csv.gz"),
        reader(content.replace(b",", b";"), filename="telco.csv"),
        reader(("﻿" + content.decode()).encode(), filename="telco.csv"),
        reader(content.decode().encode("utf-16"), encoding="utf-16"),
        reader("\n".join(rows).encode(), filename="telco.jsonl"),
        reader(("[" + ",".join(rows) + "]").encode(), filename="telco.json"),
        reader(parquet(table)),
        reader(parquet(table, compression="gzip", row_group_size=100)),
        reader(gzip.compress(parquet(table))),
    ]
    for other in others:
        assert fingerprint_table(other.read(), other.columns) == expected


def test_quoted_line_breaks_and_delimiters_stay_in_their_cells() -> None:
    table = reader(b'id,note\n1,"a, ""b""\nc"\n2,x\n').read()
    assert table.to_pylist() == [{"id": 1, "note": 'a, "b"\nc'}, {"id": 2, "note": "x"}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(delimiter: str) -> None:
    content = delimiter.join("abc") + "\n" + delimiter.join("123") + "\n"
    assert reader(content.encode()).read().to_pylist() == [{"a": 1, "b": 2, "c": 3}]


def test_a_text_of_one_column_needs_no_delimiter() -> None:
    assert reader(b"message\nhello; world\nbye\n").read().column("message").to_pylist() == ["hello; world", "bye"]


@given(
    st.lists(
        st.tuples(st.integers(-(10**6), 10**6), st.text(st.characters(codec="utf-8", exclude_characters="\0\r"))),
        min_size=1,
    )
)
def test_a_csv_gives_back_what_was_written(rows: list[tuple[int, str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["n", "t"])
    writer.writerows(rows)
    table, _ = read_table(io.BytesIO(text.getvalue().encode()), ReadOptions(types={"n": "integer", "t": "text"}))
    assert table.column("n").to_pylist() == [number for number, _ in rows]
    blank = [None if not value.strip() else value for _, value in rows]
    assert [value if value is None or value.strip() else None for value in table.column("t").to_pylist()] == blank


def test_json_keys_that_come_late_or_are_absent_are_missing() -> None:
    found = reader(b'{"a": 1}\n\n{"a": 2, "b": true}\n{"b": false, "c": NaN}\n', filename="x.jsonl")
    assert found.read().to_pylist() == [
        {"a": 1, "b": None, "c": None},
        {"a": 2, "b": True, "c": None},
        {"a": None, "b": False, "c": None},
    ]
    assert types(found) == {"a": "integer", "b": "boolean", "c": "text"}


def test_nested_json_is_kept_as_text_and_said_so() -> None:
    found = reader(b'{"a": {"x": 1}, "b": 1}\n{"a": [1], "b": 2}')
    assert found.read().column("a").to_pylist() == ['{"x": 1}', "[1]"]
    assert [(warning.code, warning.count) for warning in found.warnings] == [("nested_values", 2)]


def test_parquet_types_become_the_canonical_ones() -> None:
    table = pa.table(
        {
            "i8": pa.array([1, None], pa.int8()),
            "u64": pa.array([2**63, 1], pa.uint64()),
            "dec": pa.array([decimal.Decimal("1.50"), None], pa.decimal128(9, 2)),
            "nan": pa.array([1.5, float("nan")]),
            "cat": pa.array(["a", "b"]).dictionary_encode(),
            "big": pa.array(["x", None], pa.large_string()),
            "date": pa.array([dt.date(2026, 1, 2), None]),
            "zoned": pa.array([1_000_000_001, None], pa.timestamp("ns", "Europe/Oslo")),
            "list": pa.array([[1, 2], None]),
            "num": pa.array(["1.5", " "]),
            "flag": pa.array([True, None]),
        }
    )
    found = reader(parquet(table))
    assert types(found) == {
        "i8": "integer", "u64": "text", "dec": "number", "nan": "number", "cat": "text", "big": "text",
        "date": "time", "zoned": "time", "list": "text", "num": "number", "flag": "boolean",
    }  # fmt: skip
    first, second = found.read().to_pylist()
    assert first["dec"] == 1.5
    assert str(first["zoned"]) == "1970-01-01 00:00:01"
    assert first["u64"] == str(2**63)
    assert second["nan"] is None
    assert {w.code for w in found.warnings} == {"huge_integers", "nested_values", "stored_as_text", "blank_cells"}


def test_overrides_and_missing_values_reach_typed_columns_too() -> None:
    table = pa.table({"n": [1.0, -999.0], "flag": [True, False], "i": [-999, 2]})
    found = reader(parquet(table), types={"n": "integer", "flag": "text"}, na_values=["-999"])
    assert found.read().to_pylist() == [{"n": 1, "flag": "True", "i": None}, {"n": None, "flag": "False", "i": 2}]


def test_the_index_that_pandas_stores_is_left_out() -> None:
    found = reader(parquet(pa.table({"a": [1], "__index_level_0__": [7]})))
    assert found.read().to_pylist() == [{"a": 1}]
    assert found.warnings[0].code == "index_dropped"


# --- what is no table ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)])
def test_an_empty_file_is_refused(content: bytes) -> None:
    assert refusal(content, filename="x.csv").code == "dataset.empty_file"


@pytest.mark.parametrize(
    "content", [b"a,b", b"a,b\n", b"a,b\r\n\r\n", parquet(pa.table({"a": pa.array([], pa.int64())}))]
)
def test_a_header_without_rows_is_refused(content: bytes) -> None:
    assert refusal(content).code == "dataset.no_rows"
    assert refusal(b"[]", filename="x.json").code == "dataset.no_rows"


@pytest.mark.parametrize(
    "content",
    [
        b"a,b,a\n1,2,3\n",
        b" a,b,a \n1,2,3\n",
        b'{"a": 1, "b": 2, "a ": 3}',
        parquet(pa.table([[1], [2], [3]], names=["a", "b", "a"])),
    ],
)
def test_duplicate_column_names_are_refused(content: bytes) -> None:
    error = refusal(content)
    assert error.code == "dataset.duplicate_columns"
    assert "'a' occurs 2 times (columns 1 and 3)" in error.detail


def test_an_unnamed_column_is_refused() -> None:
    error = refusal(b",a\n0,1\n")
    assert error.code == "dataset.column_unnamed"
    assert "index=False" in (error.hint or "")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "dataset.is_html"),
        (b"\n  <html>\n<table>", "dataset.is_html"),
        (b'<?xml version="1.0"?><rows/>', "dataset.is_xml"),
        (b"%PDF-1.7 ...", "dataset.is_binary"),
        (b"a,b\n1,\x002\n", "dataset.is_binary"),
        (b"\xd0\xcf\x11\xe0 old", "dataset.is_excel"),
        (b'{"a": 1}\n', "dataset.not_csv"),
        (b'[{"a": 1}]', "dataset.not_csv"),
        (parquet(pa.table({"a": [1]})), "dataset.not_csv"),
        ("a,b\n1,é\n".encode("utf-16"), "dataset.encoding"),
        (gzip.compress(b"<html><body>", mtime=0), "dataset.is_html"),
    ],
)
def test_a_csv_that_is_something_else_is_refused(content: bytes, code: str) -> None:
    assert refusal(content, filename="data.csv").code == code


def test_a_workbook_is_told_from_an_archive() -> None:
    for member, code in (("xl/workbook.xml", "dataset.is_excel"), ("data.csv", "dataset.is_binary")):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(member, "a,b\n1,2\n")
        assert refusal(stream.getvalue(), filename="data.csv").code == code


def test_text_that_is_not_utf8_is_refused_with_its_place_and_can_be_declared() -> None:
    content = "name,city\nAnn,Oslo\nBob,Tromsø\n".encode("cp1252")
    error = refusal(content)
    assert error.code == "dataset.encoding"
    assert error.detail == "Line 3 is not UTF-8 text: byte 28 of the content is 0xF8."
    assert reader(content, encoding="cp1252").read().column("city").to_pylist() == ["Oslo", "Tromsø"]
    assert refusal(b'{"a": "\xf8"}\n').code == "dataset.encoding"
    assert refusal(content, encoding="ascii").code == "dataset.encoding"
    assert refusal(content, encoding="klingon").code == "dataset.encoding_unknown"
    assert refusal(content, encoding="base64").code == "dataset.encoding_unknown"


@pytest.mark.parametrize(
    ("content", "line", "cells"),
    [
        (b"a,b\n1,2\n3\n4,5\n", 3, "1 cell,"),
        (b'a,b\n1,"x\ny"\n2,3,4\n', 4, "3 cells,"),
        (b"a,b\n\n1,2,\n", 3, "3 cells,"),
    ],
)
def test_a_ragged_row_is_refused_with_its_line(content: bytes, line: int, cells: str) -> None:
    error = refusal(content)
    assert error.code == "dataset.ragged_row"
    assert error.detail.startswith(f"Line {line} has {cells}")


def test_a_quote_that_is_never_closed_is_refused() -> None:
    error = refusal(b'a,b\n1,2\n3,"x\n4,5\n6,7\n')
    assert error.code == "dataset.quote_open"
    assert "line 3" in error.detail


def test_a_quote_within_a_word_is_a_character() -> None:
    assert reader(b'size,n\n5" pipe,1\n').read().column("size").to_pylist() == ['5" pipe']


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b'{"a": 1}\n{"a": \n', "dataset.json_invalid"),
        (b'{\n  "a": 1\n}\n', "dataset.json_invalid"),
        (b'{"a": 1}\n[1, 2]\n', "dataset.json_not_object"),
        (b'{"a": 1}\n{"": 2}\n', "dataset.column_unnamed"),
        (b"a,b\n1,2\n", "dataset.not_jsonl"),
    ],
)
def test_bad_json_lines_are_refused(content: bytes, code: str) -> None:
    assert refusal(content, filename="x.jsonl").code == code


def test_a_damaged_file_is_refused() -> None:
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 10_000)
    assert refusal(whole[: len(whole) // 2]).code == "dataset.gzip_damaged"
    stored = parquet(pa.table({"a": list(range(1000))}))
    assert refusal(stored[:-20]).code == "dataset.parquet_damaged"
    assert refusal(b"a,b\n1,2\n", format="parquet").code == "dataset.not_parquet"
    assert refusal(b"a,b\n1,2\n", format="xlsx").code == "dataset.format_unknown"


def test_infinities_are_refused_in_every_format() -> None:
    for content in (b"x\n1.5\ninf\n", b'{"x": 1.5}\n{"x": -Infinity}\n', parquet(pa.table({"x": [1.5, float("inf")]}))):
        error = refusal(content)
        assert error.code == "dataset.infinite"
        assert "Column 'x'" in error.detail
        assert "row 2" in error.detail
    assert reader(parquet(pa.table({"x": [1.5, float("inf")]})), na_values=["inf"]).read().column("x").null_count == 1


def test_a_file_that_unpacks_to_too_much_is_refused() -> None:
    with pytest.raises(PayloadTooLarge):
        reader(gzip.compress(b"a\n" + b"1\n" * 100_000), limit_bytes=1000)


def test_an_override_of_an_unknown_column_suggests_the_right_one() -> None:
    error = refusal(b"TotalCharges\n1\n", types={"totalcharges": "text"})
    assert error.code == "dataset.types_unknown_column"
    assert "TotalCharges" in (error.hint or "")
    assert refusal(b"a\n1\n", types={"a": "float"}).code == "dataset.type_unknown"


def test_a_watcher_can_end_the_reading() -> None:
    seen = 0

    def watch() -> None:
        nonlocal seen
        seen += 1
        if seen == 2:
            raise KeyboardInterrupt

    found = TableReader(io.BytesIO(b"a\n1\n"), watch=watch)
    with pytest.raises(KeyboardInterrupt):
        found.read()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_a_reason(content: bytes) -> None:
    with contextlib.suppress(Invalid):
        found = reader(content)
        assert found.read().num_rows == found.n_rows > 0
