"""Converted forests answer what scikit-learn answers, to the last bit."""

from __future__ import annotations

import io

import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from arkwright.bundles import ContributionsUnavailable, NotCompilable, convert_forest, convert_gradient_boosting

LARGEST = float(np.finfo(np.float32).max)


def thresholds_of(model):
    return np.concatenate([member.tree_.threshold for member in np.ravel(getattr(model, "estimators_", [model]))])


@pytest.mark.parametrize(
    ("kind", "target", "settings"),
    [
        (RandomForestClassifier, "binary", {"n_estimators": 12}),
        (RandomForestClassifier, "multiclass", {"n_estimators": 12, "class_weight": "balanced"}),
        (ExtraTreesClassifier, "binary", {"n_estimators": 1}),
        (ExtraTreesClassifier, "multiclass", {"n_estimators": 12, "max_leaf_nodes": 20}),
        (DecisionTreeClassifier, "binary", {}),
        (DecisionTreeClassifier, "multiclass", {"max_depth": 3}),
        (RandomForestRegressor, "regression", {"n_estimators": 12}),
        (ExtraTreesRegressor, "regression", {"n_estimators": 12, "min_samples_leaf": 3}),
        (DecisionTreeRegressor, "regression", {"max_depth": 1}),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_forests_are_exact(kind, target, settings, seed, training_table, targets, hard_cells, same_as):
    X = training_table[0]
    model = kind(random_state=seed, **settings).fit(X, targets[target])
    rows = hard_cells(X, thresholds_of(model), list(range(5)), seed=seed, largest=LARGEST)
    evaluator = convert_forest(model)
    answers = model.predict_proba(rows) if hasattr(model, "classes_") else model.predict(rows)
    raw = answers[:, 1] if hasattr(model, "classes_") and len(model.classes_) == 2 else answers
    assert evaluator.tolerance == (1e-14 if len(getattr(model, "estimators_", "1")) > 1 else 0.0)
    assert evaluator.link == "identity"
    assert same_as(evaluator, rows, answers, raw) == 0.0


@pytest.mark.parametrize("n_classes", [7, 26])
def test_forests_of_many_classes_are_exact(n_classes, training_table, hard_cells, same_as):
    X, score = training_table
    y = np.argsort(np.argsort(score)) * n_classes // len(score)
    model = RandomForestClassifier(30, random_state=0, min_samples_leaf=2).fit(X, y)
    rows = hard_cells(X, thresholds_of(model), list(range(5)), seed=4, largest=LARGEST)
    evaluator = convert_forest(model)
    assert evaluator.kind == "leaves"
    assert same_as(evaluator, rows, model.predict_proba(rows)) == 0.0
    with pytest.raises(ContributionsUnavailable, match=f"{n_classes} classes"):
        evaluator.contributions_row([0.0] * 5)


def test_leaves_that_stand_for_nothing_are_refused(training_table):
    X, score = training_table
    y = np.argsort(np.argsort(score)) * 7 // len(score)
    evaluator = convert_forest(ExtraTreesClassifier(3, max_depth=3).fit(X, y))
    state = evaluator.dump()
    with np.load(io.BytesIO(state.files["leaves.npz"])) as stored:
        arrays = dict(stored)
    for broken in (
        {"starts": arrays["starts"][:2]},
        {"starts": arrays["starts"] + 1},
        {"starts": arrays["starts"] * 1000},
        {"rows": arrays["rows"] + 1000},
        {"rows": arrays["rows"][:0]},
    ):
        buffer = io.BytesIO()
        np.savez(buffer, **(arrays | broken))
        with pytest.raises(ValueError, match=r"lea|trees"):
            type(evaluator).load({}, state.files | {"leaves.npz": buffer.getvalue()})
    with pytest.raises(ValueError, match="row has 2"):
        evaluator.scores_row([0.0, 0.0])


@pytest.mark.parametrize("n_classes", [2, 9])
def test_a_forest_of_several_jobs_agrees_whatever_order_it_adds_up_in(n_classes, training_table, same_as):
    X, score = training_table
    y = np.argsort(np.argsort(score)) * n_classes // len(score)
    model = ExtraTreesClassifier(40, random_state=0, min_samples_leaf=5, n_jobs=2).fit(X, y)
    same_as(convert_forest(model), X, model.predict_proba(X))


def test_a_number_beyond_single_precision_counts_as_infinite(training_table, targets):
    model = DecisionTreeRegressor(max_depth=4).fit(training_table[0], targets["regression"])
    evaluator = convert_forest(model)
    for column in range(5):
        large, larger = [0.0] * 5, [0.0] * 5
        large[column], larger[column] = LARGEST, 1e300
        assert evaluator.scores_row(larger) == evaluator.scores_row(large)


@pytest.mark.parametrize(
    ("kind", "target", "settings"),
    [
        (GradientBoostingClassifier, "binary", {}),
        (GradientBoostingClassifier, "multiclass", {"subsample": 0.5}),
        (GradientBoostingRegressor, "regression", {}),
        (GradientBoostingRegressor, "regression", {"loss": "huber", "init": "zero"}),
    ],
)
def test_gradient_boosting_is_exact_before_its_link(
    kind, target, settings, training_table, targets, hard_cells, same_as
):
    X = np.nan_to_num(training_table[0])
    model = kind(n_estimators=15, random_state=0, **settings).fit(X, targets[target])
    rows = hard_cells(X, thresholds_of(model), list(range(5)), seed=2, largest=1e35, missing=False)
    evaluator = convert_gradient_boosting(model)
    if target == "regression":
        assert evaluator.tolerance == 0.0
        same_as(evaluator, rows, model.predict(rows), model.predict(rows))
    else:
        same_as(evaluator, rows, model.predict_proba(rows), model.decision_function(rows))


def test_contributions_are_the_exact_shapley_values_of_a_tree():
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([0.0, 0.0, 0.0, 1.0])
    evaluator = convert_forest(DecisionTreeRegressor().fit(X, y))
    # By hand: v() = 1/4, v(first) = v(second) = 1/2, v(both) = 1, so each has (1/4 + 1/2) / 2.
    assert np.allclose(evaluator.contributions_row([1.0, 1.0]), [[0.375, 0.375, 0.25]])


def test_what_is_not_compiled_says_so(training_table, targets):
    X = np.nan_to_num(training_table[0])
    several = RandomForestRegressor(n_estimators=2).fit(X, np.column_stack([X[:, 0], X[:, 1]]))
    with pytest.raises(NotCompilable, match="several targets"):
        convert_forest(several)
    single = DecisionTreeClassifier().fit(X, np.zeros(len(X)))
    with pytest.raises(NotCompilable, match="single class"):
        convert_forest(single)
    own = GradientBoostingRegressor(n_estimators=2, init=DummyRegressor()).fit(X, targets["regression"])
    with pytest.raises(NotCompilable, match="init"):
        convert_gradient_boosting(own)
    exponential = GradientBoostingClassifier(n_estimators=2, loss="exponential").fit(X, targets["binary"])
    with pytest.raises(NotCompilable, match="exponential"):
        convert_gradient_boosting(exponential)
