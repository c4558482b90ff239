"""An average answers the weighted sum of its members, and a combined encoder feeds them all."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.linear_model import Ridge

from arkwright.bundles import (
    AverageEvaluator,
    ConstantEvaluator,
    ContributionsUnavailable,
    LightGBMEvaluator,
    LinearEvaluator,
    Member,
    Predictor,
    combine_members,
    convert_forest,
    convert_linear,
    load_bundle,
    measure_parity,
    to_rows,
    write_bundle,
)
from arkwright.bundles.baseline import fit_baseline


@pytest.fixture(scope="module", name="ensemble")
def ensemble_fixture(churn, booster, linear_predictor):
    """Return two tree models and a linear one on the churn data, as a combined predictor."""
    fitted, encoder = booster
    X = encoder.encode_columns(churn[1])
    forest = ExtraTreesClassifier(n_estimators=10, max_depth=5, random_state=0).fit(X, churn[2])
    models = [
        (encoder, LightGBMEvaluator(fitted.model_to_string())),
        (encoder, convert_forest(forest)),
        (linear_predictor.encoder, linear_predictor.evaluator),
    ]
    weights = [0.5, 0.3, 0.2]
    return models, weights, Predictor(churn[0], *combine_members(models, weights))


def test_members_with_their_own_encoders_answer_as_one(ensemble, churn):
    models, weights, predictor = ensemble
    columns = churn[1]
    expected = np.zeros((len(churn[2]), 1))
    for (encoder, evaluator), weight in zip(models, weights, strict=True):
        expected += weight * evaluator.scores_matrix(encoder.encode_columns(columns))
    assert predictor.predict_columns(columns).tolist() == expected.tolist()
    assert [predictor.scores_row(row) for row in to_rows(columns)] == expected.tolist()
    assert measure_parity(predictor, columns, expected).exact


def test_what_members_share_is_encoded_once(ensemble):
    models, _, predictor = ensemble
    assert predictor.encoder.n_outputs == models[0][0].n_outputs + models[2][0].n_outputs
    one_encoder, one = combine_members(models[:2])
    assert one_encoder.n_outputs == models[0][0].n_outputs
    assert [member.columns for member in one.members] == [None, None]
    assert [member.weight for member in one.members] == [0.5, 0.5]


def test_a_bundle_keeps_an_ensemble(ensemble, churn, tmp_path):
    _, _, predictor = ensemble
    columns = churn[1]
    scores = predictor.predict_columns(columns)
    digest = write_bundle(
        tmp_path / "bundle",
        signature=churn[0],
        encoder=predictor.encoder,
        estimator=predictor.evaluator,
        baseline=fit_baseline(churn[0], columns, scores),
        example_rows=to_rows({name: values[:2] for name, values in columns.items()}),
        learner="ensemble",
        parity=measure_parity(predictor, columns, scores, max_rows=50),
    )
    loaded = load_bundle(tmp_path / "bundle", digest)
    assert loaded.predictor.predict_columns(columns).tolist() == scores.tolist()
    # A data plane answers the same without any of the libraries that trained the members.
    code = f"""
import sys
from pathlib import Path
from arkwright.bundles import load_bundle
loaded = load_bundle(Path({str(tmp_path / "bundle")!r}), {digest!r})
print([loaded.predictor.scores_row(row) for row in loaded.example_rows])
found = {{"sklearn", "scipy", "pandas", "lightgbm", "xgboost", "catboost"}} & set(sys.modules)
assert not found, found
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout) == scores[:2].tolist()


def test_several_classes_are_averaged_class_by_class():
    rng = np.random.default_rng(0)
    members = [
        Member(LinearEvaluator(rng.normal(size=(3, 2)), rng.normal(size=3), "softmax"), 0.25, (3, 0)),
        Member(LinearEvaluator(rng.normal(size=(3, 1)), rng.normal(size=3), "softmax"), 0.25, (2,)),
        Member(LinearEvaluator(rng.normal(size=(3, 3)), rng.normal(size=3), "ovr"), 0.5, (1, 2, 3)),
    ]
    average = AverageEvaluator(members, n_features=4)
    X = rng.normal(size=(30, 4))
    found = average.scores_matrix(X)
    assert [average.scores_row(row) for row in X.tolist()] == found.tolist()
    assert np.allclose(found.sum(axis=1), 1.0)
    assert average.tolerance == 1e-12


def test_contributions_are_added_where_raw_scores_are():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 4))
    y = X[:, 0] * 2 + X[:, 3]
    forest = convert_forest(ExtraTreesRegressor(n_estimators=5, max_depth=4, random_state=0).fit(X[:, [2, 0]], y))
    linear = convert_linear(Ridge().fit(X, y), mean=X.mean(axis=0))
    average = AverageEvaluator([Member(forest, 0.5, (2, 0)), Member(linear, 0.5)])
    assert average.link == "identity"
    for row in X[:20].tolist():
        (shares,) = average.contributions_row(row)
        assert sum(shares) == pytest.approx(average.scores_row(row)[0])
        assert shares[1] == pytest.approx(0.5 * linear.contributions_row(row)[0][1])


def test_an_average_of_probabilities_has_no_contributions(ensemble):
    _, _, predictor = ensemble
    assert predictor.evaluator.link == "other"
    with pytest.raises(ContributionsUnavailable, match="behind the links sigmoid"):
        predictor.evaluator.contributions_row([0.0] * predictor.encoder.n_outputs)


CONSTANT = ConstantEvaluator([1.0], n_features=2)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([], "at least one"),
        ([Member(CONSTANT, 1.0), Member(ConstantEvaluator([1.0], n_features=3), 1.0)], "take"),
        ([Member(CONSTANT, 1.0), Member(ConstantEvaluator([1.0, 2.0], n_features=2), 1.0)], "numbers of scores"),
        ([Member(CONSTANT, float("nan"))], "weight"),
        ([Member(CONSTANT, -0.5)], "weight"),
        ([Member(CONSTANT, 1.0), Member(CONSTANT, 1.0, (0,))], "has 1 columns"),
        ([Member(CONSTANT, 1.0), Member(CONSTANT, 1.0, (0, 2))], "lie from 0 to 1"),
        ([Member(AverageEvaluator([Member(CONSTANT, 1.0)]), 1.0)], "of kind 'average'"),
    ],
)
def test_members_that_do_not_fit_together_are_refused(members, reason):
    with pytest.raises(ValueError, match=reason):
        AverageEvaluator(members)


def test_a_stored_state_that_is_something_else_is_refused():
    state = AverageEvaluator([Member(CONSTANT, 1.0)]).dump()
    stored = state.params["members"][0]
    for broken in (
        {"members": []},
        {"members": [stored | {"kind": "python"}]},
        {"members": [stored | {"files": ["absent"]}]},
        {"members": [stored | {"columns": ["a"]}]},
        {"n_features": 5},
    ):
        with pytest.raises((ValueError, KeyError, TypeError)):
            AverageEvaluator.load(state.params | broken, state.files)
    assert dataclasses.astuple(Member(CONSTANT, 1.0))[1:] == (1.0, None)
