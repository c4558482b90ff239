"""A forecast's errors: against the naive forecast, over time, and whether they repeat."""

import numpy as np
import pytest

from arkwright.evaluation.forecast_errors import (
    against_naive,
    bias_of,
    error_dependence,
    error_growth,
    loss_tests,
    mean_over_series,
    time_spans,
)
from arkwright.evaluation.forecast_steps import lagged
from arkwright.evaluation.paired_tests import diebold_mariano_test
from tests.unit.evaluation.test_forecasting import BEER, BEER_LATER

SETTINGS = {"seed": 0, "n_resamples": 200}


def one(n_rows):
    return np.zeros(n_rows, dtype=np.int64), np.arange(n_rows)


def many(n_series=12, n_steps=8):
    return np.repeat(np.arange(n_series), n_steps), np.tile(np.arange(n_steps), n_series)


def written(row):
    return f"t{row}"


def test_beer_against_the_season_before_by_hand():
    everything = np.concatenate((BEER, BEER_LATER))
    codes, steps = one(everything.size)
    naive = lagged(everything, codes, steps, 4)[BEER.size :]
    answers = np.full(10, 420.0)
    found = against_naive(BEER_LATER, answers, naive, *one(10), lag=4, horizon=1, **SETTINGS)
    expected = np.abs(BEER_LATER - np.concatenate((BEER[-4:], BEER_LATER[:6])))
    assert found.mae == pytest.approx(expected.mean())
    assert found.model_mae == pytest.approx(np.abs(BEER_LATER - 420).mean())
    assert found.relative_mae.value == pytest.approx(found.model_mae / found.mae)
    assert found.saved == pytest.approx(1 - found.relative_mae.value)
    assert found.relative_mae.low < found.relative_mae.value < found.relative_mae.high


def test_rows_without_a_value_before_them_are_left_out_of_the_comparison_for_both():
    truth, naive = np.array([1.0, 2.0, 3.0]), np.array([np.nan, 1.0, 1.0])
    found = against_naive(truth, np.array([9.0, 2.5, 3.5]), naive, *one(3), lag=1, horizon=1, **SETTINGS)
    assert (found.n_rows, found.model_mae, found.mae) == (2, 0.5, 1.5)


def test_no_value_before_any_row_is_said_and_gives_no_number():
    found = against_naive(np.ones(3), np.ones(3), np.full(3, np.nan), *one(3), lag=1, horizon=1, **SETTINGS)
    assert (found.n_rows, found.relative_mae.value) == (0, None)
    assert found.relative_mae.reason == found.reason == "no evaluated row has a value 1 step before it"


def test_a_perfect_model_of_one_series_has_no_share_and_says_why():
    truth = np.arange(20.0)
    found = against_naive(truth, truth, truth - 1, *one(20), lag=1, horizon=1, **SETTINGS)
    assert (found.relative_mae.value, found.saved) == (None, None)
    assert found.relative_mae.reason == "one of the two forecasts is perfect on these rows"
    assert [test.outcome for test in found.tests] == ["not computable", "not computable"]


def test_each_series_counts_alike_in_the_share_however_large_its_values():
    codes, steps = many(12, 8)
    rng = np.random.default_rng(0)
    scale = np.where(codes == 0, 1e6, 1.0)
    error = rng.normal(size=codes.size)
    truth = np.zeros(codes.size)
    found = against_naive(truth, scale * error / 2, scale * error, codes, steps, lag=1, horizon=1, **SETTINGS)
    assert found.relative_mae.value == pytest.approx(0.5)
    assert found.n_series == 12


def test_several_series_are_tested_by_their_mean_loss_at_each_step():
    rng = np.random.default_rng(1)
    before, after = rng.normal(size=(2, 3, 40))
    squared, absolute = loss_tests(before.ravel(), after.ravel(), np.tile(np.arange(40), 3), horizon=2)
    by_hand = diebold_mariano_test(np.square(before).mean(axis=0), np.square(after).mean(axis=0), horizon=2)
    assert squared.test == by_hand
    assert (squared.loss, absolute.loss) == ("squared", "absolute")
    assert squared.p_adjusted >= squared.test.p_value


def test_a_model_with_half_the_error_is_better_and_the_other_way_round_worse():
    error = np.random.default_rng(2).normal(size=80)
    assert [each.outcome for each in loss_tests(error, error / 2, np.arange(80), horizon=1)] == ["better", "better"]
    assert [each.outcome for each in loss_tests(error / 2, error, np.arange(80), horizon=1)] == ["worse", "worse"]


@pytest.mark.parametrize(("slope", "outcome"), [(3.0, "grows"), (0.0, "no clear change"), (-0.9, "falls")])
def test_growing_and_falling_errors_are_told_from_steady_ones(slope, outcome):
    codes, steps = one(200)
    error = np.random.default_rng(3).normal(size=200) * (1 + slope * steps / 200)
    found = error_growth(error, codes, steps, written, horizon=1, **SETTINGS)
    assert found.outcome == outcome
    assert found.later_from == "t100"


def test_growth_over_many_short_series_is_known_from_the_series():
    codes, steps = many(30, 4)
    error = np.random.default_rng(4).normal(size=codes.size) * (1 + steps) * (1 + 100.0 * codes)
    assert error_growth(error, codes, steps, written, horizon=1, **SETTINGS).outcome == "grows"


@pytest.mark.parametrize(
    ("n_steps", "reason"),
    [(1, "there is only one step"), (8, "fewer than 10 series and fewer than 10 steps in each half to resample")],
)
def test_growth_over_too_few_steps_says_why_it_is_not_known(n_steps, reason):
    found = error_growth(np.ones(n_steps), *one(n_steps), written, horizon=1, **SETTINGS)
    assert (found.outcome, found.ratio.reason) == ("not computable", reason)


def test_spans_cover_every_row_once_in_the_order_of_time():
    codes, steps = many(3, 30)
    error = np.random.default_rng(5).normal(size=codes.size)
    naive = np.where(steps < 3, np.nan, 1.0)
    spans = time_spans(error, naive, steps, written)
    assert len(spans) == 12
    assert sum(span.n_rows for span in spans) == 90
    assert sum(span.n_steps for span in spans) == 30
    assert sum(span.mae * span.n_rows for span in spans) == pytest.approx(np.abs(error).sum())
    assert (spans[0].naive_mae, spans[-1].naive_mae) == (None, 1.0)
    assert (spans[0].first, spans[0].last, spans[-1].last) == ("t0", "t2", "t29")


def test_the_autocorrelation_is_the_textbook_one_and_the_test_that_of_ljung_and_box():
    rng = np.random.default_rng(6)
    error = np.convolve(rng.normal(size=103), [1, 0.8, 0.6, 0.4], "valid")
    found = error_dependence(error, *one(100), season=4)
    centred = error - error.mean()
    rho = np.array([centred[lag:] @ centred[: 100 - lag] for lag in range(9)]) / (centred @ centred)
    statistic = 100 * 102 * sum(rho[lag] ** 2 / (100 - lag) for lag in range(1, 9))
    from scipy.stats import chi2

    assert found.lag_1 == pytest.approx(rho[1])
    assert found.lag_season == pytest.approx(rho[4])
    assert found.p_value == pytest.approx(chi2.sf(statistic, 8))
    assert (found.n_tested, found.n_dependent) == (1, 1)


def test_independent_errors_are_called_dependent_about_as_often_as_five_in_a_hundred():
    rng = np.random.default_rng(7)
    called = [error_dependence(rng.normal(size=100), *one(100), season=1).n_dependent for _ in range(300)]
    assert 0.02 <= np.mean(called) <= 0.09


def test_of_several_series_those_with_memory_are_counted_after_correction():
    rng = np.random.default_rng(8)
    codes, steps = many(6, 60)
    error = rng.normal(size=(6, 60))
    error[2] = np.cumsum(rng.normal(size=60))
    found = error_dependence(error.ravel(), codes, steps, season=1)
    assert (found.n_tested, found.n_dependent, found.lag_season) == (6, 1, None)


@pytest.mark.parametrize(
    ("error", "steps", "reason"),
    [
        (np.ones(30), np.arange(30), "the errors do not vary"),
        (np.arange(10.0), np.arange(10), "no series has 20 steps that follow each other"),
        (np.arange(30.0) % 7, np.arange(30) * 3, "no series has 20 steps that follow each other"),
    ],
    ids=["the same error always", "few steps", "no neighbours"],
)
def test_errors_that_cannot_be_tested_say_so(error, steps, reason):
    found = error_dependence(error, np.zeros(steps.size, dtype=np.int64), steps, season=1)
    assert (found.n_tested, found.p_value) == (0, None)
    assert found.reason == reason


def test_answers_that_are_too_low_have_a_bias_above_zero():
    codes, steps = many(2, 60)
    error = 1.0 + np.random.default_rng(9).normal(size=120)
    found = bias_of(error, codes, steps, horizon=1, **SETTINGS)
    assert found.value == pytest.approx(error.mean())
    assert 0 < found.low < found.value < found.high


def test_a_number_that_no_series_has_gives_the_reason():
    found = mean_over_series(
        lambda rows, weights: np.asarray(np.nan), np.ones(5), *one(5), seed=0, n_resamples=50, reason="so"
    )
    assert (found.value, found.reason) == (None, "so")


def test_series_of_very_different_length_are_tested_together():
    codes, steps = np.repeat([0, 1], [20, 150]), np.concatenate((np.arange(20), np.arange(150)))
    error = np.random.default_rng(0).normal(size=170)
    assert error_dependence(error, codes, steps, season=12).n_tested == 2
