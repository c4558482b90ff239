"""How good: metrics against the trivial model, where it is weak, and whether its scores are probabilities."""

from __future__ import annotations

import numpy as np

from arkwright.evaluation.calibration import (
    brier_decomposition,
    calibration_error,
    calibration_line,
    multiclass_calibration,
    reliability_curve,
)
from arkwright.evaluation.material import Material, NotComputed, Options, Parts, sample_of
from arkwright.evaluation.model_evaluation import CalibrationSection
from arkwright.evaluation.recalibration import compare_calibrations
from arkwright.evaluation.report import EvaluationReport, as_probability, evaluate
from arkwright.evaluation.slices import Loss, WeakSlices, find_weak_slices, row_losses
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


def examine_weak_slices(material: Material, options: Options) -> WeakSlices:
    """Search the inputs and the sensitive columns for slices with a higher loss."""
    sample = sample_of("weak_slices", material, options)
    task = material.signature.task
    loss: Loss = "squared_error" if task == "regression" else "log_loss"
    scores = sample.scores[:, 0] if task == "regression" else as_probability(task, sample.scores)
    columns = {
        **sample.inputs,
        **{name: np.asarray(values)[sample.rows] for name, values in material.sensitive.items()},
    }
    return find_weak_slices(
        columns,
        row_losses(loss, sample.truth, scores),
        seed=options.seed,
        loss=loss,
        n_resamples=options.resamples,
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
