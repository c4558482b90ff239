"""The evaluation report: every metric with its interval, against the trivial model, and a verdict.

The verdict ``beats_baseline`` is a paired bootstrap: model and reference are scored on the *same*
resamples, and the model beats the reference if the 95 % interval of the difference in the primary metric
lies wholly on the better side of zero. Pairing matters: two overlapping intervals say nothing about the
difference (Schenker & Gentleman 2001, The American Statistician 55).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts import Signature
from arkwright.contracts.signature import Label, TaskType
from arkwright.core.written_numbers import beyond_rounding, written
from arkwright.evaluation.classification import (
    class_counts,
    classification_replicates,
    confusion_matrix,
    per_class,
    predicted_codes,
)
from arkwright.evaluation.importance import FeatureImportance
from arkwright.evaluation.intervals import (
    DEFAULT_RESAMPLES,
    LEVEL,
    METHOD_TITLES,
    Interval,
    IntervalMethod,
    ReplicateMetrics,
    Resampling,
    best_interval,
    bootstrap,
    interval,
    jackknife,
    rare_classes,
    resamples_for,
    resampling_of,
)
from arkwright.evaluation.metric import METRICS, Direction, FloatArray, IntArray, undefined_reason
from arkwright.evaluation.regression import (
    ResidualSummary,
    regression_metrics,
    standard_errors,
    summarise_residuals,
)

PRIMARY_METRIC: dict[TaskType, str] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


class ClassReport(msgspec.Struct, frozen=True, kw_only=True):
    """Precision, recall and F1 of one class, and how many rows it has."""

    label: Label
    n_rows: int
    precision: float
    recall: float
    f1: float


class Confusion(msgspec.Struct, frozen=True, kw_only=True):
    """Counts: ``matrix[i][j]`` rows of class ``labels[i]`` were called ``labels[j]``."""

    labels: tuple[Label, ...]
    matrix: tuple[tuple[int, ...], ...]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the model beats the reference on the primary metric, and how that was decided.

    ``difference`` is the improvement, positive where the model is better whatever the metric's direction;
    ``low`` and ``high`` are its 95 % interval. ``detail`` says it in a sentence.
    """

    met: bool
    detail: str
    reference: str
    difference: float | None
    low: float | None
    high: float | None


class EvaluationReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the holdout says about a model.

    ``reference`` holds the metrics of the majority (or mean) model on the same rows; ``beats_baseline`` is
    what a gate asks for. ``basis`` says which rows they are: ``holdout``, which the model was never trained on, or
    ``sample``, which somebody gave with a model of their own and which it may well have seen. ``resampling`` says how
    the resamples were drawn (None in a report from before that was written down, when classes kept their sizes), and
    ``interval_methods`` how each metric's interval was made of them (percentile where nothing is said).
    """

    task: TaskType
    target: str
    n_rows: int
    primary_metric: str
    direction: str
    metrics: dict[str, Interval]
    reference: dict[str, Interval]
    beats_baseline: Verdict
    classes: tuple[Label, ...] = ()
    per_class: tuple[ClassReport, ...] = ()
    confusion: Confusion | None = None
    residuals: ResidualSummary | None = None
    importance: tuple[FeatureImportance, ...] = ()
    level: float = LEVEL
    n_resamples: int = DEFAULT_RESAMPLES
    seed: int = 0
    basis: str = "holdout"
    resampling: Resampling | None = None
    interval_methods: dict[str, IntervalMethod] = {}


def evaluate(
    signature: Signature,
    truth: npt.NDArray[Any],
    scores: FloatArray,
    reference_scores: FloatArray,
    *,
    seed: int,
    primary_metric: str | None = None,
    importance: Sequence[FeatureImportance] = (),
    n_resamples: int = DEFAULT_RESAMPLES,
) -> EvaluationReport:
    """Score a model and the trivial model on rows neither has seen.

    Parameters
    ----------
    signature
        Of the model: says the task and the classes.
    truth
        Class codes in the order of ``signature.classes``, or float values for regression.
    scores, reference_scores
        As a predictor returns them: shape ``(n, 1)`` holding P(positive) for binary or the value for
        regression, ``(n, n_classes)`` for multiclass.
    seed
        Of the bootstrap.
    primary_metric
        What the verdict is about; defaults to ROC AUC, log loss or RMSE by task.

    Raises
    ------
    ValueError
        If there is no row, or the primary metric is not one of the task's.
    """
    if truth.size == 0:
        message = "no rows to evaluate on"
        raise ValueError(message)
    primary = primary_metric or PRIMARY_METRIC[signature.task]
    n_resamples = resamples_for(truth.size, n_resamples)
    strata = rare_classes(None if signature.task == "regression" else truth.astype(np.int64))
    model = _metrics_of(signature.task, truth, scores)
    trivial = _metrics_of(signature.task, truth, reference_scores)
    ones = np.ones(truth.size)
    value, reference_value = model(ones), trivial(ones)
    if primary not in value:
        message = f"{primary!r} is not a metric of a {signature.task} task: {', '.join(value)}"
        raise ValueError(message)

    # One pass for both, on the same resamples: that is what makes the comparison a paired one.
    answers = {"model": model, "trivial": trivial, "error": _errors_of(signature.task, truth, scores)}
    paired = bootstrap(
        lambda weights: {(who, name): numbers for who, of in answers.items() for name, numbers in of(weights).items()},
        truth.size,
        seed=seed,
        n_resamples=n_resamples,
        strata=strata,
    )
    replicates = {name: paired["model", name] for name in value}
    reference_replicates = {name: paired["trivial", name] for name in value}
    verdict = _compare(
        primary,
        "mean" if signature.task == "regression" else "majority class",
        (float(value[primary]), float(reference_value[primary])),
        (replicates[primary], reference_replicates[primary]),
    )
    errors = {name: (float(error), paired["error", name]) for name, error in answers["error"](ones).items()}
    left_out = jackknife(model, truth.size, seed=seed, strata=strata) if truth.size > 1 else {}
    metrics, methods = _best_intervals(value, replicates, left_out, errors, truth.size)
    report = EvaluationReport(
        task=signature.task,
        target=signature.target,
        n_rows=int(truth.size),
        primary_metric=primary,
        direction=METRICS[primary].direction,
        metrics=metrics,
        interval_methods=methods,
        reference=_intervals(reference_value, reference_replicates),
        beats_baseline=verdict,
        importance=tuple(importance),
        n_resamples=n_resamples,
        seed=seed,
        resampling=resampling_of(strata),
    )
    if signature.task == "regression":
        return msgspec.structs.replace(report, residuals=summarise_residuals(truth.astype(np.float64), scores[:, 0]))
    codes = truth.astype(np.int64)
    classes, confusion = _by_class(signature.classes, codes, as_probability(signature.task, scores))
    return msgspec.structs.replace(report, classes=signature.classes, per_class=classes, confusion=confusion)


def as_probability(task: TaskType, scores: FloatArray) -> FloatArray:
    """Return one column per class from a predictor's scores.

    Examples
    --------
    >>> as_probability("binary", np.array([[0.2]]))
    array([[0.8, 0.2]])
    """
    if task == "binary" and scores.shape[1] == 1:
        return np.column_stack((1.0 - scores[:, 0], scores[:, 0]))
    return scores


def score_metric(task: TaskType, metric: str, truth: npt.NDArray[Any], scores: FloatArray) -> float:
    """Compute one metric of a predictor's scores.

    Examples
    --------
    >>> score_metric("regression", "mae", np.array([1.0, 3.0]), np.array([[2.0], [3.0]]))
    0.5
    """
    return float(_metrics_of(task, truth, scores)(np.ones(truth.size))[metric])


def interval_words(report: EvaluationReport) -> str:
    """Name the bootstrap of a report's intervals, and which metrics have another one.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> methods = {"roc_auc": "bca", "recall": "bca", "accuracy": "percentile"}
    >>> interval_words(SimpleNamespace(interval_methods=methods))
    'BCa bootstrap, percentile for accuracy'
    """
    by_method: dict[IntervalMethod, list[str]] = {}
    for name, method in report.interval_methods.items():
        by_method.setdefault(method, []).append(METRICS[name].title if name in METRICS else name)
    most, *others = sorted(by_method, key=lambda method: -len(by_method[method])) or ["percentile"]
    words = [f"{METHOD_TITLES[most]} bootstrap"]
    words += [f"{METHOD_TITLES[method]} for {', '.join(by_method[method])}" for method in others]
    return ", ".join(words)


def _intervals(values: Mapping[str, FloatArray], replicates: Mapping[str, FloatArray]) -> dict[str, Interval]:
    return {name: interval(number, replicates[name], reason=undefined_reason(name)) for name, number in values.items()}


def _best_intervals(
    values: Mapping[str, FloatArray],
    replicates: Mapping[str, FloatArray],
    left_out: Mapping[str, FloatArray],
    errors: Mapping[str, tuple[float, FloatArray]],
    n_rows: int,
) -> tuple[dict[str, Interval], dict[str, IntervalMethod]]:
    found: dict[str, Interval] = {}
    methods: dict[str, IntervalMethod] = {}
    for name, number in values.items():
        found[name], methods[name] = best_interval(
            number,
            replicates[name],
            left_out.get(name),
            errors.get(name),
            n_rows=n_rows,
            reason=undefined_reason(name),
        )
        if methods[name] == "studentized":
            found[name] = _within_range(found[name], METRICS[name].direction)
    if "rmse" in found:
        # The root of a mean: its interval is the root of the mean's.
        found["rmse"], methods["rmse"] = _root_of(found["mse"]), methods["mse"]
    return found, methods


def _within_range(found: Interval, direction: Direction) -> Interval:
    """Keep bounds that are distances from a value within what can be: no loss is below 0, no R2 above 1."""
    if found.low is None or found.high is None:
        return found
    if direction == "minimize":
        return msgspec.structs.replace(found, low=max(found.low, 0.0))
    return msgspec.structs.replace(found, high=min(found.high, 1.0))


def _root_of(squared: Interval) -> Interval:
    if squared.value is None or squared.low is None or squared.high is None:
        return squared if squared.value is None else msgspec.structs.replace(squared, value=squared.value**0.5)
    return Interval(value=squared.value**0.5, low=squared.low**0.5, high=squared.high**0.5)


def _errors_of(task: TaskType, truth: npt.NDArray[Any], scores: FloatArray) -> ReplicateMetrics[str]:
    """Return the standard errors of a number's metrics; none for classes."""
    if task != "regression":
        return lambda _: {}
    values, predicted = truth.astype(np.float64), np.ascontiguousarray(scores[:, 0])
    return lambda weights: standard_errors(values, predicted, weights)


def _metrics_of(task: TaskType, truth: npt.NDArray[Any], scores: FloatArray) -> ReplicateMetrics[str]:
    if task == "regression":
        values, predicted = truth.astype(np.float64), np.ascontiguousarray(scores[:, 0])
        return lambda weights: regression_metrics(values, predicted, weights)
    codes: IntArray = truth.astype(np.int64)
    return classification_replicates(codes, as_probability(task, scores))


def _compare(
    primary: str, reference: str, values: tuple[float, float], replicates: tuple[FloatArray, FloatArray]
) -> Verdict:
    metric = METRICS[primary]
    change = beyond_rounding(values[0] - values[1], *values)
    improvement = interval(metric.sign * change, metric.sign * (replicates[0] - replicates[1]))
    beats = improvement.low is not None and improvement.low > 0
    if improvement.value is None or improvement.low is None or improvement.high is None:
        sentence = f"{metric.title} is not defined on these rows, so the model cannot be said to beat the {reference}."
    else:
        bounds = improvement.low, improvement.high
        outcome = "beats" if beats else "is worse than" if bounds[1] < 0 else "does not clearly beat"
        sentence = (
            f"The model {outcome} the {reference}: {metric.title} {written(values[0])} against {written(values[1])}, "
            f"{_gap(improvement.value, *bounds)}."
        )
    return Verdict(
        met=beats,
        detail=sentence,
        reference=reference,
        difference=improvement.value,
        low=improvement.low,
        high=improvement.high,
    )


def _gap(improvement: float, low: float, high: float) -> str:
    """Say how much better or worse the model is."""
    if improvement > 0:
        return f"an improvement of {written(improvement)} (95 % interval {written(low)} to {written(high)})"
    if high < 0:
        return f"worse by {written(-improvement)} (95 % interval {written(-high)} to {written(-low)})"
    said = f"worse by {written(-improvement)}" if improvement < 0 else "no difference"
    if low == high:
        return said
    return f"{said} (95 % interval of the improvement {written(low)} to {written(high)})"


def _by_class(
    labels: tuple[Label, ...], codes: IntArray, probability: FloatArray
) -> tuple[tuple[ClassReport, ...], Confusion]:
    confusion = confusion_matrix(codes, predicted_codes(probability), probability.shape[1])
    single = per_class(class_counts(codes, predicted_codes(probability), probability.shape[1]))
    reports = tuple(
        ClassReport(
            label=label,
            n_rows=int(confusion[code].sum()),
            precision=float(single.precision[code]),
            recall=float(single.recall[code]),
            f1=float(single.f1[code]),
        )
        for code, label in enumerate(labels)
    )
    matrix = tuple(tuple(int(cell) for cell in row) for row in confusion)
    return reports, Confusion(labels=labels, matrix=matrix)
