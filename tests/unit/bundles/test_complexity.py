"""How many numbers a fitted model decides with, counted against the library's own trees."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from arkwright.bundles import (
    AverageEvaluator,
    ConstantEvaluator,
    LightGBMEvaluator,
    LinearEvaluator,
    Member,
    convert_forest,
    count_fitted_numbers,
)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    return X, (X[:, 0] + X[:, 1] > 0).astype(np.float64) + (X[:, 2] > 1)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_boosted_model_counts_its_splits_and_leaves(rows, n_classes):
    X, y = rows
    objective = {"objective": "binary"} if n_classes == 2 else {"objective": "multiclass", "num_class": 3}
    data = lightgbm.Dataset(X, np.minimum(y, n_classes - 1))
    booster = lightgbm.train({**objective, "num_leaves": 7, "verbosity": -1, "num_threads": 1}, data, 5)
    leaves = [tree["num_leaves"] for tree in booster.dump_model()["tree_info"]]
    assert len(leaves) == (5 if n_classes == 2 else 15)
    assert count_fitted_numbers(LightGBMEvaluator(booster.model_to_string())) == sum(2 * n - 1 for n in leaves)


def test_a_forest_counts_the_class_shares_of_its_leaves(rows):
    X, y = rows
    forest = RandomForestClassifier(n_estimators=3, max_depth=3, random_state=0).fit(X, y)
    counts = [(int(tree.tree_.n_leaves), int(tree.tree_.node_count)) for tree in forest.estimators_]
    converted = convert_forest(forest)
    assert converted.n_outputs == 3
    shared = sum((nodes - leaves) + 3 * leaves for leaves, nodes in counts)
    one_tree_for_each_class = sum(3 * ((nodes - leaves) + leaves) for leaves, nodes in counts)
    assert count_fitted_numbers(converted) in (shared, one_tree_for_each_class)


def test_linear_models_constants_and_averages_add_up():
    linear = LinearEvaluator([[1.0, 0.0, 2.0]] * 3, [0.1, 0.2, 0.3], "softmax")
    assert count_fitted_numbers(linear) == 12
    assert count_fitted_numbers(ConstantEvaluator([0.2, 0.3, 0.5], n_features=3)) == 3
    both = AverageEvaluator([Member(linear, 0.5), Member(ConstantEvaluator([0.2, 0.3, 0.5], n_features=3), 0.5)])
    assert count_fitted_numbers(both) == 15
