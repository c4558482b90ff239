"""What users have in hand, as bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arkwright.core.errors import ArkwrightError, Invalid, NotFound
from arkwright.sdk.upload import default_name, open_source


def read(source: Any, name: str | None = None) -> tuple[bytes, str]:
    with open_source(source, name) as (stream, filename):
        return stream.read(), filename


@pytest.mark.parametrize("as_text", [True, False])
def test_a_path_is_read_from_this_machine(tmp_path: Path, as_text: bool) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"a\n1\n")
    assert read(str(path) if as_text else path) == (b"a\n1\n", "a.csv")


def test_bytes_are_sent_as_they_are_under_the_given_name() -> None:
    assert read(b"a\n1\n", "rows.csv") == (b"a\n1\n", "rows.csv")


def test_a_table_in_memory_travels_as_parquet_without_loss() -> None:
    table = pa.table({"tenure": [1, None, 3], "Contract": ["a", "b", None]})
    content, name = read(table, "churn")
    assert name == "churn.parquet"
    assert pq.read_table(io.BytesIO(content)).equals(table)


def test_anything_that_speaks_arrow_will_do() -> None:
    class Frame:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return pa.table({"a": [1, 2]}).__arrow_c_stream__(requested_schema)

    content, _ = read(Frame())
    assert pq.read_table(io.BytesIO(content)).to_pydict() == {"a": [1, 2]}


def test_a_missing_file_is_named() -> None:
    with pytest.raises(NotFound, match=r"no such\.csv"):
        read("no such.csv")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="is a folder"):
        read(tmp_path)


@pytest.mark.parametrize("source", [None, 3, [{"a": 1}]])
def test_what_cannot_be_uploaded_is_refused_with_advice(source: object) -> None:
    with pytest.raises(ArkwrightError) as refused:
        read(source)
    assert "__arrow_c_stream__" in (refused.value.hint or "")


def test_a_dataset_is_named_after_its_file_without_endings() -> None:
    assert [default_name(name) for name in ("a/b/sales.2024.csv.gz", Path("telco_churn.csv"), b"", object())] == [
        "sales", "telco_churn", "table", "table",
    ]  # fmt: skip
