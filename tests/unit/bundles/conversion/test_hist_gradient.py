"""Converted histogram gradient boosting answers what scikit-learn answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from arkwright.bundles import NotCompilable, convert_hist_gradient_boosting


def thresholds_of(model):
    nodes = [member.nodes for round_of in model._predictors for member in round_of]
    return np.concatenate([found["num_threshold"][found["is_leaf"] == 0] for found in nodes])


@pytest.mark.parametrize(
    ("kind", "target", "settings"),
    [
        (HistGradientBoostingClassifier, "binary", {}),
        (HistGradientBoostingClassifier, "binary", {"categorical_features": [1, 3]}),
        (HistGradientBoostingClassifier, "multiclass", {"categorical_features": [3]}),
        (HistGradientBoostingRegressor, "regression", {"categorical_features": [1, 3]}),
        (HistGradientBoostingRegressor, "regression", {"loss": "quantile", "quantile": 0.8}),
        (HistGradientBoostingRegressor, "regression", {"loss": "absolute_error"}),
        (HistGradientBoostingRegressor, "positive", {"loss": "poisson"}),
        (HistGradientBoostingRegressor, "positive", {"loss": "gamma", "categorical_features": [1]}),
    ],
)
def test_raw_scores_are_exact_and_links_within_a_bit(
    kind, target, settings, training_table, targets, hard_cells, same_as
):
    X = training_table[0]
    model = kind(max_iter=15, random_state=0, **settings).fit(X, targets[target])
    categorical = settings.get("categorical_features", [])
    numeric = [column for column in range(5) if column not in categorical]
    rows = hard_cells(X, thresholds_of(model), numeric, seed=3, largest=np.inf)
    rng = np.random.default_rng(4)
    for column in categorical:
        rows[rng.random(len(rows)) < 0.1, column] = 700.0  # never seen
        rows[rng.random(len(rows)) < 0.1, column] = -1.0
    evaluator = convert_hist_gradient_boosting(model)
    answers = model.predict_proba(rows) if hasattr(model, "classes_") else model.predict(rows)
    assert evaluator.tolerance == (0.0 if evaluator.link == "identity" else 1e-14)
    same_as(evaluator, rows, answers, model._raw_predict(rows))


def test_text_categories_are_served_by_their_position(training_table, targets):
    X = training_table[0]
    texts = np.array(["red", "green", "blue", "grey", "white"], dtype=object)
    codes = np.nan_to_num(X[:, 3], nan=2.0).astype(int) // 7
    frame = pd.DataFrame({"size": X[:, 0], "colour": pd.Categorical(texts[codes])})
    model = HistGradientBoostingClassifier(max_iter=10, categorical_features=["colour"]).fit(frame, targets["binary"])
    with pytest.raises(NotCompilable, match="whole numbers"):
        convert_hist_gradient_boosting(model)
    evaluator = convert_hist_gradient_boosting(model, category_positions=True)
    order = {text: position for position, text in enumerate(sorted(texts))}
    vectors = np.column_stack((X[:, 0], [order[text] for text in texts[codes]]))
    assert np.abs(evaluator.scores_matrix(vectors)[:, 0] - model.predict_proba(frame)[:, 1]).max() <= 1e-14


def test_a_category_that_is_no_code_is_refused(training_table, targets):
    X = training_table[0].copy()
    X[:, 3] = np.where(X[:, 3] == 9, 2.5, X[:, 3])
    model = HistGradientBoostingClassifier(max_iter=3, categorical_features=[3]).fit(X, targets["binary"])
    with pytest.raises(NotCompilable, match=r"Feature 3 has the category 2\.5"):
        convert_hist_gradient_boosting(model)
