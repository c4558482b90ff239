"""Bootstrap and jackknife weights, percentile and BCa intervals against scipy, paired differences, fold spread."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from arkwright.evaluation.classification import classification_replicates
from arkwright.evaluation.intervals import (
    RARE_CLASS_ROWS,
    RESAMPLED,
    bca_interval,
    best_interval,
    bootstrap,
    bootstrap_weights,
    fold_spread,
    interval,
    jackknife,
    jackknife_weights,
    metric_intervals,
    paired_differences,
    percentile_interval,
    rare_classes,
    resamples_for,
    resampling_of,
    studentized_interval,
)

# Efron & Tibshirani (1993), table 14.1: scores of 26 children in two tests; the statistic is the variance of A.
SPATIAL_A = [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41]


def all_weights(*args, **kwargs):
    return np.concatenate(list(bootstrap_weights(*args, **kwargs)))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 50), st.integers(1, 20), st.integers(0, 2**32))
def test_every_resample_draws_as_many_rows_as_there_are(n_rows, n_resamples, seed):
    weights = all_weights(n_rows, n_resamples, seed=seed)
    assert weights.shape == (n_resamples, n_rows)
    assert (weights.sum(axis=1) == n_rows).all()
    assert (weights >= 0).all()


def test_stratified_resamples_keep_the_class_sizes():
    strata = np.array([0] * 40 + [1] * 3 + [2])
    weights = all_weights(strata.size, 200, seed=1, strata=strata)
    for code, size in ((0, 40), (1, 3), (2, 1)):
        assert (weights[:, strata == code].sum(axis=1) == size).all()


def test_the_same_seed_gives_the_same_resamples_and_another_seed_others():
    first = all_weights(30, 20, seed=5)
    assert (first == all_weights(30, 20, seed=5)).all()
    assert (first != all_weights(30, 20, seed=6)).any()


@pytest.mark.parametrize("stratified", [False, True])
def test_how_many_resamples_are_weighed_at_once_does_not_change_them(monkeypatch, stratified):
    strata = np.arange(30) % 3 if stratified else None
    together = all_weights(30, 20, seed=5, strata=strata)
    monkeypatch.setattr("arkwright.evaluation.intervals._BLOCK_CELLS", 70)
    assert (together == all_weights(30, 20, seed=5, strata=strata)).all()


def test_the_interval_of_a_mean_matches_the_normal_approximation():
    values = np.random.default_rng(0).normal(10, 2, 400)
    replicates = bootstrap(lambda w: {"mean": w @ values / 400}, 400, seed=0, n_resamples=2000)["mean"]
    low, high = percentile_interval(replicates)
    half_width = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half_width, abs=0.03)
    assert high == pytest.approx(values.mean() + half_width, abs=0.03)


def test_an_undefined_metric_has_no_interval():
    assert percentile_interval(np.array([np.nan, np.nan])) is None
    assert interval(float("nan"), np.array([1.0])).value is None
    assert interval(1.0, np.array([np.nan])).low is None


def test_replicates_that_are_undefined_are_left_out():
    assert percentile_interval(np.array([1.0, np.nan, 1.0])) == (1.0, 1.0)


def test_many_rows_get_fewer_resamples_but_never_under_two_hundred():
    assert [resamples_for(n) for n in (10, 200_000, 500_000, 10**9)] == [1000, 1000, 400, 200]


def variance(weights):
    values = np.array(SPATIAL_A, dtype=float)
    mean = weights @ values / weights.sum(axis=-1)
    return {"variance": weights @ values**2 / weights.sum(axis=-1) - mean**2}


def test_bca_of_the_spatial_test_data_matches_the_book():
    # Section 14.3 prints acceleration 0.061 and bias correction 0.146, and a 90 % BCa interval of (115.8, 259.6)
    # from 2,000 resamples, against a percentile interval of (100.8, 233.9).
    replicates = bootstrap(variance, 26, seed=1, n_resamples=40_000)["variance"]
    left_out = jackknife(variance, 26, seed=1)["variance"]
    value = float(variance(np.ones(26))["variance"])
    assert value == pytest.approx(171.5, abs=0.05)
    assert percentile_interval(replicates, 0.9) == pytest.approx((100.8, 233.9), rel=0.03)
    assert bca_interval(value, replicates, left_out, 0.9) == pytest.approx((115.8, 259.6), rel=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_bca_agrees_with_scipy_on_a_skewed_mean(seed):
    values = np.random.default_rng(seed).exponential(size=60)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(seed), axis=0
    ).confidence_interval
    ours = metric_intervals(lambda w: {"mean": w @ values / 60}, 60, seed=seed, n_resamples=20_000)["mean"]
    spread = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.02 * spread)
    assert ours.high == pytest.approx(theirs.high, abs=0.02 * spread)
    assert ours.value == pytest.approx(values.mean())


@given(st.integers(1, 80), st.integers(0, 100), st.integers(1, 80))
@settings(max_examples=30, deadline=None)
def test_the_jackknife_leaves_each_row_out_once(n_rows, seed, n_blocks):
    weights = np.concatenate(list(jackknife_weights(n_rows, seed=seed, n_blocks=min(n_blocks, n_rows))))
    assert ((weights == 0).sum(axis=0) == 1).all()
    sizes = (weights == 0).sum(axis=1)
    assert sizes.max() - sizes.min() <= 1


def test_the_jackknife_keeps_the_class_sizes():
    strata = np.array([0] * 40 + [1] * 11)
    weights = np.concatenate(list(jackknife_weights(51, seed=0, strata=strata, n_blocks=10)))
    np.testing.assert_allclose(weights[:, strata == 0].sum(axis=1), 40)
    np.testing.assert_allclose(weights[:, strata == 1].sum(axis=1), 11)


def test_many_rows_are_left_out_in_two_hundred_groups_which_estimate_the_same_interval():
    values = np.random.default_rng(0).exponential(size=1500)
    groups = jackknife(lambda w: {"mean": w @ values / w.sum(axis=-1)}, 1500, seed=0)["mean"]
    alone = jackknife(lambda w: {"mean": w @ values / w.sum(axis=-1)}, 1500, seed=0, n_blocks=1500)["mean"]
    assert groups.size == 200
    replicates = np.random.default_rng(1).normal(values.mean(), values.std() / np.sqrt(1500), 5000)
    coarse = bca_interval(values.mean(), replicates, groups)
    assert coarse == pytest.approx(bca_interval(values.mean(), replicates, alone), abs=0.1 * replicates.std())


def test_a_perfect_score_has_a_bca_interval_of_one_point():
    found = metric_intervals(lambda w: {"accuracy": w @ np.ones(50) / w.sum(axis=-1)}, 50, seed=0)["accuracy"]
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_bca_is_not_defined_where_all_resamples_lie_on_one_side():
    assert bca_interval(2.0, np.array([0.5, 1.0]), np.array([1.0, 1.1])) is None
    found = interval(2.0, np.array([0.5, 1.0]), np.array([1.0, 1.1]))
    assert (found.value, found.low, found.reason) == (2.0, None, "all resamples lie on one side of the value")


def test_a_metric_without_a_value_says_why():
    truth = np.zeros(40, dtype=np.int64)
    score = np.linspace(0, 0.4, 40)
    metrics = classification_replicates(truth, np.column_stack((1 - score, score)), ["roc_auc", "accuracy"])
    found = metric_intervals(metrics, 40, seed=0, n_resamples=50)
    assert (found["roc_auc"].value, found["roc_auc"].reason) == (None, "the rows are all of one class")
    assert found["accuracy"].value == 1.0
    assert b"NaN" not in msgspec.json.encode(found)


def test_one_row_has_a_value_and_no_interval():
    found = metric_intervals(lambda w: {"mae": w @ np.array([3.0]) / w.sum(axis=-1)}, 1, seed=0)["mae"]
    assert (found.value, found.low, found.reason) == (3.0, None, "one row has no interval")


def test_a_paired_difference_is_far_narrower_than_the_two_intervals():
    rng = np.random.default_rng(0)
    hard = rng.exponential(size=400)
    before = lambda w: {"loss": w @ (hard + 0.05) / w.sum(axis=-1)}  # noqa: E731
    after = lambda w: {"loss": w @ hard / w.sum(axis=-1)}  # noqa: E731
    found = paired_differences(after, before, 400, seed=0)["loss"]
    alone = metric_intervals(after, 400, seed=0)["loss"]
    assert found.difference.value == pytest.approx(-0.05)
    assert found.difference.high < 0
    assert found.difference.high - found.difference.low < 0.01 * (alone.high - alone.low)
    assert found.relative.value == pytest.approx(-0.05 / found.baseline)


def test_there_is_no_relative_change_from_zero():
    nothing = lambda w: {"mae": 0.0 * w.sum(axis=-1)}  # noqa: E731
    something = lambda w: {"mae": 0.0 * w.sum(axis=-1) + 1.0}  # noqa: E731
    found = paired_differences(something, nothing, 20, seed=0)["mae"]
    assert (found.difference.value, found.relative.value) == (1.0, None)
    assert found.relative.reason == "the baseline's value is zero"


def test_fold_spread_corrects_the_error_for_shared_training_rows():
    values = [0.71, 0.75, 0.69, 0.73, 0.72]
    found = fold_spread(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.std == pytest.approx(np.std(values, ddof=1))
    # Nadeau & Bengio: (1/k + n_test/n_train) times the variance; five folds test on a quarter of what they train on.
    assert found.corrected_error**2 == pytest.approx((1 / 5 + 1 / 4) * np.var(values, ddof=1))


def test_folds_without_the_metric_are_counted_and_left_out():
    found = fold_spread([0.5, float("nan"), 0.7])
    assert (found.n_folds, found.n_undefined, found.mean) == (3, 1, pytest.approx(0.6))
    assert fold_spread([0.5, float("nan")]).std is None
    nothing = fold_spread([float("nan")] * 2)
    assert (nothing.mean, nothing.reason) == (None, "the metric is not defined on any fold")


def test_only_classes_that_a_resample_could_lose_are_strata():
    assert rare_classes(None) is None
    assert rare_classes(np.repeat([0, 1], [RARE_CLASS_ROWS, 500])) is None
    strata = rare_classes(np.repeat([3, 0, 1, 2], [4, 40, 19, 20]))
    assert strata.tolist() == np.repeat([3, -1, 1, -1], [4, 40, 19, 20]).tolist()
    weights = all_weights(83, 200, seed=1, strata=strata)
    assert (weights[:, :4].sum(axis=1) == 4).all()
    assert np.ptp(weights[:, 4:44].sum(axis=1)) > 0
    assert {resampling_of(None), resampling_of(strata), "blocks of steps"} == set(RESAMPLED)


def means_with_errors(losses, n_resamples=2000):
    weights = all_weights(losses.size, n_resamples, seed=0)
    means = weights @ losses / losses.size
    errors = np.sqrt((weights @ losses**2 / losses.size - means**2) / losses.size)
    return means, errors


def test_the_studentized_interval_of_equal_errors_is_the_basic_one():
    replicates = np.random.default_rng(0).normal(10.0, 2.0, 5000)
    low, high = studentized_interval(10.0, 3.0, replicates, np.full(5000, 3.0))
    tails = np.percentile(replicates, [2.5, 97.5])
    assert (low, high) == pytest.approx((20.0 - tails[1], 20.0 - tails[0]))


def test_the_studentized_interval_of_long_tailed_losses_reaches_further_up_than_the_percentile_one():
    losses = np.random.default_rng(1).laplace(size=200) ** 2
    means, errors = means_with_errors(losses)
    value, error = losses.mean(), losses.std() / np.sqrt(losses.size)
    studentized, percentile = studentized_interval(value, error, means, errors), percentile_interval(means)
    assert studentized[1] - value > 1.1 * (percentile[1] - value)


@pytest.mark.parametrize(("error", "replicate_error"), [(0.0, 1.0), (1.0, 0.0), (float("nan"), 1.0)])
def test_without_a_spread_nothing_is_studentized(error, replicate_error):
    assert studentized_interval(1.0, error, np.ones(10), np.full(10, replicate_error)) is None


@pytest.mark.parametrize(("n_rows", "method"), [(19, "bca"), (20, "studentized")])
def test_on_too_few_rows_an_error_is_too_uncertain_to_divide_by(n_rows, method):
    losses = np.random.default_rng(2).exponential(size=n_rows)
    means, errors = means_with_errors(losses)
    found, used = best_interval(
        losses.mean(), means, np.delete(means, 0), (losses.std() / n_rows**0.5, errors), n_rows=n_rows
    )
    assert (used, found.value) == (method, losses.mean())
    assert found.low < found.value < found.high


def test_where_nothing_better_is_defined_the_percentile_interval_is_given():
    replicates = np.array([2.0, 3.0, 4.0])
    found, used = best_interval(1.0, replicates, np.array([1.0, 1.1]), n_rows=100)
    assert used == "percentile", "all resamples lie above the value"
    assert (found.low, found.high) == percentile_interval(replicates)
    undefined, _ = best_interval(float("nan"), replicates, n_rows=100, reason="no positives")
    assert (undefined.value, undefined.reason) == (None, "no positives")
