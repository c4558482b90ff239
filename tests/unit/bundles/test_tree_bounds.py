"""A tree that somebody else stored is walked without a check of its indices: so they are checked before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from arkwright.bundles import NotCompilable
from arkwright.bundles.tree_bounds import check_trees

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
CODES = np.column_stack([X, RNG.integers(0, 6, 300)])


def forest() -> Any:
    return make_pipeline(StandardScaler(), RandomForestRegressor(3, max_depth=4, random_state=0)).fit(X, X[:, 0])


def boosting(**settings: Any) -> Any:
    model = HistGradientBoostingClassifier(max_iter=3, categorical_features=[4], random_state=0, **settings)
    return model.fit(CODES, (CODES[:, 4] % 2 > 0) ^ (CODES[:, 0] > 0))


def test_trees_as_they_are_grown_pass() -> None:
    check_trees(forest())
    check_trees(forest()[-1])
    check_trees(boosting())
    check_trees([{"a": boosting()}, "text", None])


@pytest.mark.parametrize(
    ("field", "value"),
    [("left_child", 10**6), ("right_child", -7), ("left_child", 0), ("feature", 99), ("feature", -3)],
)
def test_a_tampered_forest_is_refused(field: str, value: int) -> None:
    model = forest()
    tree = model[-1].estimators_[1].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][0] = value
    tree.__setstate__(state)
    with pytest.raises(NotCompilable, match="points outside"):
        check_trees(model)


@pytest.mark.parametrize(
    ("field", "value"),
    [("left", 10**6), ("right", 0), ("feature_idx", 99), ("feature_idx", 2**31 - 1), ("bitset_idx", 10**4)],
)
def test_a_tampered_boosting_is_refused(field: str, value: int) -> None:
    model = boosting()
    for (predictor,) in model._predictors:
        nodes = predictor.nodes
        chosen = nodes["is_categorical"] != 0 if field == "bitset_idx" else nodes["is_leaf"] == 0
        nodes[field][np.flatnonzero(chosen)[:1]] = value
    with pytest.raises(NotCompilable, match="points outside"):
        check_trees(model)
