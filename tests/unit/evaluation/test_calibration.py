"""Reliability, calibration error, the Brier decomposition and the calibration line."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression

from arkwright.core.errors import Invalid
from arkwright.evaluation.calibration import (
    brier_decomposition,
    calibration_error,
    calibration_line,
    logit,
    multiclass_calibration,
    reliability_curve,
    wilson_interval,
)


def sample(n_rows=2_000, seed=0, bend=0.0):
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 3, n_rows)
    truth = rng.random(n_rows) < np.clip(score + bend * np.sin(6 * score), 0, 1)
    return truth.astype(int), score


scores = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60)


@pytest.mark.parametrize(("binning", "strategy"), [("equal_width", "uniform"), ("equal_mass", "quantile")])
def test_the_curve_agrees_with_scikit_learn(binning, strategy):
    truth, score = sample(997)
    observed, mean_score = calibration_curve(truth, score, n_bins=8, strategy=strategy)
    bins = [part for part in reliability_curve(truth, score, n_bins=8, binning=binning).bins if part.n_rows]
    # scikit-learn closes a bin at its upper end; at quantiles that are scores this moves a row to the next bin.
    tolerance = 1e-12 if binning == "equal_width" else 0.02
    assert [part.observed.value for part in bins] == pytest.approx(observed, abs=tolerance)
    assert [part.mean_score for part in bins] == pytest.approx(mean_score, abs=tolerance)


@settings(max_examples=60, deadline=None)
@given(scores, st.sampled_from(["equal_width", "equal_mass"]), st.integers(1, 12))
def test_every_row_falls_into_exactly_one_bin_and_inside_its_ends(rows, binning, n_bins):
    truth, score = (np.array(column) for column in zip(*rows, strict=True))
    curve = reliability_curve(truth, score, n_bins=n_bins, binning=binning)
    assert sum(part.n_rows for part in curve.bins) == len(rows)
    for part in curve.bins:
        if part.n_rows:
            assert part.low - 1e-12 <= part.mean_score <= part.high + 1e-12
            assert part.observed.low <= part.observed.value <= part.observed.high
        else:
            assert part.observed.value is None
            assert part.observed.reason


def test_a_score_on_an_edge_belongs_to_the_bin_above():
    curve = reliability_curve(np.array([1, 1, 1]), np.array([0.3, 0.7, 1.0]), n_bins=10)
    assert [index for index, part in enumerate(curve.bins) if part.n_rows] == [3, 7, 9]


def test_rows_of_equal_score_share_a_bin_of_equal_mass():
    curve = reliability_curve(np.array([0, 1, 0, 1]), np.full(4, 0.4), binning="equal_mass")
    assert [part.n_rows for part in curve.bins] == [4]


def test_the_interval_of_a_share_is_wilsons():
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3: 81/263 and 0/20.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_ece_and_mce_are_the_weighted_mean_and_the_largest_gap():
    truth, score = sample(500, bend=0.1)
    found = calibration_error(truth, score, seed=0, n_resamples=200)
    gaps, weights = [], []
    for low in np.arange(10) / 10:
        rows = (score >= low) & (score < low + 0.1)
        if rows.any():
            gaps.append(abs(truth[rows].mean() - score[rows].mean()))
            weights.append(rows.mean())
    assert found.ece.value == pytest.approx(np.dot(gaps, weights))
    assert found.mce == pytest.approx(max(gaps))


def test_calibrated_scores_are_not_accused_and_bent_ones_are():
    calibrated = calibration_error(*sample(), seed=1)
    assert calibrated.ece.low == 0.0
    assert calibrated.p_value > 0.05
    assert calibrated.ece.value > 0  # the plug-in value is never zero, which is why the next number is given
    assert calibrated.expected_if_calibrated == pytest.approx(calibrated.ece.value, abs=0.02)
    bent = calibration_error(*sample(bend=0.2), seed=1)
    assert bent.p_value < 0.01
    assert bent.ece.low > bent.high_if_calibrated / 2 > 0
    assert bent.ece.value > bent.high_if_calibrated


def test_the_interval_of_the_ece_covers_the_true_one():
    rng = np.random.default_rng(9)
    score = rng.beta(2, 3, 400_000)
    gap = 0.15 * np.sin(6 * score)
    gap = np.clip(score + gap, 0, 1) - score
    true = np.abs(np.bincount((score * 10).astype(int), weights=gap)).sum() / score.size
    found = [calibration_error(*sample(500, seed, bend=0.15), seed=seed, n_resamples=200).ece for seed in range(60)]
    assert np.mean([item.low <= true <= item.high for item in found]) >= 0.85


@settings(max_examples=100, deadline=None)
@given(scores, st.sampled_from(["equal_width", "equal_mass"]), st.integers(1, 12))
def test_the_brier_score_is_the_sum_of_its_parts(rows, binning, n_bins):
    truth, score = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found = brier_decomposition(truth, score, n_bins=n_bins, binning=binning)
    parts = found.reliability - found.resolution + found.uncertainty + found.within_bin
    assert found.brier == pytest.approx(np.mean((score - truth) ** 2), abs=1e-12)
    assert parts == pytest.approx(found.brier, abs=1e-12)
    assert min(found.reliability, found.resolution, found.uncertainty) >= 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=60))
def test_murphys_three_parts_are_exact_for_one_score_a_bin(rows):
    truth, step = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    found = brier_decomposition(truth, (step + 0.5) / 10)
    assert found.within_bin == pytest.approx(0, abs=1e-12)


def test_the_within_bin_remainder_is_the_variance_less_twice_the_covariance():
    truth, score = sample(800, bend=0.1)
    codes = np.minimum((score * 5).astype(int), 4)
    own = sum(
        ((score[codes == k] - score[codes == k].mean()) ** 2).sum()
        - 2 * ((score[codes == k] - score[codes == k].mean()) * (truth[codes == k] - truth[codes == k].mean())).sum()
        for k in range(5)
    )
    assert brier_decomposition(truth, score, n_bins=5).within_bin == pytest.approx(own / score.size)


def test_the_calibration_line_agrees_with_scikit_learns_logistic_regression():
    truth, score = sample(3_000, bend=0.1)
    x = logit(score)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1_000).fit(x[:, None], truth)
    found = calibration_line(truth, score)
    assert found.slope.value == pytest.approx(model.coef_[0, 0], rel=1e-4)
    assert found.intercept.value == pytest.approx(model.intercept_[0], abs=1e-4)
    # The standard error is the root of the inverse information.
    p = model.predict_proba(x[:, None])[:, 1]
    design = np.column_stack((np.ones_like(x), x))
    covariance = np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]))
    half = 1.959964 * np.sqrt(covariance[1, 1])
    assert found.slope.high - found.slope.value == pytest.approx(half, rel=1e-3)


def test_scores_that_are_all_too_high_show_in_the_large_and_too_extreme_ones_in_the_slope():
    truth, score = sample(20_000)
    odds = logit(score)
    high = calibration_line(truth, 1 / (1 + np.exp(-(odds + 0.5))))
    assert high.in_the_large.value == pytest.approx(-0.5, abs=0.05)
    extreme = calibration_line(truth, 1 / (1 + np.exp(-2 * odds)))
    assert extreme.slope.low < 0.5 < extreme.slope.high


@pytest.mark.parametrize(
    ("truth", "score", "reason"),
    [
        ([1, 1], [0.2, 0.9], "one class"),
        ([0, 1, 1], [0.5, 0.5, 0.5], "same score"),
        ([0, 0, 1], [0.1, 0.2, 0.9], "separate"),
    ],
)
def test_a_line_that_cannot_be_fitted_says_why(truth, score, reason):
    assert reason in calibration_line(np.array(truth), np.array(score)).slope.reason


def test_several_classes_are_judged_by_the_top_label_and_class_by_class():
    rng = np.random.default_rng(3)
    probability = rng.dirichlet([1, 1, 1], 4_000)
    truth = np.array([rng.choice(3, p=row) for row in probability])
    found = multiclass_calibration(truth, probability, seed=0, n_resamples=200)
    assert found.top_label.p_value > 0.01
    assert found.class_wise == pytest.approx(np.mean([item.ece for item in found.classes]))
    binary = calibration_error(truth == 1, probability[:, 1], seed=0, n_resamples=200)
    assert found.classes[1].ece == pytest.approx(binary.ece.value)


def test_a_class_without_rows_is_named_and_left_out():
    probability = np.tile([0.6, 0.3, 0.1], (20, 1))
    found = multiclass_calibration(np.arange(20) % 2, probability, seed=0, n_resamples=200)
    assert found.classes[2].ece is None
    assert "no rows" in found.classes[2].reason
    assert found.class_wise == pytest.approx(np.mean([found.classes[0].ece, found.classes[1].ece]))


@pytest.mark.parametrize(
    ("truth", "score", "words"),
    [
        ([], [], "0 true values"),
        ([0, 1], [0.5], "2 true values and 1 scores"),
        ([0, 2], [0.5, 0.5], "neither 0 nor 1, the first in row 1"),
        ([0, 1], [0.5, np.nan], "not probabilities, the first in row 1"),
        ([0, 1], [0.5, 1.5], "not probabilities, the first in row 1: 1.5"),
    ],
)
def test_unusable_rows_are_refused_with_the_row(truth, score, words):
    with pytest.raises(Invalid, match=words) as caught:
        reliability_curve(np.array(truth), np.array(score))
    assert caught.value.hint


def test_one_row_and_one_class_still_give_an_answer_and_everything_encodes():
    truth, score = np.array([1]), np.array([0.3])
    for found in (
        reliability_curve(truth, score, binning="equal_mass"),
        calibration_error(truth, score, seed=0, n_resamples=200),
        brier_decomposition(truth, score),
        calibration_line(truth, score),
    ):
        assert b"NaN" not in msgspec.json.encode(found)
    assert brier_decomposition(truth, score).uncertainty == 0


def test_the_same_seed_gives_the_same_bytes():
    first, second = (msgspec.json.encode(calibration_error(*sample(300), seed=4, n_resamples=200)) for _ in range(2))
    assert first == second
