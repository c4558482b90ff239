"""One scale for every metric."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, r2_score

from arkwright.core.errors import Invalid
from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.skill import clipped_mean, constant_scores, metrics_of, not_computable, skill_of, yardstick
from tests.unit.evaluation.robust_cases import one_column_model, signature_of, two_columns


def at(value):
    return Interval(value=value, low=None, high=None)


def test_the_skill_of_the_squared_error_is_r_squared():
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(size=50), rng.normal(size=50)
    error = float(np.mean((truth - predicted) ** 2))
    assert skill_of("mse", error, float(truth.var())) == pytest.approx(r2_score(truth, predicted))


def test_the_constant_prediction_is_the_best_one():
    truth = np.array([0, 0, 1, 2])
    scores = constant_scores("multiclass", truth, 3)
    best = log_loss(truth, scores)
    assert scores[0].tolist() == [0.5, 0.25, 0.25]
    for other in ([0.4, 0.3, 0.3], [0.6, 0.2, 0.2]):
        assert log_loss(truth, np.tile(other, (4, 1))) > best


def test_the_constant_prediction_follows_the_weights():
    assert constant_scores("regression", np.array([0.0, 4.0]), 1, np.array([3.0, 1.0]))[0, 0] == 1.0
    assert constant_scores("binary", np.array([0, 1]), 1, np.array([1.0, 3.0]))[0, 0] == 0.75


def test_an_untouched_metric_retains_everything_and_the_constant_one_nothing():
    columns, truth = two_columns()
    stick = yardstick(signature_of(columns), truth, one_column_model(columns))
    assert stick.judge(at(stick.clean)).retained.value == 1.0
    assert stick.judge(at(stick.trivial)).retained.value == 0.0
    assert stick.judge(at(0.4)).retained.value < 0


@given(st.floats(0.5, 1.0), st.floats(0.0, 0.2))
def test_the_interval_of_what_is_retained_is_ordered_in_both_directions(value, half):
    columns, truth = two_columns(100)
    for metric in ("roc_auc", "log_loss"):
        stick = yardstick(signature_of(columns), truth, one_column_model(columns), metric)
        found = stick.judge(Interval(value=value, low=value - half, high=value + half)).retained
        assert found.low <= found.value <= found.high


def test_a_model_without_skill_has_nothing_to_retain():
    columns, truth = two_columns()
    stick = yardstick(signature_of(columns), truth, np.full((truth.size, 1), 0.3))
    found = stick.judge(at(0.5)).retained
    assert found.value is None
    assert "no skill to retain" in found.reason


def test_truth_of_one_class_makes_the_metric_undefined_and_says_so():
    columns, truth = two_columns(20)
    stick = yardstick(signature_of(columns), np.zeros_like(truth), one_column_model(columns))
    found = stick.judge(at(None))
    assert found.metric.value is None
    assert "not defined" in found.metric.reason
    assert "not defined" in found.retained.reason


@pytest.mark.parametrize("bad", [np.nan, -1, 2, 0.5])
def test_truth_that_is_no_class_is_refused_with_its_first_row(bad):
    columns, truth = two_columns(20)
    wrong = truth.astype(float)
    wrong[7] = bad
    with pytest.raises(Invalid, match="first in row 7"):
        yardstick(signature_of(columns), wrong, one_column_model(columns))


def test_a_metric_of_another_task_is_refused():
    columns, truth = two_columns(20)
    with pytest.raises(Invalid, match="'rmse' is not a metric of a binary task"):
        yardstick(signature_of(columns), truth, one_column_model(columns), "rmse")


def test_a_failure_counts_as_nothing_retained_and_an_unknown_does_not_count():
    assert clipped_mean([at(1.5), at(-3.0), None, not_computable("no rows")]) == pytest.approx(1 / 3)
    assert clipped_mean([not_computable("no rows")]) is None


def test_weighted_metrics_are_those_of_repeated_rows():
    columns, truth = two_columns(60)
    scores = one_column_model(columns)
    counts = np.random.default_rng(0).integers(0, 4, 60)
    rows = np.repeat(np.arange(60), counts)
    weighted, repeated = metrics_of("binary", truth, scores, counts), metrics_of("binary", truth[rows], scores[rows])
    for name in ("roc_auc", "log_loss", "f1"):
        assert float(weighted[name]) == pytest.approx(float(repeated[name]))


def test_skill_that_may_be_chance_is_none_to_retain():
    rng = np.random.default_rng(8)
    columns = {"x": rng.normal(size=80)}
    truth = (rng.random(80) < 1 / (1 + np.exp(-0.3 * columns["x"]))).astype(np.int64)
    weak = yardstick(signature_of(columns), truth, 1 / (1 + np.exp(-columns["x"]))[:, None])
    assert weak.clean > weak.trivial
    assert weak.skill_low < 0
    assert weak.no_skill.startswith("the model has no sure skill to retain")
    many = {"x": rng.normal(size=2000)}
    truth = (rng.random(2000) < 1 / (1 + np.exp(-many["x"]))).astype(np.int64)
    assert yardstick(signature_of(many), truth, 1 / (1 + np.exp(-many["x"]))[:, None]).no_skill == ""
