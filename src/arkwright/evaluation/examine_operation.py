"""How fast, how large and how dear it is, measured here and now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from arkwright.bundles import Predictor, to_rows
from arkwright.evaluation.latency import (
    LatencyRequirement,
    StageTime,
    check_latency,
    profile_latency,
    time_single_rows,
    time_stages,
)
from arkwright.evaluation.material import Material, Options, Parts, Profile, sample_of
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.model_evaluation import OperationSection
from arkwright.evaluation.optimisation_hints import Measured, find_optimisation_hints, repeated_share
from arkwright.evaluation.report import EvaluationReport, score_metric
from arkwright.evaluation.resources import (
    EXAMPLE_PRICES,
    measure_cpu,
    measure_memory,
    model_size,
    recommend_instance,
)
from arkwright.evaluation.scored_table import Predict

BUDGET_SECONDS: dict[Profile, float] = {"quick": 2.0, "full": 12.0}
_SINGLE_ROWS = 200

Inputs = Mapping[str, npt.NDArray[Any]]


def examine_operation(
    material: Material, options: Options, performance: EvaluationReport | None = None
) -> OperationSection:
    """Time the model, measure what it needs, and look for what would make it cheaper."""
    sample, parts = sample_of("operation", material, options), Parts()
    first = {name: values[:_SINGLE_ROWS] for name, values in sample.inputs.items()}
    singles = to_rows(first)
    predictor = material.predictor
    latency = profile_latency(
        material.predict,
        sample.inputs,
        answer_row=None if predictor is None else lambda row: predictor.predict_row(singles[row % len(singles)]),
        load=material.load,
        budget_seconds=BUDGET_SECONDS[options.profile],
    )
    memory = measure_memory(lambda: material.predict(sample.inputs))
    cpu = measure_cpu(lambda: material.predict(sample.inputs), int(sample.rows.size))
    if predictor is None:
        parts.notes.append(
            "The model runs in a process of its own: processor time and memory are those of the way to it, and the "
            "instance planned for is too small by what the model itself needs."
        )
    parts.notes.append("Memory is that of the process that evaluated, which holds more than one that only answers.")
    if not material.prices:
        parts.notes.append("No price table is set: the prices are examples and nobody's.")
    instance = recommend_instance(
        material.prices or EXAMPLE_PRICES,
        cpu=cpu,
        peak_memory_bytes=memory.resident_peak_bytes,
        wanted_per_second=options.wanted_per_second,
    )
    metric = options.metric_of(material.signature)
    measured = None if performance is None else performance.metrics[metric].value
    value = score_metric(material.signature.task, metric, sample.truth, sample.scores) if measured is None else measured
    hints = find_optimisation_hints(
        Measured(
            metric=metric,
            value=float(value),
            stages=() if predictor is None else _stages(predictor, singles),
            repeated_share=repeated_share(sample.inputs),
            n_rows=int(sample.rows.size),
        )
    )
    return OperationSection(
        latency=latency,
        requirement=LatencyRequirement(verdict="unknown", detail="No limit was given for the latency.")
        if options.latency_limit_ms is None
        else check_latency(latency.single_row, options.latency_limit_ms),
        size=model_size(material.sizes),
        memory=memory,
        cpu=cpu,
        instance=instance,
        hints=hints,
        machine=material.machine,
        notes=tuple(parts.notes),
    )


def single_row_p95_ms(predict: Predict, inputs: Inputs, predictor: Predictor | None) -> float | None:
    """Time another model the same way, for a comparison; None where it allowed too few calls."""
    first = {name: values[:_SINGLE_ROWS] for name, values in inputs.items()}
    if predictor is None:
        rows = [{name: values[row : row + 1] for name, values in first.items()} for row in range(_n_rows(first))]
        return time_single_rows(lambda row: predict(rows[row]), len(rows), budget_seconds=1.0).p95.value_ms
    singles = to_rows(first)
    return time_single_rows(
        lambda row: predictor.predict_row(singles[row]), len(singles), budget_seconds=1.0
    ).p95.value_ms


def _stages(predictor: Predictor, singles: list[dict[str, Any]]) -> tuple[StageTime, ...]:
    encode, evaluate = predictor.encoder.encode_row, predictor.evaluator.scores_row
    vectors = [encode(row) for row in singles]
    return time_stages(
        {
            "encode": lambda: [encode(row) for row in singles],
            "evaluate": lambda: [evaluate(vector) for vector in vectors],
        }
    )


def _n_rows(columns: Mapping[str, FloatArray]) -> int:
    return len(next(iter(columns.values())))
