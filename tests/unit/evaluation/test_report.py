"""The evaluation report and its verdict."""

import msgspec
import numpy as np
import pytest

from arkwright.contracts import Column, Signature
from arkwright.evaluation import EvaluationReport, evaluate, score_metric
from arkwright.evaluation.report import interval_words

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


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        (
            0.0,
            "The model does not clearly beat the mean: root mean squared error 20,000 against 20,000, no difference.",
        ),
        (0.5, "The model beats the mean: root mean squared error 10,000 against 20,000, an improvement of 10,000 ("),
        (-0.5, "The model is worse than the mean: root mean squared error 30,000 against 20,000, worse by 10,000 ("),
    ],
    ids=["the same", "better", "worse"],
)
def test_large_errors_and_no_improvement_are_told_as_people_would(scale, said):
    signature = Signature(task="regression", target="price", columns=())
    truth = np.where(np.arange(60) % 2 == 0, 80_000.0, 120_000.0)
    mean = np.full((60, 1), 100_000.0)
    report = evaluate(signature, truth, mean + scale * (truth[:, None] - mean), mean, seed=0, n_resamples=50)
    assert report.beats_baseline.detail.startswith(said)
    assert "e+" not in report.beats_baseline.detail
    assert "-0" not in report.beats_baseline.detail


def test_a_model_that_is_a_little_worse_is_not_said_to_improve():
    signature = Signature(task="binary", target="y", columns=(), classes=("no", "yes"))
    truth = (np.arange(60) % 2).astype(np.int64)
    right = np.arange(60) % 10 < 4
    scores = np.where(right, truth, 1 - truth)[:, None] * 0.8 + 0.1
    trivial = np.full((60, 1), 0.4)
    report = evaluate(signature, truth, scores, trivial, seed=0, n_resamples=50, primary_metric="accuracy")
    assert report.beats_baseline.detail.startswith(
        "The model does not clearly beat the majority class: accuracy 0.4 against 0.5, worse by 0.1 "
        "(95 % interval of the improvement -0."
    )


def test_a_report_says_how_each_interval_was_made():
    classes = evaluate(BINARY, *binary_case(), seed=0)
    assert set(classes.interval_methods.values()) == {"bca"}
    assert interval_words(classes) == "BCa bootstrap"
    rng = np.random.default_rng(0)
    truth = rng.normal(10, 3, 300)
    numbers = evaluate(REGRESSION, truth, (truth + rng.laplace(size=300))[:, None], np.full((300, 1), 10.0), seed=0)
    assert set(numbers.interval_methods.values()) == {"studentized"}
    root, square = numbers.metrics["rmse"], numbers.metrics["mse"]
    assert (root.low, root.high) == pytest.approx((square.low**0.5, square.high**0.5))
    assert root.low < root.value < root.high


def test_an_interval_stays_within_what_the_metric_can_be():
    truth = np.linspace(1.0, 2.0, 40)
    nearly = truth.copy()
    nearly[0] += 5.0
    report = evaluate(REGRESSION, truth, nearly[:, None], np.full((40, 1), 1.5), seed=0)
    assert 0 <= report.metrics["mse"].low <= report.metrics["mse"].value
    assert report.metrics["r2"].high <= 1


def test_an_older_report_is_read_with_percentile_intervals():
    report = msgspec.to_builtins(evaluate(BINARY, *binary_case(n=60), seed=0, n_resamples=200))
    del report["interval_methods"]
    assert interval_words(msgspec.convert(report, EvaluationReport)) == "percentile bootstrap"
