"""Parity compares what serves with what was trained, on the holdout and on rows made to be difficult."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from arkwright.bundles import LinearEvaluator, Predictor, fit_encoder, measure_parity
from arkwright.contracts import Column, Signature
from arkwright.core.errors import Invalid


def test_lightgbm_is_exact_against_its_own_library(churn, booster, predictor):
    fitted, encoder = booster
    columns = churn[1]
    record = measure_parity(predictor, columns, fitted.predict(encoder.encode_columns(columns)))
    assert record.exact
    assert record.passed
    assert record.tolerance == 0.0
    assert record.n_rows > columns["tenure"].size + 900


def test_linear_is_within_a_trillionth_of_scikit_learn(churn):
    signature, columns, target = churn
    encoder = fit_encoder(signature.columns, columns, layout="linear")
    X = encoder.encode_columns(columns)
    fitted = LogisticRegression(max_iter=1000).fit(X, target)
    predictor = Predictor(signature, encoder, LinearEvaluator(fitted.coef_, fitted.intercept_, "sigmoid"))
    record = measure_parity(predictor, columns, fitted.predict_proba(X))
    assert record.passed
    assert record.tolerance == 1e-12
    assert measure_parity(predictor, columns).exact


def test_the_tolerance_grows_with_the_size_of_a_regression_target():
    spec = (Column(name="x", kind="numeric"), Column(name="t", kind="time"))
    x = np.random.default_rng(0).normal(size=200)
    columns = {"x": x, "t": np.datetime64("2024-01-01", "us") + np.arange(200) * np.timedelta64(3600_000_000, "us")}
    encoder = fit_encoder(spec, columns, layout="linear")
    X = encoder.encode_columns(columns)
    fitted = Ridge().fit(X, 3e5 * x)
    signature = Signature(task="regression", target="y", columns=spec)
    predictor = Predictor(signature, encoder, LinearEvaluator(fitted.coef_, fitted.intercept_, "identity"))
    record = measure_parity(predictor, columns, fitted.predict(X))
    assert record.passed
    assert 1e-7 < record.tolerance < 1e-5


def test_a_library_that_answers_otherwise_fails(churn, predictor):
    scores = predictor.predict_columns(churn[1]).copy()
    scores[7] += 1e-9
    record = measure_parity(predictor, churn[1], scores)
    assert not record.passed
    assert record.max_abs_difference == pytest.approx(1e-9)
    scores[7] = np.nan
    assert measure_parity(predictor, churn[1], scores).max_abs_difference == np.inf


def test_a_row_path_that_goes_astray_fails(churn, predictor):
    class Astray(Predictor):
        def scores_row(self, row):
            scores = super().scores_row(row)
            return [score + 0.1 for score in scores] if row.get("Contract") is None else scores

    astray = Astray(predictor.signature, predictor.encoder, predictor.evaluator)
    assert measure_parity(astray, churn[1]).max_abs_difference == pytest.approx(0.1)


def test_a_long_holdout_is_thinned(churn, predictor):
    few, many = (measure_parity(predictor, churn[1], max_rows=n).n_rows for n in (10, 1000))
    assert many - few == 990


def test_scores_of_other_rows_are_refused(churn, predictor):
    with pytest.raises(Invalid, match=r"shape \(3,\)") as caught:
        measure_parity(predictor, churn[1], np.zeros(3))
    assert caught.value.code == "bundle.parity"


def test_a_holdout_without_rows_is_refused(churn, predictor):
    with pytest.raises(Invalid, match="without rows"):
        measure_parity(predictor, {name: values[:0] for name, values in churn[1].items()})
