from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from arkwright.core.errors import Invalid
from arkwright.monitoring.significance import chi_square, kolmogorov_smirnov, pool_rare_cells

counts = st.lists(st.integers(1, 500), min_size=2, max_size=12)


def quantiles_of(values: np.ndarray, k: int = 1001) -> np.ndarray:
    return np.quantile(values, np.linspace(0, 1, k))


def test_ks_agrees_with_scipy_where_the_quantiles_are_the_whole_reference() -> None:
    generator = np.random.default_rng(3)
    reference, current = np.sort(generator.normal(size=300)), generator.normal(0.3, 1.0, 200)
    ours = kolmogorov_smirnov(reference, 300, current)
    theirs = stats.ks_2samp(reference, current, method="asymp")
    assert ours.statistic == pytest.approx(theirs.statistic, abs=1e-12)
    assert ours.p_value == pytest.approx(theirs.pvalue, rel=0.25)


def test_ks_from_a_thousand_quantiles_is_close_to_ks_from_all_rows() -> None:
    generator = np.random.default_rng(4)
    reference, current = generator.gamma(2.0, size=50_000), generator.gamma(2.2, size=2000)
    ours = kolmogorov_smirnov(quantiles_of(reference), 50_000, current)
    theirs = stats.ks_2samp(reference, current, method="asymp")
    assert ours.statistic == pytest.approx(theirs.statistic, abs=0.0015)
    assert ours.p_value >= theirs.pvalue


def test_ks_rejects_no_more_often_than_it_says() -> None:
    generator = np.random.default_rng(5)
    quantiles = quantiles_of(generator.normal(size=20_000))
    rejected = [kolmogorov_smirnov(quantiles, 20_000, generator.normal(size=200)).p_value < 0.05 for _ in range(600)]
    assert np.mean(rejected) < 0.075


def test_ks_ignores_missing_values_and_an_empty_side_says_nothing() -> None:
    quantiles = np.linspace(0, 1, 101)
    with_missing = kolmogorov_smirnov(quantiles, 500, [0.5, np.nan, 0.7])
    assert with_missing == kolmogorov_smirnov(quantiles, 500, [0.5, 0.7])
    assert kolmogorov_smirnov(quantiles, 500, [np.nan]) == (0.0, 1.0)
    assert kolmogorov_smirnov([], 0, [0.5]) == (0.0, 1.0)


@given(counts, st.data())
def test_chi_square_is_scipys_likelihood_ratio_test(reference: list[int], data: st.DataObject) -> None:
    current = data.draw(st.lists(st.integers(0, 500), min_size=len(reference), max_size=len(reference)))
    if sum(current) == 0:
        assert chi_square(reference, current) == (0.0, 1.0)
        return
    ours = chi_square(reference, current)
    theirs = stats.chi2_contingency([reference, current], correction=False, lambda_="log-likelihood")
    assert ours.statistic == pytest.approx(theirs.statistic, abs=1e-6)
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=1e-6)


def test_one_new_category_in_a_hundred_rows_is_no_sensation() -> None:
    assert 0.01 < chi_square([2500, 2500, 0], [50, 49, 1]).p_value < 0.05


def test_twenty_rows_of_a_new_category_are() -> None:
    assert chi_square([2500, 2500, 0], [40, 40, 20]).p_value < 1e-20


def test_chi_square_needs_two_categories() -> None:
    assert chi_square([100], [10]) == (0.0, 1.0)
    assert chi_square([100, 0], [10, 0]) == (0.0, 1.0)


def test_counts_over_different_categories_are_refused() -> None:
    with pytest.raises(Invalid, match="3"):
        chi_square([1, 2, 3], [1, 2])


@given(counts, counts)
def test_only_cells_with_few_expected_rows_are_pooled(reference: list[int], current: list[int]) -> None:
    size = min(len(reference), len(current))
    table = np.array([reference[:size], current[:size]], dtype=float)
    expected = table.sum(axis=0) * table.sum(axis=1).min() / table.sum()
    pooled = pool_rare_cells(table[0], table[1])
    assert pooled == [index for index in range(size) if expected[index] < 5]
