"""Forecasting metrics against published figures and scikit-learn, and the report over many series."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from arkwright.core.errors import Invalid
from arkwright.evaluation.forecasting import (
    coverage,
    evaluate_forecasts,
    interval_score,
    mase,
    pinball,
    rmsse,
    seasonal_naive_scale,
    smape,
)
from arkwright.evaluation.regression import mae, mape, rmse

# Quarterly Australian beer production in megalitres, 1992-2007 and from then to 2010 Q2 (Hyndman & Athanasopoulos,
# "Forecasting: Principles and Practice", 2nd edition, section 3.4, which prints the figures tested below).
# fmt: off
BEER = np.array(
    [
        443, 410, 420, 532, 433, 421, 410, 512, 449, 381, 423, 531, 426, 408, 416, 520,
        409, 398, 398, 507, 432, 398, 406, 526, 428, 397, 403, 517, 435, 383, 424, 521,
        421, 402, 414, 500, 451, 380, 416, 492, 428, 408, 406, 506, 435, 380, 421, 490,
        435, 390, 412, 454, 416, 403, 408, 482, 438, 386, 405, 491, 427, 383, 394, 473,
    ],
    dtype=float,
)
# fmt: on
BEER_LATER = np.array([420, 390, 410, 488, 415, 398, 419, 488, 414, 374], dtype=float)


@pytest.mark.parametrize(
    ("forecast", "published"),
    [
        (np.full(10, BEER.mean()), (38.45, 34.83, 8.28, 2.44)),
        (np.full(10, BEER[-1]), (62.69, 57.40, 14.18, 4.01)),
        (np.resize(BEER[-4:], 10), (14.31, 13.40, 3.17, 0.94)),
    ],
    ids=["mean", "naive", "seasonal naive"],
)
def test_the_beer_forecasts_have_the_published_errors(forecast, published):
    scale = seasonal_naive_scale(BEER, season=4)
    ours = (
        float(rmse(BEER_LATER, forecast)),
        float(mae(BEER_LATER, forecast)),
        100 * float(mape(BEER_LATER, forecast)),
        float(mase(BEER_LATER, forecast, scale.absolute)),
    )
    assert ours == pytest.approx(published, abs=0.0051)


def test_rmsse_is_the_root_mean_squared_error_over_that_of_the_naive_forecast_in_training():
    scale = seasonal_naive_scale(BEER, season=4)
    naive = reference.root_mean_squared_error(BEER[4:], BEER[:-4])
    ours = float(rmsse(BEER_LATER, np.full(10, 420.0), scale.squared))
    assert ours == pytest.approx(reference.root_mean_squared_error(BEER_LATER, np.full(10, 420.0)) / naive)


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9])
def test_pinball_agrees_with_scikit_learn(quantile):
    rng = np.random.default_rng(0)
    truth, predicted, weight = rng.normal(size=50), rng.normal(size=50), rng.integers(1, 4, 50).astype(float)
    theirs = reference.mean_pinball_loss(truth, predicted, alpha=quantile, sample_weight=weight)
    assert float(pinball(truth, predicted, quantile, weight)) == pytest.approx(theirs)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), min_size=1, max_size=20))
def test_smape_lies_between_zero_and_two_and_does_not_care_which_is_which(pairs):
    truth, predicted = np.array(pairs).T
    found = float(smape(truth, predicted))
    assert 0 <= found <= 2
    assert found == pytest.approx(float(smape(predicted, truth)))


def test_two_zeros_are_a_perfect_forecast():
    assert float(smape(np.array([0.0, 1.0]), np.array([0.0, 1.0]))) == 0.0


def test_the_interval_score_is_the_sum_of_two_pinball_losses():
    # Gneiting & Raftery: for the quantiles a/2 and 1 - a/2 the score is 2/a times the sum of their losses.
    rng = np.random.default_rng(1)
    truth, low, high = rng.normal(size=200), np.full(200, -1.0), np.full(200, 1.2)
    losses = float(pinball(truth, low, 0.1)) + float(pinball(truth, high, 0.9))
    assert float(interval_score(truth, low, high, 0.8)) == pytest.approx(losses * 2 / 0.2)


def test_coverage_counts_the_ends_as_inside():
    assert float(coverage(np.array([0.0, 1.0, 2.0, 2.1]), np.zeros(4), np.full(4, 2.0))) == 0.75


def test_a_block_of_weights_gives_what_each_row_of_it_gives_alone():
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(size=(2, 30))
    weights = rng.integers(0, 3, (4, 30)).astype(float)
    scale = np.where(np.arange(30) < 5, np.nan, 2.0)
    for metric in (lambda w: mase(truth, predicted, scale, w), lambda w: smape(truth, predicted, w)):
        np.testing.assert_allclose(metric(weights), [float(metric(weight)) for weight in weights])


@pytest.mark.parametrize(
    ("insample", "season", "reason"),
    [
        ([5.0, 5.0, 5.0], 1, "the training values repeat exactly from season to season"),
        ([5.0, 6.0], 4, "the training sample has no two values that are 4 steps apart"),
        ([], 1, "the training sample has no two values that are 1 step apart"),
        ([np.nan, np.nan, 1.0], 1, "the training sample has no two values that are 1 step apart"),
    ],
)
def test_a_training_sample_without_a_scale_says_why(insample, season, reason):
    scale = seasonal_naive_scale(np.array(insample), season)
    assert (scale.absolute, scale.squared, scale.reason) == (None, None, reason)


def many_series(n_series=12, horizon=6):
    rng = np.random.default_rng(0)
    names = np.array([f"s{index}" for index in range(n_series)])
    insample = {name: rng.normal(100 * (place + 1), 10, 40) for place, name in enumerate(names.tolist())}
    series = np.tile(names, horizon)
    truth = np.concatenate([[rng.normal(100 * (place + 1), 10) for place in range(n_series)] for _ in range(horizon)])
    return truth, truth + rng.normal(0, 5, truth.size), series, insample


def test_each_series_is_scaled_by_its_own_past_and_counts_alike_in_the_mean():
    truth, predicted, series, insample = many_series()
    report = evaluate_forecasts(truth, predicted, insample, seed=0, series=series, season=4)
    assert (report.n_series, report.n_rows) == (12, 72)
    assert [item.series for item in report.series] == list(insample)
    values = []
    for item in report.series:
        rows = series == item.series
        past = insample[item.series]
        values.append(np.abs(truth[rows] - predicted[rows]).mean() / np.abs(past[4:] - past[:-4]).mean())
        assert item.metrics["mase"].value == pytest.approx(values[-1])
    pooled = report.pooled["mase"]
    assert pooled.value == pytest.approx(np.mean(values))
    assert pooled.low < pooled.value < pooled.high


def test_a_series_without_a_past_has_errors_and_no_scaled_error():
    truth, predicted, series, insample = many_series()
    del insample["s3"]
    insample["s4"] = np.full(40, 7.0)
    report = evaluate_forecasts(truth, predicted, insample, seed=0, series=series)
    by_name = {item.series: item.metrics for item in report.series}
    assert by_name["s3"]["mase"].reason == "no training values of this series are at hand"
    assert by_name["s4"]["rmsse"].reason == "the training values repeat exactly from season to season"
    assert by_name["s3"]["mae"].value > 0
    assert (report.n_defined["mase"], report.n_defined["mae"]) == (10, 12)
    assert report.pooled["mase"].value == pytest.approx(
        np.mean([metrics["mase"].value for name, metrics in by_name.items() if name not in ("s3", "s4")])
    )
    assert b"NaN" not in msgspec.json.encode(report)


def test_one_series_has_values_and_says_why_there_is_no_interval():
    report = evaluate_forecasts(BEER_LATER, np.full(10, 420.0), {None: BEER}, seed=0, season=4)
    assert report.pooled["mase"].value == report.series[0].metrics["mase"].value
    assert report.pooled["mase"].reason == "fewer than 10 series to resample"
    assert report.series[0].metrics["mase"].reason == "the steps of one series depend on each other"


def test_no_series_with_a_past_leaves_the_scaled_errors_without_a_value():
    report = evaluate_forecasts(BEER_LATER, np.full(10, 420.0), {}, seed=0)
    found = report.pooled["mase"]
    assert (found.value, found.reason) == (None, "no training values of this series are at hand")


def test_where_no_series_has_a_past_the_reason_that_all_share_is_named():
    truth, predicted, series, insample = many_series()
    why = dict.fromkeys(insample, "the evaluated rows lie between the training rows")
    for n_named in (12, 3):
        rows = np.isin(series, list(insample)[:n_named])
        report = evaluate_forecasts(truth[rows], predicted[rows], {}, seed=0, series=series[rows], reasons=why)
        expected = "the evaluated rows lie between the training rows"
        assert (report.pooled["mase"].value, report.pooled["mase"].reason) == (None, expected)


def test_where_no_series_has_a_past_for_reasons_of_its_own_each_reason_is_named_once():
    truth, predicted, series, insample = many_series(3)
    found = evaluate_forecasts(truth, predicted, {"s0": insample["s0"][:2]}, seed=0, series=series, season=4)
    assert found.pooled["mase"].reason == (
        "no series has this metric (the training sample has no two values that are 4 steps apart; no training values "
        "of this series are at hand)"
    )


def walk(n_steps, n_series, rng, memory=0.0):
    """Errors of several series, each step's made of the step's before."""
    errors = np.zeros((n_series, n_steps))
    for step in range(n_steps):
        errors[:, step] = memory * errors[:, step - 1] + rng.normal(size=n_series)
    return errors


def test_few_series_are_resampled_by_blocks_of_steps_and_their_own_metrics_too():
    rng = np.random.default_rng(3)
    errors = walk(120, 2, rng)
    truth, steps = np.zeros(240), np.tile(np.arange(120), 2)
    series = np.repeat(["a", "b"], 120)
    report = evaluate_forecasts(
        truth, errors.ravel(), {"a": BEER, "b": BEER}, seed=0, series=series, steps=steps, season=4, horizon=7
    )
    assert (report.resampling, report.block_steps) == ("blocks of steps", 7)
    for found in (report.pooled["mase"], report.series[0].metrics["mae"]):
        assert found.low < found.value < found.high
    assert report.pooled["mae"].value == pytest.approx(np.abs(errors).mean())
    again = evaluate_forecasts(
        truth, errors.ravel(), {"a": BEER, "b": BEER}, seed=0, series=series, steps=steps, season=4, horizon=7
    )
    assert again == report


def test_a_block_interval_holds_the_mean_error_about_as_often_as_it_says_where_steps_go_together():
    rng = np.random.default_rng(11)
    held = []
    for _ in range(60):
        error = walk(400, 1, rng, memory=0.5)[0][100:]
        report = evaluate_forecasts(np.zeros(300), error, {}, seed=0, steps=np.arange(300), horizon=10, n_resamples=200)
        held.append(report.pooled["rmse"].low <= 1 / np.sqrt(1 - 0.25) <= report.pooled["rmse"].high)
    assert np.mean(held) >= 0.85


def test_a_short_series_beside_a_long_one_is_no_surer_of_its_error_than_by_its_own_steps():
    rng = np.random.default_rng(2)
    steps = np.concatenate((np.arange(200), np.arange(180, 192)))
    series, held = np.repeat(["long", "short"], [200, 12]), []
    for _ in range(60):
        report = evaluate_forecasts(
            np.zeros(212), rng.normal(size=212), {}, seed=0, series=series, steps=steps, n_resamples=200
        )
        found = report.series[1].metrics["mae"]
        held.append(found.low <= np.sqrt(2 / np.pi) <= found.high)
    assert np.mean(held) >= 0.9


def test_too_few_series_and_steps_have_no_interval_and_say_so():
    report = evaluate_forecasts(BEER_LATER[:8], np.full(8, 420.0), {None: BEER}, seed=0, steps=np.arange(8))
    assert (report.resampling, report.pooled["mae"].low) == ("none", None)
    assert report.pooled["mae"].reason == "fewer than 10 series and fewer than 10 steps to resample"


def test_quantiles_and_bounds_add_their_metrics():
    low, high = np.full(10, 380.0), np.full(10, 450.0)
    report = evaluate_forecasts(
        BEER_LATER,
        np.full(10, 420.0),
        {None: BEER},
        seed=0,
        quantiles={0.1: low, 0.9: high},
        bounds=(low, high),
        level=0.8,
    )
    assert report.pooled["coverage"].value == pytest.approx(0.7)
    theirs = [
        reference.mean_pinball_loss(BEER_LATER, low, alpha=0.1),
        reference.mean_pinball_loss(BEER_LATER, high, alpha=0.9),
    ]
    assert report.pooled["pinball"].value == pytest.approx(np.mean(theirs))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"predicted": np.array([1.0, np.nan])}, "1 of 2 rows of predicted"),
        ({"predicted": np.array([1.0])}, "predicted has 1 rows, truth has 2"),
        ({"series": np.array(["a"])}, "series has 1 rows, truth has 2"),
        ({"bounds": (np.array([0.0, 5.0]), np.array([1.0, 4.0]))}, "above the upper one, first in row 1"),
        ({"season": 0}, "A season has 0 steps"),
        ({"quantiles": {1.5: np.array([1.0, 2.0])}}, "1.5 is not a quantile"),
        ({"truth": np.array([]), "predicted": np.array([])}, "no forecast to score"),
        ({"bounds": (np.zeros(2), np.ones(2)), "level": 95}, "95 is not a level"),
    ],
)
def test_input_that_cannot_be_scored_is_refused(arguments, message):
    given_ = {"truth": np.array([1.0, 2.0]), "predicted": np.array([1.0, 2.0]), "insample": {None: BEER}} | arguments
    with pytest.raises(Invalid, match=message):
        evaluate_forecasts(**given_, seed=0)
