"""Converted CatBoost models answer what CatBoost answers."""

from __future__ import annotations

import json

import catboost
import numpy as np
import pytest

from arkwright.bundles import CategoryTexts, NotCompilable, convert_catboost

CODES = CategoryTexts({3: [f"level {code}" for code in range(6)]}, missing_text="level -1")
QUIET = {"iterations": 20, "verbose": 0, "thread_count": 1, "allow_writing_files": False, "random_seed": 0}


@pytest.fixture(scope="module", name="data")
def data_fixture():
    """Return three numbers (one never missing), codes with -1 for missing, and a score."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(1200, 3))
    X[rng.random(X.shape) < 0.1] = np.nan
    X[:, 2] = np.nan_to_num(X[:, 2])
    codes = rng.integers(-1, 6, 1200)
    return X, codes, np.nan_to_num(X[:, 0]) + (codes == 2) + 2 * (codes == -1)


def pool_of(X, codes, y=None):
    cells = np.empty((len(X), 4), dtype=object)
    cells[:, :3] = X
    cells[:, 3] = [f"level {code}" for code in codes]
    return catboost.Pool(cells, y, cat_features=[3])


def borders_of(model, tmp_path):
    path = tmp_path / "model.json"
    model.save_model(str(path), format="json")
    features = json.loads(path.read_bytes())["features_info"]["float_features"]
    return np.concatenate([feature["borders"] or [0.0] for feature in features])


@pytest.mark.parametrize(
    ("kind", "target", "settings"),
    [
        ("classifier", "binary", {}),
        ("classifier", "binary", {"nan_mode": "Max"}),
        ("classifier", "binary", {"grow_policy": "Lossguide"}),
        ("classifier", "multiclass", {"loss_function": "MultiClass"}),
        ("classifier", "multiclass", {"loss_function": "MultiClassOneVsAll"}),
        ("classifier", "multiclass", {"loss_function": "MultiClass", "grow_policy": "Depthwise"}),
        ("regressor", "value", {}),
        ("regressor", "value", {"loss_function": "MAE", "depth": 1}),
        ("regressor", "positive", {"loss_function": "Poisson"}),
    ],
)
def test_answers_agree_with_one_hot_categories(kind, target, settings, data, tmp_path, hard_cells, same_as):
    X, codes, score = data
    y = {
        "binary": (score > 0.5).astype(int),
        "multiclass": (score > 0.5).astype(int) + (score > 1.5),
        "value": score * 1e3,
        "positive": np.abs(score),
    }[target]
    make = catboost.CatBoostClassifier if kind == "classifier" else catboost.CatBoostRegressor
    pool = pool_of(X, codes, y)
    model = make(one_hot_max_size=50, **QUIET, **settings).fit(pool)
    evaluator = convert_catboost(model, pool=pool, categories=CODES)
    rows = hard_cells(X, borders_of(model, tmp_path), [0, 1, 2], seed=8, largest=1e300)
    drawn = np.random.default_rng(9).integers(-1, 6, len(rows))
    vectors = np.column_stack((rows, np.where(drawn < 0, np.nan, drawn)))
    asked = pool_of(rows, drawn)
    answers = model.predict_proba(asked) if kind == "classifier" else model.predict(asked)
    same_as(evaluator, vectors, answers, model.predict(asked, prediction_type="RawFormulaVal"))


def test_a_model_of_numbers_needs_no_pool(data, same_as):
    X, _, score = data
    model = catboost.CatBoostRegressor(**QUIET).fit(X, score)
    same_as(convert_catboost(model), X, model.predict(X))


def test_statistics_of_categories_are_refused(data):
    X, codes, score = data
    pool = pool_of(X, codes, score)
    model = catboost.CatBoostRegressor(one_hot_max_size=2, **QUIET).fit(pool)
    with pytest.raises(NotCompilable, match="statistics of its categories") as caught:
        convert_catboost(model, pool=pool, categories=CODES)
    assert "one_hot_max_size" in caught.value.hint


def test_categories_whose_texts_are_unknown_are_refused(data):
    X, codes, score = data
    pool = pool_of(X, codes, score)
    model = catboost.CatBoostRegressor(one_hot_max_size=50, **QUIET).fit(pool)
    for keywords in ({}, {"pool": pool}, {"categories": CODES}):
        with pytest.raises(NotCompilable, match="texts are not known"):
            convert_catboost(model, **keywords)


def test_other_objectives_are_refused(data):
    X, _, score = data
    model = catboost.CatBoostRegressor(loss_function="RMSEWithUncertainty", **QUIET).fit(X, score)
    with pytest.raises(NotCompilable, match="RMSEWithUncertainty"):
        convert_catboost(model)
