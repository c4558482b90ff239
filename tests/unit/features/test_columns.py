"""From tables to arrays."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.contracts import Column
from arkwright.core.errors import Invalid
from arkwright.features import to_columns, to_labels, to_numbers, to_texts


def column(name: str, kind: str, *, required: bool = True) -> Column:
    return Column(name=name, kind=kind, required=required)  # type: ignore[arg-type]


def test_each_kind_has_its_array() -> None:
    moment = dt.datetime.fromisoformat("2026-01-02T03:04:05.000006")
    table = pa.table(
        {
            "n": pa.array([1, None], pa.int64()),
            "x": [0.5, None],
            "flag": [True, None],
            "word": ["a", None],
            "code": pa.array([7, None], pa.int64()),
            "when": pa.array([moment, None], pa.timestamp("us")),
        }
    )
    wanted = {"n": "numeric", "x": "numeric", "flag": "categorical", "word": "categorical", "code": "categorical"}
    found = to_columns(table, [*(column(name, kind) for name, kind in wanted.items()), column("when", "time")])
    np.testing.assert_array_equal(found["n"], [1.0, np.nan])
    assert found["n"].dtype == found["x"].dtype == np.float64
    assert found["flag"].tolist() == ["True", None]
    assert found["word"].tolist() == ["a", None]
    assert found["code"].tolist() == ["7", None]
    assert found["when"].dtype == np.dtype("datetime64[us]")
    assert found["when"][0] == np.datetime64(moment)
    assert np.isnat(found["when"][1])


def test_a_column_without_values_fits_every_kind() -> None:
    table = pa.table({"c": pa.array([None, None], pa.string())})
    assert np.isnan(to_columns(table, [column("c", "numeric")])["c"]).all()
    assert np.isnat(to_columns(table, [column("c", "time")])["c"]).all()
    assert to_columns(table, [column("c", "categorical")])["c"].tolist() == [None, None]


def test_an_absent_column_is_refused_if_required_and_missing_otherwise() -> None:
    table = pa.table({"a": [1]})
    with pytest.raises(Invalid) as caught:
        to_columns(table, [column("a", "numeric"), column("b", "numeric"), column("c", "time")])
    assert caught.value.code == "features.columns_missing"
    assert [error["field"] for error in caught.value.errors] == ["b", "c"]
    assert np.isnan(to_columns(table, [column("b", "numeric", required=False)])["b"]).all()


def test_text_where_numbers_belong_is_refused_with_its_row() -> None:
    with pytest.raises(Invalid) as caught:
        to_columns(pa.table({"a": [None, "x"]}), [column("a", "numeric")])
    assert caught.value.code == "features.column_type"
    assert "'x' in row 2" in caught.value.detail


@given(st.lists(st.none() | st.integers(-(2**53), 2**53)))
def test_whole_numbers_have_one_text_whatever_they_are_stored_as(values: list[int | None]) -> None:
    expected = [None if value is None else str(value) for value in values]
    assert to_texts(pa.chunked_array([pa.array(values, pa.int64())])).tolist() == expected
    assert to_texts(pa.chunked_array([pa.array(values, pa.float64())])).tolist() == expected


def test_labels_keep_the_type_of_the_data() -> None:
    assert to_labels(pa.chunked_array([[1, None]])).tolist() == [1, None]
    assert to_labels(pa.chunked_array([[True, False]])).tolist() == [True, False]
    assert to_labels(pa.chunked_array([["Yes"]])).tolist() == ["Yes"]


def test_times_have_a_text_and_truths_a_number() -> None:
    moments = pa.chunked_array([pa.array([0], pa.timestamp("us"))])
    assert to_texts(moments).tolist()[0].startswith("1970-01-01T00:00:00")
    np.testing.assert_array_equal(to_numbers(pa.chunked_array([[True, None]])), [1.0, np.nan])
