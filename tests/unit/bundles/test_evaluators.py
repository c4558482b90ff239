"""Evaluators answer what the library that fitted them answers, alone or in a crowd."""

from __future__ import annotations

import gc
import importlib.util
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from arkwright.bundles import (
    EVALUATORS,
    ConstantEvaluator,
    EvaluatorFailed,
    EvaluatorUnavailable,
    LightGBMEvaluator,
    LinearEvaluator,
)
from arkwright.bundles.evaluators.lightgbm import _Library, _library


def hard_matrix(n_features, n_rows=300):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n_rows, n_features)) * 10.0 ** rng.integers(-3, 4, size=(n_rows, n_features))
    X[rng.random(X.shape) < 0.1] = np.nan
    X[rng.random(X.shape) < 0.05] = 1e300
    X[rng.random(X.shape) < 0.05] = -1e300
    return X


def test_lightgbm_equals_its_own_library_bit_for_bit(churn, booster, bits):
    fitted, encoder = booster
    X = np.vstack((encoder.encode_columns(churn[1]), hard_matrix(encoder.n_outputs)))
    evaluator = LightGBMEvaluator(fitted.model_to_string())
    expected = fitted.predict(X)
    assert np.array_equal(bits(evaluator.scores_matrix(X)[:, 0]), bits(expected))
    assert np.array_equal(bits([evaluator.scores_row(row)[0] for row in X.tolist()]), bits(expected))


@pytest.mark.parametrize(
    ("objective", "n_outputs"), [("multiclass", 3), ("multiclassova", 3), ("regression", 1), ("poisson", 1)]
)
def test_other_objectives_agree_too(objective, n_outputs, bits):
    X = hard_matrix(5)
    y = np.arange(300) % 3
    parameters = {"objective": objective, "verbosity": -1, "num_threads": 1}
    parameters |= {"num_class": 3} if n_outputs == 3 else {}
    fitted = lightgbm.train(parameters, lightgbm.Dataset(X, y), num_boost_round=5)
    evaluator = LightGBMEvaluator(fitted.model_to_string(), n_threads=2)
    expected = fitted.predict(X).reshape(300, -1)
    assert (evaluator.n_features, evaluator.n_outputs) == (5, n_outputs)
    assert np.array_equal(bits(evaluator.scores_matrix(X)), bits(expected))
    assert np.array_equal(bits([evaluator.scores_row(row) for row in X.tolist()]), bits(expected))


def test_lightgbm_serves_several_threads_that_come_and_go(booster, predictor):
    fitted, encoder = booster
    X = hard_matrix(encoder.n_outputs)
    expected = fitted.predict(X).tolist()
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda row: predictor.evaluator.scores_row(row)[0], X.tolist()))
        assert found == expected
        gc.collect()


def test_lightgbm_frees_a_row_call_before_its_booster(booster):
    fitted, encoder = booster
    found = set()
    for _ in range(5):
        evaluator = LightGBMEvaluator(fitted.model_to_string())
        found.add(evaluator.scores_row([0.0] * encoder.n_outputs)[0])
        del evaluator
        gc.collect()
    assert len(found) == 1


def test_lightgbm_refuses_a_text_that_is_no_model():
    with pytest.raises(EvaluatorFailed, match="LightGBM refused"):
        LightGBMEvaluator("not a model")


def test_lightgbm_refuses_a_matrix_of_another_width(predictor):
    with pytest.raises(EvaluatorFailed, match="takes 19 features, the matrix has 2"):
        predictor.evaluator.scores_matrix(np.zeros((1, 2)))


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    _library.cache_clear()
    try:
        with pytest.raises(EvaluatorUnavailable, match="library is not installed") as caught:
            LightGBMEvaluator("tree")
    finally:
        _library.cache_clear()
    assert "pip install" in caught.value.hint


def test_a_library_that_cannot_be_loaded_says_why(tmp_path):
    broken = tmp_path / "lib_lightgbm.so"
    broken.write_bytes(b"no library")
    with pytest.raises(EvaluatorUnavailable, match="cannot be loaded"):
        _Library(str(broken))


def test_scoring_needs_neither_pandas_nor_scikit_learn_nor_the_lightgbm_package(booster, tmp_path):
    fitted, encoder = booster
    model = tmp_path / "model.txt"
    model.write_text(fitted.model_to_string())
    code = f"""
import sys
import arkwright.bundles as bundles
assert not {{"numpy", "msgspec", "ctypes"}} & set(sys.modules), "the door is heavy"
from pathlib import Path
evaluator = bundles.LightGBMEvaluator(Path({str(model)!r}).read_text())
print(evaluator.scores_row([0.0] * {encoder.n_outputs})[0])
bundles.write_bundle, bundles.measure_parity
loaded = {{"pandas", "sklearn", "scipy", "lightgbm", "sqlalchemy"}} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == fitted.predict(np.zeros((1, encoder.n_outputs)))[0]


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 40), st.integers(1, 12), st.integers(0, 10**6), st.sampled_from(["identity", "sigmoid", "softmax"])
)
def test_linear_rows_and_matrices_agree_to_the_last_bit(n_features, n_classes, seed, link):
    rng = np.random.default_rng(seed)
    n_outputs = n_classes if link == "softmax" else 1
    evaluator = LinearEvaluator(rng.normal(size=(n_outputs, n_features)) * 3, rng.normal(size=n_outputs), link)
    X = rng.normal(size=(9, n_features)) * 5
    assert [evaluator.scores_row(row) for row in X.tolist()] == evaluator.scores_matrix(X).tolist()


@pytest.mark.parametrize("n_classes", [2, 4])
def test_linear_agrees_with_scikit_learn(n_classes):
    X = np.random.default_rng(0).normal(size=(5000, 7))
    y = (X[:, 0] > 0).astype(int) + 2 * (X[:, 1] > 0) if n_classes == 4 else (X[:, 0] > 0).astype(int)
    fitted = LogisticRegression().fit(X, y)
    link = "softmax" if n_classes == 4 else "sigmoid"
    found = LinearEvaluator(fitted.coef_, fitted.intercept_, link).scores_matrix(X)
    expected = fitted.predict_proba(X)
    assert np.max(np.abs(found - (expected if n_classes == 4 else expected[:, 1:]))) <= 1e-12


def test_linear_scores_saturate_without_overflow():
    evaluator = LinearEvaluator([1.0], 0.0, "sigmoid")
    assert evaluator.scores_row([1e4]) == [1.0]
    assert evaluator.scores_row([-1e4]) == [0.0]
    assert evaluator.scores_matrix(np.array([[1e4], [-1e4], [0.0]])).tolist() == [[1.0], [0.0], [0.5]]


@pytest.mark.parametrize(
    ("coef", "intercept", "link"), [([[1.0], [2.0]], [0.0], "softmax"), ([[1], [2]], [0, 0], "sigmoid")]
)
def test_linear_refuses_shapes_that_do_not_fit(coef, intercept, link):
    with pytest.raises(ValueError):
        LinearEvaluator(coef, intercept, link)


def test_the_constant_answers_the_same_to_everyone():
    evaluator = ConstantEvaluator([0.2, 0.8], n_features=3)
    assert evaluator.scores_row([1.0, 2.0, 3.0]) == [0.2, 0.8]
    assert evaluator.scores_matrix(np.zeros((2, 3))).tolist() == [[0.2, 0.8]] * 2


@pytest.mark.parametrize("kind", sorted(EVALUATORS))
def test_every_registered_kind_survives_storage_and_pickling(kind, predictor, linear_predictor, bits):
    evaluator = {
        "constant": ConstantEvaluator([0.1 + 0.2], n_features=2),
        "lightgbm": predictor.evaluator,
        "linear": linear_predictor.evaluator,
    }[kind]
    stored = evaluator.dump()
    X = np.random.default_rng(1).normal(size=(20, evaluator.n_features))
    for copy in (EVALUATORS[kind].load(stored.params, stored.files), pickle.loads(pickle.dumps(evaluator))):
        assert np.array_equal(bits(copy.scores_matrix(X)), bits(evaluator.scores_matrix(X)))
        assert copy.dump() == stored
