"""Partial dependence agrees with scikit-learn and with arithmetic, and says where the data is thin."""

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import partial_dependence as sklearn_partial_dependence

from arkwright.core.errors import Invalid
from arkwright.evaluation.partial_dependence import friedman_h, partial_dependence, partial_dependence_of_two


def independent(n=400, seed=0):
    rng = np.random.default_rng(seed)
    return {"a": rng.normal(size=n), "b": rng.normal(size=n), "c": rng.normal(size=n)}


@pytest.fixture(scope="module")
def forest():
    table = independent()
    X = np.column_stack(list(table.values()))
    y = X[:, 0] * X[:, 1] + X[:, 2]
    model = RandomForestRegressor(n_estimators=10, max_depth=4, random_state=0).fit(X, y)
    return table, model, lambda given: model.predict(np.column_stack([given[name] for name in "abc"]))


def test_the_mean_and_the_lines_are_those_of_scikit_learn(forest):
    table, model, predict = forest
    found = partial_dependence(predict, table, "a", seed=0, n_grid=7, n_curves=400, n_resamples=200)
    grid = [point.value for point in found.grid]
    X = np.column_stack(list(table.values()))
    expected = sklearn_partial_dependence(model, X, [0], custom_values={0: np.array(grid)}, method="brute", kind="both")
    assert [item.value for item in found.curves[0].mean] == pytest.approx(expected["average"][0].tolist())
    assert np.allclose(found.curves[0].ice, expected["individual"][0])
    assert found.curve_rows == tuple(range(400))


def test_a_grid_over_two_columns_is_scikit_learn_s(forest):
    table, model, predict = forest
    found = partial_dependence_of_two(predict, table, ("a", "b"), seed=0, n_grid=4, max_rows=400, max_h_rows=20)
    grids = [np.array([point.value for point in grid]) for grid in found.grids]
    X = np.column_stack(list(table.values()))
    expected = sklearn_partial_dependence(model, X, [0, 1], custom_values=dict(enumerate(grids)), method="brute")
    assert np.allclose(found.interactions[0].mean, expected["average"][0])


def test_centred_lines_start_at_zero_and_are_equal_where_the_effect_is():
    found = partial_dependence(lambda t: 2 * t["a"] + t["b"], independent(), "a", seed=0, n_curves=5, n_resamples=200)
    curve = found.curves[0]
    assert len(curve.ice) == 5
    assert np.allclose(curve.centred_ice, 2 * (np.array([p.value for p in found.grid]) - found.grid[0].value))
    assert not np.allclose(curve.ice[0], curve.ice[1])


def test_the_interval_is_that_of_the_mean():
    table = independent()
    found = partial_dependence(lambda t: t["a"] + t["b"], table, "a", seed=0)
    first = found.curves[0].mean[0]
    assert first.low < first.value < first.high
    assert first.high - first.low == pytest.approx(2 * 1.96 * table["b"].std() / 20, rel=0.15)


def test_few_values_are_all_in_the_grid_with_their_rows_and_missing_ones_at_its_end():
    x = np.array([0.0] * 30 + [1.0] * 15 + [4.0] * 3 + [np.nan] * 12)
    found = partial_dependence(lambda t: np.nan_to_num(t["x"], nan=-7.0), {"x": x}, "x", seed=0, n_resamples=200)
    assert [(p.value, p.n_rows, p.thin) for p in found.grid] == [
        (0, 30, False),
        (1, 15, False),
        (4, 3, True),
        (None, 12, False),
    ]
    assert sum(point.share for point in found.grid) == pytest.approx(1.0)
    assert [item.value for item in found.curves[0].mean] == [0.0, 1.0, 4.0, -7.0]


def test_many_levels_leave_the_rare_ones_out_and_count_them():
    names = [f"level {index:02}" for index in range(30)]
    g = np.array([name for index, name in enumerate(names) for _ in range(40 - index)] + [None], dtype=object)
    found = partial_dependence(
        lambda t: (t["g"] == "level 00") * 1.0, {"g": g}, "g", seed=0, n_grid=5, max_rows=100, n_resamples=200
    )
    assert [point.value for point in found.grid] == [*names[:5], None]
    assert found.kind == "categorical"
    assert found.rows_beyond_grid == sum(40 - index for index in range(5, 30))
    assert [item.value for item in found.curves[0].mean] == [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_moments_have_a_grid_of_moments_that_occur():
    days = np.datetime64("2026-01-01", "us") + np.arange(200) * np.timedelta64(1, "D")
    table = {"t": days, "x": np.zeros(200)}

    def predict(given):
        return (given["t"] - days[0]) / np.timedelta64(1, "D")

    found = partial_dependence(predict, table, "t", seed=0, n_grid=4, n_resamples=200)
    assert (found.kind, found.grid[0].value, found.grid[-1].value) == ("time", "2026-01-03", "2026-07-17")
    assert [item.value for item in found.curves[0].mean] == [2.0, 67.0, 132.0, 197.0]
    assert sum(point.n_rows for point in found.grid) == 200


def test_at_most_the_asked_number_of_rows_is_used_and_said():
    asked = []

    def predict(given):
        asked.append(len(given["a"]))
        return given["a"]

    found = partial_dependence(predict, independent(5_000), "a", seed=0, n_grid=10, max_rows=50, n_resamples=200)
    assert (found.n_rows, found.n_table_rows, sum(asked)) == (50, 5_000, 500)


def test_each_output_has_a_curve():
    def predict(given):
        return np.column_stack([given["a"], -given["a"]])

    found = partial_dependence(predict, independent(), "a", outputs=("up", "down"), seed=0, n_resamples=200)
    assert [curve.output for curve in found.curves] == ["up", "down"]
    assert found.curves[0].mean[-1].value == -found.curves[1].mean[-1].value


def test_h_is_nothing_for_a_sum_and_one_for_a_pure_product():
    rng = np.random.default_rng(1)
    table = {"a": rng.choice([-1.0, 1.0], 200), "b": rng.choice([-1.0, 1.0], 200)}
    # Centred exactly, so that neither column does anything alone.
    table["a"] -= table["a"].mean()
    table["b"] -= table["b"].mean()
    assert friedman_h(lambda t: t["a"] + 3 * t["b"], table, ("a", "b"))[0].value == pytest.approx(0.0, abs=1e-9)
    assert friedman_h(lambda t: t["a"] * t["b"], table, ("a", "b"))[0].value == pytest.approx(1.0, abs=0.02)


def test_h_is_the_share_of_variance_that_the_interaction_has():
    # f = a + b + k a b with independent, centred columns: H squared is k² / (2 + k²).
    table = independent(300, seed=3)
    for name in ("a", "b"):
        table[name] = (table[name] - table[name].mean()) / table[name].std()
    strength = friedman_h(lambda t: t["a"] + t["b"] + t["a"] * t["b"], table, ("a", "b"))[0].value
    assert strength == pytest.approx(np.sqrt(1 / 3), abs=0.06)


def test_h_of_columns_that_do_nothing_is_not_a_number_but_a_reason():
    found = friedman_h(lambda t: t["c"] + 5.0, independent(50), ("a", "b"))[0]
    assert found.value is None
    assert "do not move the score" in found.reason


def test_empty_cells_of_a_grid_over_two_columns_are_counted():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 3, 120).astype(float)
    table = {"a": a, "b": a * 10}
    found = partial_dependence_of_two(lambda t: t["a"] + t["b"], table, ("a", "b"), seed=0, max_h_rows=20)
    counts = np.array(found.n_rows_in_cell)
    assert counts.sum() == 120
    assert (counts[~np.eye(3, dtype=bool)] == 0).all()


def test_results_are_json_and_repeat_with_the_seed(forest):
    table, _, predict = forest
    first, second = (partial_dependence(predict, table, "b", seed=4, max_rows=60, n_resamples=200) for _ in range(2))
    assert msgspec.json.encode(first) == msgspec.json.encode(second)
    two = partial_dependence_of_two(predict, table, ("a", "c"), seed=4, n_grid=3, max_rows=50, max_h_rows=20)
    assert msgspec.json.decode(msgspec.json.encode(two))["names"] == ["a", "c"]


def test_a_column_of_missing_cells_alone_has_one_point():
    table = {"x": np.full(20, np.nan), "g": np.full(20, None, dtype=object)}
    for name in table:
        found = partial_dependence(lambda t: np.ones(len(t["x"])), table, name, seed=0, n_resamples=200)
        assert [(point.value, point.n_rows) for point in found.grid] == [(None, 20)]


def test_an_absent_column_and_a_score_of_nan_are_refused():
    with pytest.raises(Invalid, match="no column 'z'"):
        partial_dependence(lambda t: t["a"], independent(), "z", seed=0)
    with pytest.raises(Invalid, match="not a finite number"):
        partial_dependence(lambda t: t["a"] * np.nan, independent(), "a", seed=0)
