"""For whom it works: groups of the sensitive columns, their proxies, what could be done, and the law."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from arkwright.bundles import POSITIVE_THRESHOLD, fit_encoder
from arkwright.contracts import Signature
from arkwright.contracts.signature import Label
from arkwright.core.errors import Invalid
from arkwright.evaluation.evaluation_request import favourable_class
from arkwright.evaluation.fairness import (
    FairnessReport,
    audit_binary,
    audit_binary_at,
    audit_multiclass,
    audit_regression,
    sensitive_groups,
)
from arkwright.evaluation.fairness_at_threshold import FairnessAtThreshold, compare_thresholds
from arkwright.evaluation.fairness_findings import Severity, assumed_favourable
from arkwright.evaluation.groups import Groups
from arkwright.evaluation.material import Material, NotComputed, Options, Parts, Sample, sample_of
from arkwright.evaluation.metric import FloatArray
from arkwright.evaluation.mitigation import MitigationReport, TrainingRows, compare_mitigations
from arkwright.evaluation.model_evaluation import CalibrationSection, FairnessSection
from arkwright.evaluation.proxies import ProxyReport, find_proxies
from arkwright.evaluation.regulation import overall_status, regulatory_flags
from arkwright.evaluation.report import as_probability
from arkwright.evaluation.thresholds import ThresholdChoice

QUARTILES = 4
MAX_PAIRS = 6
"""Pairs of sensitive columns that are looked at together: those of the first four columns."""
_MOST_LEVELS = 10
_MOST_TRAINED_ROWS = 20_000


def examine_fairness(
    material: Material, options: Options, calibration: CalibrationSection | None = None
) -> FairnessSection:
    """Audit the sensitive columns, at the threshold in use and at the one that was chosen.

    Parameters
    ----------
    calibration
        Has the threshold that was chosen; without it the audit is made at the one in use alone.

    Raises
    ------
    NotComputed
        Without a usable sensitive column, or if the favourable class is unknown.
    """
    if not material.sensitive:
        raise NotComputed(
            "No sensitive column was named, so nobody looked at whom the model works for.",
            hint="Name the columns that say who a row is about; they need not be inputs of the model.",
        )
    sample, parts = sample_of("fairness", material, options), Parts()
    groups = groups_for(material, options, sample.rows, parts)
    if not groups:
        raise NotComputed(" ".join(parts.notes))
    choice = None if calibration is None else calibration.threshold
    report, elsewhere = _audit(material.signature, sample, groups, options, choice)
    if options.favourable is None and material.signature.task == "binary":
        assumed = assumed_favourable(str(material.signature.classes[1]))
        report = msgspec.structs.replace(report, assumptions=(*report.assumptions, assumed))
    proxies = [parts.take(f"Proxies of {name}", _proxies, sample, name, held, options) for name, held in groups.items()]
    found = tuple(item for item in proxies if item is not None)
    regulation = regulatory_flags(
        inputs=[column.name for column in material.signature.columns],
        sensitive=list(groups),
        semantics=material.semantics,
        purpose=material.purpose,
        solely_automated=material.solely_automated,
        gives_reasons=material.gives_reasons,
        proxies={item.attribute: item.proxies() for item in found},
        fairness=report,
    )
    return FairnessSection(
        status=overall_status(report, regulation),
        report=report,
        proxies=found,
        mitigation=_mitigation(material, sample, groups, options, parts),
        regulation=regulation,
        at_threshold=elsewhere,
        notes=tuple(parts.notes),
    )


def _audit(
    signature: Signature,
    sample: Sample,
    groups: Mapping[str, Groups],
    options: Options,
    choice: ThresholdChoice | None,
) -> tuple[FairnessReport, FairnessAtThreshold | None]:
    chosen = None if choice is None else choice.threshold.value
    if signature.task != "binary" or choice is None or chosen is None:
        return audit(signature, sample.truth, sample.scores, groups, options), None
    score = as_probability("binary", sample.scores)[:, 1]
    if np.array_equal(score >= chosen, score >= POSITIVE_THRESHOLD):
        return audit(signature, sample.truth, sample.scores, groups, options), None
    usual, other = audit_binary_at(
        sample.truth,
        score,
        groups,
        [POSITIVE_THRESHOLD, chosen],
        favourable=favourable_code(signature, options),
        intersections=_pairs(groups),
        seed=options.seed,
        n_resamples=options.resamples,
    )
    # Asked for, by its costs, or advised: where it is neither, that it would be unfair there is worth a note.
    advised = choice.cross_fitted_saved.low is not None and choice.cross_fitted_saved.low > 0
    severity: Severity = "warning" if options.costs is not None or advised else "note"
    return usual, compare_thresholds(usual, other, severity=severity)


def groups_for(material: Material, options: Options, rows: npt.NDArray[np.intp], parts: Parts) -> dict[str, Groups]:
    """Make the groups of each sensitive column; numbers without given bins are cut at their quartiles."""
    found: dict[str, Groups] = {}
    for name, values in material.sensitive.items():
        held = np.asarray(values)[rows]
        if name not in options.sensitive_bins and _is_scale(held):
            parts.notes.append(f"Groups of {name}: a number without given bins, cut at its quartiles.")
        groups = parts.take(f"Groups of {name}", _cut, name, held, options)
        found |= {} if groups is None else {name: groups}
    return found


def _is_scale(values: npt.NDArray[Any]) -> bool:
    return values.dtype.kind in "fiu" and np.unique(values[np.isfinite(values)]).size > _MOST_LEVELS


def _cut(name: str, values: npt.NDArray[Any], options: Options) -> Groups:
    cut = options.sensitive_bins.get(name, QUARTILES if _is_scale(values) else None)
    return sensitive_groups({name: values}, [name], bins={} if cut is None else {name: cut})[name]


def audit(
    signature: Signature,
    truth: npt.NDArray[Any],
    scores: FloatArray,
    groups: Mapping[str, Groups],
    options: Options,
    *,
    n_resamples: int | None = None,
) -> FairnessReport:
    """Audit by the task; each two of the first sensitive columns are also looked at together.

    Raises
    ------
    NotComputed
        If the favourable class is none of the model's.
    """
    pairs = _pairs(groups)
    wanted = options.resamples if n_resamples is None else n_resamples
    if signature.task == "regression":
        return audit_regression(truth, scores[:, 0], groups, intersections=pairs, seed=options.seed, n_resamples=wanted)
    favourable = favourable_label(signature, options)
    if signature.task == "binary":
        return audit_binary(
            truth,
            as_probability("binary", scores)[:, 1],
            groups,
            threshold=POSITIVE_THRESHOLD,
            favourable=favourable_code(signature, options),
            intersections=pairs,
            seed=options.seed,
            n_resamples=wanted,
        )
    return audit_multiclass(
        truth,
        scores,
        groups,
        labels=signature.classes,
        favourable=() if favourable is None else (favourable,),
        intersections=pairs,
        seed=options.seed,
        n_resamples=wanted,
    )


def _pairs(groups: Mapping[str, Groups]) -> list[tuple[str, str]]:
    return list(combinations(groups, 2))[:MAX_PAIRS]


def favourable_code(signature: Signature, options: Options) -> Literal[0, 1]:
    """Return the code of the class that is good for the person; without one named, of the positive class.

    Raises
    ------
    NotComputed
        If the favourable class is none of the model's.
    """
    favourable = favourable_label(signature, options)
    return 0 if favourable is not None and signature.classes.index(favourable) == 0 else 1


def favourable_label(signature: Signature, options: Options) -> Label | None:
    """Return the class that is meant by ``options.favourable``, which a request may have written as text.

    Raises
    ------
    NotComputed
        If it is none of the model's.
    """
    try:
        return favourable_class(options.favourable, signature)
    except Invalid as problem:
        raise NotComputed(
            f"The favourable class {options.favourable!r} is none of the model's.", hint=problem.hint
        ) from problem


def _proxies(sample: Sample, name: str, groups: Groups, options: Options) -> ProxyReport:
    return find_proxies(sample.inputs, groups, attribute=name, seed=options.seed, joint=options.profile == "full")


def _mitigation(
    material: Material, sample: Sample, groups: Mapping[str, Groups], options: Options, parts: Parts
) -> tuple[MitigationReport, ...]:
    if material.signature.task != "binary":
        parts.notes.append("Mitigation: is worked out for two classes only.")
        return ()
    if options.profile == "quick":
        parts.notes.append("Mitigation: the quick profile leaves it out.")
        return ()
    score = as_probability("binary", sample.scores)[:, 1]
    truth, threshold = sample.truth, POSITIVE_THRESHOLD
    flipped = favourable_code(material.signature, options) == 0
    if flipped:
        # The row is called favourable where 1 - score is *above* one half.
        truth, score, threshold = 1 - truth, 1.0 - score, float(np.nextafter(POSITIVE_THRESHOLD, 1.0))
    features = None
    if truth.size <= _MOST_TRAINED_ROWS:
        # Scaled and imputed without a look at the outcome, for the small model of the strategies that train.
        features = fit_encoder(material.signature.columns, sample.inputs, layout="linear").encode_columns(sample.inputs)
    else:
        parts.notes.append(
            f"Mitigation: strategies that train are tried on at most {_MOST_TRAINED_ROWS:,} rows; there are more."
        )
    again = _retrained(material, sample, flipped=flipped)
    found = [
        parts.take(
            f"Mitigation for {name}",
            compare_mitigations,
            truth,
            score,
            held,
            column=name,
            features=features,
            training=_training_rows(material, again, name, options, parts, flipped=flipped),
            threshold=threshold,
            seed=options.seed,
            n_resamples=options.resamples,
        )
        for name, held in groups.items()
    ]
    return tuple(item for item in found if item is not None)


def _retrained(
    material: Material, sample: Sample, *, flipped: bool
) -> Callable[[FloatArray | None], FloatArray] | None:
    """Return what trains the version's learner again and scores the sample: P(favourable) for given row weights."""
    kept = material.retraining
    if kept is None or np.unique(kept.truth).size < 2:
        return None
    unweighted: list[FloatArray] = []

    def refit(weights: FloatArray | None) -> FloatArray:
        if weights is None and unweighted:
            return unweighted[0]  # the same for every sensitive column
        scores = as_probability("binary", kept.learn(kept.columns, kept.truth, weights, sample.inputs))
        found: FloatArray = np.asarray(scores[:, 0 if flipped else 1], dtype=np.float64)
        if weights is None:
            unweighted.append(found)
        return found

    return refit


def _training_rows(
    material: Material,
    refit: Callable[[FloatArray | None], FloatArray] | None,
    name: str,
    options: Options,
    parts: Parts,
    *,
    flipped: bool,
) -> TrainingRows | None:
    kept = material.retraining
    if kept is None or refit is None:
        return None
    if name not in kept.sensitive:
        parts.notes.append(
            f"Mitigation for {name}: the rows kept of the training have no such column, so that reweighing is tried "
            "with a small model."
        )
        return None
    groups = parts.take(f"Groups of {name} in training", _cut, name, kept.sensitive[name], options)
    if groups is None:
        return None
    return TrainingRows(1 - kept.truth if flipped else kept.truth, groups, refit)
