"""Whether one model is better than another on the same rows: the test that fits each metric, and Holm's correction.

Both models answer the same rows, so every test here is a paired one:

==============================  ====================================================================================
ROC AUC of a binary problem     DeLong's test for correlated areas
accuracy                        McNemar's test: exact below 25 discordant rows, else with continuity correction
errors of a forecast            Diebold-Mariano with the small-sample correction of Harvey, Leybourne and Newbold
any other metric                paired bootstrap of rows, a class of fewer than 20 rows kept at its size
no spread to resample from      approximate randomisation: the two answers of a row are swapped at random
==============================  ====================================================================================

The interval of a change comes from the paired bootstrap for every metric: BCa, and the percentile interval beside it.
Steps of a forecast depend on each other: blocks of neighbouring steps are resampled there
(:mod:`arkwright.evaluation.block_bootstrap`), and the test of Diebold and Mariano takes them to depend on each other
over the horizon, or longer where the difference of the losses does. The tests themselves are in
:mod:`arkwright.evaluation.paired_tests`.

References
----------
Bandos, Rockette & Gur (2005), "A permutation test sensitive to differences in areas for comparing ROC curves from a
paired design", Statistics in Medicine 24: randomisation of ranks.
Noreen (1989), "Computer-Intensive Methods for Testing Hypotheses": approximate randomisation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid
from arkwright.evaluation.block_bootstrap import (
    FEWEST_STEPS,
    block_interval,
    block_length,
    block_weights,
    dependent_steps,
    mean_by_step,
)
from arkwright.evaluation.calibration import checked_probability
from arkwright.evaluation.classification import classification_replicates, predicted_codes
from arkwright.evaluation.intervals import (
    DEFAULT_RESAMPLES,
    Interval,
    ReplicateMetrics,
    Resampling,
    bootstrap,
    interval,
    jackknife,
    rare_classes,
    resamples_for,
    resampling_of,
)
from arkwright.evaluation.metric import METRICS, FloatArray, IntArray, require_finite
from arkwright.evaluation.paired_tests import (
    bootstrap_p_value,
    delong_test,
    diebold_mariano_test,
    holm_adjusted,
    mcnemar_test,
    midranks,
)
from arkwright.evaluation.regression import regression_metrics
from arkwright.evaluation.report import as_probability

ComparedTask = Literal["binary", "multiclass", "regression", "forecasting"]
Outcome = Literal["better", "worse", "no clear difference", "not computable"]
Test = Literal["DeLong", "McNemar", "Diebold-Mariano", "paired bootstrap", "approximate randomisation", "none"]

DEFAULT_METRICS: dict[ComparedTask, tuple[str, ...]] = {
    "binary": ("roc_auc", "pr_auc", "log_loss", "accuracy", "f1"),
    "multiclass": ("log_loss", "roc_auc_ovr", "accuracy", "f1_macro"),
    "regression": ("rmse", "mae", "r2"),
    "forecasting": ("rmse", "mae"),
}
"""What is compared when no metrics are named; few, because every further one makes Holm's correction stricter."""

ALPHA = 0.05
_RANDOMISATIONS = 999
_RANDOMISATION_CELLS = 20_000_000
_SAME = 1e-12


class MetricComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of both models.

    Parameters
    ----------
    change, change_percentile
        Candidate minus baseline, in the metric's unit, with the BCa and the percentile interval.
    relative_change
        Change as a share of the baseline's absolute value, with its BCa interval.
    improvement
        The change with its sign turned so that above zero is better.
    p_value, p_adjusted
        Two-sided; ``p_adjusted`` holds for all metrics of the comparison together (Holm).
    outcome
        ``better`` or ``worse`` if ``p_adjusted`` is below alpha.
    reason
        Why the outcome is not computable.
    """

    metric: str
    title: str
    direction: str
    baseline: float | None
    candidate: float | None
    change: Interval
    change_percentile: Interval
    relative_change: Interval
    improvement: float | None
    p_value: float | None
    p_adjusted: float | None
    outcome: Outcome
    test: Test
    reason: str = ""


class ModelComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two models on the same rows, metric by metric; ``resampling`` says how the resamples were drawn."""

    task: ComparedTask
    n_rows: int
    metrics: tuple[MetricComparison, ...]
    alpha: float
    n_resamples: int
    seed: int
    resampling: Resampling | None = None

    def of(self, metric: str) -> MetricComparison | None:
        """Return the comparison of one metric; None if it was not compared."""
        return next((item for item in self.metrics if item.metric == metric), None)


def compare_models(
    task: ComparedTask,
    truth: npt.NDArray[Any],
    baseline_scores: FloatArray,
    candidate_scores: FloatArray,
    metrics: Sequence[str] | None = None,
    *,
    seed: int,
    alpha: float = ALPHA,
    n_resamples: int = DEFAULT_RESAMPLES,
    time: npt.NDArray[Any] | None = None,
    horizon: int = 1,
) -> ModelComparison:
    """Compare a candidate with a baseline on rows neither was trained on.

    Parameters
    ----------
    truth
        Class codes, or values; shape ``(n,)``.
    baseline_scores, candidate_scores
        As a predictor returns them: ``(n, 1)`` or ``(n, n_classes)``.
    metrics
        Names from :data:`METRICS`; :data:`DEFAULT_METRICS` of the task by default.
    alpha
        Level of the whole comparison.
    time
        Of each row, for forecasts; rows of several series that share a time are one step. Rows are steps in the order
        given without it.
    horizon
        Steps ahead the forecasts were made, for forecasts.

    Raises
    ------
    Invalid
        If there are no rows, shapes differ, a value is not finite, a metric is not one of the task's or alpha no level.

    Examples
    --------
    >>> truth = np.arange(40) % 2
    >>> good, poor = np.where(truth == 1, 0.8, 0.2)[:, None], np.full((40, 1), 0.5)
    >>> found = compare_models("binary", truth, poor, good, ["accuracy"], seed=0).metrics[0]
    >>> found.baseline, found.candidate, found.outcome, found.test
    (0.5, 1.0, 'better', 'McNemar')
    """
    names = tuple(dict.fromkeys(DEFAULT_METRICS[task] if metrics is None else metrics))
    _check(task, truth, baseline_scores, candidate_scores, names, alpha)
    pair = _Pair(task, truth, baseline_scores, candidate_scores, names)
    value = pair.weigh(np.ones(pair.n_rows))
    wanted = resamples_for(pair.n_rows, n_resamples)
    if task == "forecasting":
        steps = np.arange(pair.n_rows) if time is None else np.unique(time, return_inverse=True)[1].reshape(-1)
        blocks, left_out = _blocks(pair, steps, horizon), None
        replicates = _block_bootstrap(pair, blocks, seed=seed, n_resamples=wanted)
    else:
        blocks = None
        replicates = bootstrap(pair.weigh, pair.n_rows, seed=seed, n_resamples=wanted, strata=pair.strata)
        left_out = jackknife(pair.weigh, pair.n_rows, seed=seed, strata=pair.strata)
    found = [_compared(pair, name, value, replicates, left_out, blocks, seed) for name in names]
    adjusted = holm_adjusted([item.p_value for item in found])
    return ModelComparison(
        task=task,
        n_rows=pair.n_rows,
        metrics=tuple(_judged(item, p_adjusted, alpha) for item, p_adjusted in zip(found, adjusted, strict=True)),
        alpha=alpha,
        n_resamples=wanted,
        seed=seed,
        resampling="blocks of steps" if task == "forecasting" else resampling_of(pair.strata),
    )


class _Pair:
    """Both models' metrics of the same rows, and their differences, for any row weights."""

    def __init__(
        self,
        task: ComparedTask,
        truth: npt.NDArray[Any],
        baseline_scores: FloatArray,
        candidate_scores: FloatArray,
        names: tuple[str, ...],
    ) -> None:
        self.task = task
        self.names = names
        self.n_rows = int(truth.size)
        self.strata: IntArray | None = None
        self.classified = task in ("binary", "multiclass")
        if self.classified:
            self.codes: IntArray = truth.astype(np.int64)
            self.strata = rare_classes(self.codes)
            as_task: Literal["binary", "multiclass"] = "binary" if task == "binary" else "multiclass"
            self.answers = tuple(as_probability(as_task, scores) for scores in (baseline_scores, candidate_scores))
        else:
            self.values: FloatArray = truth.astype(np.float64)
            self.answers = tuple(np.ascontiguousarray(scores[:, 0]) for scores in (baseline_scores, candidate_scores))
        self._replicates = tuple(self.metrics_of(answer, names) for answer in self.answers)

    def metrics_of(self, answer: FloatArray, names: tuple[str, ...]) -> ReplicateMetrics[str]:
        if self.classified:
            return classification_replicates(self.codes, answer, names)
        return lambda weights: regression_metrics(self.values, answer, weights)

    def weigh(self, weights: FloatArray) -> dict[tuple[str, str], FloatArray]:
        before, after = (replicates(weights) for replicates in self._replicates)
        found: dict[tuple[str, str], FloatArray] = {}
        for name in self.names:
            old, change = before[name], after[name] - before[name]
            found["baseline", name], found["candidate", name], found["change", name] = old, after[name], change
            found["relative", name] = change / np.where(old == 0, np.nan, np.abs(old))
        return found


Found = Mapping[tuple[str, str], FloatArray]


class _Blocks(NamedTuple):
    """The step of each row of a forecast, and how many neighbouring steps are drawn together."""

    steps: IntArray
    n_steps: int
    length: int
    horizon: int


def _blocks(pair: _Pair, steps: IntArray, horizon: int) -> _Blocks:
    before, after = (np.abs(pair.values - answer) for answer in pair.answers)
    n_steps = int(steps.max()) + 1
    return _Blocks(steps, n_steps, block_length(n_steps, horizon, mean_by_step(before - after, steps)), horizon)


def _compared(
    pair: _Pair,
    name: str,
    value: Found,
    replicates: Found,
    left_out: Found | None,
    blocks: _Blocks | None,
    seed: int,
) -> MetricComparison:
    def of(kind: str, *, bca: bool) -> Interval:
        if kind == "relative" and float(value["baseline", name]) == 0:
            return Interval(value=None, low=None, high=None, reason="the baseline's value is zero")
        drawn = replicates.get((kind, name), np.empty(0))
        if not drawn.size and np.isfinite(value[kind, name]):
            few = f"fewer than {FEWEST_STEPS} steps to resample"
            return Interval(value=float(value[kind, name]), low=None, high=None, reason=few)
        if blocks is not None:
            return block_interval(value[kind, name], drawn, n_steps=blocks.n_steps, length=blocks.length)
        return interval(value[kind, name], drawn, left_out[kind, name] if bca and left_out is not None else None)

    metric = METRICS[name]
    change = of("change", bca=True)
    reason = change.reason
    p_value: float | None = None
    test: Test = "none"
    if change.value is not None:
        p_value, test, reason = _tested(pair, name, change.value, replicates, blocks, seed)
    before, after = (float(value[kind, name]) for kind in ("baseline", "candidate"))
    return MetricComparison(
        metric=name,
        title=metric.title,
        direction=metric.direction,
        baseline=before if np.isfinite(before) else None,
        candidate=after if np.isfinite(after) else None,
        change=change,
        change_percentile=of("change", bca=False),
        relative_change=of("relative", bca=True),
        improvement=None if change.value is None else metric.sign * change.value,
        p_value=p_value,
        p_adjusted=None,
        outcome="not computable",
        test=test,
        reason=reason,
    )


def _judged(item: MetricComparison, p_adjusted: float | None, alpha: float) -> MetricComparison:
    outcome: Outcome = "not computable"
    if p_adjusted is not None and item.improvement is not None:
        outcome = "no clear difference"
        if p_adjusted < alpha and item.improvement != 0:
            outcome = "better" if item.improvement > 0 else "worse"
    return msgspec.structs.replace(item, p_adjusted=p_adjusted, outcome=outcome)


def _tested(
    pair: _Pair, name: str, change: float, replicates: Found, blocks: _Blocks | None, seed: int
) -> tuple[float | None, Test, str]:
    """Return p, the test that gave it, and why there is none."""
    if blocks is not None:
        return _forecast_tested(pair, name, replicates, blocks)
    if name == "accuracy":
        before, after = (predicted_codes(answer) == pair.codes for answer in pair.answers)
        return mcnemar_test(before, after).p_value, "McNemar", ""
    if name == "roc_auc" and np.bincount(pair.codes, minlength=2).min() >= 2:
        p_value = delong_test(pair.codes == 1, pair.answers[0][:, 1], pair.answers[1][:, 1]).p_value
        if p_value is not None:
            return p_value, "DeLong", ""
    drawn = replicates["change", name]
    finite = drawn[np.isfinite(drawn)]
    lonely = pair.classified and bool((np.bincount(pair.codes) == 1).any())
    if abs(change) > _SAME and (lonely or not finite.size or float(np.ptp(finite)) <= _SAME * abs(change)):
        # Resampling never varies a class of one row, nor a difference that is the same in every resample.
        return _randomisation_p_value(pair, name, change, seed), "approximate randomisation", ""
    return bootstrap_p_value(drawn), "paired bootstrap", ""


def _forecast_tested(pair: _Pair, name: str, replicates: Found, blocks: _Blocks) -> tuple[float | None, Test, str]:
    loss: dict[str, Callable[[FloatArray], FloatArray]] = {"rmse": np.square, "mse": np.square, "mae": np.abs}
    if name not in loss:
        drawn = replicates.get(("change", name))
        if drawn is None:
            return None, "none", f"fewer than {FEWEST_STEPS} steps to resample"
        return bootstrap_p_value(drawn), "paired bootstrap", ""
    before, after = (mean_by_step(loss[name](pair.values - answer), blocks.steps) for answer in pair.answers)
    found = diebold_mariano_test(before, after, horizon=dependent_steps(before, after, blocks.horizon))
    return found.p_value, "Diebold-Mariano", found.reason


def _block_bootstrap(pair: _Pair, drawn: _Blocks, *, seed: int, n_resamples: int) -> dict[tuple[str, str], FloatArray]:
    """Resample circular blocks of steps; empty with fewer than ten steps."""
    if drawn.n_steps < FEWEST_STEPS:
        return {}
    found: dict[tuple[str, str], list[FloatArray]] = {}
    for weights in block_weights(drawn.n_steps, drawn.length, n_resamples, seed=seed):
        for key, values in pair.weigh(weights[:, drawn.steps]).items():
            found.setdefault(key, []).append(values)
    return {key: np.concatenate(values) for key, values in found.items()}


def _randomisation_p_value(pair: _Pair, name: str, change: float, seed: int) -> float:
    rng = np.random.default_rng((seed, 1))
    before, after = pair.answers
    if name == "roc_auc":
        # An area depends on ranks only, and two models' ranks can be swapped where their scores could not.
        before, after = (np.column_stack((-ranks, ranks)) for ranks in map(midranks, (before[:, 1], after[:, 1])))
    ones, extreme = np.ones(pair.n_rows), 0
    n_draws = min(_RANDOMISATIONS, max(199, _RANDOMISATION_CELLS // pair.n_rows))
    for _ in range(n_draws):
        swap = rng.random(pair.n_rows) < 0.5
        swap = swap if before.ndim == 1 else swap[:, None]
        pairs = np.where(swap, after, before), np.where(swap, before, after)
        old, new = (float(pair.metrics_of(answer, (name,))(ones)[name]) for answer in pairs)
        extreme += abs(new - old) >= abs(change) - _SAME
    return (extreme + 1) / (n_draws + 1)


def _check(
    task: ComparedTask,
    truth: npt.NDArray[Any],
    baseline_scores: FloatArray,
    candidate_scores: FloatArray,
    names: tuple[str, ...],
    alpha: float,
) -> None:
    if truth.size == 0 or baseline_scores.shape != candidate_scores.shape or len(baseline_scores) != truth.size:
        raise Invalid(
            f"There are {truth.size} true values, baseline scores of shape {baseline_scores.shape} and candidate "
            f"scores of shape {candidate_scores.shape}.",
            code="evaluation.rows",
            hint="Score the same rows, at least one, with both models, and give the classes in the same order.",
        )
    require_finite("truth", truth.astype(np.float64))
    require_finite("baseline_scores", baseline_scores)
    require_finite("candidate_scores", candidate_scores)
    columns = baseline_scores.shape[1] if baseline_scores.ndim == 2 else 0
    if not {"binary": columns in (1, 2), "multiclass": columns >= 2}.get(task, columns == 1):
        raise Invalid(
            f"Scores of shape {baseline_scores.shape} do not belong to a {task} task.",
            code="evaluation.scores_shape",
            hint="Give one column (P(positive), or the value), or for several classes one column a class.",
        )
    if task in ("binary", "multiclass"):
        checked_probability(baseline_scores)
        checked_probability(candidate_scores)
    if task in ("regression", "forecasting"):
        unknown = [name for name in names if name not in ("rmse", "mse", "mae", "r2", "mape")]
        if unknown:
            raise Invalid(
                f"{unknown[0]!r} is not a metric of {task}.",
                code="metric.unknown",
                hint="Use some of rmse, mse, mae, r2, mape.",
            )
    if not names or not 0 < alpha < 1:
        raise Invalid(
            f"Nothing can be compared with {len(names)} metrics at a level of {alpha:g}.",
            code="evaluation.comparison",
            hint="Name at least one metric, and an alpha between 0 and 1 such as 0.05.",
        )
