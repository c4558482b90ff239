"""How much of a model's skill is left: one scale from any metric.

The *skill* of a model is its metric on a scale where 0 is the constant prediction (the mean of the target, or the
share of each class) and 1 is perfect (Murphy's skill score). What a disturbance leaves of it is the *retained*
share: 1 is untouched, 0 is no better than a constant, below 0 is worse than a constant. The scale makes ROC AUC, log
loss and RMSE comparable.

References
----------
Murphy (1988), "Skill Scores Based on the Mean Square Error and Their Relationships to the Correlation
Coefficient", Monthly Weather Review 116.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts import Signature
from arkwright.contracts.signature import TaskType
from arkwright.core.errors import Invalid
from arkwright.core.written_numbers import counted, written
from arkwright.evaluation.classification import classification_metrics
from arkwright.evaluation.intervals import Interval, bootstrap, percentile_interval, rare_classes
from arkwright.evaluation.metric import METRICS, FloatArray, ratio, row_weights
from arkwright.evaluation.regression import regression_metrics
from arkwright.evaluation.report import PRIMARY_METRIC, as_probability

MIN_SKILL = 0.01
"""A model with less skill than this, or with skill that may be chance, has nothing to retain.

A share of it would be a ratio of two noises, and whatever disturbs such a model seems to leave all of it.
"""

_RESAMPLES = 200


class Degradation(msgspec.Struct, frozen=True, kw_only=True):
    """The metric under a disturbance, and the share of the skill that is left.

    ``failure`` says what the model did instead of answering; then both numbers are not computable.
    """

    metric: Interval
    retained: Interval
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """A metric on given rows with its two marks: undisturbed and the best constant prediction.

    ``skill_low`` is the lower end of the 95 % interval of the undisturbed skill; None where it has none.
    """

    task: TaskType
    metric: str
    truth: npt.NDArray[Any]
    n_scores: int
    clean: float
    trivial: float
    skill_low: float | None = None

    @property
    def no_skill(self) -> str:
        """Why there is no skill to retain; empty if there is some."""
        skill = skill_of(self.metric, self.clean, self.trivial)
        if skill is None:
            return f"{METRICS[self.metric].title} is not defined on these rows"
        if skill < MIN_SKILL:
            return (
                f"the model has no skill to retain: {METRICS[self.metric].title} {written(self.clean)}, "
                f"a constant prediction has {written(self.trivial)}"
            )
        if self.skill_low is not None and self.skill_low <= 0:
            return (
                f"the model has no sure skill to retain: {METRICS[self.metric].title} {written(self.clean)} on "
                f"{counted(self.truth.size, 'row')} may be chance, a constant prediction has {written(self.trivial)}"
            )
        return ""

    def value(self, scores: FloatArray, weights: npt.NDArray[Any] | None = None) -> FloatArray:
        """Return the metric, one number per leading index of the weights."""
        return np.asarray(metrics_of(self.task, self.truth, scores, weights)[self.metric], dtype=np.float64)

    def trivial_value(self, weights: npt.NDArray[Any] | None = None) -> float:
        """Return the metric of the best constant prediction on rows with these weights."""
        constant = constant_scores(self.task, self.truth, self.n_scores, weights)
        return float(self.value(constant, weights))

    def judge(self, metric: Interval, trivial: float | None = None) -> Degradation:
        """Return what is left of the skill.

        Parameters
        ----------
        metric
            Under the disturbance.
        trivial
            The constant prediction's metric where the disturbance changes it too (a shift).
        """
        undefined = f"{METRICS[self.metric].title} is not defined on these rows"
        if metric.value is None and not metric.reason:
            metric = not_computable(undefined)
        mark = self.trivial if trivial is None else trivial
        why = self.no_skill or metric.reason
        if not why and skill_of(self.metric, metric.value, mark) is None:
            why = undefined
        if why:
            return Degradation(metric=metric, retained=not_computable(why))
        clean = skill_of(self.metric, self.clean, self.trivial) or 1.0
        shares = [skill_of(self.metric, number, mark) for number in (metric.value, metric.low, metric.high)]
        value, *ends = [None if share is None else share / clean for share in shares]
        known = sorted(end for end in ends if end is not None)
        return Degradation(
            metric=metric,
            retained=Interval(value=value, low=known[0] if known else None, high=known[-1] if known else None),
        )

    def failed(self, failure: str) -> Degradation:
        """Return the degradation of a model that gave no usable answer."""
        none = not_computable(f"the model {failure}")
        return Degradation(metric=none, retained=none, failure=failure)


def yardstick(
    signature: Signature, truth: npt.NDArray[Any], scores: FloatArray, metric: str | None = None
) -> Yardstick:
    """Mark the metric of the undisturbed model and of the best constant prediction.

    Parameters
    ----------
    truth
        Class codes in the order of ``signature.classes``, or float values for regression.
    scores
        Of the undisturbed rows: shape ``(n_rows, k)``.
    metric
        Defaults to ROC AUC, log loss or RMSE by task.

    Raises
    ------
    Invalid
        If the truth does not fit the rows or the classes, or the metric is not one of the task's.
    """
    truth = checked_truth(signature, truth, scores.shape[0])
    name = metric or PRIMARY_METRIC[signature.task]
    found = metrics_of(signature.task, truth, scores)
    if name not in found:
        raise Invalid(
            f"{name!r} is not a metric of a {signature.task} task",
            code="evaluation.metric",
            hint=f"choose one of {', '.join(found)}",
        )
    constant = constant_scores(signature.task, truth, scores.shape[1])
    return Yardstick(
        task=signature.task,
        metric=name,
        truth=truth,
        n_scores=scores.shape[1],
        clean=float(found[name]),
        trivial=float(metrics_of(signature.task, truth, constant)[name]),
        skill_low=_skill_low(signature.task, name, truth, scores, constant),
    )


def _skill_low(
    task: TaskType, metric: str, truth: npt.NDArray[Any], scores: FloatArray, constant: FloatArray
) -> float | None:
    perfect = 0.0 if METRICS[metric].direction == "minimize" else 1.0

    def skill(weights: FloatArray) -> dict[str, FloatArray]:
        # Both on the same resamples: how hard they happen to be is no part of the skill.
        value, mark = (metrics_of(task, truth, given, weights)[metric] for given in (scores, constant))
        return {"skill": ratio(value - mark, perfect - mark, empty=np.nan)}

    strata = rare_classes(None if task == "regression" else truth.astype(np.int64))
    found = percentile_interval(bootstrap(skill, truth.size, seed=0, n_resamples=_RESAMPLES, strata=strata)["skill"])
    return None if found is None else found[0]


def checked_truth(signature: Signature, truth: npt.NDArray[Any], n_rows: int) -> npt.NDArray[Any]:
    """Return the truth as int64 codes or float64 values.

    Raises
    ------
    Invalid
        If it has another length than the rows, holds NaN, or a code that is none of the classes.
    """
    values = np.asarray(truth, dtype=np.float64)
    if values.shape != (n_rows,):
        raise Invalid(
            f"the truth has shape {values.shape}, there are {n_rows} rows",
            code="evaluation.rows",
            hint="give one true value for each row",
        )
    wrong = ~np.isfinite(values)
    if signature.task != "regression":
        wrong |= (values < 0) | (values >= len(signature.classes)) | (values != np.floor(values))
    if wrong.any():
        raise Invalid(
            f"{int(wrong.sum())} of {n_rows} true values are missing or are none of the model's classes "
            f"(first in row {int(np.flatnonzero(wrong)[0])})",
            code="evaluation.truth",
            hint="leave out the rows without a label and those whose label the model was never trained on",
        )
    return values if signature.task == "regression" else values.astype(np.int64)


def metrics_of(
    task: TaskType, truth: npt.NDArray[Any], scores: FloatArray, weights: npt.NDArray[Any] | None = None
) -> Mapping[str, FloatArray]:
    """Compute every metric of the task from a predictor's scores, with row weights."""
    if task == "regression":
        return regression_metrics(truth.astype(np.float64), np.ascontiguousarray(scores[:, 0]), weights)
    return classification_metrics(truth.astype(np.int64), as_probability(task, scores), weights)


def constant_scores(
    task: TaskType, truth: npt.NDArray[Any], n_scores: int, weights: npt.NDArray[Any] | None = None
) -> FloatArray:
    """Return the constant prediction that knows the rows: their mean, or the share of each class.

    Examples
    --------
    >>> constant_scores("binary", np.array([0, 1]), 1)
    array([[0.5],
           [0.5]])
    """
    weight = row_weights(truth.size, weights)
    if task == "regression":
        best = np.full(n_scores, float(np.average(truth, weights=weight)))
    else:
        n_classes = max(n_scores, 2)
        best = np.bincount(truth.astype(np.int64), weights=weight, minlength=n_classes) / weight.sum()
        best = best[1:] if n_scores == 1 else best
    return np.tile(best, (truth.size, 1))


def skill_of(metric: str, value: float | None, trivial: float) -> float | None:
    """Return ``(value - trivial) / (perfect - trivial)``; None where it is not defined.

    A perfect model has 0 where less is better, 1 where more is.

    Examples
    --------
    >>> skill_of("roc_auc", 0.75, 0.5), skill_of("rmse", 3.0, 2.0), skill_of("accuracy", 1.0, 1.0)
    (0.5, -0.5, None)
    """
    perfect = 0.0 if METRICS[metric].direction == "minimize" else 1.0
    if value is None or not np.isfinite([value, trivial]).all() or perfect == trivial:
        return None
    return (value - trivial) / (perfect - trivial)


def clipped_mean(shares: list[Interval | None]) -> float | None:
    """Average retained shares, each clipped to [0, 1]; None counts as 0, what is not computable is left out.

    Examples
    --------
    >>> clipped_mean([Interval(value=1.2, low=None, high=None), None])
    0.5
    """
    known = [0.0 if share is None else share.value for share in shares]
    found = [min(1.0, max(0.0, share)) for share in known if share is not None]
    return float(np.mean(found)) if found else None


def not_computable(reason: str) -> Interval:
    """Return the interval of a number that cannot be computed."""
    return Interval(value=None, low=None, high=None, reason=reason)
