"""What each mitigation gains and costs, measured on rows that did not choose it."""

import sys

import msgspec
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from arkwright.core.errors import Invalid
from arkwright.evaluation.mitigation import TrainingRows, compare_mitigations


def applicants(n_rows=2000, seed=0):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 2, n_rows)
    features = np.column_stack([rng.normal(size=n_rows) + group, rng.normal(size=n_rows)])
    chance = 1 / (1 + np.exp(-(1.5 * features[:, 0] + features[:, 1] - 0.75)))
    truth = (rng.random(n_rows) < chance).astype(int)
    return truth, chance, np.array(["f", "m"])[group], features


@pytest.fixture(scope="module")
def report():
    pytest.importorskip("fairlearn")
    truth, chance, sex, features = applicants(1200)
    return compare_mitigations(truth, chance, sex, column="sex", features=features, n_resamples=100)


def named(report, strategy, objective):
    return next(item for item in report.effects if (item.strategy, item.objective) == (strategy, objective))


def test_every_strategy_is_tried_and_says_what_it_did(report):
    assert {(item.strategy, item.objective) for item in report.effects} == {
        (strategy, objective)
        for strategy in ("thresholds", "constrained training")
        for objective in ("demographic_parity", "equal_opportunity", "equalized_odds")
    } | {("reweighing", "demographic_parity")}
    assert all(item.reason == "" and item.benefit is not None for item in report.effects)
    assert report.n_choosing + report.n_measuring == 1200
    assert abs(report.n_choosing - report.n_measuring) <= 4
    msgspec.json.encode(report)


def test_thresholds_bring_selection_rates_together_at_a_measured_price(report):
    effect = named(report, "thresholds", "demographic_parity")
    assert effect.before["demographic_parity_difference"] > 0.25
    assert effect.after["demographic_parity_difference"] < 0.15
    assert effect.after["disparate_impact_ratio"] > effect.before["disparate_impact_ratio"]
    assert effect.accuracy_change.value == pytest.approx(effect.accuracy_after - effect.accuracy_before)
    assert effect.accuracy_change.low <= effect.accuracy_change.value <= effect.accuracy_change.high
    assert effect.benefit == pytest.approx(
        effect.before["demographic_parity_difference"] - effect.after["demographic_parity_difference"]
    )
    assert "sensitive attribute at the moment of decision" in effect.caution
    assert "f from" in effect.summary


def test_training_strategies_are_compared_with_the_same_small_model_without_them(report):
    reweighing = named(report, "reweighing", "demographic_parity")
    constrained = named(report, "constrained training", "demographic_parity")
    assert reweighing.reference == constrained.reference == "a small model"
    assert reweighing.accuracy_before == constrained.accuracy_before
    assert constrained.after["demographic_parity_difference"] < constrained.before["demographic_parity_difference"]
    assert reweighing.caution == ""


def test_the_most_benefit_for_the_least_accuracy_comes_first(report):
    free = [item for item in report.effects if item.benefit > 0 and item.benefit_per_accuracy_lost is None]
    paid = [item for item in report.effects if item.benefit_per_accuracy_lost is not None]
    useless = [item for item in report.effects if item.benefit <= 0]
    assert list(report.effects) == free + paid + useless
    worth = [item.benefit_per_accuracy_lost for item in paid]
    assert worth == sorted(worth, reverse=True)
    for item in paid:
        assert item.benefit_per_accuracy_lost == pytest.approx(-item.benefit / item.accuracy_change.value)


def test_without_inputs_or_fairlearn_the_training_strategies_say_why_they_have_no_figures(monkeypatch):
    truth, chance, sex, features = applicants(400)
    plain = compare_mitigations(truth, chance, sex, column="sex", n_resamples=20)
    assert named(plain, "reweighing", "demographic_parity").reason == "no numeric inputs were given to train with"
    assert [item.strategy for item in plain.effects[-4:]].count("constrained training") == 3
    monkeypatch.setitem(sys.modules, "fairlearn", None)
    monkeypatch.setitem(sys.modules, "fairlearn.reductions", None)
    lacking = compare_mitigations(truth, chance, sex, column="sex", features=features, n_resamples=20)
    effect = named(lacking, "constrained training", "equalized_odds")
    assert "pip install 'arkwright[fairness]'" in effect.reason
    assert effect.accuracy_after is None
    assert named(lacking, "reweighing", "demographic_parity").benefit is not None


def test_the_real_learner_is_trained_again_with_weights_and_compared_with_itself_without():
    truth, chance, sex, features = applicants(1200)
    known_truth, _, known_sex, known_features = applicants(2500, seed=1)
    seen = []

    def refit(weights):
        seen.append(weights)
        model = LogisticRegression().fit(known_features, known_truth, sample_weight=weights)
        return model.predict_proba(features)[:, 1]

    training = TrainingRows(known_truth, known_sex, refit)
    effect = named(
        compare_mitigations(truth, chance, sex, column="sex", training=training, n_resamples=50),
        "reweighing",
        "demographic_parity",
    )
    assert seen[0] is None
    # Kamiran & Calders: under the weights, outcome and group are independent.
    shares = [np.average(known_truth[known_sex == who], weights=seen[1][known_sex == who]) for who in ("f", "m")]
    assert shares[0] == pytest.approx(shares[1])
    assert effect.reference == "the same learner, trained again on 2,500 of its training rows"
    assert effect.benefit > 0
    assert effect.before["demographic_parity_difference"] > effect.after["demographic_parity_difference"]
    assert effect.accuracy_change.low <= effect.accuracy_after - effect.accuracy_before <= effect.accuracy_change.high


def test_the_same_seed_gives_the_same_bytes_and_measures_rows_that_chose_nothing():
    truth, chance, sex, _ = applicants(400)
    one, other = (compare_mitigations(truth, chance, sex, column="sex", seed=3, n_resamples=20) for _ in range(2))
    assert msgspec.json.encode(one) == msgspec.json.encode(other)
    assert one.n_choosing + one.n_measuring == 400


def test_too_few_rows_are_refused():
    with pytest.raises(Invalid, match="too few"):
        compare_mitigations([1, 1, 1], [0.2, 0.4, 0.6], ["f", "m", "f"], column="sex")
