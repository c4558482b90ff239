"""The nearest flip found is a flip, and near the true boundary where that is known."""

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from arkwright.evaluation.nearest_flips import nearest_flips
from tests.unit.evaluation.robust_cases import (
    adult,
    constant_model,
    one_column_model,
    picky_model,
    signature_of,
    two_columns,
)


def linear(weights, bias):
    def predict(rows):
        z = bias + sum(weight * rows[name] for name, weight in weights.items())
        return 1 / (1 + np.exp(-z))[:, None]

    return predict


def test_the_distance_to_a_threshold_is_the_distance_in_standard_deviations():
    columns, _ = two_columns(80)
    found = nearest_flips(one_column_model, signature_of(columns), columns, seed=0)
    exact = np.abs(columns["deciding"]) / columns["deciding"].std()
    assert (found.n_rows, found.n_flipped) == (80, 80)
    assert found.median_distance.value == pytest.approx(np.median(exact), abs=0.02)
    for item in found.shares:
        assert item.share.value == pytest.approx((exact <= item.within).mean(), abs=0.03)
        assert item.share.low <= item.share.value <= item.share.high
    nearest = found.examples[0]
    assert nearest.row == int(exact.argmin())
    assert [change.column for change in nearest.changes] == ["deciding"]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(-2, 2), st.floats(0.2, 2), st.floats(-1, 1))
@example(0, 0.25, 0.5, 1.0)
def test_no_flip_of_a_plane_is_nearer_than_the_plane_and_most_are_not_much_farther(seed, first, second, bias):
    rng = np.random.default_rng(seed)
    columns = {"a": rng.normal(0, 3, 40), "b": rng.normal(5, 0.5, 40)}
    spreads = np.array([columns["a"].std(), columns["b"].std()])
    weights = np.array([first, second]) / spreads
    offset = bias - second * 5 / spreads[1]
    predict = linear({"a": weights[0], "b": weights[1]}, offset)
    found = nearest_flips(predict, signature_of(columns), columns, seed=0)
    z = offset + weights[0] * columns["a"] + weights[1] * columns["b"]
    exact = np.abs(z) / np.hypot(first, second)
    # Along the longer of the two axes at worst: where the shorter way leaves the data, that is what is left.
    one_axis = np.hypot(first, second) / max(min(abs(first), second), 1e-9)
    for item in found.examples:
        assert exact[item.row] - 1e-6 <= item.distance <= max(1.5, 1.05 * one_axis) * exact[item.row] + 0.02
    near = [item.distance <= 1.5 * exact[item.row] + 0.02 for item in found.examples]
    assert sum(near) > len(near) / 2


def test_examples_really_flip_the_label():
    predict, signature, _, holdout, _ = adult()
    found = nearest_flips(predict, signature, holdout, seed=0, max_rows=20)
    assert found.n_flipped > 15
    assert [item.distance for item in found.examples] == sorted(item.distance for item in found.examples)
    for item in found.examples:
        row = {name: cells[item.row : item.row + 1].copy() for name, cells in holdout.items()}
        assert signature.classes[int(predict(row)[0, 0] >= 0.5)] == item.before
        for change in item.changes:
            assert row[change.column][0] == change.before
            row[change.column][0] = change.after
        assert signature.classes[int(predict(row)[0, 0] >= 0.5)] == item.after != item.before
        assert 1 <= len(item.changes) <= 3


def test_several_columns_are_moved_where_one_is_not_enough():
    rng = np.random.default_rng(0)
    columns = {name: np.where(rng.random(60) < 0.5, 0.0, 1.0) for name in "abc"}
    columns = {name: np.concatenate((cells, [0.0])) for name, cells in columns.items()}

    def all_three(rows):
        return np.where(rows["a"] + rows["b"] + rows["c"] > 2.5, 0.9, 0.1 * (rows["a"] + rows["b"] + rows["c"]))[
            :, None
        ]

    one = nearest_flips(all_three, signature_of(columns), columns, seed=0, max_columns=1)
    three = nearest_flips(all_three, signature_of(columns), columns, seed=0, max_columns=3)
    assert one.n_flipped < three.n_flipped == 61


def test_a_category_costs_one_and_is_not_halved():
    columns = {"colour": np.array(["red", "blue"] * 10, dtype=object)}
    found = nearest_flips(
        lambda rows: np.where(rows["colour"] == "red", 0.9, 0.1)[:, None], signature_of(columns), columns, seed=0
    )
    assert found.median_distance.value == 1.0
    assert [item.share.value for item in found.shares] == [0.0, 0.0, 0.0]
    assert found.shares[0].share.high > 0.1
    change = found.examples[0].changes[0]
    assert {change.before, change.after} == {"red", "blue"}


def test_missing_cells_are_not_filled_to_flip_a_label():
    columns, _ = two_columns(40)
    columns["deciding"][:] = np.nan
    columns["deciding"][:2] = [-1.0, 1.0]
    found = nearest_flips(one_column_model, signature_of(columns), columns, seed=0)
    assert found.n_flipped == 2


def test_a_constant_model_never_flips_and_says_so():
    columns, _ = two_columns()
    found = nearest_flips(constant_model, signature_of(columns), columns, seed=0)
    assert (found.n_rows, found.n_flipped, found.examples) == (100, 0, ())
    assert found.median_distance.reason == "no row got another label"
    assert found.shares[0].share.value == 0.0
    assert found.shares[0].share.high == pytest.approx(0.037, abs=0.001)


def test_a_regression_and_a_model_that_fails_have_a_reason():
    columns, _ = two_columns(20)
    regression = nearest_flips(one_column_model, signature_of(columns, "regression"), columns, seed=0)
    assert regression.reason == "a regression has no label to flip"
    columns["colour"][0] = "infrared"
    failing = nearest_flips(picky_model, signature_of(columns), columns, seed=0)
    assert failing.reason.startswith("the model raised ValueError")
    assert failing.shares[0].share.value is None


def test_a_model_that_fails_on_the_way_is_told_and_the_search_goes_on():
    columns, _ = two_columns(60)

    def model(rows):
        # Refuses a value that only a changed row has.
        if not np.isin(rows["idle"], columns["idle"]).all():
            raise RuntimeError("idle must not move")
        return one_column_model(rows)

    found = nearest_flips(model, signature_of(columns), columns, seed=0)
    assert found.failures == ("raised RuntimeError: idle must not move",)
    assert found.n_flipped == 60


def test_classes_of_many_are_named():
    columns = {"x": np.linspace(-2, 2, 30)}

    def model(rows):
        z = np.column_stack((-rows["x"], np.zeros_like(rows["x"]) + 0.3, rows["x"]))
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)

    found = nearest_flips(model, signature_of(columns, "multiclass", ("low", "middle", "high")), columns, seed=0)
    assert found.n_flipped == 30
    assert {item.before for item in found.examples} <= {"low", "middle", "high"}
    assert all(item.before != item.after for item in found.examples)


def test_the_stop_ends_the_search_and_the_same_seed_gives_the_same_bytes():
    columns, _ = two_columns()
    signature = signature_of(columns)
    stopped = nearest_flips(one_column_model, signature, columns, seed=0, should_stop=lambda: True)
    assert len(stopped.not_reached) == 3
    assert stopped.shares[0].share.value is None
    first, second = (msgspec.json.encode(nearest_flips(one_column_model, signature, columns, seed=3)) for _ in "ab")
    assert first == second
