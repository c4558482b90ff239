"""Two models on the same rows."""

import msgspec
import numpy as np
import pytest
from scipy import stats

from arkwright.core.errors import Invalid
from arkwright.evaluation.comparison import DEFAULT_METRICS, compare_models
from arkwright.evaluation.intervals import paired_differences
from arkwright.evaluation.paired_tests import delong_test, holm_adjusted
from arkwright.evaluation.regression import regression_metrics


def binary(n_rows=600, gain=0.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = (rng.random(n_rows) < 0.4).astype(int)
    shared = rng.normal(size=n_rows) + 1.2 * truth - 0.5
    noise = rng.normal(size=(2, n_rows)) * 0.5
    baseline, candidate = shared + noise[0], shared + noise[1] + gain * (truth - 0.4)
    return truth, *((1 / (1 + np.exp(-odds)))[:, None] for odds in (baseline, candidate))


def compare(task, *arrays, metrics=None, **kwargs):
    return compare_models(task, *arrays, metrics, seed=0, n_resamples=300, **kwargs)


def test_a_better_candidate_is_better_on_every_metric_with_the_test_that_fits():
    truth, baseline, candidate = binary(gain=1.5)
    found = compare("binary", truth, baseline, candidate)
    assert [item.metric for item in found.metrics] == list(DEFAULT_METRICS["binary"])
    assert {item.outcome for item in found.metrics} == {"better"}
    assert [item.test for item in found.metrics] == [
        "DeLong",
        "paired bootstrap",
        "paired bootstrap",
        "McNemar",
        "paired bootstrap",
    ]
    area = found.of("roc_auc")
    assert area.p_value == delong_test(truth == 1, baseline[:, 0], candidate[:, 0]).p_value
    assert area.change.value == pytest.approx(area.candidate - area.baseline)
    assert area.relative_change.value == pytest.approx(area.change.value / area.baseline)
    assert area.change.low > 0
    loss = found.of("log_loss")
    assert loss.change.high < 0 < loss.improvement
    assert found.of("mae") is None
    assert tuple(item.p_adjusted for item in found.metrics) == holm_adjusted([item.p_value for item in found.metrics])


def test_swapping_the_models_turns_every_sign():
    truth, baseline, candidate = binary(300, gain=0.8)
    forward, backward = (compare("binary", truth, *pair) for pair in ((baseline, candidate), (candidate, baseline)))
    for there, back in zip(forward.metrics, backward.metrics, strict=True):
        assert there.change.value == pytest.approx(-back.change.value)
        assert there.p_value == pytest.approx(back.p_value)
        assert {there.outcome, back.outcome} in ({"better", "worse"}, {"no clear difference"})


def test_the_same_model_twice_is_no_difference():
    truth, baseline, _ = binary()
    for item in compare("binary", truth, baseline, baseline).metrics:
        assert (item.change.value, item.p_value, item.outcome) == (0.0, 1.0, "no clear difference")


def test_equally_good_models_are_rarely_called_different():
    called = [
        {item.outcome for item in compare("binary", *binary(300, seed=seed)).metrics} != {"no clear difference"}
        for seed in range(40)
    ]
    assert np.mean(called) <= 0.125  # 5 % family-wise, 40 repetitions


def test_the_interval_is_the_room_s_own_paired_one():
    rng = np.random.default_rng(2)
    truth, errors = rng.normal(size=200), rng.normal(size=(2, 200))
    baseline, candidate = truth + errors[0], truth + 0.8 * errors[1]
    found = compare("regression", truth, baseline[:, None], candidate[:, None], metrics=["rmse", "mae"])
    reference = paired_differences(
        lambda w: regression_metrics(truth, candidate, w),
        lambda w: regression_metrics(truth, baseline, w),
        200,
        seed=0,
        n_resamples=300,
    )
    for item in found.metrics:
        assert item.change == reference[item.metric].difference
        assert item.relative_change == reference[item.metric].relative
        assert item.test == "paired bootstrap"
        assert item.change_percentile.low != item.change.low


def test_several_classes_are_compared():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 400)
    sharp, flat = (rng.dirichlet(np.ones(3), 400) + strength * np.eye(3)[truth] for strength in (1.0, 0.1))
    sharp, flat = (scores / scores.sum(axis=1, keepdims=True) for scores in (sharp, flat))
    assert {item.outcome for item in compare("multiclass", truth, flat, sharp).metrics} == {"better"}


def test_a_perfect_model_beats_a_constant_one_although_nothing_varies():
    # Both areas have no variance and every resample says the same: only swapping answers at random can tell.
    truth = np.arange(30) % 2
    found = compare(
        "binary", truth, np.full((30, 1), 0.5), np.where(truth == 1, 0.9, 0.1)[:, None], metrics=["roc_auc"]
    )
    assert found.metrics[0].test == "approximate randomisation"
    assert found.metrics[0].outcome == "better"


def test_four_rows_prove_nothing():
    truth = np.array([0, 1, 0, 1])
    pair = np.full((4, 1), 0.5), np.where(truth == 1, 0.9, 0.1)[:, None]
    found = compare("binary", truth, *pair, metrics=["roc_auc", "accuracy"])
    assert {item.outcome for item in found.metrics} == {"no clear difference"}


def test_rows_of_one_class_leave_areas_not_computable_and_the_rest_standing():
    pair = np.full((50, 1), 0.4), np.full((50, 1), 0.6)
    found = compare("binary", np.ones(50, dtype=int), *pair, metrics=["roc_auc", "accuracy"])
    area = found.of("roc_auc")
    assert (area.baseline, area.change.value, area.p_value, area.outcome) == (None, None, None, "not computable")
    assert area.reason
    assert found.of("accuracy").outcome == "better"
    assert b"NaN" not in msgspec.json.encode(found)


def test_a_relative_change_from_zero_is_not_computable():
    truth = np.ones(40, dtype=int)
    found = compare("binary", truth, np.full((40, 1), 0.4), np.full((40, 1), 0.6), metrics=["accuracy"]).metrics[0]
    assert found.relative_change.value is None
    assert found.relative_change.reason == "the baseline's value is zero"


def test_forecasts_are_tested_by_diebold_mariano_and_resampled_in_blocks():
    rng = np.random.default_rng(4)
    truth, errors = rng.normal(size=120), rng.normal(size=(2, 120))
    baseline, candidate = truth + 2 * errors[0], truth + errors[1]
    found = compare("forecasting", truth, baseline[:, None], candidate[:, None])
    reference = stats.ttest_rel(np.abs(baseline - truth), np.abs(candidate - truth))
    assert found.of("mae").p_value == pytest.approx(reference.pvalue)
    assert {item.test for item in found.metrics} == {"Diebold-Mariano"}
    assert {item.outcome for item in found.metrics} == {"better"}
    assert found.of("mae").change.high < 0


def test_dependent_errors_do_not_pass_for_certainty():
    # Errors that persist: an independent bootstrap would call a random lead certain far too often.
    def walk(rng):
        steps = rng.normal(size=200)
        return np.array([steps[max(0, t - 9) : t + 1].sum() for t in range(200)])

    called = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        pair = [walk(rng)[:, None] for _ in range(2)]
        found = compare("forecasting", np.zeros(200), *pair, metrics=["mae"], horizon=10)
        called.append(found.metrics[0].outcome != "no clear difference")
    assert np.mean(called) <= 0.15


def test_series_that_share_a_time_are_one_step():
    rng = np.random.default_rng(5)
    time = np.repeat(np.arange(30), 4)
    loss = rng.gamma(2, size=(2, 120))
    found = compare("forecasting", np.zeros(120), *(x[:, None] for x in loss), metrics=["mae"], time=time)
    by_step = [x.reshape(30, 4).mean(axis=1) for x in loss]
    assert found.metrics[0].p_value == pytest.approx(stats.ttest_rel(*by_step).pvalue)


def test_few_steps_have_a_p_value_and_no_interval():
    rng = np.random.default_rng(6)
    found = compare("forecasting", np.zeros(6), *rng.normal(size=(2, 6, 1)), metrics=["mae", "r2"])
    assert found.of("mae").p_value is not None
    assert (found.of("mae").change.low, found.of("mae").change.reason) == (None, "fewer than 10 steps to resample")
    assert found.of("r2").outcome == "not computable"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"truth": np.array([], dtype=int), "baseline": np.empty((0, 1)), "candidate": np.empty((0, 1))},
            "0 true values",
        ),
        ({"candidate": np.full((4, 3), 0.3)}, "candidate scores of shape"),
        ({"baseline": np.array([[0.1], [np.nan], [0.2], [0.3]])}, "first is row 1"),
        ({"candidate": np.array([[0.1], [0.2], [7.0], [0.3]])}, "not probabilities, the first in row 2"),
        ({"metrics": ["rmse"]}, "'rmse' is not a metric"),
        ({"metrics": []}, "0 metrics"),
        ({"task": "multiclass"}, "do not belong to a multiclass task"),
        ({"task": "regression", "metrics": ["roc_auc"]}, "'roc_auc' is not a metric of regression"),
        ({"truth": np.array([0, 1, 2, 1])}, "2"),
    ],
)
def test_unusable_input_is_refused_with_a_hint(change, words):
    given = {
        "task": "binary",
        "truth": np.array([0, 1, 0, 1]),
        "baseline": np.full((4, 1), 0.5),
        "candidate": np.full((4, 1), 0.5),
        "metrics": None,
    } | change
    with pytest.raises(Invalid, match=words) as caught:
        compare(given["task"], given["truth"], given["baseline"], given["candidate"], metrics=given["metrics"])
    assert caught.value.hint


def test_the_same_seed_gives_the_same_bytes():
    first, second = (msgspec.json.encode(compare("binary", *binary(200, gain=0.3))) for _ in range(2))
    assert first == second


def test_the_comparison_says_how_its_resamples_were_drawn():
    assert compare("binary", *binary(200)).resampling == "rows"
    _, *scores = binary(200)
    assert compare("binary", np.where(np.arange(200) < 5, 1, 0), *scores).resampling == "rows within rare classes"
    values = np.arange(40.0)
    assert compare("forecasting", values, values[:, None], values[:, None]).resampling == "blocks of steps"


def test_the_interval_of_a_log_loss_difference_knows_that_class_sizes_vary():
    rng = np.random.default_rng(1)
    truth = (rng.random(500) < 0.3).astype(int)
    # The candidate is surer of the negative class: it gains on one class what it loses on the other.
    found = compare("binary", truth, np.full((500, 1), 0.3), np.full((500, 1), 0.2), metrics=["log_loss"])
    change = found.of("log_loss").change_percentile
    gain = np.where(truth == 1, np.log(0.3) - np.log(0.2), np.log(0.7) - np.log(0.8))
    assert change.high - change.low == pytest.approx(2 * 1.96 * gain.std() / np.sqrt(500), rel=0.15)
