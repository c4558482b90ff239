"""Regression metrics against scikit-learn, zeros in the target, and the residual summary."""

import numpy as np
import pytest
from sklearn import metrics as reference

from arkwright.core.errors import Invalid
from arkwright.evaluation.intervals import bootstrap
from arkwright.evaluation.regression import mape, r2, regression_metrics, standard_errors, summarise_residuals


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("weighted", [False, True])
def test_regression_metrics_agree_with_scikit_learn(seed, weighted):
    rng = np.random.default_rng(seed)
    truth = rng.normal(1e6, 10, 300)
    predicted = truth + rng.normal(0, 5, 300)
    weight = rng.integers(0, 4, 300).astype(float) if weighted else None
    ours = regression_metrics(truth, predicted, weight)
    theirs = {
        "mse": reference.mean_squared_error(truth, predicted, sample_weight=weight),
        "rmse": reference.root_mean_squared_error(truth, predicted, sample_weight=weight),
        "mae": reference.mean_absolute_error(truth, predicted, sample_weight=weight),
        "r2": reference.r2_score(truth, predicted, sample_weight=weight),
        "mape": reference.mean_absolute_percentage_error(truth, predicted, sample_weight=weight),
    }
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert float(ours[name]) == pytest.approx(value, rel=1e-9), name


def test_a_block_of_weights_gives_what_each_row_of_it_gives_alone():
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(size=40), rng.normal(size=40)
    weights = rng.integers(0, 3, (5, 40)).astype(float)
    together = regression_metrics(truth, predicted, weights)
    for row, weight in enumerate(weights):
        for name, value in regression_metrics(truth, predicted, weight).items():
            assert together[name][row] == pytest.approx(float(value)), name


def test_rows_whose_true_value_is_zero_have_no_percentage_error():
    assert float(mape(np.array([0.0, 4.0]), np.array([9.0, 5.0]))) == 0.25
    assert np.isnan(float(mape(np.array([0.0, 0.0]), np.array([9.0, 5.0]))))


@pytest.mark.parametrize("constant", [0.0, 3.0, 1e9 + 0.1])
def test_r2_is_not_defined_for_a_target_that_does_not_vary(constant):
    assert np.isnan(float(r2(np.full(7, constant), np.arange(7.0))))


def test_r2_is_not_defined_for_a_resample_that_drew_one_row_only():
    weights = np.array([0.0, 5.0, 0.0])
    assert np.isnan(float(r2(np.array([1.0, 2.1, 3.0]), np.array([1.0, 2.0, 3.0]), weights)))


def test_the_residual_summary_shows_bias_and_growing_spread():
    predicted = np.linspace(1, 100, 200)
    signs = np.where(np.arange(200) % 2, 1.0, -1.0)
    summary = summarise_residuals(predicted + signs * predicted * 0.1 + 0.5, predicted)
    assert summary.mean == pytest.approx(0.5, abs=0.05)
    assert summary.spread_correlation > 0.9
    assert summary.quantiles["p0"] < summary.quantiles["p50"] < summary.quantiles["p100"]


def test_a_perfect_model_has_an_all_zero_residual_summary():
    values = np.array([0.0, 1.0, 2.0])
    summary = summarise_residuals(values, values)
    assert (summary.mean, summary.std, summary.skewness, summary.spread_correlation) == (0, 0, 0, 0)
    assert summary.n_zero_targets == 1


@pytest.mark.parametrize(("truth", "predicted", "named"), [(np.nan, 1.0, "truth"), (1.0, np.inf, "predicted")])
def test_a_value_that_is_not_a_number_is_refused_with_its_row(truth, predicted, named):
    with pytest.raises(Invalid, match=f"1 of 2 rows of {named} .* first is row 1"):
        regression_metrics(np.array([0.0, truth]), np.array([0.0, predicted]))


@pytest.mark.parametrize("name", ["mse", "mae", "mape", "r2"])
def test_a_standard_error_is_what_the_bootstrap_shows(name):
    rng = np.random.default_rng(4)
    truth = rng.normal(5, 2, 3000)
    truth[:50] = 0.0
    predicted = truth + rng.normal(0, 0.8, 3000)
    # A true value near zero would make the percentage error's own spread endless.
    predicted[np.abs(truth) < 1] = truth[np.abs(truth) < 1]
    replicates = bootstrap(
        lambda weights: {name: regression_metrics(truth, predicted, weights)[name]}, 3000, seed=0, n_resamples=2000
    )[name]
    error = float(standard_errors(truth, predicted)[name])
    assert error == pytest.approx(replicates.std(), rel=0.06)


def test_the_errors_of_a_block_of_weights_are_those_of_each_row_of_it():
    rng = np.random.default_rng(5)
    truth, predicted = rng.normal(size=30), rng.normal(size=30)
    weights = rng.integers(0, 3, (4, 30)).astype(float)
    together = standard_errors(truth, predicted, weights)
    for row in range(4):
        alone = standard_errors(truth, predicted, weights[row])
        for name, value in alone.items():
            assert together[name][row] == pytest.approx(value)


def test_losses_that_are_all_equal_have_no_spread():
    errors = standard_errors(np.array([1.0, 2.0, 3.0]), np.array([1.1, 2.1, 3.1]))
    assert errors["mae"] == 0.0
    assert errors["mse"] == 0.0
