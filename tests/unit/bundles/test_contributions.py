"""What each feature added, for a whole table at once: the same numbers as row by row, folded to the input columns."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from arkwright.bundles import (
    AverageEvaluator,
    ConstantEvaluator,
    ContributionsUnavailable,
    LeavesEvaluator,
    LightGBMEvaluator,
    LinearEvaluator,
    Member,
    Predictor,
    TreesEvaluator,
    combine_members,
    fit_encoder,
    to_rows,
)
from arkwright.contracts import Column, Signature


def rough_matrix(n_features, n_rows=200):
    rng = np.random.default_rng(7)
    X = rng.normal(size=(n_rows, n_features)) * 10.0 ** rng.integers(-2, 3, size=(n_rows, n_features))
    X[rng.random(X.shape) < 0.1] = np.nan
    return X


def boosted(objective, X, **more):
    settings = {"objective": objective, "verbosity": -1, "num_threads": 1, **more}
    y = np.arange(len(X)) % (2 if objective == "binary" else 3)
    return lightgbm.train(settings, lightgbm.Dataset(X, y), num_boost_round=6)


def by_row(evaluator, X):
    return np.array([evaluator.contributions_row(row) for row in X.tolist()])


@pytest.mark.parametrize(
    ("objective", "more"),
    [
        ("binary", {}),
        ("regression", {}),
        ("multiclass", {"num_class": 3}),
        ("regression", {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}),
    ],
)
@pytest.mark.parametrize("kind", [LightGBMEvaluator, TreesEvaluator])
def test_a_matrix_of_trees_has_the_shares_of_its_rows_bit_for_bit(kind, objective, more):
    X = rough_matrix(5)
    fitted = boosted(objective, X, **more)
    evaluator = kind(fitted.model_to_string())
    found = evaluator.contributions_matrix(X)
    assert found.shape == (200, evaluator.n_outputs, 6)
    assert np.array_equal(found, by_row(evaluator, X))
    # A forest's scores are the mean over its trees, its library's contributions their sum.
    share = 1 / 6 if more.get("boosting") == "rf" else 1.0
    assert np.allclose(found.reshape(200, -1), fitted.predict(X, pred_contrib=True) * share, rtol=0, atol=1e-12)


def test_a_matrix_longer_than_a_block_and_one_without_rows():
    X = rough_matrix(4, 20_000)
    evaluator = TreesEvaluator(boosted("binary", X[:200]).model_to_string())
    found = evaluator.contributions_matrix(X)
    assert np.array_equal(found[[0, 16_383, 16_384, 19_999]], by_row(evaluator, X[[0, 16_383, 16_384, 19_999]]))
    assert evaluator.contributions_matrix(X[:0]).shape == (0, 1, 5)


@pytest.mark.parametrize("mean", [None, [0.1, -2.0, 3.0]])
def test_linear_shares_are_in_closed_form(mean):
    X = np.random.default_rng(0).normal(size=(50, 3))
    evaluator = LinearEvaluator([[1.0, -2.0, 0.5], [0.3, 0.0, 4.0]], [0.7, -1.0], "softmax", mean=mean)
    found = evaluator.contributions_matrix(X)
    assert np.array_equal(found, by_row(evaluator, X))
    raw = LinearEvaluator([1.0, -2.0, 0.5], 0.7, "identity").scores_matrix(X)[:, 0]
    assert np.allclose(found[:, 0].sum(axis=1), raw, rtol=0, atol=1e-12)


def test_an_average_of_sums_adds_its_members_shares_also_of_a_column_taken_twice():
    X = np.random.default_rng(0).normal(size=(30, 3))
    first = LinearEvaluator([2.0, 1.0], 0.5, "identity", mean=[1.0, 0.0])
    members = [Member(first, 0.25, (2, 2)), Member(ConstantEvaluator([4.0], n_features=3), 0.75)]
    evaluator = AverageEvaluator(members, n_features=3)
    found = evaluator.contributions_matrix(X)
    assert np.allclose(found, by_row(evaluator, X), rtol=0, atol=1e-15)
    assert np.allclose(found.sum(axis=2), evaluator.scores_matrix(X), rtol=0, atol=1e-12)
    assert not found[:, :, :2].any()


def test_what_has_no_shares_says_so_for_a_matrix_too(booster):
    text = booster[0].model_to_string()
    leaves = LeavesEvaluator(text, range(0, 2000, 100), [0] * 2000, [[0.1, 0.9]])
    with pytest.raises(ContributionsUnavailable, match="has no contributions"):
        leaves.contributions_matrix(np.zeros((1, leaves.n_features)))
    average = AverageEvaluator([Member(LightGBMEvaluator(text), 1.0)])
    with pytest.raises(ContributionsUnavailable, match="averages scores behind the links sigmoid"):
        average.contributions_matrix(np.zeros((1, average.n_features)))


@pytest.mark.parametrize("name", ["predictor", "linear_predictor"])
def test_a_table_is_explained_as_its_rows_are(name, churn, request):
    predictor = request.getfixturevalue(name)
    table = {column: values[:60] for column, values in churn[1].items()}
    found = predictor.contributions_columns(table)
    names = [column.name for column in churn[0].columns]
    assert found.shape == (60, 1, len(names) + 1)
    for shares, row in zip(found[:, 0], predictor.explain_rows(to_rows(table)), strict=True):
        assert dict(zip(names, shares.tolist(), strict=False)) == pytest.approx(row["contributions"], abs=1e-12)
        assert shares[-1] == row["base_value"]
    odds = found.sum(axis=2)
    assert np.allclose(1 / (1 + np.exp(-odds)), predictor.predict_columns(table), rtol=0, atol=1e-12)


def test_members_that_encode_one_column_in_two_ways_share_its_contribution():
    spec = (Column(name="x", kind="numeric"), Column(name="g", kind="categorical"))
    rng = np.random.default_rng(1)
    table = {"x": rng.normal(size=80), "g": rng.choice(np.array(["a", "b", "c"], dtype=object), 80)}
    tree, linear = (fit_encoder(spec, table, layout=layout) for layout in ("tree", "linear"))
    trees = LightGBMEvaluator(boosted("regression", tree.encode_columns(table)).model_to_string())
    sums = LinearEvaluator(rng.normal(size=linear.n_outputs), 0.2, "identity")
    encoder, evaluator = combine_members([(tree, trees), (linear, sums)])
    predictor = Predictor(Signature(task="regression", target="y", columns=spec), encoder, evaluator)
    found = predictor.contributions_columns(table)
    assert found.shape == (80, 1, 3)
    assert np.allclose(found.sum(axis=2), predictor.predict_columns(table), rtol=0, atol=1e-12)
