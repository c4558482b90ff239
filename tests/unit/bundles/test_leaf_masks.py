"""Trees as masks answer what LightGBM answers, to the last bit."""

from __future__ import annotations

from typing import Any

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingClassifier

from arkwright.bundles import LinearEvaluator
from arkwright.bundles.conversion.estimators import convert_estimator
from arkwright.bundles.evaluators import LightGBMEvaluator
from arkwright.bundles.evaluators.bins import Bins
from arkwright.bundles.evaluators.leaf_masks import leaf_masks

ODD = (
    np.nan,
    np.inf,
    -np.inf,
    0.0,
    -0.0,
    1e-40,
    -1e-40,
    1e-35,
    -1e-35,
    1e-30,
    1e308,
    -1e308,
    5e-324,
    2.0**31,
    -0.5,
    0.5,
)


def fold(n_rows: int = 600) -> tuple[Any, Any]:
    """Return features (numbers with gaps and with zeros, codes, very large ones) and a number to fit."""
    rng = np.random.default_rng(0)
    X = np.column_stack(
        (
            rng.normal(size=n_rows),
            np.where(rng.random(n_rows) < 0.3, np.nan, rng.normal(size=n_rows)),
            np.where(rng.random(n_rows) < 0.6, 0.0, rng.exponential(size=n_rows)),
            rng.integers(0, 40, n_rows).astype(float),
            rng.standard_t(1, n_rows) * 1e6,
        )
    )
    return X, X[:, 0] + np.nan_to_num(X[:, 1]) - X[:, 2] + (X[:, 3] % 3 == 1) + rng.normal(size=n_rows)


def odd_rows(X: Any) -> Any:
    """Return the rows, and rows in which every feature takes every odd value."""
    more = np.repeat(X[: len(ODD)], X.shape[1], axis=0)
    for index, row in enumerate(more):
        row[index % X.shape[1]] = ODD[index // X.shape[1]]
    return np.concatenate((X, more, np.tile(np.array(ODD)[:, None], (1, X.shape[1]))))


def booster(**parameters: Any) -> tuple[lgb.Booster, Any]:
    X, z = fold()
    objective = parameters.setdefault("objective", "binary")
    y = {
        "binary": (z > 0).astype(int),
        "multiclass": np.digitize(z, [-1, 1]),
        "multiclassova": np.digitize(z, [-1, 1]),
        "cross_entropy": 1 / (1 + np.exp(-z)),
        "poisson": np.abs(z),
    }.get(objective, z)
    categorical = parameters.pop("categorical_feature", "auto")
    if objective.startswith("multiclass"):
        parameters["num_class"] = 3
    data = lgb.Dataset(X, y, categorical_feature=categorical)
    return lgb.train({"verbose": -1, "num_threads": 1, "min_data_in_leaf": 3, **parameters}, data, 40), X


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"num_leaves": 2},
        {"num_leaves": 32},
        {"num_leaves": 33},
        {"num_leaves": 64},
        {"categorical_feature": [3], "min_data_per_group": 3, "cat_smooth": 0.1, "max_cat_to_onehot": 1},
        {"zero_as_missing": True},
        {"use_missing": False},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.7},
        {"objective": "multiclass"},
        {"objective": "multiclassova"},
        {"objective": "multiclass", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.7},
        {"objective": "regression"},
        {"objective": "regression", "reg_sqrt": True},
        {"objective": "poisson"},
        {"objective": "cross_entropy"},
        {"objective": "binary", "sigmoid": 0.7},
    ],
    ids=str,
)
def test_scores_equal_the_librarys_bit_for_bit(parameters: dict[str, Any]) -> None:
    model, X = booster(**parameters)
    masks = leaf_masks(LightGBMEvaluator(model.model_to_string()))
    assert masks is not None
    rows = odd_rows(X)
    expected = np.asarray(model.predict(rows, num_threads=1)).reshape(len(rows), -1)
    np.testing.assert_array_equal(masks.scores_matrix(rows), expected)


@pytest.mark.parametrize(
    "estimator",
    [
        HistGradientBoostingClassifier(max_iter=10, random_state=0),
        ExtraTreesRegressor(10, max_leaf_nodes=60, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_trees_of_other_libraries_count_small_numbers_as_they_are(estimator: Any) -> None:
    X, z = fold()
    X = X if "Hist" in type(estimator).__name__ else np.nan_to_num(X)
    estimator.fit(X, (z > 0).astype(int) if "Hist" in type(estimator).__name__ else z)
    evaluator = convert_estimator(estimator)
    masks = leaf_masks(evaluator)
    assert masks is not None
    rows = odd_rows(X)
    np.testing.assert_array_equal(masks.scores_matrix(rows), evaluator.scores_matrix(rows))


def test_what_does_not_fit_a_word_or_is_no_sum_of_constant_leaves_is_left_to_the_library() -> None:
    assert leaf_masks(LightGBMEvaluator(booster(num_leaves=65)[0].model_to_string())) is None
    assert leaf_masks(LightGBMEvaluator(booster(objective="regression", linear_tree=True)[0].model_to_string())) is None
    assert leaf_masks(LinearEvaluator([1.0], 0.0, "identity")) is None


def test_trees_that_differ_from_the_librarys_are_not_used() -> None:
    class Other(LightGBMEvaluator):
        def scores_matrix(self, X: Any) -> Any:
            return np.nextafter(super().scores_matrix(X), 1.0)

    assert leaf_masks(Other(booster()[0].model_to_string())) is None


def test_trees_of_one_leaf_have_nothing_to_look_up() -> None:
    data = lgb.Dataset(np.zeros((50, 2)), np.arange(50.0))
    model = lgb.train({"verbose": -1, "objective": "regression"}, data, 2)
    assert leaf_masks(LightGBMEvaluator(model.model_to_string())) is None


def test_rows_of_several_blocks_are_scored_alike() -> None:
    model, X = booster()
    masks = leaf_masks(LightGBMEvaluator(model.model_to_string()))
    assert masks is not None
    rows = np.tile(X, (12, 1))
    np.testing.assert_array_equal(masks.scores_matrix(rows), np.tile(masks.scores_matrix(X), (12, 1)))
    alone = [masks.scores_matrix(row[None])[0, 0] for row in X[:50]]
    assert alone == [masks.scores_matrix(rows[:n])[-1, 0] for n in range(1, 51)] == model.predict(X[:50]).tolist()


@settings(max_examples=200, deadline=None)
@given(
    cuts=st.lists(st.floats(allow_nan=False), min_size=1, max_size=30, unique=True),
    values=st.lists(st.floats(), max_size=30),
)
def test_bins_agree_with_a_search(cuts: list[float], values: list[float]) -> None:
    sorted_cuts = np.unique(np.array(cuts))
    with np.errstate(over="ignore"):
        above, below = np.nextafter(sorted_cuts, np.inf), np.nextafter(sorted_cuts, -np.inf)
    near = np.concatenate((sorted_cuts, above, below, values))
    expected = [len(sorted_cuts) + 1 if np.isnan(x) else int((sorted_cuts < x).sum()) for x in near]
    assert Bins(sorted_cuts).of(near).tolist() == expected
