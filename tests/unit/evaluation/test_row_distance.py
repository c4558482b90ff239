"""The distance between rows."""

import numpy as np
import pytest
from scipy.stats import median_abs_deviation

from arkwright.evaluation.row_distance import RowSpace


def mixed(n=200, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "x": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n) * 50),
        "g": rng.choice(np.array(["a", "b", None], dtype=object), n),
        "t": np.datetime64("2026-01-01", "us") + rng.integers(0, 90, n) * np.timedelta64(1, "D"),
    }


def test_numbers_count_in_median_absolute_deviations_and_categories_one():
    data = mixed()
    space = RowSpace(data, ("x", "g", "t"), seed=0)
    pair = {
        "x": np.array([10.0, 35.0]),
        "g": np.array(["a", "b"], dtype=object),
        "t": np.array(["2026-01-01", "2026-01-31"], dtype="datetime64[us]"),
    }
    points = space.points(pair)
    days = (data["t"] - data["t"].min()) / np.timedelta64(1, "D")
    assert space.parts(points[:1], points[1:])[0] == pytest.approx(
        [25 / median_abs_deviation(data["x"], nan_policy="omit"), 1.0, 30 / median_abs_deviation(days)]
    )


def test_missing_counts_one_against_present_and_nothing_against_missing():
    space = RowSpace(mixed(), ("x", "g"), seed=0)
    cells = {"x": np.array([np.nan, np.nan, 3.0]), "g": np.array([None, None, "a"], dtype=object)}
    points = space.points(cells)
    assert space.parts(points[:1], points[1:]).tolist() == [[0.0, 0.0], [1.0, 1.0]]


def test_a_level_the_data_never_had_differs_from_all_others():
    space = RowSpace(mixed(), ("g",), seed=0)
    points = space.points({"g": np.array(["new", "new", "a"], dtype=object)})
    assert space.parts(points[:1], points[1:]).ravel().tolist() == [0.0, 1.0]


def test_the_nearest_neighbour_is_found_by_the_same_distance():
    data = mixed()
    space = RowSpace(data, tuple(data), seed=0, max_rows=200)
    all_points = space.points(data)
    own = space.points(mixed(40, seed=1))
    expected = [space.parts(all_points, point).sum(axis=1).min() for point in own]
    assert space.nearest(own) == pytest.approx(expected)
    assert space.nearest(all_points).max() == 0.0


def test_the_limit_is_a_quantile_of_the_distances_to_the_nearest_other_row():
    data = mixed(60)
    space = RowSpace(data, tuple(data), seed=0, quantile=0.5)
    points = space.points(data)
    closest = [
        min(space.parts(points[j : j + 1], points[i : i + 1]).sum() for j in range(60) if j != i) for i in range(60)
    ]
    assert space.limit == pytest.approx(np.median(closest))


@pytest.mark.parametrize(("values", "scale"), [([1.0] * 9 + [10.0], 0.9), ([3.0] * 5, 1.0), ([np.nan] * 5, 1.0)])
def test_a_column_of_mostly_one_value_has_another_measure_of_spread(values, scale):
    space = RowSpace({"x": np.array(values)}, ("x",), seed=0)
    points = space.points({"x": np.array([0.0, 1.0])})
    assert space.parts(points[:1], points[1:])[0, 0] == pytest.approx(1.0 / scale)


def test_one_row_of_data_has_no_neighbour_and_allows_only_itself():
    space = RowSpace({"x": np.array([2.0])}, ("x",), seed=0)
    assert space.limit == 0.0
    assert space.nearest(space.points({"x": np.array([2.0, 3.0])})).tolist() == [0.0, 1.0]
