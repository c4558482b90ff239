"""Why it answers as it does: what matters over all rows, for single rows, and what would have to change."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from arkwright.bundles import POSITIVE_THRESHOLD
from arkwright.contracts import Signature
from arkwright.contracts.signature import Label
from arkwright.evaluation.attribution_summary import GlobalAttributions, global_attributions, local_explanations
from arkwright.evaluation.attributions import VALUE, Attributions, attribute, sampled_attributions
from arkwright.evaluation.counterfactual import (
    ColumnLimit,
    CounterfactualSearch,
    find_counterfactuals,
    wanted_class,
)
from arkwright.evaluation.examine_fairness import favourable_code, favourable_label
from arkwright.evaluation.importance import ColumnGroup, GroupImportance, correlated_groups, group_importance
from arkwright.evaluation.material import Material, NotComputed, Options, Parts, Profile, Sample, sample_of
from arkwright.evaluation.metric import METRICS
from arkwright.evaluation.model_evaluation import ExplanationSection
from arkwright.evaluation.partial_dependence import (
    PartialDependence,
    PartialDependenceOfTwo,
    partial_dependence,
    partial_dependence_of_two,
)
from arkwright.evaluation.personal_columns import PROHIBITED_BASES, recognise
from arkwright.evaluation.report import score_metric
from arkwright.evaluation.scored_table import sample_rows, take


class _Extent(NamedTuple):
    """How much each profile looks at."""

    n_repeats: int
    n_dependence: int
    dependence_rows: int
    n_sampled: int
    n_pairs: int
    n_counterfactuals: int
    counterfactual_data: int


EXTENT: dict[Profile, _Extent] = {
    "full": _Extent(5, 5, 1_000, 200, 64, 2, 5_000),
    "quick": _Extent(2, 3, 200, 30, 16, 1, 1_000),
}
"""Where Shapley values can only be sampled, ``n_sampled`` rows are explained: each takes thousands of scores."""

_N_EXAMPLES = 3


def examine_explanations(material: Material, options: Options) -> ExplanationSection:
    """Explain the model over a sample of rows and on a few of them."""
    sample, parts = sample_of("explanations", material, options), Parts()
    extent = EXTENT[options.profile]
    names = list(sample.inputs)
    groups = parts.take("Correlated columns", correlated_groups, sample.inputs, names, seed=options.seed)
    groups = groups or tuple(ColumnGroup(names=(name,)) for name in names)
    attributions = parts.take("Shapley values", _attributions, material, sample, options)
    summary = None if attributions is None else _summary(attributions, options)
    importance = parts.take("Permutation importance", _importance, material, sample, groups, options) or ()
    top = _ranked(summary, importance, names)[: extent.n_dependence]
    outputs = outputs_of(material.signature)
    dependence = [
        parts.take(f"Dependence on {name}", _dependence, material, sample, name, outputs, options) for name in top
    ]
    return ExplanationSection(
        attributions=summary,
        importance=importance,
        dependence=tuple(item for item in dependence if item is not None),
        pairs=_pairs(material, sample, top, options, parts),
        examples=() if attributions is None else _examples(material.signature, sample, attributions),
        counterfactuals=_counterfactuals(material, sample, groups, options, parts),
        notes=tuple(parts.notes),
    )


def outputs_of(signature: Signature) -> tuple[Label, ...]:
    """Return what each score is of."""
    if signature.task == "regression":
        return (VALUE,)
    return signature.classes[1:] if signature.task == "binary" else signature.classes


def _attributions(material: Material, sample: Sample, options: Options) -> Attributions:
    extent = EXTENT[options.profile]
    background = material.background
    background = take(background, sample_rows(_n_rows(background), 1_000, seed=options.seed))
    if material.predictor is not None:
        return attribute(
            material.predictor,
            sample.inputs,
            background,
            seed=options.seed,
            n_pairs=extent.n_pairs,
            max_sampled_rows=extent.n_sampled,
        )
    rows = sample_rows(sample.rows.size, extent.n_sampled, seed=options.seed)
    found = sampled_attributions(
        material.predict,
        take(sample.inputs, rows),
        background,
        list(sample.inputs),
        outputs=outputs_of(material.signature),
        seed=options.seed,
        n_pairs=extent.n_pairs,
    )
    return dataclasses.replace(found, rows=rows, sampled_because="the model runs in a process of its own")


def _summary(attributions: Attributions, options: Options) -> GlobalAttributions:
    return global_attributions(attributions, seed=options.seed, n_resamples=options.resamples)


def _importance(
    material: Material, sample: Sample, groups: Sequence[ColumnGroup], options: Options
) -> tuple[GroupImportance, ...]:
    metric, task = options.metric_of(material.signature), material.signature.task
    if not np.isfinite(score_metric(task, metric, sample.truth, sample.scores)):
        raise NotComputed(f"The {METRICS[metric].title} of these rows is not defined, so shuffling cannot lower it.")
    return group_importance(
        material.predict,
        lambda scores, rows: score_metric(task, metric, sample.truth[rows], scores),
        sample.inputs,
        groups,
        direction=METRICS[metric].direction,
        seed=options.seed,
        n_repeats=EXTENT[options.profile].n_repeats,
    )


def _ranked(
    summary: GlobalAttributions | None, importance: Sequence[GroupImportance], names: Sequence[str]
) -> list[str]:
    if summary is not None:
        return [item.name for item in summary.ranking]
    members = [member for group in importance for member in group.members]
    return [item.name for item in sorted(members, key=lambda item: (-item.mean, item.name))] or list(names)


def _dependence(
    material: Material, sample: Sample, name: str, outputs: Sequence[Label], options: Options
) -> PartialDependence:
    return partial_dependence(
        material.predict,
        sample.inputs,
        name,
        outputs=outputs,
        seed=options.seed,
        max_rows=EXTENT[options.profile].dependence_rows,
        n_resamples=options.resamples,
    )


def _pairs(
    material: Material, sample: Sample, top: Sequence[str], options: Options, parts: Parts
) -> tuple[PartialDependenceOfTwo, ...]:
    if options.profile == "quick":
        parts.notes.append("Dependence on two columns: the quick profile leaves it out.")
        return ()
    if len(top) < 2:
        return ()
    found = parts.take(
        f"Dependence on {top[0]} and {top[1]}",
        partial_dependence_of_two,
        material.predict,
        sample.inputs,
        (top[0], top[1]),
        outputs=outputs_of(material.signature),
        seed=options.seed,
    )
    return () if found is None else (found,)


def _examples(signature: Signature, sample: Sample, attributions: Attributions) -> tuple[Any, ...]:
    """Explain the highest, the lowest and the least certain of the explained rows."""
    chosen = _telling_rows(signature, attributions.scores)
    few = dataclasses.replace(
        attributions,
        rows=sample.rows[attributions.rows[chosen]],
        table=take(attributions.table, chosen),
        shares=attributions.shares[chosen],
        scores=attributions.scores[chosen],
        standard_errors=None if attributions.standard_errors is None else attributions.standard_errors[chosen],
    )
    return local_explanations(few)


def _telling_rows(signature: Signature, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    score, distance = _certainty(signature, scores)
    picked = [int(np.argmax(score)), int(np.argmin(score)), int(np.argmin(distance))]
    return np.array(list(dict.fromkeys(picked))[:_N_EXAMPLES], dtype=np.intp)


def _certainty(
    signature: Signature, scores: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return each row's leading score and how far it is from another answer (regression: from the median)."""
    if signature.task == "multiclass":
        ordered = np.sort(scores, axis=1)
        return ordered[:, -1], ordered[:, -1] - ordered[:, -2]
    middle = POSITIVE_THRESHOLD if signature.task == "binary" else float(np.median(scores[:, 0]))
    return scores[:, 0], np.abs(scores[:, 0] - middle)


def _counterfactuals(
    material: Material, sample: Sample, groups: Sequence[ColumnGroup], options: Options, parts: Parts
) -> tuple[CounterfactualSearch, ...]:
    signature = material.signature
    if signature.task == "regression":
        parts.notes.append("Counterfactuals: the model answers a number, so that there is no other outcome to reach.")
        return ()
    wanted = _wanted_labels(signature, sample, options)
    if not wanted:
        parts.notes.append("Counterfactuals: every row looked at has the favourable outcome.")
        return ()
    names = list(sample.inputs)
    held = recognise(names, material.semantics)
    fixed = [name for name in names if name in material.sensitive or held.get(name) in PROHIBITED_BASES]
    if fixed:
        parts.notes.append(f"Counterfactuals: nobody is advised to change {', '.join(fixed)}.")
    limits = [ColumnLimit(name=name, fixed=True) for name in fixed]
    limits += [limit for limit in options.limits if limit.name in names and limit.name not in fixed]
    data = material.background
    found = []
    for row, label in wanted:
        search = parts.take(
            f"Counterfactual of row {int(sample.rows[row]):,}",
            find_counterfactuals,
            material.predict,
            take(sample.inputs, np.array([row])),
            data,
            names,
            wanted_class(signature, label),
            seed=options.seed,
            limits=limits,
            tied=[group.names for group in groups if len(group.names) > 1],
            max_data=EXTENT[options.profile].counterfactual_data,
        )
        if search is not None:
            found.append(search)
            parts.notes.append(
                f"Counterfactual {len(found)} is of row {int(sample.rows[row]):,} (counted from 0), towards {label}."
            )
    return tuple(found)


def _wanted_labels(signature: Signature, sample: Sample, options: Options) -> list[tuple[int, Label]]:
    """Choose rows and the class each should reach: the nearest miss first, then a typical one."""
    n_wanted = EXTENT[options.profile].n_counterfactuals
    _, distance = _certainty(signature, sample.scores)
    if signature.task == "binary":
        good = favourable_code(signature, options)
        refused = np.flatnonzero((sample.scores[:, 0] >= POSITIVE_THRESHOLD) != (good == 1))
        order = refused[np.argsort(distance[refused], kind="stable")]
        rows = [int(order[0]), int(order[order.size // 2])] if order.size else []
        return [(row, signature.classes[good]) for row in list(dict.fromkeys(rows))[:n_wanted]]
    ordered = np.argsort(-sample.scores, axis=1, kind="stable")
    favourable = favourable_label(signature, options)
    if favourable is not None:
        code = signature.classes.index(favourable)
        refused = np.flatnonzero(ordered[:, 0] != code)
        near = refused[np.argsort(-sample.scores[refused, code], kind="stable")]
        return [(int(row), favourable) for row in near[:n_wanted]]
    near = np.argsort(distance, kind="stable")[:n_wanted]
    return [(int(row), signature.classes[int(ordered[row, 1])]) for row in near]


def _n_rows(columns: dict[str, npt.NDArray[Any]]) -> int:
    return len(next(iter(columns.values())))
