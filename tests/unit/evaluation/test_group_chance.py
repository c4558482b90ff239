"""What chance gives groups that are alike, against the calibration error's own draws and scipy's distributions."""

import numpy as np
import pytest
from scipy import stats

from arkwright.evaluation.calibration import calibration_error
from arkwright.evaluation.group_chance import compare_rates, effective_cases, errors_by_chance, excess
from arkwright.evaluation.groups import Groups


def groups_of_sizes(*sizes):
    labels = tuple(f"g{index}" for index in range(len(sizes)))
    return Groups(labels=labels, codes=np.repeat(np.arange(len(sizes)), sizes))


def test_the_error_by_chance_of_each_group_is_that_of_drawing_its_rows_one_by_one():
    rng = np.random.default_rng(0)
    groups = groups_of_sizes(60, 400)
    score = rng.uniform(0.0, 1.0, 460)
    drawn = errors_by_chance(score, groups, weights=np.ones(460), seed=1, n_draws=4000)
    for code in (0, 1):
        rows = groups.codes == code
        alone = calibration_error(np.zeros(rows.sum()), score[rows], seed=2, n_resamples=4000)
        assert drawn[:, code].mean() == pytest.approx(alone.expected_if_calibrated, rel=0.03)
        assert np.percentile(drawn[:, code], 95) == pytest.approx(alone.high_if_calibrated, rel=0.04)


def test_weights_change_nothing_by_their_scale_and_take_rows_away_by_their_spread():
    groups, score = groups_of_sizes(100), np.full(100, 0.5)
    even = errors_by_chance(score, groups, weights=np.full(100, 7.0), seed=0, n_draws=2000)
    ones = errors_by_chance(score, groups, weights=np.ones(100), seed=0, n_draws=2000)
    assert even == pytest.approx(ones, abs=1e-12)
    uneven = np.where(np.arange(100) < 10, 10.0, 0.01)
    few = errors_by_chance(score, groups, weights=uneven, seed=0, n_draws=2000)
    assert few.mean() == pytest.approx(even.mean() * np.sqrt(10), rel=0.1)
    assert effective_cases(uneven, groups).tolist() == [10]


def test_a_group_without_weight_has_no_error_by_chance():
    drawn = errors_by_chance(
        np.full(4, 0.5), groups_of_sizes(2, 2), weights=np.array([0.0, 0.0, 1.0, 1.0]), seed=0, n_draws=1
    )
    assert np.isnan(drawn[:, 0]).all()
    assert np.isfinite(drawn[:, 1]).all()


def test_an_error_where_nothing_is_left_to_chance_is_beyond_it_and_none_is_not():
    drawn = np.zeros((1000, 2))
    found = excess(np.array([0.0, 0.1]), drawn, level=0.95)
    assert found.beyond_chance.tolist() == [False, True]
    assert found.corrected.tolist() == [0.0, 0.1]


def test_the_difference_of_two_rates_in_errors_is_the_root_of_pearson_s_chi_square():
    found = compare_rates(np.array([0.2, 0.35]), np.array([50, 80]), level=0.95, seed=0, n_draws=100)
    expected = stats.chi2_contingency([[10, 40], [28, 52]], correction=False).statistic
    assert found.in_errors[0] == pytest.approx(np.sqrt(expected))


@pytest.mark.parametrize("n_groups", [2, 5, 12])
def test_the_largest_difference_by_chance_is_tukey_s_studentized_range_for_large_groups(n_groups):
    found = compare_rates(np.full(n_groups, 0.4), np.full(n_groups, 5000), level=0.95, seed=0, n_draws=20_000)
    assert found.critical == pytest.approx(stats.studentized_range.ppf(0.95, n_groups, np.inf) / np.sqrt(2), rel=0.02)


def test_rates_that_are_all_0_differ_in_nothing_and_still_have_an_error():
    found = compare_rates(np.zeros(3), np.array([40, 50, 60]), level=0.95, seed=0, n_draws=100)
    assert found.in_errors.tolist() == [0.0, 0.0, 0.0]
    assert (found.error > 0).all()
    assert found.critical == 0.0
