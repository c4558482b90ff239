"""Reading a Parquet file in ranges of rows."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arkwright.core.errors import Invalid
from arkwright.data import RowRanges, canonical, read_cells

TABLE = pa.table({" n ": list(range(1_000)), "t": [f"t{number % 5}" for number in range(1_000)], "x": [1.5] * 1_000})


@pytest.fixture(params=[7, 100, 1_000])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    target = tmp_path / "rows.parquet"
    pq.write_table(TABLE, target, row_group_size=request.param)
    return target


@pytest.mark.parametrize(
    ("start", "sizes"), [(0, [1_000]), (0, [1, 999]), (250, [100, 100, 50]), (999, [1]), (13, [14] * 20)]
)
def test_any_range_gives_its_rows_in_order(path: Path, start: int, sizes: list[int]) -> None:
    tables = list(RowRanges(path, ["t"]).tables(start, sizes))
    assert [table.num_rows for table in tables] == sizes
    found = [number for table in tables for number in table.column("n").to_pylist()]
    assert found == list(range(start, start + sum(sizes)))
    assert tables[0].column("t").to_pylist()[0] == f"t{start % 5}"


def test_chosen_columns_come_alone(path: Path) -> None:
    assert next(RowRanges(path).tables(3, [2], ["x", "n"])).to_pydict() == {"n": [3, 4], "x": [1.5, 1.5]}


def test_text_is_typed_as_an_ingestion_would(tmp_path: Path) -> None:
    target = tmp_path / "rows.parquet"
    table = pa.table({"a": ["1", "2", None], "b": ["1", "x", "2"], "c": ["2026-01-01", " ", None], "d": [1, 2, 3]})
    pq.write_table(table, target)
    ranges = RowRanges(target, table.column_names)
    plans = ranges.plans(["a", "b", "c", "d"])
    assert {name: plan.type for name, plan in plans.items()} == {"a": "integer", "b": "text", "c": "time"}
    read = next(ranges.tables(0, [3]))
    assert canonical(read.column("a"), plans["a"]).to_pylist() == [1, 2, None]
    assert canonical(read.column("b"), plans["b"]).to_pylist() == ["1", "x", "2"]


def test_cells_that_cannot_be_read_are_pointed_at() -> None:
    values, bad = read_cells(pa.array(["2026-01-01T10:00:00+02:00", "yesterday", "NA"]), "time")
    assert (str(values[0]), values[1].as_py(), bad.tolist()) == ("2026-01-01 08:00:00", None, [1])


@pytest.mark.parametrize("content", [b"", b"PAR1 and nothing of the kind", b"a,b\n1,2\n"])
def test_what_is_no_parquet_is_explained(tmp_path: Path, content: bytes) -> None:
    target = tmp_path / "rows.parquet"
    target.write_bytes(content)
    with pytest.raises(Invalid, match="cannot be read"):
        RowRanges(target)


def test_no_rows_are_refused(tmp_path: Path) -> None:
    target = tmp_path / "rows.parquet"
    pq.write_table(TABLE.slice(0, 0), target)
    with pytest.raises(Invalid) as refused:
        RowRanges(target)
    assert refused.value.code == "dataset.no_rows"
