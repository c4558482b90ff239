"""Evaluators answer what the library that fitted them answers, alone or in a crowd."""

from __future__ import annotations

import gc
import importlib.util
import pickle
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from arkwright.bundles import (
    EVALUATORS,
    AverageEvaluator,
    ConstantEvaluator,
    EvaluatorFailed,
    EvaluatorUnavailable,
    LeavesEvaluator,
    LightGBMEvaluator,
    LinearEvaluator,
    Member,
    TreesEvaluator,
)
from arkwright.bundles.evaluators.lightgbm_library import LightGBMLibrary, lightgbm_library


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


@pytest.mark.parametrize("objective", ["binary", "multiclass", "regression", "poisson"])
def test_contributions_are_lightgbm_s_own_and_add_up_to_the_raw_score(objective):
    X = hard_matrix(4)
    parameters = {"objective": objective, "verbosity": -1, "num_threads": 1}
    parameters |= {"num_class": 3} if objective == "multiclass" else {}
    y = np.arange(300) % (2 if objective == "binary" else 3)
    fitted = lightgbm.train(parameters, lightgbm.Dataset(X, y), num_boost_round=5)
    expected = fitted.predict(X, pred_contrib=True).reshape(300, -1, 5)
    raw = fitted.predict(X, raw_score=True).reshape(300, -1)
    for evaluator in (LightGBMEvaluator(fitted.model_to_string()), TreesEvaluator(fitted.model_to_string())):
        found = np.array([evaluator.contributions_row(row) for row in X.tolist()])
        assert found.tolist() == expected.tolist()
        assert np.allclose(found.sum(axis=2), raw, atol=1e-9)


def test_contributions_of_averaged_trees_add_up_too():
    X = hard_matrix(4)
    parameters = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6, "verbosity": -1, "num_threads": 1}
    fitted = lightgbm.train(parameters, lightgbm.Dataset(X, np.arange(300) % 7), num_boost_round=5)
    evaluator = LightGBMEvaluator(fitted.model_to_string())
    for row in X[:20].tolist():
        assert sum(evaluator.contributions_row(row)[0]) == pytest.approx(evaluator.scores_row(row)[0])


def test_the_constant_has_no_contributions():
    assert ConstantEvaluator([0.25, 0.75], n_features=1).contributions_row([3.0]) == [[0.0, 0.25], [0.0, 0.75]]


@pytest.mark.parametrize(
    ("objective", "link"),
    [("binary", "sigmoid"), ("cross_entropy", "sigmoid"), ("regression", "identity"), ("gamma", "exp")],
)
def test_a_booster_knows_its_link(objective, link):
    X = hard_matrix(2)
    y = np.arange(300) % 2 + (0.5 if objective == "gamma" else 0.0)
    fitted = lightgbm.train({"objective": objective, "verbosity": -1}, lightgbm.Dataset(X, y), num_boost_round=1)
    assert LightGBMEvaluator(fitted.model_to_string()).link == link


def test_a_booster_of_square_roots_has_a_link_of_its_own():
    X = hard_matrix(2)
    settings = {"objective": "regression", "reg_sqrt": True, "verbosity": -1}
    fitted = lightgbm.train(settings, lightgbm.Dataset(X, np.arange(300)), num_boost_round=1)
    assert LightGBMEvaluator(fitted.model_to_string()).link == "other"


def test_converted_trees_keep_small_numbers_and_native_boosters_do_not():
    X = np.array([[0.0]] * 50 + [[1.0]] * 50)
    fitted = lightgbm.train(
        {"objective": "regression", "verbosity": -1, "min_data_in_leaf": 1}, lightgbm.Dataset(X, X[:, 0]), 1
    )
    text = fitted.model_to_string()
    threshold = text.split("threshold=")[1].split()[0]
    text = text.replace(f"threshold={threshold}", "threshold=0.0").replace("tree_sizes", "ignored")
    native, converted = LightGBMEvaluator(text), TreesEvaluator(text)
    assert native.scores_row([1e-40]) == native.scores_row([0.0])
    assert converted.scores_row([1e-40]) == converted.scores_row([1.0]) != converted.scores_row([0.0])
    assert converted.scores_matrix(np.array([[1e-40], [0.0]])).ravel().tolist() == [
        converted.scores_row([1.0])[0],
        converted.scores_row([0.0])[0],
    ]


def test_a_long_matrix_is_scored_block_by_block(booster):
    fitted, encoder = booster
    evaluator = TreesEvaluator(fitted.model_to_string())
    X = hard_matrix(encoder.n_outputs, 9000)
    assert np.array_equal(evaluator.scores_matrix(X)[:, 0], fitted.predict(X))
    assert evaluator.scores_matrix(X[:0]).shape == (0, 1)


@pytest.mark.parametrize("tolerance", [-1.0, 1.0, float("nan")])
def test_a_tolerance_that_says_nothing_is_refused(tolerance, predictor):
    with pytest.raises(ValueError, match="tolerance"):
        TreesEvaluator(predictor.evaluator.dump().files["model.txt"].decode(), tolerance=tolerance)


@pytest.mark.parametrize("kind", [LightGBMEvaluator, TreesEvaluator])
def test_boosters_serve_several_threads_that_come_and_go(kind, booster):
    fitted, encoder = booster
    X = hard_matrix(encoder.n_outputs)
    expected = fitted.predict(X).tolist()
    evaluator = kind(fitted.model_to_string())
    for _ in range(3):
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda row: evaluator.scores_row(row)[0], X.tolist()))
        assert found == expected
        gc.collect()


@pytest.mark.parametrize("kind", [LightGBMEvaluator, TreesEvaluator])
def test_a_row_call_is_freed_before_its_booster(kind, booster, monkeypatch):
    fitted, encoder = booster
    found, freed = set(), []
    library = lightgbm_library()
    free = library.keeping.LGBM_FastConfigFree
    monkeypatch.setattr(library.keeping, "LGBM_FastConfigFree", lambda config: (freed.append("row"), free(config))[1])
    for _ in range(5):
        evaluator = kind(fitted.model_to_string())
        model = weakref.ref(evaluator._booster._model, lambda _: freed.append("model"))
        found.add(evaluator.scores_row([0.0] * encoder.n_outputs)[0])
        del evaluator
        gc.collect()
        assert model() is None
    assert len(found) == 1
    assert freed == ["row", "model"] * 5


def test_lightgbm_refuses_a_text_that_is_no_model():
    with pytest.raises(EvaluatorFailed, match="LightGBM refused"):
        LightGBMEvaluator("not a model")


def test_lightgbm_refuses_a_matrix_of_another_width(predictor):
    with pytest.raises(EvaluatorFailed, match="takes 19 features, the matrix has 2"):
        predictor.evaluator.scores_matrix(np.zeros((1, 2)))


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    lightgbm_library.cache_clear()
    try:
        with pytest.raises(EvaluatorUnavailable, match="library is not installed") as caught:
            LightGBMEvaluator("tree")
    finally:
        lightgbm_library.cache_clear()
    assert "pip install" in caught.value.hint


def test_a_library_that_cannot_be_loaded_says_why(tmp_path):
    broken = tmp_path / "lib_lightgbm.so"
    broken.write_bytes(b"no library")
    with pytest.raises(EvaluatorUnavailable, match="cannot be loaded"):
        LightGBMLibrary(str(broken))


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
    st.integers(1, 40),
    st.integers(1, 12),
    st.integers(0, 10**6),
    st.sampled_from(["identity", "sigmoid", "softmax", "ovr", "exp"]),
)
def test_linear_rows_and_matrices_agree_to_the_last_bit(n_features, n_classes, seed, link):
    rng = np.random.default_rng(seed)
    n_outputs = n_classes if link in ("softmax", "ovr") else 1
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


def test_one_sigmoid_per_class_that_all_round_to_nothing_favours_no_class():
    evaluator = LinearEvaluator([[1.0], [2.0]], [-4000.0, -4000.0], "ovr")
    assert evaluator.scores_row([0.0]) == [0.5, 0.5]
    assert evaluator.scores_matrix(np.zeros((1, 1))).tolist() == [[0.5, 0.5]]


def test_means_of_another_length_are_refused():
    with pytest.raises(ValueError, match="means of shape"):
        LinearEvaluator([1.0, 2.0], 0.0, "identity", mean=[1.0])


@pytest.mark.parametrize(
    ("coef", "intercept", "link"),
    [
        ([[1.0], [2.0]], [0.0], "softmax"),
        ([[1], [2]], [0, 0], "sigmoid"),
        ([[[1.0]]], [0.0], "identity"),
        ([1.0], 0.0, "probit"),
        ([1.0], 0.0, "other"),
    ],
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
    text = predictor.evaluator.dump().files["model.txt"].decode()
    evaluator = {
        "average": AverageEvaluator([Member(predictor.evaluator, 0.3), Member(predictor.evaluator, 0.7)]),
        "constant": ConstantEvaluator([0.1 + 0.2], n_features=2),
        "leaves": LeavesEvaluator(
            predictor.evaluator.dump().files["model.txt"].decode(), range(0, 2000, 100), [0] * 2000, [[0.1, 0.9]]
        ),
        "lightgbm": predictor.evaluator,
        "linear": linear_predictor.evaluator,
        "trees": TreesEvaluator(text, tolerance=1e-9),
    }[kind]
    stored = evaluator.dump()
    X = np.random.default_rng(1).normal(size=(20, evaluator.n_features))
    for copy in (EVALUATORS[kind].load(stored.params, stored.files), pickle.loads(pickle.dumps(evaluator))):
        assert np.array_equal(bits(copy.scores_matrix(X)), bits(evaluator.scores_matrix(X)))
        assert copy.dump() == stored
