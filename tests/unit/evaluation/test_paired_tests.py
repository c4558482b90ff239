"""Each test against a published example, a definition, or another implementation."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from arkwright.core.errors import Invalid
from arkwright.evaluation.paired_tests import (
    bootstrap_p_value,
    delong_test,
    diebold_mariano_test,
    false_discovery_adjusted,
    holm_adjusted,
    mcnemar_test,
    midranks,
)


def delong_by_pairs(positive, first, second):
    """DeLong et al. (1988) as written: every positive against every negative."""
    kernel = [
        np.sign(score[positive][:, None] - score[~positive][None, :]) / 2 + 0.5
        for score in (np.asarray(first), np.asarray(second))
    ]
    s10 = np.cov([k.mean(axis=1) for k in kernel])
    s01 = np.cov([k.mean(axis=0) for k in kernel])
    covariance = s10 / positive.sum() + s01 / (~positive).sum()
    contrast = np.array([-1.0, 1.0])
    areas = np.array([k.mean() for k in kernel])
    return areas, contrast @ areas / np.sqrt(contrast @ covariance @ contrast)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 30), st.integers(2, 30), st.integers(2, 12))
def test_delong_agrees_with_the_definition_over_all_pairs_ties_included(seed, n_positive, n_negative, levels):
    rng = np.random.default_rng(seed)
    positive = rng.permutation(np.arange(n_positive + n_negative) < n_positive)
    first, second = (rng.integers(0, levels, positive.size) + positive for _ in range(2))
    found = delong_test(positive, first, second)
    assert found.baseline == pytest.approx(roc_auc_score(positive, first))
    assert found.candidate == pytest.approx(roc_auc_score(positive, second))
    if found.standard_error > 1e-9:
        _, z = delong_by_pairs(positive, first, second)
        assert found.z == pytest.approx(z)
        assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(z)))


def test_delong_by_hand():
    # Placements worked out on paper: positives +1/3, +1/2, 0; negatives +1/3, +2/3, -1/6.
    positive = np.array([True, True, True, False, False, False])
    found = delong_test(positive, np.array([3, 1, 5, 2, 4, 0.0]), np.array([5, 3, 4, 2, 1, 3.0]))
    variance = np.var([1 / 3, 1 / 2, 0], ddof=1) / 3 + np.var([1 / 3, 2 / 3, -1 / 6], ddof=1) / 3
    assert found.difference == pytest.approx(5 / 18)
    assert found.standard_error == pytest.approx(np.sqrt(variance))


def test_delong_keeps_its_level_and_finds_a_difference():
    rng = np.random.default_rng(0)
    positive = np.arange(200) < 80

    def p_value(strength):
        shared = rng.normal(size=200) + positive
        first, second = (shared + rng.normal(size=200) for _ in range(2))
        return delong_test(positive, first, second + strength * positive).p_value

    level = np.mean([p_value(0.0) < 0.05 for _ in range(600)])
    assert 0.025 <= level <= 0.08
    assert np.mean([p_value(1.0) < 0.05 for _ in range(50)]) > 0.9


def test_delong_without_variance_gives_no_p_value_and_equal_scores_give_one():
    positive = np.array([True, True, False, False])
    perfect, constant = np.array([3.0, 4.0, 1.0, 2.0]), np.zeros(4)
    assert delong_test(positive, constant, perfect).p_value is None
    assert delong_test(positive, constant, perfect).reason
    assert delong_test(positive, perfect, perfect).p_value == 1.0
    with pytest.raises(Invalid, match="1 positive and 3 negative"):
        delong_test(np.array([True, False, False, False]), perfect, constant)


def rights(only_baseline, only_candidate, both=5):
    baseline = np.array([True] * only_baseline + [False] * only_candidate + [True] * both)
    candidate = np.array([False] * only_baseline + [True] * only_candidate + [True] * both)
    return baseline, candidate


def test_mcnemar_reproduces_the_published_exact_example():
    # Fagerland, Lydersen & Laake (2013), BMC Medical Research Methodology 13:91, table 1 (Bentur et al.):
    # discordant 1 and 7, exact conditional p = 0.0703.
    found = mcnemar_test(*rights(1, 7))
    assert found.exact
    assert found.p_value == pytest.approx(0.0703, abs=5e-5)


def test_mcnemar_with_continuity_correction_is_edwards_formula():
    # (|121 - 59| - 1)^2 / (121 + 59)
    found = mcnemar_test(*rights(121, 59))
    assert not found.exact
    assert found.statistic == pytest.approx(61**2 / 180)
    assert found.p_value == pytest.approx(stats.chi2.sf(61**2 / 180, 1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 24), st.integers(0, 24))
def test_mcnemar_is_the_binomial_test_below_twenty_five_and_symmetric(first, second):
    found = mcnemar_test(*rights(first, second))
    assert found.exact == (first + second < 25)
    assert found.p_value == pytest.approx(mcnemar_test(*rights(second, first)).p_value)
    if found.exact and first + second:
        assert found.p_value == pytest.approx(stats.binomtest(first, first + second).pvalue)


def test_diebold_mariano_by_hand():
    # d = 1, -1, 2, 0, 3: mean 1; gamma0 = (0+4+1+1+4)/5 = 2; gamma1 = (0*-2 + -2*1 + 1*-1 + -1*2)/5 = -1.
    candidate = np.zeros(5)
    losses = np.array([1.0, -1.0, 2.0, 0.0, 3.0])
    one = diebold_mariano_test(losses, candidate)
    assert one.statistic == pytest.approx(1 / np.sqrt(2 / 5) * np.sqrt((5 + 1 - 2) / 5))
    assert one.p_value == pytest.approx(2 * stats.t.sf(one.statistic, 4))
    # With h = 2 the variance is 2 - 2 = 0, so that the Bartlett kernel takes over: 2 + 2 * 0.5 * -1 = 1.
    two = diebold_mariano_test(losses, candidate, horizon=2)
    assert two.kernel == "bartlett"
    assert two.statistic == pytest.approx(1 / np.sqrt(1 / 5) * np.sqrt((5 + 1 - 4 + 2 / 5) / 5))


def test_one_step_ahead_diebold_mariano_is_the_paired_t_test():
    # With h = 1 the correction (n - 1) / n turns the variance over n into the one over n - 1.
    rng = np.random.default_rng(1)
    first, second = rng.gamma(2, size=(2, 30))
    found = diebold_mariano_test(first, second)
    reference = stats.ttest_rel(first, second)
    assert (found.statistic, found.p_value) == pytest.approx((reference.statistic, reference.pvalue))


def test_diebold_mariano_without_evidence_says_so():
    assert diebold_mariano_test(np.ones(5), np.ones(5)).p_value == 1.0
    assert diebold_mariano_test(np.ones(5), np.zeros(5)).reason
    assert diebold_mariano_test(np.ones(1), np.zeros(1)).reason == "fewer than two steps"
    with pytest.raises(Invalid, match="first is row 0"):
        diebold_mariano_test(np.array([np.nan, 1.0]), np.ones(2))
    with pytest.raises(Invalid, match="9 steps ahead"):
        diebold_mariano_test(np.ones(5), np.zeros(5), horizon=9)


def holm_by_closed_testing(p_values):
    """Holm is the closed test that uses Bonferroni for every intersection (Marcus, Peritz & Gabriel 1976)."""
    indices = range(len(p_values))
    subsets = [set(s) for size in range(1, len(p_values) + 1) for s in combinations(indices, size)]
    bonferroni = [(s, min(1.0, len(s) * min(p_values[i] for i in s))) for s in subsets]
    return [max(p for s, p in bonferroni if i in s) for i in indices]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_over_all_subsets(p_values):
    assert holm_adjusted(p_values) == pytest.approx(holm_by_closed_testing(p_values))


def test_holm_leaves_out_what_was_not_tested():
    assert holm_adjusted([None, 0.02, None, 0.03]) == (None, 0.04, None, 0.04)
    assert holm_adjusted([]) == ()


def test_a_bootstrap_p_value_is_symmetric_and_never_zero():
    values = np.arange(-3.0, 96.0)
    assert bootstrap_p_value(values) == pytest.approx(2 * (4 + 1) / 100)
    assert bootstrap_p_value(-values) == bootstrap_p_value(values)
    assert bootstrap_p_value(np.ones(199)) == pytest.approx(0.01)
    assert bootstrap_p_value(np.zeros(10)) == 1.0
    assert bootstrap_p_value(np.full(3, np.nan)) is None


def test_midranks_agree_with_scipy():
    for score in product((0.0, 1.0, 2.0), repeat=4):
        assert midranks(np.array(score)) * 4 + 0.5 == pytest.approx(stats.rankdata(score))


@given(st.lists(st.floats(0, 1), max_size=30))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values: list[float]) -> None:
    corrected = holm_adjusted(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, corrected, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert list(np.array(corrected)[order]) == sorted(corrected)


def test_holm_on_the_textbook_example() -> None:
    assert holm_adjusted([0.005, 0.011, 0.02, 0.04, 0.13]) == pytest.approx((0.025, 0.044, 0.06, 0.08, 0.13))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_adjusted_p_values_agree_with_scipy(p_values):
    ours = false_discovery_adjusted(np.array(p_values))
    np.testing.assert_allclose(ours, stats.false_discovery_control(p_values, method="bh"), atol=1e-12)
