"""Converted XGBoost models answer what XGBoost answers, but for its own float32 sums."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xgboost

from arkwright.bundles import NotCompilable, convert_xgboost

TYPES = ["float", "c", "float", "c", "float"]


def table(X, y=None, *, categorical):
    types = TYPES if categorical else None
    return xgboost.DMatrix(X, y, feature_types=types, enable_categorical=categorical)


def thresholds_of(booster, columns):
    model = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]
    trees = model.get("gbtree", model)["model"]["trees"]
    return [
        np.float32(condition)
        for tree in trees
        for condition, feature, left in zip(
            tree["split_conditions"], tree["split_indices"], tree["left_children"], strict=True
        )
        if left >= 0 and feature in columns
    ]


@pytest.mark.parametrize(
    ("objective", "target", "settings"),
    [
        ("binary:logistic", "binary", {}),
        ("binary:logistic", "binary", {"booster": "dart", "rate_drop": 0.3}),
        ("binary:logistic", "binary", {"num_parallel_tree": 3, "subsample": 0.5}),
        ("multi:softprob", "multiclass", {"num_class": 3}),
        ("multi:softprob", "multiclass", {"num_class": 3, "num_parallel_tree": 2, "subsample": 0.5}),
        ("reg:squarederror", "regression", {"max_depth": 8, "gamma": 1e7}),
        ("reg:absoluteerror", "regression", {}),
        ("reg:logistic", "binary", {"base_score": 0.3}),
        ("count:poisson", "positive", {}),
        ("reg:gamma", "positive", {}),
        ("reg:tweedie", "positive", {}),
    ],
)
@pytest.mark.parametrize("categorical", [False, True])
def test_answers_lie_within_the_stated_tolerance(
    objective, target, settings, categorical, training_table, targets, hard_cells, same_as
):
    X = training_table[0]
    parameters = {"objective": objective, "nthread": 1, "seed": 0, "max_cat_to_onehot": 2, **settings}
    booster = xgboost.train(parameters, table(X, targets[target], categorical=categorical), num_boost_round=30)
    numeric = [0, 2, 4] if categorical else [0, 1, 2, 3, 4]
    rows = hard_cells(X, thresholds_of(booster, numeric), numeric, seed=5, largest=float(np.finfo(np.float32).max))
    if categorical:
        rng = np.random.default_rng(6)
        rows[rng.random(len(rows)) < 0.1, 1] = 77.0  # never seen
        rows[rng.random(len(rows)) < 0.1, 3] = -1.0
    data = table(rows, categorical=categorical)
    evaluator = convert_xgboost(booster)
    assert evaluator.tolerance <= (2e-5 if evaluator.link == "exp" else 4e-6)
    same_as(evaluator, rows, booster.predict(data), booster.predict(data, output_margin=True))


def test_contributions_are_those_of_xgboost(training_table, targets):
    X = training_table[0]
    booster = xgboost.train(
        {"objective": "reg:squarederror", "nthread": 1, "max_depth": 4},
        table(X, targets["positive"], categorical=False),
        num_boost_round=10,
    )
    found = np.array([convert_xgboost(booster).contributions_row(row)[0] for row in X[:20].tolist()])
    assert np.abs(found - booster.predict(table(X[:20], categorical=False), pred_contribs=True)).max() < 1e-5


def test_the_estimators_stop_at_the_best_round(training_table, targets, same_as):
    X, y = training_table[0], targets["binary"]
    model = xgboost.XGBClassifier(n_estimators=60, learning_rate=0.8, early_stopping_rounds=3, n_jobs=1)
    model.fit(X[:300], y[:300], eval_set=[(X[300:600], y[300:600])], verbose=False)
    assert model.best_iteration < 40
    same_as(convert_xgboost(model), X[:200], model.predict_proba(X[:200]))


def test_what_is_not_compiled_says_so(training_table, targets):
    X = np.nan_to_num(training_table[0])
    linear = xgboost.XGBRegressor(booster="gblinear", n_estimators=2).fit(X, targets["positive"])
    with pytest.raises(NotCompilable, match="no trees"):
        convert_xgboost(linear)
    marked = xgboost.XGBRegressor(missing=-999.0, n_estimators=2).fit(X, targets["positive"])
    with pytest.raises(NotCompilable, match="missing"):
        convert_xgboost(marked)
    ranking = xgboost.train({"objective": "rank:pairwise"}, xgboost.DMatrix(X, targets["binary"]), num_boost_round=1)
    with pytest.raises(NotCompilable, match="rank:pairwise"):
        convert_xgboost(ranking)
    vectors = xgboost.XGBRegressor(multi_strategy="multi_output_tree", tree_method="hist", n_estimators=2)
    vectors.fit(X, np.column_stack((targets["positive"], targets["positive"])))
    with pytest.raises(NotCompilable, match="several targets"):
        convert_xgboost(vectors)
