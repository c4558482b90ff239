"""Converted linear models answer what scikit-learn answers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
    TweedieRegressor,
)
from sklearn.svm import LinearSVC

from arkwright.bundles import NotCompilable, convert_linear


@pytest.fixture(scope="module", name="scaled")
def scaled_fixture():
    """Return a matrix of six features around 0, and a score."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(600, 6))
    return X, X @ rng.normal(size=6) + rng.normal(size=600) * 0.3


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        LogisticRegression(solver="liblinear"),
        SGDClassifier(loss="log_loss", random_state=0),
    ],
    ids=["lbfgs", "liblinear", "sgd"],
)
def test_binary_classifiers_agree(model, scaled, same_as):
    X, score = scaled
    model.fit(X, score > 0)
    same_as(convert_linear(model), X * 30, model.predict_proba(X * 30), model.decision_function(X * 30))


@pytest.mark.parametrize(
    ("model", "link"),
    [
        (LogisticRegression(), "softmax"),
        (LogisticRegression(fit_intercept=False), "softmax"),
        (SGDClassifier(loss="log_loss", random_state=0), "ovr"),
    ],
    ids=["multinomial", "without intercept", "sgd"],
)
def test_classifiers_of_several_classes_agree(model, link, scaled, same_as):
    X, score = scaled
    model.fit(X, (score > -1).astype(int) + (score > 1))
    evaluator = convert_linear(model)
    assert evaluator.link == link
    same_as(evaluator, X, model.predict_proba(X), model.decision_function(X))


@pytest.mark.parametrize(
    "model",
    [
        LinearRegression(),
        LinearRegression(fit_intercept=False),
        Ridge(),
        Lasso(alpha=0.1),
        ElasticNet(alpha=0.1),
        SGDRegressor(random_state=0),
    ],
)
def test_regressors_agree(model, scaled, same_as):
    X, score = scaled
    model.fit(X, score * 100)
    same_as(convert_linear(model), X, model.predict(X), model.predict(X))


@pytest.mark.parametrize(
    ("model", "link"),
    [
        (PoissonRegressor(), "exp"),
        (GammaRegressor(), "exp"),
        (TweedieRegressor(power=1.5), "exp"),
        (TweedieRegressor(power=0), "identity"),
    ],
)
def test_generalised_linear_models_agree(model, link, scaled, same_as):
    X, score = scaled
    model.fit(X, np.abs(score) + 0.1)
    evaluator = convert_linear(model)
    assert evaluator.link == link
    same_as(evaluator, X, model.predict(X))


def test_contributions_are_counted_from_the_training_mean(scaled):
    X, score = scaled
    model = Ridge().fit(X + 5, score)
    mean = (X + 5).mean(axis=0)
    shares = convert_linear(model, mean=mean).contributions_row((X[0] + 5).tolist())[0]
    assert shares[-1] == pytest.approx(model.predict(mean[None])[0])
    assert shares[:-1] == pytest.approx(model.coef_ * (X[0] + 5 - mean))
    assert sum(shares) == pytest.approx(model.predict(X[:1] + 5)[0])
    assert convert_linear(model).contributions_row([0.0] * 6)[0] == [0.0] * 6 + [model.intercept_]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (LinearSVC(), "LinearSVC gives no probability"),
        (RidgeClassifier(), "RidgeClassifier gives no probability"),
        (SGDClassifier(loss="hinge"), "no probability with the loss 'hinge'"),
    ],
)
def test_classifiers_without_probability_are_refused(model, reason, scaled):
    X, score = scaled
    with pytest.raises(NotCompilable, match=reason):
        convert_linear(model.fit(X, score > 0))


def test_several_targets_are_refused(scaled):
    X, score = scaled
    with pytest.raises(NotCompilable, match="several targets"):
        convert_linear(Ridge().fit(X, np.column_stack((score, score))))
