"""Joining Parquet files by their footers."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.deployments.parquet_parts import join_parquet

TABLE = pa.table(
    {
        "number": pa.array([1.5, None, -0.0, 1e308], pa.float64()),
        "text": ["a", "", None, "ä" * 300],
        "truth": [True, False, None, True],
        "list": [[1, 2], [], None, [3]],
        "struct": [{"a": 1, "b": ["x"]}, None, {"a": None, "b": None}, {"a": 2, "b": []}],
        "time": pa.array([0, 1, None, 3], pa.timestamp("us", "UTC")),
    }
)


def part(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def joined(parts: list[bytes]) -> bytes:
    sink = io.BytesIO()
    join_parquet((lambda content=content: io.BytesIO(content) for content in parts), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zstd", "write_page_index": True},
        {"use_dictionary": False, "row_group_size": 2, "data_page_version": "2.0"},
        {"write_statistics": False, "compression": "none"},
    ],
)
def test_the_whole_is_its_parts(options: dict[str, Any]) -> None:
    tables = [TABLE, TABLE.slice(1, 2), TABLE.slice(3), TABLE]
    found = joined([part(table, **options) for table in tables])
    read = pq.read_table(io.BytesIO(found))
    assert read.equals(pa.concat_tables(tables))
    groups = pq.ParquetFile(io.BytesIO(found))
    for index in range(groups.num_row_groups):
        groups.read_row_group(index)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(0, 2**62))
def test_any_number_of_parts_of_any_size_join(sizes: list[int], first: int) -> None:
    tables = [pa.table({"n": [first + at for at in range(size)], "t": ["x" * size] * size}) for size in sizes]
    whole = pq.read_table(io.BytesIO(joined([part(table) for table in tables])))
    assert whole.equals(pa.concat_tables(tables))


def test_statistics_still_serve_to_skip_row_groups() -> None:
    parts = [part(pa.table({"n": list(range(start, start + 10))})) for start in (0, 10, 20)]
    metadata = pq.read_metadata(io.BytesIO(joined(parts)))
    bounds = [metadata.row_group(index).column(0).statistics.min for index in range(3)]
    assert bounds == [0, 10, 20]


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"PAR1"],
        [b"not a table at all, however long it is"],
        [part(TABLE), part(TABLE.drop_columns(["text"]))],
        [part(TABLE)[:-1]],
    ],
)
def test_what_cannot_be_joined_is_refused(parts: list[bytes]) -> None:
    with pytest.raises(ValueError, match="part"):
        joined(parts)
