"""Platt scaling, isotonic regression, and which of them helps."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

from arkwright.core.errors import Invalid
from arkwright.evaluation.calibration import logit
from arkwright.evaluation.recalibration import (
    Calibration,
    compare_calibrations,
    fit_calibration,
    fit_isotonic,
    fit_platt,
)


def overconfident(n_rows=2_000, seed=0):
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1, n_rows)
    truth = (rng.random(n_rows) < 1 / (1 + np.exp(-odds))).astype(int)
    return truth, (1 / (1 + np.exp(-3 * odds)))[:, None]


def test_platts_sigmoid_agrees_with_scikit_learns():
    truth, score = overconfident()
    reference = _SigmoidCalibration().fit(logit(score[:, 0]), truth)
    found = fit_platt(truth, score[:, 0])
    # scikit-learn writes 1 / (1 + exp(a f + b)), with the signs the other way round.
    assert (found.slope, found.intercept) == pytest.approx((-reference.a_, -reference.b_), abs=1e-4)
    grid = np.linspace(0.01, 0.99, 50)
    assert found.apply(grid) == pytest.approx(reference.predict(logit(grid)), abs=1e-4)


def test_overconfident_scores_are_drawn_back_by_a_third():
    truth, score = overconfident(50_000)
    assert fit_platt(truth, score[:, 0]).slope == pytest.approx(1 / 3, abs=0.02)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 20)), min_size=2, max_size=60))
def test_the_isotonic_map_agrees_with_scikit_learns(rows):
    truth, step = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    if truth.min() == truth.max():
        truth[0] = 1 - truth[0]
    score = step / 20
    reference = IsotonicRegression(out_of_bounds="clip").fit(score, truth)
    grid = np.linspace(0, 1, 41)
    assert fit_isotonic(truth, score).apply(grid) == pytest.approx(reference.predict(grid), abs=1e-9)


def test_classes_that_are_separated_keep_a_finite_sigmoid():
    found = fit_platt(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]))
    assert 0 < found.apply(np.array([0.1]))[0] < 0.5 < found.apply(np.array([0.9]))[0] < 1


def test_a_constant_score_is_mapped_to_the_smoothed_share_of_positives():
    found = fit_platt(np.array([0, 0, 0, 1]), np.full(4, 0.9))
    assert found.apply(np.array([0.9]))[0] == pytest.approx((3 * 1 / 5 + 2 / 3) / 4)


@pytest.mark.parametrize("method", ["none", "platt", "isotonic"])
def test_a_fitted_state_survives_json(method):
    truth, score = overconfident(300)
    fitted = fit_calibration(truth, score, method)
    again = msgspec.json.decode(msgspec.json.encode(fitted), type=Calibration)
    assert again == fitted
    assert (again.apply(score) == fitted.apply(score)).all()


def test_several_classes_are_mapped_one_by_one_and_sum_to_one():
    rng = np.random.default_rng(1)
    probability = rng.dirichlet([1, 1, 1], 900)
    truth = np.array([rng.choice(3, p=row) for row in probability])
    sharp = probability**3 / (probability**3).sum(axis=1, keepdims=True)
    for method in ("platt", "isotonic"):
        mapped = fit_calibration(truth, sharp, method).apply(sharp)
        assert mapped.sum(axis=1) == pytest.approx(np.ones(900))
    found = compare_calibrations(truth, sharp, seed=0, n_resamples=200)
    assert found.recommended == "platt"


def test_the_comparison_recommends_a_map_where_it_helps_and_says_by_how_much():
    truth, score = overconfident()
    found = compare_calibrations(truth, score, seed=0, n_resamples=500)
    by_name = {item.method: item for item in found.methods}
    assert found.recommended == "platt"
    assert by_name["none"].brier == pytest.approx(np.mean((score[:, 0] - truth) ** 2))
    gain = by_name["platt"].improvement
    assert gain.value == pytest.approx(by_name["none"].brier - by_name["platt"].brier)
    assert gain.low > 0
    assert by_name["platt"].ece < by_name["none"].ece
    assert f"{by_name['platt'].brier:.4g}" in found.detail


def test_calibrated_scores_are_left_alone():
    rng = np.random.default_rng(5)
    score = rng.beta(2, 3, 1_500)
    truth = (rng.random(1_500) < score).astype(int)
    found = compare_calibrations(truth, score[:, None], seed=0, n_resamples=500)
    assert found.recommended == "none"
    assert found.methods[0].improvement.value == 0


def test_isotonic_is_judged_on_rows_it_did_not_see():
    # On its own rows the isotonic map of pure noise looks like a gain; cross-fitted it is a loss.
    rng = np.random.default_rng(6)
    truth, score = rng.integers(0, 2, 400), np.full(400, 0.5) + rng.normal(0, 0.001, 400)
    own = fit_calibration(truth, score[:, None], "isotonic").apply(score[:, None])[:, 0]
    assert np.mean((own - truth) ** 2) < np.mean((score - truth) ** 2)
    found = {item.method: item for item in compare_calibrations(truth, score[:, None], seed=0).methods}
    assert found["isotonic"].improvement.value < 0


def test_few_rows_of_a_class_mean_fewer_folds_or_a_reason():
    score = np.linspace(0.1, 0.9, 10)[:, None]
    assert compare_calibrations(np.array([0] * 7 + [1] * 3), score, seed=0, n_resamples=200).n_folds == 3
    lonely = compare_calibrations(np.array([0] * 9 + [1]), score, seed=0)
    assert (lonely.recommended, lonely.methods) == ("none", ())
    assert "fewer than two rows" in lonely.reason
    assert "one class" in compare_calibrations(np.zeros(10), score, seed=0).reason


def test_unusable_input_is_refused_with_a_hint():
    with pytest.raises(Invalid, match="one class"):
        fit_platt(np.ones(3), np.array([0.1, 0.5, 0.9]))
    with pytest.raises(Invalid, match="no class of this model, the first in row 2: 3"):
        compare_calibrations(np.array([0, 1, 3]), np.full((3, 3), 1 / 3), seed=0)
    with pytest.raises(Invalid, match="maps 1 columns"):
        fit_calibration(*overconfident(50), "platt").apply(np.full((2, 3), 1 / 3))


def test_the_gain_of_a_map_is_as_unsure_as_the_share_of_the_classes():
    # One score for all rows: what a map gains by row depends on the row's class alone, so that with the class sizes
    # held still every resample would say the same.
    truth = (np.arange(300) % 3 == 0).astype(int)
    found = compare_calibrations(truth, np.full((300, 1), 0.6), seed=0, n_resamples=300)
    platt = next(item for item in found.methods if item.method == "platt").improvement
    by_class = np.array([0.6**2 - (1 / 3) ** 2, 0.4**2 - (2 / 3) ** 2])
    expected = 1.96 * np.std(by_class[truth]) / np.sqrt(300)
    assert platt.high - platt.value == pytest.approx(expected, rel=0.25)
    assert platt.value - platt.low == pytest.approx(expected, rel=0.25)
