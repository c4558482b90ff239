"""The baseline describes the training data: bins without gaps, shares that sum to one, whatever the row order."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arkwright.bundles import comparable_values, fit_baseline
from arkwright.contracts import Baseline, Column, Signature


def fit(kind, values, scores=(0.0,)):
    signature = Signature(task="regression", target="y", columns=(Column(name="c", kind=kind),))
    return fit_baseline(signature, {"c": values}, np.array(scores, dtype=np.float64).reshape(-1, 1))


finite = st.floats(allow_nan=False, allow_infinity=False)
columns = st.lists(st.just(np.nan) | finite | st.sampled_from([0.0, 1.0]), min_size=1, max_size=60)


@settings(deadline=None)
@given(columns, st.randoms(use_true_random=False))
def test_numeric_bins_hold_the_stated_shares(cells, random):
    values = np.array(cells)
    feature = fit("numeric", values).features["c"]
    present = np.sort(values[~np.isnan(values)])
    assert feature.missing_share == pytest.approx(np.isnan(values).mean())
    assert sum(feature.shares) == pytest.approx(1.0)
    assert len(feature.shares) == len(feature.edges) + 1 <= 10
    assert list(feature.edges) == sorted(set(feature.edges))
    bounds = (-np.inf, *feature.edges, np.inf)
    for index, share in enumerate(feature.shares if present.size else ()):
        inside = (present > bounds[index]) & (present <= bounds[index + 1])
        assert share == pytest.approx(inside.mean())
        assert share > 0
    if present.size:
        assert (feature.minimum, feature.maximum) == (present[0], present[-1])
        assert (feature.quantiles[0], feature.quantiles[-1]) == (present[0], present[-1])
        assert list(feature.quantiles) == sorted(feature.quantiles)
        assert np.isfinite([feature.mean, feature.std]).all()
    random.shuffle(cells)
    assert fit("numeric", np.array(cells)).features["c"] == feature


def test_ten_equal_bins_for_a_continuous_feature():
    feature = fit("numeric", np.arange(1, 1001, dtype=np.float64)).features["c"]
    assert feature.edges == tuple(float(edge) for edge in range(100, 1000, 100))
    assert feature.shares == (0.1,) * 10
    assert len(feature.quantiles) == 1000
    assert (feature.mean, feature.std) == (pytest.approx(500.5), pytest.approx(288.675, abs=1e-3))


def test_a_flag_that_is_mostly_one_still_has_two_bins():
    feature = fit("numeric", np.array([1.0] * 97 + [0.0] * 3)).features["c"]
    assert feature.edges == (0.0,)
    assert feature.shares == (0.03, 0.97)


def test_a_spike_at_the_maximum_does_not_swallow_the_rest():
    feature = fit("numeric", np.array([*range(20), *[100.0] * 980], dtype=np.float64)).features["c"]
    assert feature.edges == (19.0,)
    assert feature.shares == (0.02, 0.98)


def test_an_all_missing_feature_has_one_bin_and_no_numbers():
    feature = fit("numeric", np.array([np.nan, np.nan])).features["c"]
    assert (feature.edges, feature.shares, feature.quantiles, feature.missing_share) == ((), (1.0,), (), 1.0)


def test_categories_are_ordered_by_share_and_pooled_past_a_hundred(column_of):
    cells = [None] * 10 + ["often"] * 50 + [f"level {index:03}" for index in range(140)]
    feature = fit("categorical", column_of("categorical", cells)).features["c"]
    assert list(feature.shares)[:2] == ["often", "level 000"]
    assert len(feature.shares) == 100
    assert feature.missing_share == pytest.approx(0.05)
    assert feature.other_share == pytest.approx(41 / 190)
    assert sum(feature.shares.values()) + feature.other_share == pytest.approx(1.0)


def test_moments_are_compared_as_epoch_seconds():
    values = np.array(["1970-01-01", "1970-01-02", "NaT"], dtype="datetime64[us]")
    feature = fit("time", values).features["c"]
    assert (feature.minimum, feature.maximum) == (0.0, 86400.0)
    np.testing.assert_array_equal(comparable_values("time", values), [0.0, 86400.0, np.nan])


def test_the_prediction_is_the_score_or_the_label(churn, predictor):
    signature, columns, _ = churn
    binary = fit_baseline(signature, columns, predictor.predict_columns(columns))
    assert 0 < binary.prediction.mean < 1
    assert set(binary.features) == {column.name for column in signature.columns}
    many = Signature(task="multiclass", target="y", columns=(Column(name="c", kind="numeric"),), classes=(1, 2, 3))
    scores = np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2], [0.0, 0.1, 0.9]])
    assert fit_baseline(many, {"c": np.zeros(3)}, scores).prediction.shares == {
        "3": pytest.approx(2 / 3),
        "1": pytest.approx(1 / 3),
    }


def test_a_baseline_survives_json(churn, predictor):
    signature, columns, _ = churn
    baseline = fit_baseline(signature, columns, predictor.predict_columns(columns))
    assert msgspec.json.decode(msgspec.json.encode(baseline), type=Baseline) == baseline
