"""Thresholds by cost and by target, against trying every one of them."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_score, recall_score

from arkwright.core.errors import Invalid
from arkwright.evaluation.thresholds import Costs, choose_threshold, theoretical_threshold, threshold_curve

rows = st.lists(st.tuples(st.booleans(), st.integers(0, 10)), min_size=2, max_size=40)
amounts = st.integers(0, 9).map(float)


def sample(n_rows=1_000, seed=0):
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 3, n_rows)
    return (rng.random(n_rows) < score).astype(int), score


def choose(truth, score, objective="cost", **kwargs):
    return choose_threshold(truth, score, objective, seed=0, n_resamples=200, **kwargs)


def cost_at(truth, score, threshold, costs):
    called = score >= threshold
    return np.mean(
        np.where(
            truth == 1,
            np.where(called, -costs.true_positive_benefit, costs.false_negative),
            np.where(called, costs.false_positive, -costs.true_negative_benefit),
        )
    )


@settings(max_examples=25, deadline=None)
@given(rows, st.builds(Costs, false_positive=amounts, false_negative=amounts, true_positive_benefit=amounts))
def test_no_threshold_is_cheaper_than_the_chosen_one(pairs, costs):
    truth, step = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    score = step / 10
    found = choose(truth, score, costs=costs)
    every = [cost_at(truth, score, threshold, costs) for threshold in (*np.unique(score), 1.1)]
    assert found.chosen.expected_cost == pytest.approx(min(every))
    assert found.expected_cost.value == pytest.approx(found.chosen.expected_cost)
    assert found.cost_saved.value == pytest.approx(cost_at(truth, score, 0.5, costs) - min(every))


@settings(max_examples=25, deadline=None)
@given(rows, st.floats(0, 1))
def test_a_target_is_met_whenever_some_threshold_meets_it(pairs, target):
    truth, step = (np.array(column, dtype=int) for column in zip(*pairs, strict=True))
    score = step / 10
    if truth.min() == truth.max():
        truth[0] = 1 - truth[0]
    every = [(score >= threshold).astype(int) for threshold in np.unique(score)]
    for objective, reached, other in (
        ("precision", precision_score, recall_score),
        ("recall", recall_score, precision_score),
    ):
        found = choose(truth, score, objective, target=target)
        usable = [other(truth, called) for called in every if reached(truth, called) >= target - 1e-12]
        assert found.met == bool(usable)
        if usable:
            assert getattr(found.chosen, objective) >= target - 1e-12
            second = found.chosen.recall if objective == "precision" else found.chosen.precision
            assert second == pytest.approx(max(usable))


def test_f1_and_youden_are_the_largest_there_are():
    truth, score = sample(80)
    levels = np.unique(score)
    best_f1 = max(f1_score(truth, score >= level) for level in levels)
    assert choose(truth, score, "f1").chosen.f1 == pytest.approx(best_f1)
    best = max(recall_score(truth, score >= x) + recall_score(1 - truth, score < x) - 1 for x in levels)
    assert choose(truth, score, "youden").chosen.youden == pytest.approx(best)


def test_the_threshold_for_f1_lies_near_half_the_best_f1_when_scores_are_calibrated():
    # Lipton, Elkan & Naryanaswamy (2014), theorem 1.
    found = choose(*sample(20_000), "f1")
    assert found.threshold.value == pytest.approx(found.chosen.f1 / 2, abs=0.03)


def test_elkans_threshold_is_the_cheapest_one_for_calibrated_scores():
    costs = Costs(false_positive=1, false_negative=4)
    assert theoretical_threshold(costs) == pytest.approx(0.2)
    found = choose(*sample(20_000), costs=costs)
    assert found.threshold.low - 0.02 <= 0.2 <= found.threshold.high + 0.02
    assert found.distance == pytest.approx(found.threshold.value - 0.5)
    assert found.cost_saved.low > 0
    # Elkan's own example of section 2 counts benefits as costs below zero.
    assert theoretical_threshold(Costs(false_positive=1, false_negative=1, true_positive_benefit=2)) == 0.25


def test_costs_that_make_one_call_always_best_have_no_theoretical_threshold():
    costs = Costs(false_positive=0, false_negative=5)
    assert theoretical_threshold(costs) is None
    assert choose(*sample(100), costs=costs).chosen.false_negatives == 0


def test_at_most_the_target_share_is_selected():
    truth, score = sample(500)
    found = choose(truth, score, "selection_rate", target=0.1)
    assert found.chosen.selection_rate == pytest.approx(0.1)
    tied = choose(np.array([0, 1, 1, 0]), np.array([0.9, 0.9, 0.9, 0.1]), "selection_rate", target=0.5)
    assert tied.chosen.selection_rate == 0  # three rows share the top score, which is more than half


def test_a_target_out_of_reach_is_said_not_hidden():
    found = choose(np.array([1, 0, 1, 0]), np.array([0.1, 0.9, 0.5, 0.6]), "precision", target=0.99)
    assert not found.met
    assert "No threshold" in found.detail
    assert found.chosen.precision == pytest.approx(0.5)


def test_the_cross_fitted_cost_is_not_flattered():
    # Scores that say nothing: the best threshold of the sample looks cheaper than it is on other rows.
    rng = np.random.default_rng(3)
    costs = Costs(false_positive=1, false_negative=1)
    found = [choose(rng.integers(0, 2, 60), rng.random(60), costs=costs) for _ in range(20)]
    flattery = [item.cross_fitted_cost - item.chosen.expected_cost for item in found]
    assert np.mean(flattery) > 0.03


def test_the_curve_has_a_few_hundred_points_and_holds_the_choice():
    truth, score = sample(5_000)
    found = choose(truth, score, "youden")
    levels = [point.threshold for point in found.curve]
    assert len(levels) <= 202
    assert levels == sorted(levels)
    assert found.chosen in found.curve
    assert (found.curve[0].recall, found.curve[-1].selection_rate) == (1.0, 0.0)
    for point in threshold_curve(truth, score)[::40]:
        called = score >= point.threshold
        assert point.true_positives == (called & (truth == 1)).sum()
        assert point.true_negatives == (~called & (truth == 0)).sum()
        assert point.precision == (pytest.approx(precision_score(truth, called)) if called.any() else None)


@pytest.mark.parametrize("objective", ["cost", "youden", "f1"])
@pytest.mark.parametrize("value", [0, 1])
def test_rows_of_one_class_are_answered_without_a_crash(objective, value):
    found = choose(np.full(6, value), np.linspace(0.1, 0.9, 6), objective)
    assert found.met == (objective == "cost")
    assert found.cross_fitted_cost is None
    assert found.cross_fitted_reason
    assert b"NaN" not in msgspec.json.encode(found)


def test_a_constant_score_offers_two_thresholds():
    found = choose(np.array([0, 1, 1]), np.full(3, 0.7))
    assert [point.selection_rate for point in found.curve] == [1.0, 0.0]
    assert found.threshold.value == 0.7


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"objective": "recall"}, "needs a target"),
        ({"objective": "f1", "target": 0.5}, "takes no target"),
        ({"objective": "recall", "target": 80.0}, "not between 0 and 1"),
        ({"costs": Costs(false_positive=-1.0)}, "false_positive is -1"),
        ({"costs": Costs(false_negative=float("nan"))}, "false_negative is nan"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(kwargs, words):
    with pytest.raises(Invalid, match=words):
        choose(np.array([0, 1]), np.array([0.1, 0.9]), **kwargs)


def test_the_same_seed_gives_the_same_bytes():
    truth, score = sample(200)
    assert msgspec.json.encode(choose(truth, score)) == msgspec.json.encode(choose(truth, score))


def test_what_a_choice_saves_on_other_rows_is_not_what_it_saves_on_its_own():
    # The scores are the probabilities and both errors cost the same: one half is best, and nothing can be saved.
    found = [choose(*sample(300, seed)) for seed in range(60)]
    assert sum(item.cost_saved.value > 0 for item in found) > 50
    assert np.mean([item.cross_fitted_saved.value for item in found]) < 0
    assert sum(item.cross_fitted_saved.low > 0 for item in found) <= 2
    for item in found[:5]:
        assert item.cross_fitted_saved.value == pytest.approx(item.at_half.expected_cost - item.cross_fitted_cost)


def test_a_threshold_that_truly_saves_still_shows_it_and_says_which_rows_chose_it():
    found = choose(*sample(2_000), costs=Costs(false_negative=8.0))
    assert found.cross_fitted_saved.low > 0
    assert found.detail.endswith("on the rows that chose it.")
    none = choose(np.array([0, 0, 1]), np.array([0.1, 0.2, 0.9]))
    assert none.cross_fitted_saved.value is None
    assert none.cross_fitted_saved.reason == none.cross_fitted_reason
