"""Converted votes answer the average that scikit-learn answers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from arkwright.bundles import NotCompilable
from arkwright.bundles.conversion.voting import convert_voting


def members(**others):
    return {
        "trees": ExtraTreesClassifier(n_estimators=5, random_state=0),
        "boosting": HistGradientBoostingClassifier(max_iter=5),
        "linear": LogisticRegression(max_iter=2000),
        **others,
    }


@pytest.mark.parametrize("target", ["binary", "multiclass"])
@pytest.mark.parametrize("weights", [None, [1, 2, 5]])
def test_soft_votes_agree(target, weights, training_table, targets, same_as):
    X = np.nan_to_num(training_table[0]) / [1, 10, 1e4, 10, 1]
    model = VotingClassifier(list(members().items()), voting="soft", weights=weights).fit(X, targets[target])
    same_as(convert_voting(model), X[:300], model.predict_proba(X[:300]))


def test_a_dropped_member_does_not_count(training_table, targets, same_as):
    X = np.nan_to_num(training_table[0]) / [1, 10, 1e4, 10, 1]
    model = VotingClassifier(list(members(boosting="drop").items()), voting="soft", weights=[1, 2, 5])
    model.fit(X, targets["binary"])
    same_as(convert_voting(model), X[:300], model.predict_proba(X[:300]))


def test_averaged_regressors_agree_and_explain(training_table, targets, same_as):
    X = np.nan_to_num(training_table[0])
    model = VotingRegressor([("trees", RandomForestRegressor(5, random_state=0)), ("linear", Ridge())])
    model.fit(X, targets["positive"])
    same_as(convert_voting(model), X[:300], model.predict(X[:300]), model.predict(X[:300]))


def test_counted_votes_and_unknown_members_are_refused(training_table, targets):
    X = np.nan_to_num(training_table[0])
    hard = VotingClassifier(list(members().items())[:2]).fit(X, targets["binary"])
    with pytest.raises(NotCompilable, match="counts votes"):
        convert_voting(hard)
    nested = VotingRegressor([("pipeline", make_pipeline(StandardScaler(), Ridge()))]).fit(X, targets["positive"])
    with pytest.raises(NotCompilable, match="Pipeline"):
        convert_voting(nested)
