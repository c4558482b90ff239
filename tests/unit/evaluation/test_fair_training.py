"""Weights that make outcome and group independent, and training under a constraint."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Unavailable
from arkwright.evaluation.fair_training import constrained_training, reweighing_weights


def test_the_weights_are_those_of_the_paper_s_worked_example():
    # Kamiran & Calders (2012), section 5.3: ten applicants, half of them women, six granted, two of these women.
    sex = ["m", "m", "m", "m", "f", "f", "f", "f", "f", "m"]
    granted = [1, 1, 1, 0, 0, 0, 0, 1, 1, 1]
    weights = dict(zip(zip(sex, granted, strict=True), reweighing_weights(np.array(granted), sex), strict=True))
    assert weights[("m", 1)] == 0.75
    assert weights[("m", 0)] == 2.0
    assert weights[("f", 0)] == pytest.approx(0.67, abs=0.005)
    assert weights[("f", 1)] == 1.5


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1)), min_size=1, max_size=60))
def test_under_the_weights_the_outcome_has_nothing_to_do_with_the_group(rows):
    labels, truth = (np.array(part) for part in zip(*rows, strict=True))
    weights = reweighing_weights(truth, labels)
    assert (weights > 0).all()
    for label in np.unique(labels):
        mine = labels == label
        if np.unique(truth[mine]).size == np.unique(truth).size:
            assert np.average(truth[mine], weights=weights[mine]) == pytest.approx(truth.mean())
            assert weights[mine].sum() == pytest.approx(mine.sum())


def applicants(n_rows=600, seed=0):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 2, n_rows)
    features = np.column_stack([rng.normal(size=n_rows) + group, rng.normal(size=n_rows)])
    truth = (features[:, 0] + 0.5 * features[:, 1] + rng.normal(size=n_rows) > 0.5).astype(int)
    return features, truth, np.array(["f", "m"])[group]


def test_a_constraint_brings_the_selection_rates_together():
    pytest.importorskip("fairlearn")
    from sklearn.linear_model import LogisticRegression

    features, truth, sex = applicants()
    plain = LogisticRegression().fit(features, truth).predict(features)
    model = constrained_training(features, truth, sex, objective="demographic_parity", max_iter=10)
    votes = model.predict(features)
    assert ((votes >= 0) & (votes <= 1)).all()

    def gap(called):
        return abs(called[sex == "f"].mean() - called[sex == "m"].mean())

    assert gap(plain) > 0.3
    # The vote itself is what the constraint is about: within the bound of 0.05 and the solver's tolerance.
    assert gap(votes) < 0.1
    assert gap(votes >= 0.5) < gap(plain)


def test_without_fairlearn_the_way_to_install_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "fairlearn", None)
    monkeypatch.setitem(sys.modules, "fairlearn.reductions", None)
    with pytest.raises(Unavailable) as problem:
        constrained_training(*applicants(50), objective="equalized_odds")
    assert problem.value.hint == "pip install 'arkwright[fairness]'"
