"""The evaluation report and its verdict."""

import msgspec
import numpy as np
import pytest

from arkwright.contracts import Column, Signature
from arkwright.evaluation import EvaluationReport, evaluate, score_metric

INPUT = (Column(name="x", kind="numeric"),)
BINARY = Signature(task="binary", target="churn", columns=INPUT, classes=("No", "Yes"))
MULTI = Signature(task="multiclass", target="kind", columns=INPUT, classes=("a", "b", "c"))
REGRESSION = Signature(task="regression", target="price", columns=INPUT)


def binary_case(n=600, signal=0.3, seed=0):
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.3).astype(np.int64)
    score = np.clip(signal * truth + (1 - signal) * rng.random(n), 0.0, 1.0)
    return truth, score[:, None], np.full((n, 1), 0.3)


def test_a_model_with_signal_beats_the_majority_class():
    report = evaluate(BINARY, *binary_case(), seed=0)
    assert report.beats_baseline.met
    assert report.primary_metric == "roc_auc"
    assert report.reference["roc_auc"].value == 0.5
    assert report.beats_baseline.low > 0
    assert "beats the majority class" in report.beats_baseline.detail
    area = report.metrics["roc_auc"]
    assert area.low < area.value < area.high


def test_a_model_of_noise_does_not_beat_the_majority_class():
    report = evaluate(BINARY, *binary_case(signal=0.0), seed=0)
    assert not report.beats_baseline.met
    assert "does not clearly beat" in report.beats_baseline.detail


def test_a_model_worse_than_the_reference_does_not_beat_it():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=300)
    report = evaluate(REGRESSION, truth, -truth[:, None], np.zeros((300, 1)), seed=0)
    assert not report.beats_baseline.met
    assert report.beats_baseline.difference < 0


def test_for_an_error_metric_smaller_is_better():
    rng = np.random.default_rng(0)
    truth = rng.normal(10, 3, 300)
    report = evaluate(REGRESSION, truth, (truth + rng.normal(size=300))[:, None], np.full((300, 1), 10.0), seed=0)
    assert report.direction == "minimize"
    assert report.beats_baseline.met
    assert report.beats_baseline.difference > 0
    assert report.residuals is not None
    assert report.residuals.std == pytest.approx(1.0, abs=0.1)


def test_the_multiclass_report_has_each_class_under_its_own_label():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    raw = rng.random((300, 3)) + np.eye(3)[truth]
    scores = raw / raw.sum(axis=1, keepdims=True)
    report = evaluate(MULTI, truth, scores, np.full((300, 3), 1 / 3), seed=0)
    assert [item.label for item in report.per_class] == ["a", "b", "c"]
    assert sum(item.n_rows for item in report.per_class) == 300
    assert sum(map(sum, report.confusion.matrix)) == 300
    assert report.beats_baseline.met


def test_the_report_survives_json_with_undefined_numbers_as_null():
    report = evaluate(BINARY, np.ones(5, dtype=np.int64), np.full((5, 1), 0.8), np.full((5, 1), 0.3), seed=0)
    assert report.metrics["roc_auc"].value is None
    assert not report.beats_baseline.met
    assert msgspec.json.decode(msgspec.json.encode(report), type=EvaluationReport) == report


def test_the_same_seed_gives_the_same_report():
    assert evaluate(BINARY, *binary_case(), seed=3) == evaluate(BINARY, *binary_case(), seed=3)


def test_a_metric_of_another_task_is_refused():
    with pytest.raises(ValueError, match="'rmse' is not a metric of a binary task"):
        evaluate(BINARY, *binary_case(), seed=0, primary_metric="rmse")


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="no rows"):
        evaluate(REGRESSION, np.array([]), np.empty((0, 1)), np.empty((0, 1)), seed=0)


def test_a_score_can_be_asked_for_alone():
    truth, score, _ = binary_case()
    assert (
        score_metric("binary", "roc_auc", truth, score)
        == evaluate(BINARY, truth, score, score, seed=0).metrics["roc_auc"].value
    )


def test_the_intervals_of_a_classifier_know_that_class_sizes_vary():
    rng = np.random.default_rng(5)
    truth = (rng.random(500) < 0.3).astype(np.int64)
    found = rng.random(500) < np.where(truth == 1, 0.35, 0.04)
    report = evaluate(BINARY, truth, np.where(found, 0.8, 0.2)[:, None], np.full((500, 1), 0.3), seed=0)
    accuracy = report.metrics["accuracy"]
    # Rows are drawn one by one from the same population, so the number of right answers is binomial.
    binomial = 2 * 1.96 * np.sqrt(accuracy.value * (1 - accuracy.value) / 500)
    assert accuracy.high - accuracy.low == pytest.approx(binomial, rel=0.08)
    assert report.resampling == "rows"


def test_a_class_that_a_resample_could_lose_keeps_its_size_and_the_report_says_so():
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], [300, 3])
    scores = np.clip(0.2 * truth + 0.8 * rng.random(303), 0, 1)[:, None]
    report = evaluate(BINARY, truth, scores, np.full((303, 1), 0.01), seed=0)
    assert report.resampling == "rows within rare classes"
    assert report.metrics["roc_auc"].low is not None
    many = evaluate(REGRESSION, rng.normal(size=50), np.zeros((50, 1)), np.zeros((50, 1)), seed=0)
    assert many.resampling == "rows"
