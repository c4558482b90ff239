"""Bootstrap weights and percentile intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.evaluation.intervals import (
    bootstrap,
    bootstrap_weights,
    interval,
    percentile_interval,
    resamples_for,
)


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
