"""Ways to make a binary model fairer, and what each costs, measured on rows that did not choose it.

Three strategies:

- **thresholds**: one for each group, on the scores of the model as it is
  (:mod:`arkwright.evaluation.group_thresholds`).
- **reweighing**: training weights that make outcome and group independent; needs retraining.
- **constrained training** through fairlearn's exponentiated gradient; needs retraining
  (both :mod:`arkwright.evaluation.fair_training`).

Deciding by a threshold per group uses the sensitive attribute at the moment of decision. Where law forbids that (12 CFR
1002.4(a) for credit in the US), only the two that act on training may be open; each effect says so in ``caution``. They
look at the attribute while training, and whether that is allowed is a question for counsel as well.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.core.errors import Invalid, Unavailable
from arkwright.evaluation.calibration import checked_binary
from arkwright.evaluation.fair_training import constrained_training, reweighing_weights, small_model
from arkwright.evaluation.fairness import audit_binary
from arkwright.evaluation.group_thresholds import BOUND, OBJECTIVES, GroupThresholds, Objective, choose_thresholds
from arkwright.evaluation.groups import Groups, GroupValues, groups_of
from arkwright.evaluation.intervals import Interval, bootstrap, interval, resamples_for
from arkwright.evaluation.metric import FloatArray, IntArray

Refit = Callable[[IntArray, FloatArray, IntArray], FloatArray]
"""Takes training rows, their weights and the rows to score; answers with the scores P(class 1)."""


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Rows the real model was trained on, which none of the measured rows is among, and how to train it on them again.

    Attributes
    ----------
    truth
        0 or 1, where 1 is favourable, shape ``(n_rows,)``.
    sensitive
        The group of each.
    refit
        Takes row weights (None for no others than the training's own) and answers with the scores P(class 1) of all
        rows that are measured on.
    """

    truth: npt.NDArray[Any]
    sensitive: GroupValues
    refit: Callable[[FloatArray | None], FloatArray]


_MEASURES = (
    "disparate_impact_ratio",
    "demographic_parity_difference",
    "equal_opportunity_difference",
    "equalized_odds_difference",
)
_OBJECTIVE_MEASURE: dict[Objective, str] = {
    "demographic_parity": "demographic_parity_difference",
    "equal_opportunity": "equal_opportunity_difference",
    "equalized_odds": "equalized_odds_difference",
}
_USES_ATTRIBUTE = (
    "It uses the sensitive attribute at the moment of decision, which the law forbids for some decisions, such as "
    "credit in the US."
)


class Effect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a strategy does on rows that did not choose it.

    Parameters
    ----------
    accuracy_change
        After minus before, with a paired interval: negative is a loss.
    selection_rate_before, selection_rate_after
        Share of rows called class 1.
    before, after
        Fairness measures by name; None where not computable.
    benefit
        How much the measure of the objective fell.
    benefit_per_accuracy_lost
        None where no accuracy was lost, or nothing was gained.
    reference
        What "before" is: ``the model``; ``a small model``, or the same learner on a part of its training rows, trained
        the same way without mitigation.
    reason
        Why the strategy has no figures.
    """

    strategy: Literal["thresholds", "reweighing", "constrained training"]
    objective: Objective
    summary: str
    accuracy_before: float | None = None
    accuracy_after: float | None = None
    accuracy_change: Interval | None = None
    selection_rate_before: float | None = None
    selection_rate_after: float | None = None
    before: dict[str, float | None] = {}
    after: dict[str, float | None] = {}
    benefit: float | None = None
    benefit_per_accuracy_lost: float | None = None
    reference: str = "the model"
    caution: str = ""
    reason: str = ""
    thresholds: GroupThresholds | None = None


class MitigationReport(msgspec.Struct, frozen=True, kw_only=True):
    """Strategies, the most benefit for the least accuracy first; those without benefit and without figures last."""

    column: str
    effects: tuple[Effect, ...]
    n_choosing: int
    n_measuring: int
    seed: int


def compare_mitigations(
    truth: npt.NDArray[Any],
    score: npt.NDArray[Any],
    sensitive: GroupValues,
    *,
    column: str,
    features: npt.NDArray[Any] | None = None,
    training: TrainingRows | None = None,
    threshold: float = 0.5,
    bound: float = BOUND,
    seed: int = 0,
    n_resamples: int = 500,
) -> MitigationReport:
    """Try every strategy and measure what it gains and costs.

    The rows are halved at random within each group and outcome: one half chooses thresholds and trains, the other
    measures. What fairness measures call favourable is class 1.

    Parameters
    ----------
    score
        P(class 1) of the model as it is, on rows it was not trained on.
    features
        Numeric inputs for the strategies that train; without them, or with NaN in them, these say so instead.
    training
        To train the real model again, with and without weights; without it reweighing is estimated with a small
        logistic regression on ``features``, trained on half of the rows.

    Raises
    ------
    Invalid
        If truth or score are not what they should be, or lengths differ.
    """
    actual, given = checked_binary(truth, score)
    groups = groups_of(sensitive, column=f"column {column!r}")
    if groups.codes.size != actual.size:
        raise Invalid(
            f"column {column!r} has {groups.codes.size:,} values for {actual.size:,} scored rows",
            code="evaluation.lengths",
            hint="Give the sensitive column for the rows that were scored.",
        )
    choosing, measuring = _halves(actual, groups, seed)
    if min(choosing.size, measuring.size) == 0 or np.unique(actual[choosing]).size < 2:
        raise Invalid(
            f"{actual.size} rows are too few to choose and to measure a mitigation",
            code="evaluation.too_few_rows",
            hint="Give more rows, with both outcomes.",
        )
    scene = _Scene(actual, groups, choosing, measuring, threshold, seed, n_resamples)
    effects = [_threshold_effect(scene, given, objective, bound) for objective in OBJECTIVES]
    # One thread: many on a busy machine wait for each other.
    with importlib.import_module("threadpoolctl").threadpool_limits(1):
        effects += _training_effects(scene, features, training, bound)
    return MitigationReport(
        column=column,
        effects=tuple(sorted(effects, key=_rank)),
        n_choosing=int(choosing.size),
        n_measuring=int(measuring.size),
        seed=seed,
    )


@dataclass(frozen=True, slots=True)
class _Scene:
    truth: FloatArray
    groups: Groups
    choosing: IntArray
    measuring: IntArray
    threshold: float
    seed: int
    n_resamples: int

    def subset(self, rows: IntArray) -> Groups:
        return self.groups.take(rows)


def _halves(truth: FloatArray, groups: Groups, seed: int) -> tuple[IntArray, IntArray]:
    rng = np.random.default_rng(seed)
    first = np.zeros(truth.size, dtype=bool)
    cell = groups.place()[groups.codes] * 2 + truth.astype(np.int64)
    for code in np.unique(cell):
        rows = rng.permutation(np.flatnonzero(cell == code))
        first[rows[: (rows.size + 1) // 2]] = True
    return np.flatnonzero(first), np.flatnonzero(~first)


def _threshold_effect(scene: _Scene, score: FloatArray, objective: Objective, bound: float) -> Effect:
    rows = scene.measuring
    chosen = choose_thresholds(
        scene.truth[scene.choosing],
        score[scene.choosing],
        scene.subset(scene.choosing),
        objective=objective,
        bound=bound,
    )
    before = score[rows] >= scene.threshold
    after = chosen.called(score[rows], scene.subset(rows), otherwise=scene.threshold)
    told = ", ".join(f"{item.group} from {item.threshold:.3g}" for item in chosen.groups)
    effect = Effect(
        strategy="thresholds",
        objective=objective,
        summary=f"Decide each group by a threshold of its own: {told}.",
        caution=_USES_ATTRIBUTE,
        thresholds=chosen,
    )
    return _with_figures(effect, scene, before, after)


def _training_effects(
    scene: _Scene, features: npt.NDArray[Any] | None, training: TrainingRows | None, bound: float
) -> list[Effect]:
    matrix = None if features is None else np.asarray(features, dtype=np.float64)
    if matrix is not None and (matrix.ndim != 2 or matrix.shape[0] != scene.truth.size):
        raise Invalid(
            f"features of shape {matrix.shape} do not fit {scene.truth.size:,} rows",
            code="evaluation.lengths",
            hint="Give a matrix with one row per scored row.",
        )
    problem = ""
    if matrix is None:
        problem = "no numeric inputs were given to train with"
    elif not np.isfinite(matrix).all():
        problem = "the inputs have missing or infinite values, which the small model cannot take"
    small = None if problem or matrix is None else _small_refit(matrix, scene.truth)
    effects = [_reweighing(scene, small, training, problem)]
    for objective in OBJECTIVES:
        effect = Effect(
            strategy="constrained training",
            objective=objective,
            summary=f"Train a vote of models whose rates differ by {bound:g} at most.",
            reference="a small model",
        )
        if small is None or matrix is None:
            effects.append(msgspec.structs.replace(effect, reason=problem))
            continue
        try:
            model = constrained_training(
                matrix[scene.choosing],
                scene.truth[scene.choosing],
                scene.subset(scene.choosing),
                objective=objective,
                bound=bound,
            )
        except Unavailable as error:
            effects.append(msgspec.structs.replace(effect, reason=f"{error.detail}: {error.hint}"))
            continue
        plain = small(scene.choosing, np.ones(scene.choosing.size), scene.measuring)
        after = model.predict(matrix[scene.measuring]) >= 0.5
        effects.append(_with_figures(effect, scene, plain >= 0.5, after))
    return effects


def _reweighing(scene: _Scene, small: Refit | None, training: TrainingRows | None, problem: str) -> Effect:
    if training is None:
        truth, groups = scene.truth[scene.choosing], scene.subset(scene.choosing)
        reference = "a small model"
    else:
        truth, groups = np.asarray(training.truth), groups_of(training.sensitive)
        reference = f"the same learner, trained again on {truth.size:,} of its training rows"
    weights = reweighing_weights(truth, groups)
    effect = Effect(
        strategy="reweighing",
        objective="demographic_parity",
        summary=f"Retrain with row weights from {weights.min():.3g} to {weights.max():.3g}.",
        reference=reference,
    )
    if training is not None:
        plain, fairer = training.refit(None)[scene.measuring], training.refit(weights)[scene.measuring]
    elif small is not None:
        plain = small(scene.choosing, np.ones(scene.choosing.size), scene.measuring)
        fairer = small(scene.choosing, weights, scene.measuring)
    else:
        return msgspec.structs.replace(effect, reason=problem)
    return _with_figures(effect, scene, plain >= scene.threshold, fairer >= scene.threshold)


def _with_figures(effect: Effect, scene: _Scene, before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_]) -> Effect:
    truth, groups = scene.truth[scene.measuring], scene.subset(scene.measuring)
    right_before, right_after = before == (truth == 1), after == (truth == 1)
    change = right_after.astype(np.float64) - right_before.astype(np.float64)
    replicates = bootstrap(
        lambda weights: {"change": weights @ change / change.size},
        change.size,
        seed=scene.seed,
        n_resamples=resamples_for(change.size, scene.n_resamples),
    )["change"]
    figures = [_disparities(truth, called, groups) for called in (before, after)]
    measure = _OBJECTIVE_MEASURE[effect.objective]
    had, has = figures[0][measure], figures[1][measure]
    benefit = None if had is None or has is None else had - has
    lost = -float(change.mean())
    return msgspec.structs.replace(
        effect,
        accuracy_before=float(right_before.mean()),
        accuracy_after=float(right_after.mean()),
        accuracy_change=interval(change.mean(), replicates),
        selection_rate_before=float(before.mean()),
        selection_rate_after=float(after.mean()),
        before=figures[0],
        after=figures[1],
        benefit=benefit,
        benefit_per_accuracy_lost=benefit / lost if benefit is not None and benefit > 0 and lost > 0 else None,
        reason="" if benefit is not None else f"the {measure.replace('_', ' ')} is not computable on these rows",
    )


def _disparities(truth: FloatArray, called: npt.NDArray[np.bool_], groups: Groups) -> dict[str, float | None]:
    report = audit_binary(truth, called.astype(np.float64), {"group": groups}, n_resamples=2)
    found = report.columns[0]
    return {name: found.disparity(name).value.value for name in _MEASURES}


def _rank(effect: Effect) -> tuple[int, float, str, str]:
    if effect.benefit is None:
        place, worth = 3, 0.0
    elif effect.benefit <= 0:
        place, worth = 2, effect.benefit
    elif effect.benefit_per_accuracy_lost is None:
        place, worth = 0, effect.benefit
    else:
        place, worth = 1, effect.benefit_per_accuracy_lost
    return (place, -worth, effect.strategy, effect.objective)


def _small_refit(features: FloatArray, truth: FloatArray) -> Refit:
    def refit(training: IntArray, weights: FloatArray, scored: IntArray) -> FloatArray:
        centre, spread = features[training].mean(axis=0), features[training].std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        model = small_model().fit((features[training] - centre) / spread, truth[training], sample_weight=weights)
        return np.asarray(model.predict_proba((features[scored] - centre) / spread)[:, 1], dtype=np.float64)

    return refit
