"""Other populations by reweighting agree with scikit-learn's weighted metrics."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, mean_squared_error, roc_auc_score

from arkwright.evaluation.calibration import calibration_error
from arkwright.evaluation.shift import (
    effective_rows,
    reweighted_share,
    shift_tests,
    tilt,
    weighted_calibration_error,
)
from tests.unit.evaluation.robust_cases import adult, constant_model, one_column_model, signature_of, two_columns


def test_tilting_a_normal_column_moves_its_mean_and_keeps_its_spread():
    values = np.random.default_rng(0).normal(10, 2, size=200_000)
    weights = tilt(values, -1.0)
    mean = np.average(values, weights=weights)
    assert mean == pytest.approx(8, abs=0.05)
    assert np.sqrt(np.average((values - mean) ** 2, weights=weights)) == pytest.approx(2, abs=0.1)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=40), st.floats(-2, 2))
def test_tilting_keeps_the_number_of_rows_and_the_share_of_missing_ones(values, amount):
    values = np.array(values)
    weights = tilt(values, amount)
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(values.size)
    assert (weights[np.isnan(values)] == 1).all()


@given(st.lists(st.booleans(), min_size=2, max_size=30).filter(lambda m: 0 < sum(m) < len(m)), st.floats(0.01, 0.99))
def test_a_share_becomes_what_was_asked(member, share):
    member = np.array(member)
    weights = reweighted_share(member, share)
    assert weights[member].sum() / weights.sum() == pytest.approx(share)


def test_the_effective_rows_of_repeated_rows_are_fewer():
    assert effective_rows(np.ones(7)) == pytest.approx(7)
    assert effective_rows(np.array([100.0, 1e-9, 1e-9])) == pytest.approx(1)


def test_unweighted_calibration_error_is_that_of_the_calibration_room():
    rng = np.random.default_rng(0)
    score = rng.random(500)
    truth = (rng.random(500) < score**2).astype(np.int64)
    expected = calibration_error(truth, score, seed=0, n_resamples=200).ece.value
    assert float(weighted_calibration_error(truth, np.column_stack((1 - score, score)))) == pytest.approx(expected)


def test_weighted_calibration_error_is_that_of_repeated_rows_for_each_resample():
    rng = np.random.default_rng(1)
    probability = rng.dirichlet(np.ones(3), size=80)
    truth = rng.integers(0, 3, 80)
    counts = rng.integers(0, 3, size=(4, 80))
    found = weighted_calibration_error(truth, probability, counts)
    for value, count in zip(found, counts, strict=True):
        rows = np.repeat(np.arange(80), count)
        assert value == pytest.approx(float(weighted_calibration_error(truth[rows], probability[rows])))


def test_shifted_metrics_are_the_weighted_ones_of_scikit_learn():
    predict, signature, _, holdout, truth = adult()
    scores = predict(holdout)
    for metric, expected in (("roc_auc", roc_auc_score), ("log_loss", log_loss)):
        found = shift_tests(
            signature, holdout, truth, scores, seed=0, metric=metric, important=("age",), n_numeric=1, n_resamples=50
        )
        tilted = [case for case in found.cases if case.kind == "numeric"]
        assert [case.along for case in tilted] == ["age"] * 4
        for case, amount in zip(tilted, (-1, -0.5, 0.5, 1), strict=True):
            weights = tilt(holdout["age"], amount)
            value = expected(truth, scores[:, 0], sample_weight=weights)
            assert case.effect.metric.value == pytest.approx(value)
            assert case.effect.metric.low <= case.effect.metric.value <= case.effect.metric.high
            assert np.sign(case.after - case.before) == np.sign(amount)


def test_a_change_of_the_class_shares_leaves_the_auc_and_breaks_the_calibration():
    predict, signature, _, holdout, truth = adult()
    found = shift_tests(signature, holdout, truth, predict(holdout), seed=0, n_resamples=50)
    labels = [case for case in found.cases if case.kind == "label"]
    before = float(truth.mean())
    assert [case.after for case in labels] == pytest.approx([before / 4, before / 2, before * 2, min(4 * before, 0.95)])
    for case in labels:
        assert case.effect.metric.value == pytest.approx(found.clean.value)
        assert case.effect.retained.value == pytest.approx(1.0)
        assert case.calibration_error.value > found.clean_calibration_error.value
        assert case.effective_rows < truth.size
    assert labels[-1].calibration_error.value > 0.2


def test_a_category_gets_half_and_twice_its_share():
    columns, truth = two_columns()
    found = shift_tests(signature_of(columns), columns, truth, one_column_model(columns), seed=0, n_resamples=20)
    red = [case for case in found.cases if case.level == "red"]
    share = float((columns["colour"] == "red").mean())
    assert [(case.before, case.after) for case in red] == [(share, share / 2), (share, share * 2)]


def test_a_regression_is_shifted_along_its_target_and_promises_no_probability():
    columns = {"x": np.random.default_rng(0).normal(size=300)}
    truth = columns["x"] * 2 + 1
    scores = (columns["x"] * 1.8 + 1)[:, None]
    signature = signature_of(columns, "regression")
    found = shift_tests(signature, columns, truth, scores, seed=0, n_resamples=20)
    case = found.cases[-1]
    assert (case.kind, case.along) == ("target", "y")
    expected = mean_squared_error(truth, scores[:, 0], sample_weight=tilt(truth, 1.0)) ** 0.5
    assert case.effect.metric.value == pytest.approx(expected)
    assert case.calibration_error.reason == "a regression promises no probability"


def test_every_class_of_many_is_shifted():
    rng = np.random.default_rng(0)
    columns = {"x": rng.normal(size=200)}
    scores = rng.dirichlet(np.ones(3), size=200)
    signature = signature_of(columns, "multiclass", ("a", "b", "c"))
    found = shift_tests(signature, columns, rng.integers(0, 3, 200), scores, seed=0, n_resamples=20)
    assert {case.level for case in found.cases if case.kind == "label"} == {"a", "b", "c"}


def test_a_shift_that_few_rows_carry_has_a_reason_instead_of_a_number():
    columns, truth = two_columns(40)
    truth = np.zeros(40, dtype=np.int64)
    truth[:2] = 1
    found = shift_tests(signature_of(columns), columns, truth, np.full((40, 1), 0.2), seed=0, n_resamples=20)
    case = next(case for case in found.cases if case.kind == "numeric")
    assert case.effect.metric.value == 0.5
    tiny = shift_tests(
        signature_of(columns),
        {name: cells[:6] for name, cells in columns.items()},
        truth[:6],
        np.full((6, 1), 0.2),
        seed=0,
    )
    assert tiny.cases[0].effect.metric.reason.endswith("at least 10 are needed")


def test_one_class_only_and_a_constant_model_are_told_apart_from_numbers():
    columns, truth = two_columns(50)
    signature = signature_of(columns)
    one = shift_tests(signature, columns, np.zeros(50), one_column_model(columns), seed=0, n_resamples=20)
    assert not [case for case in one.cases if case.kind == "label"]
    assert {case.effect.metric.value for case in one.cases} == {None}
    constant = shift_tests(signature, columns, truth, constant_model(columns), seed=0, n_resamples=20)
    assert all("no skill" in case.effect.retained.reason for case in constant.cases)
    assert b"NaN" not in msgspec.json.encode((one, constant))


def test_what_the_stop_left_out_is_named():
    columns, truth = two_columns(50)
    answers = iter([False, True])
    found = shift_tests(
        signature_of(columns),
        columns,
        truth,
        one_column_model(columns),
        seed=0,
        n_resamples=20,
        should_stop=lambda: next(answers),
    )
    assert len(found.cases) == 1
    assert found.not_reached[0] == "numeric shift along 'deciding'"
    assert found.not_reached[-1] == "label shift along 'y' at 'yes'"
