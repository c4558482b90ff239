"""A file of what became of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arkwright.cli.feedback import _outcomes
from arkwright.core.errors import ArkwrightError


def outcomes(folder: Path, text: str, *, numbers: bool = False) -> list[dict[str, Any]]:
    file = folder / "told.csv"
    file.write_text(text, encoding="utf-8")
    return list(_outcomes(file, numbers=numbers))


def test_each_line_is_an_outcome(tmp_path: Path) -> None:
    assert outcomes(tmp_path, "actual,request_id,row,note\nYes,req_1,0,x\nNo,req_1,1,\n") == [
        {"request_id": "req_1", "row": 0, "actual": "Yes"},
        {"request_id": "req_1", "row": 1, "actual": "No"},
    ]


def test_the_row_may_be_left_out_and_a_byte_order_mark_is_none_of_the_name(tmp_path: Path) -> None:
    told = outcomes(tmp_path, "\ufeffrequest_id,actual\nreq_1,12.5\n", numbers=True)
    assert told == [{"request_id": "req_1", "row": 0, "actual": 12.5}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("request_id,row\nreq_1,0\n", "no column 'actual'"),
        ("request_id,actual\nreq_1,1\n,2\n", "Line 3 of 'told.csv' has no request_id"),
        ("request_id,actual\nreq_1,\n", "Line 2 of 'told.csv' has no actual"),
        ("request_id,actual,row\nreq_1,1,-1\n", "Line 2 of 'told.csv': the row '-1'"),
        ("request_id,actual\nreq_1,twelve\n", "'twelve' is no number"),
    ],
)
def test_a_line_that_tells_nothing_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ArkwrightError, match=said):
        outcomes(tmp_path, text, numbers=True)


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ArkwrightError, match="cannot be read"):
        list(_outcomes(tmp_path / "nothing.csv", numbers=False))


@pytest.mark.parametrize(
    ("actual", "numbers", "told"), [([True, False], False, ["True", "False"]), ([0, 12], True, [0.0, 12.0])]
)
def test_a_parquet_file_tells_the_same(tmp_path: Path, actual: list[Any], numbers: bool, told: list[Any]) -> None:
    file = tmp_path / "told.parquet"
    pq.write_table(pa.table({"request_id": ["req_1", "req_2"], "actual": actual, "more": [1, 2]}), file)
    found = list(_outcomes(file, numbers=numbers))
    assert [outcome["actual"] for outcome in found] == told
    assert [outcome["row"] for outcome in found] == [0, 0]


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "told.csv"
    file.write_bytes("request_id,actual\nreq_1,schön\n".encode("latin-1"))
    with pytest.raises(ArkwrightError, match="no CSV in UTF-8"):
        list(_outcomes(file, numbers=False))


def test_what_only_calls_itself_parquet_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "told.parquet"
    file.write_text("request_id,actual\n")
    with pytest.raises(ArkwrightError, match="is no Parquet"):
        list(_outcomes(file, numbers=False))
