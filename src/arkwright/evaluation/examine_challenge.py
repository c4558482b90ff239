"""Whether it is really better than another version: paired tests, fairness, what it costs, and what follows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from arkwright.bundles import count_fitted_numbers
from arkwright.contracts import Signature
from arkwright.core.written_numbers import counted, written
from arkwright.evaluation.comparison import DEFAULT_METRICS, compare_models
from arkwright.evaluation.decision import FairnessEvidence, decide_version, recommend
from arkwright.evaluation.disparity import Disparity
from arkwright.evaluation.examine_fairness import audit, groups_for
from arkwright.evaluation.examine_operation import single_row_p95_ms
from arkwright.evaluation.fairness import ColumnFairness
from arkwright.evaluation.intervals import DEFAULT_RESAMPLES
from arkwright.evaluation.material import (
    Baseline,
    Material,
    NotComputed,
    Options,
    Parts,
    Sample,
    rows_used,
    sample_of,
    scores_on,
)
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.model_evaluation import ChallengeSection, FairnessSection, OperationSection
from arkwright.evaluation.resources import measure_memory
from arkwright.evaluation.scored_table import Columns, take
from arkwright.evaluation.signature_change import schema_compatibility
from arkwright.evaluation.trade_offs import Resource
from arkwright.evaluation.training_effort import training_cost

_MB = 1e6


def examine_challenge(
    material: Material,
    options: Options,
    fairness: FairnessSection | None = None,
    operation: OperationSection | None = None,
) -> ChallengeSection:
    """Compare the version with the baseline on the same rows, and decide.

    Parameters
    ----------
    fairness, operation
        The version's own sections, where they were computed.

    Raises
    ------
    NotComputed
        If there is no baseline, or the two cannot answer the same rows.
    """
    baseline = material.baseline
    if baseline is None:
        raise NotComputed(
            "There is no version to compare with.", hint="Name the one that serves now, or the one to beat."
        )
    sample, parts = sample_of("challenge", material, options), Parts()
    inputs = _inputs_of(baseline, material.columns, sample)
    scores = _aligned(baseline, material.signature, scores_on(baseline.predict, inputs, sample.rows, who="The other"))
    primary, task = options.metric_of(material.signature), material.signature.task
    timeline = material.timeline
    metrics = dict.fromkeys(
        [
            primary,
            *DEFAULT_METRICS[task],
            *(item.metric for item in options.guardrails),
            *(item.metric for item in options.criteria),
        ]
    )
    comparison = compare_models(
        task if timeline is None else "forecasting",
        sample.truth,
        scores,
        sample.scores,
        list(metrics),
        seed=options.seed,
        # With 200 resamples no p-value survives Holm's correction over five metrics: the least is 2 / 201.
        n_resamples=max(options.resamples, DEFAULT_RESAMPLES),
        time=None if timeline is None else timeline.moments,
        horizon=1 if timeline is None else timeline.asked.horizon,
    )
    evidence = None
    if material.sensitive:
        evidence = _fairness_evidence(material, options, sample, scores, fairness, parts)
    resources = _resources(material, baseline, sample, inputs, options, operation, parts)
    same_learner = not material.learner or material.learner == baseline.subject.learner
    common: dict[str, Any] = {
        "primary": primary,
        "guardrails": options.guardrails,
        "fairness": evidence,
        "require_fairness": bool(material.sensitive),
        "resources": resources,
    }
    return ChallengeSection(
        baseline=baseline.subject,
        seen=baseline.seen,
        hypothesis=options.hypothesis,
        comparison=comparison,
        recommendation=recommend(
            comparison, criteria=options.criteria, minimum_improvement=options.minimum_improvement, **common
        ),
        version=decide_version(
            comparison,
            schema_compatibility(baseline.signature, material.signature, same_learner=same_learner),
            margin=options.margin,
            **common,
        ),
        notes=(*([baseline.seen] if baseline.seen else []), *parts.notes),
    )


def _inputs_of(baseline: Baseline, columns: Columns, sample: Sample) -> Columns:
    absent = [item.name for item in baseline.signature.columns if item.required and item.name not in columns]
    if absent:
        raise NotComputed(
            f"The other version reads {', '.join(map(repr, absent))}, which the data lacks.",
            hint="Evaluate both on data that has the columns of both.",
        )
    return take(
        {item.name: columns[item.name] for item in baseline.signature.columns if item.name in columns}, sample.rows
    )


def _aligned(baseline: Baseline, signature: Signature, scores: FloatArray) -> FloatArray:
    """Return the other's scores in the order of this version's classes."""
    old, new = baseline.signature, signature
    if old.task != new.task:
        raise NotComputed(f"The other version answers a {old.task} problem and this one a {new.task} one.")
    if set(old.classes) != set(new.classes):
        raise NotComputed(
            f"The other version knows the classes {', '.join(map(str, old.classes))} and this one "
            f"{', '.join(map(str, new.classes))}."
        )
    if old.classes == new.classes:
        return scores
    if new.task == "binary":
        return 1.0 - scores
    return scores[:, [old.classes.index(label) for label in new.classes]]


def _fairness_evidence(
    material: Material,
    options: Options,
    sample: Sample,
    baseline_scores: FloatArray,
    fairness: FairnessSection | None,
    parts: Parts,
) -> FairnessEvidence:
    """Say whether the version's own audit passed, and how the baseline does on what it failed."""
    groups = groups_for(material, options, sample.rows, Parts())
    report = fairness.report if fairness is not None else None
    if report is None:
        report = parts.take("Fairness", audit, material.signature, sample.truth, sample.scores, groups, options)
    if report is None or not report.columns:
        return FairnessEvidence(acceptable=None, detail="The groups could not be compared.")
    judged = [column for column in report.columns if column.judged]
    failed = [column for column in judged if column.status == "Fail"]
    refused = _refused_by_regulation(fairness)
    if not failed and refused:
        return FairnessEvidence(acceptable=False, detail=refused)
    if not failed:
        return _without_failure(judged)
    other = audit(material.signature, sample.truth, baseline_scores, groups, options, n_resamples=2)
    sentences = [
        _against(column, item, other.column(column.column, column.outcome))
        for column in failed
        for item in column.disparities
        if item.gated and item.verdict == "not met" and item.beyond_chance
    ]
    told = (*sentences, *([refused] if refused else []))
    return FairnessEvidence(acceptable=False, detail="It is not fair enough.", findings=told)


def _refused_by_regulation(fairness: FairnessSection | None) -> str:
    """Say why the section fails where no comparison of groups does; empty if it does not fail."""
    if fairness is None or fairness.status != "Fail":
        return ""
    law = fairness.regulation
    if law is None or law.status != "Fail":
        return "The fairness section fails." if fairness.report.status != "Fail" else ""
    concerns = [f"{flag.title} ({flag.article})" for flag in law.flags if flag.severity == "concern"]
    return f"A regulation speaks against it: {'; '.join(concerns)}."


def _without_failure(judged: Sequence[ColumnFairness]) -> FairnessEvidence:
    """Judge columns none of which fails: acceptable only if every gated measure of each could be computed."""
    unknown = [
        f"{_capital(item.title)} by {column.column} is not computable, because {item.value.reason or 'too few rows'}."
        for column in judged
        for item in column.disparities
        if item.gated and item.verdict == "not computable"
    ]
    if unknown or not judged:
        detail = "Not every measure could be computed." if unknown else "No outcome of a group was judged."
        return FairnessEvidence(acceptable=None, detail=detail, findings=tuple(unknown))
    warned = list(dict.fromkeys(item.column for item in judged if item.status == "Warning"))
    if warned:
        detail = f"No gated measure fails beyond chance; look again at {', '.join(warned)}."
    else:
        detail = "Every gated measure of fairness is met."
    return FairnessEvidence(acceptable=True, detail=detail)


def _against(column: ColumnFairness, found: Disparity, other: ColumnFairness) -> str:
    before = other.disparity(found.name).value.value
    known = "it is not computable" if before is None else f"it is {written(before, 3)}"
    wanted = "" if found.threshold is None else f", {found.accepted} {found.threshold:g} is accepted"
    who = f" (lowest: {found.lowest}, highest: {found.highest})" if found.lowest and found.highest else ""
    value = "not computable" if found.value.value is None else written(found.value.value, 3)
    return f"{_capital(found.title)} by {column.column} is {value}{who}{wanted}; {known} for the other version."


def _capital(title: str) -> str:
    return title[0].upper() + title[1:]


def _resources(
    material: Material,
    baseline: Baseline,
    sample: Sample,
    inputs: Columns,
    options: Options,
    operation: OperationSection | None,
    parts: Parts,
) -> tuple[Resource, ...]:
    """Set what both take side by side; ``inputs`` are the sample's rows as the baseline reads them."""
    found = []
    if material.sizes and baseline.sizes:
        sizes = [sum(files.values()) / _MB for files in (baseline.sizes, material.sizes)]
        found.append(Resource(name="Size", unit="MB", baseline=sizes[0], candidate=sizes[1]))
    if operation is not None:
        found.append(
            Resource(
                name="Latency (p95 of one row)",
                unit="ms",
                baseline=single_row_p95_ms(baseline.predict, inputs, baseline.predictor),
                candidate=operation.latency.single_row.p95.value_ms,
                limit=options.latency_limit_ms,
            )
        )
    before, after = baseline.predictor, material.predictor
    if before is not None and after is not None:
        counts = [float(count_fitted_numbers(each.evaluator)) for each in (before, after)]
        found.append(Resource(name="Complexity", unit="fitted numbers", baseline=counts[0], candidate=counts[1]))
        if operation is not None:
            # A model in a process of its own would not show here.
            n_rows = min(int(sample.rows.size), rows_used("operation", material, options))
            found.append(_memory(baseline, material, inputs, sample.inputs, n_rows))
    return (*found, *_training(material, baseline, parts))


def _memory(baseline: Baseline, material: Material, theirs: Columns, ours: Columns, n_rows: int) -> Resource:
    """Measure what a table of so many rows takes."""
    used = []
    for predict, columns in ((baseline.predict, theirs), (material.predict, ours)):
        table = {name: values[:n_rows] for name, values in columns.items()}
        used.append(measure_memory(partial(predict, table)).traced_peak_bytes / _MB)
    return Resource(name=f"Peak memory ({counted(n_rows, 'row')})", unit="MB", baseline=used[0], candidate=used[1])


def _training(material: Material, baseline: Baseline, parts: Parts) -> list[Resource]:
    """Set what the trainings took side by side, and what that costs where a price table is set."""
    efforts = (baseline.effort, material.effort)
    if efforts == (None, None):
        if baseline.subject.lineage.get("experiment_id"):
            parts.notes.append("What training took is not known of either version.")
        return []
    seconds = [None if each is None else each.seconds for each in efforts]
    found = [Resource(name="Training time", unit="s", baseline=seconds[0], candidate=seconds[1])]
    if not material.prices:
        parts.notes.append("Training is not priced: no price table is set (ARKWRIGHT_INSTANCE_PRICES).")
        return found
    costs = [None if each is None else training_cost(each, material.prices) for each in efforts]
    machines = list(dict.fromkeys(each.instance for each in costs if each is not None))
    if not machines:
        parts.notes.append("Training is not priced: no machine of the price table has as many processors as it held.")
        return found
    usd = [None if each is None else each.usd for each in costs]
    name = f"Training cost (on {' and '.join(machines)})"
    return [*found, Resource(name=name, unit="USD", baseline=usd[0], candidate=usd[1])]
