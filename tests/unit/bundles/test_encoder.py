"""A row and a table take two paths to the same bits, and the state survives JSON."""

from __future__ import annotations

import json
import pickle

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.bundles import Encoder, fit_encoder, to_rows
from arkwright.contracts import Column
from arkwright.core.errors import Invalid

layouts = st.sampled_from(["tree", "linear"])


def one(kind):
    return (Column(name="c", kind=kind),)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), layout=layouts)
def test_a_row_and_a_table_are_encoded_to_the_same_bits(data, layout, tables, bits):
    spec, columns = data.draw(tables)
    n_rows = next(iter(columns.values())).size
    fold = {name: values[: max(1, n_rows // 2)] for name, values in columns.items()}
    encoder = fit_encoder(spec, fold, layout=layout)

    encoded = encoder.encode_columns(columns)
    received = msgspec.json.decode(msgspec.json.encode(to_rows(columns)))

    assert encoded.shape == (n_rows, encoder.n_outputs)
    for vector, row in zip(encoded, received, strict=True):
        assert np.array_equal(bits(vector), bits(encoder.encode_row(row)))
        present = {name: cell for name, cell in row.items() if cell is not None}
        assert np.array_equal(bits(vector), bits(encoder.encode_row(present)))


@settings(deadline=None, max_examples=100)
@given(data=st.data(), layout=layouts)
def test_the_state_survives_json_to_the_last_bit(data, layout, tables, bits):
    spec, columns = data.draw(tables)
    encoder = fit_encoder(spec, columns, layout=layout)

    state, arrays = encoder.to_json()
    read = Encoder.from_json(json.loads(json.dumps(state, allow_nan=False)), arrays)

    assert read.kernels == encoder.kernels
    assert np.array_equal(bits(read.encode_columns(columns)), bits(encoder.encode_columns(columns)))


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_linear_features_are_finite_and_bounded(data, tables):
    spec, columns = data.draw(tables)
    encoder = fit_encoder(spec, columns, layout="linear")
    assert np.all(np.abs(encoder.encode_columns(columns)) <= 10.0)


def test_the_order_of_the_training_rows_does_not_matter(churn):
    signature, columns, _ = churn
    backwards = {name: values[::-1] for name, values in columns.items()}
    forward = fit_encoder(signature.columns, columns, layout="tree")
    assert forward.kernels == fit_encoder(signature.columns, backwards, layout="tree").kernels


def test_trees_get_numbers_as_they_are_and_codes_by_frequency(column_of):
    spec = (Column(name="n", kind="numeric"), Column(name="c", kind="categorical"))
    columns = {
        "n": column_of("numeric", [1.5, None, -2.0]),
        "c": column_of("categorical", ["rare", "often", "often"]),
    }
    encoder = fit_encoder(spec, columns, layout="tree")
    assert encoder.categorical_feature == (1,)
    assert encoder.feature_names == ("n", "c")
    np.testing.assert_array_equal(encoder.encode_columns(columns), [[1.5, 1], [np.nan, 0], [-2, 0]])


def test_a_level_that_training_never_saw_is_missing_to_a_tree(column_of):
    encoder = fit_encoder(one("categorical"), {"c": column_of("categorical", ["a", "b"])}, layout="tree")
    assert np.isnan(encoder.encode_row({"c": "new"})[0])


def test_a_column_of_very_many_levels_pools_all_but_the_most_frequent(column_of):
    levels = [f"level {index}" for index in range(1000) for _ in range(1 if index >= 254 else 2)]
    encoder = fit_encoder(one("categorical"), {"c": column_of("categorical", levels)}, layout="tree")
    codes = {level: encoder.encode_row({"c": level})[0] for level in levels}
    assert sorted({codes[f"level {index}"] for index in range(254)}) == list(range(254))
    assert {codes[f"level {index}"] for index in range(254, 1000)} == {254.0}
    assert encoder.encode_row({"c": "new"}) == [254.0]


def test_booleans_and_integers_in_a_categorical_column_are_read_as_their_text(column_of):
    encoder = fit_encoder(one("categorical"), {"c": column_of("categorical", ["True", "1", "1"])}, layout="tree")
    assert encoder.encode_row({"c": True}) == encoder.encode_row({"c": "True"}) == [1.0]
    assert encoder.encode_row({"c": 1}) == encoder.encode_row({"c": "1"}) == [0.0]


def test_linear_numbers_are_standardised_with_an_indicator_only_where_training_had_missing_cells(column_of):
    complete = fit_encoder(one("numeric"), {"c": column_of("numeric", [1.0, 2.0, 3.0])}, layout="linear")
    holed = fit_encoder(one("numeric"), {"c": column_of("numeric", [1.0, None, 3.0])}, layout="linear")
    assert complete.encode_row({"c": 2}) == complete.encode_row({"c": None}) == [0.0]
    assert holed.feature_names == ("c", "c is missing")
    assert holed.encode_row({"c": 3}) == [1.0, 0.0]
    assert holed.encode_row({}) == [-1.0, 1.0]  # filled with the lower median, 1
    assert complete.encode_row({"c": 1e300}) == [10.0]


def test_a_constant_column_is_no_cause_for_a_division_by_zero(column_of):
    encoder = fit_encoder(one("numeric"), {"c": column_of("numeric", [0.1] * 7)}, layout="linear")
    assert encoder.encode_row({"c": 0.1}) == [0.0]


def test_linear_categories_are_one_hot_with_rare_levels_pooled_and_unseen_ones_zero(column_of):
    cells = ["a"] * 500 + ["b"] * 300 + ["once", "alone"] + [None]
    encoder = fit_encoder(one("categorical"), {"c": column_of("categorical", cells)}, layout="linear")
    assert encoder.feature_names == ("c = a", "c = b", "c is rare", "c is missing")
    assert encoder.categorical_feature == ()
    assert encoder.encode_row({"c": "b"}) == [0, 1, 0, 0]
    assert encoder.encode_row({"c": "once"}) == encoder.encode_row({"c": "alone"}) == [0, 0, 1, 0]
    assert encoder.encode_row({"c": None}) == [0, 0, 0, 1]
    assert encoder.encode_row({"c": "new"}) == [0, 0, 0, 0]


def test_missing_is_all_zeros_where_training_had_none(column_of):
    encoder = fit_encoder(one("categorical"), {"c": column_of("categorical", ["a", "a"])}, layout="linear")
    assert encoder.encode_row({"c": None}) == [0.0]


@pytest.mark.parametrize("text", ["2024-02-29T23:30:00Z", "2024-03-01T01:30:00+02:00", "2024-02-29T23:30:00"])
def test_moments_are_split_into_parts_in_utc(text, column_of):
    encoder = fit_encoder(one("time"), {"c": column_of("time", [None])}, layout="tree")
    assert encoder.feature_names == ("c year", "c month", "c day", "c weekday", "c hour", "c epoch days")
    assert encoder.encode_row({"c": text}) == [2024, 2, 29, 3, 23, 19782]
    assert np.isnan(encoder.encode_row({"c": None})).all()


def test_moments_of_years_that_no_request_can_carry_count_as_missing():
    far = np.array(["12000-01-01", "-0100-01-01"], dtype="datetime64[us]")
    encoder = fit_encoder(one("time"), {"c": far}, layout="tree")
    assert np.isnan(encoder.encode_columns({"c": far})).all()
    assert to_rows({"c": far}) == [{"c": None}, {"c": None}]


def test_long_lists_of_levels_leave_the_json_for_arrays(column_of):
    levels = [f"läng {index}\0" for index in range(2000)]
    encoder = fit_encoder(one("categorical"), {"c": column_of("categorical", [*levels, *["a"] * 99])}, layout="linear")
    state, arrays = encoder.to_json()
    assert len(json.dumps(state)) < 500
    assert arrays
    assert Encoder.from_json(state, arrays).kernels == encoder.kernels


def test_an_encoder_travels_to_another_process(churn, bits):
    signature, columns, _ = churn
    encoder = fit_encoder(signature.columns, columns, layout="linear")
    copy = pickle.loads(pickle.dumps(encoder))
    assert np.array_equal(bits(copy.encode_columns(columns)), bits(encoder.encode_columns(columns)))


def test_a_column_that_a_table_lacks_is_missing_in_every_row(column_of):
    spec = (Column(name="a", kind="numeric"), Column(name="b", kind="categorical"), Column(name="t", kind="time"))
    columns = {"a": column_of("numeric", [1.0]), "b": column_of("categorical", ["x"]), "t": column_of("time", [None])}
    encoder = fit_encoder(spec, columns, layout="tree")
    encoded = encoder.encode_columns({"other": column_of("numeric", [0.0, 0.0])})
    assert encoded.shape == (2, 8)
    assert np.isnan(encoded).all()


def test_fitting_names_the_column_that_is_not_there(column_of):
    with pytest.raises(Invalid, match="no column 'c'") as caught:
        fit_encoder(one("numeric"), {"d": column_of("numeric", [1.0])}, layout="tree")
    assert caught.value.code == "encoder.column_missing"
