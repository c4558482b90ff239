"""How good: metrics against the trivial model, where it is weak, and whether its scores are probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.contracts.signature import TaskType
from arkwright.core.errors import Invalid
from arkwright.evaluation.calibration import (
    brier_decomposition,
    calibration_error,
    calibration_line,
    multiclass_calibration,
    reliability_curve,
)
from arkwright.evaluation.classification import classification_replicates
from arkwright.evaluation.declared_slices import DeclaredSlice, SliceRow, SliceTable, in_words, members, slice_table
from arkwright.evaluation.intervals import ReplicateMetrics
from arkwright.evaluation.losses import Loss, expected_losses, row_losses, trivial_loss
from arkwright.evaluation.material import Material, NotComputed, Options, Parts, Sample, sample_of
from arkwright.evaluation.metric import FloatArray, IntArray
from arkwright.evaluation.model_evaluation import CalibrationSection
from arkwright.evaluation.recalibration import compare_calibrations
from arkwright.evaluation.regression import regression_metrics
from arkwright.evaluation.report import EvaluationReport, as_probability, evaluate
from arkwright.evaluation.slices import WeakSlices, find_weak_slices
from arkwright.evaluation.thresholds import choose_threshold


def examine_performance(material: Material, options: Options) -> EvaluationReport:
    """Compute every metric of the task on all rows.

    Raises
    ------
    NotComputed
        If there is no row, an answer is no number, or the primary metric is not one of the task's.
    """
    metric = options.metric_of(material.signature)
    sample = sample_of("performance", material, options)
    reference = np.broadcast_to(np.atleast_2d(material.reference_scores), (material.truth.size, sample.scores.shape[1]))
    return evaluate(
        material.signature,
        sample.truth,
        sample.scores,
        reference[sample.rows],
        seed=options.seed,
        primary_metric=metric,
        n_resamples=options.resamples,
    )


_SHOWN: dict[TaskType, tuple[str, ...]] = {
    "binary": ("roc_auc", "accuracy", "precision", "recall", "f1", "log_loss"),
    "multiclass": ("accuracy", "f1_macro", "log_loss"),
    "regression": ("rmse", "mae", "r2"),
}
"""Of a declared slice, beside the primary metric."""


def examine_weak_slices(material: Material, options: Options) -> WeakSlices:
    """Search the inputs and the sensitive columns for slices on which the model is worse, and measure declared ones."""
    sample = sample_of("weak_slices", material, options)
    task = material.signature.task
    loss: Loss = "squared_error" if task == "regression" else "log_loss"
    scores = sample.scores[:, 0] if task == "regression" else as_probability(task, sample.scores)
    columns = {
        **sample.inputs,
        **{name: np.asarray(values)[sample.rows] for name, values in material.sensitive.items()},
    }
    losses, expected = row_losses(loss, sample.truth, scores), expected_losses(loss, scores)
    found = find_weak_slices(
        columns,
        losses,
        seed=options.seed,
        loss=loss,
        expected=expected,
        trivial=lambda rows: trivial_loss(loss, sample.truth[rows]),
        n_resamples=options.resamples,
    )
    if not options.slices:
        return found
    declared = _declared(material, options, sample, losses, expected, loss)
    return msgspec.structs.replace(found, declared=declared)


def _declared(
    material: Material,
    options: Options,
    sample: Sample,
    losses: FloatArray,
    expected: FloatArray | None,
    loss: Loss,
) -> SliceTable:
    columns = {name: np.asarray(values)[sample.rows] for name, values in material.slice_columns.items()}
    masks: dict[str, npt.NDArray[np.bool_]] = {}
    reasons: dict[str, str] = {}
    for each in options.slices:
        try:
            masks[each.name] = members(each, columns)
        except Invalid as problem:
            masks[each.name], reasons[each.name] = np.zeros(losses.size, dtype=bool), problem.detail
    task, metric = material.signature.task, options.metric_of(material.signature)
    shown = tuple(dict.fromkeys((metric, *_SHOWN[task])))
    codes = None if task == "regression" else sample.truth.astype(np.int64)
    scores = as_probability(task, sample.scores)

    def metrics_of(rows: IntArray, names: Sequence[str] | None) -> ReplicateMetrics[str]:
        wanted = shown if names is None else tuple(names)
        if codes is not None:
            return classification_replicates(codes[rows], scores[rows], wanted, empty=np.nan)
        truth, predicted = sample.truth[rows].astype(np.float64), np.ascontiguousarray(scores[rows, 0])

        def weigh(weights: FloatArray) -> dict[str, FloatArray]:
            found = regression_metrics(truth, predicted, weights)
            return {name: found[name] for name in wanted}

        return weigh

    table = slice_table(masks, metrics_of, metric, seed=options.seed, codes=codes, n_resamples=options.resamples)
    return msgspec.structs.replace(
        table,
        slices=tuple(
            _beside(row, each, masks[each.name], sample, losses, expected, loss, reasons.get(each.name, ""))
            for row, each in zip(table.slices, options.slices, strict=True)
        ),
    )


def _beside(
    row: SliceRow,
    declared: DeclaredSlice,
    mask: npt.NDArray[np.bool_],
    sample: Sample,
    losses: FloatArray,
    expected: FloatArray | None,
    loss: Loss,
    reason: str,
) -> SliceRow:
    """Add to a slice its words, its mean loss and what that is to be measured by."""
    row = msgspec.structs.replace(row, where=in_words(declared), reason=reason or row.reason)
    if not mask.any():
        return row
    own, trivial = float(losses[mask].mean()), trivial_loss(loss, sample.truth[mask])
    return msgspec.structs.replace(
        row,
        loss=own,
        expected=None if expected is None else float(expected[mask].mean()),
        trivial=trivial,
        skill=1.0 - own / trivial if trivial else None,
    )


def examine_calibration(material: Material, options: Options) -> CalibrationSection:
    """Compare a classifier's scores with what happened, and choose a threshold.

    Raises
    ------
    NotComputed
        For a model of a number.
    """
    task, seed, n_resamples = material.signature.task, options.seed, options.resamples
    if task == "regression":
        raise NotComputed("The model answers a number, and calibration asks whether scores are probabilities.")
    sample, parts = sample_of("calibration", material, options), Parts()
    truth = sample.truth.astype(np.int64)
    methods = parts.take(
        "Recalibration", compare_calibrations, truth, sample.scores, seed=seed, n_resamples=n_resamples
    )
    if task == "multiclass":
        multiclass = parts.take(
            "Calibration error",
            multiclass_calibration,
            truth,
            sample.scores,
            seed=seed,
            n_resamples=n_resamples,
        )
        parts.notes.append("Threshold: a model of several classes answers the most probable one and has none.")
        return CalibrationSection(multiclass=multiclass, methods=methods, notes=tuple(parts.notes))
    score = as_probability(task, sample.scores)[:, 1]
    if options.costs is None:
        parts.notes.append(
            "Threshold: no costs were given, so it is Youden's (the largest recall + specificity - 1), and the costs "
            "shown count a false alarm and a miss the same."
        )
    return CalibrationSection(
        curve=parts.take("Reliability curve", reliability_curve, truth, score),
        error=parts.take("Calibration error", calibration_error, truth, score, seed=seed, n_resamples=n_resamples),
        brier=parts.take("Brier score", brier_decomposition, truth, score),
        line=parts.take("Calibration slope", calibration_line, truth, score),
        methods=methods,
        threshold=parts.take(
            "Threshold",
            choose_threshold,
            truth,
            score,
            "youden" if options.costs is None else "cost",
            seed=seed,
            costs=options.costs,
            n_resamples=n_resamples,
        ),
        notes=tuple(parts.notes),
    )
