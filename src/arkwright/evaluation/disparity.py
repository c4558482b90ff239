"""How far apart the groups are: measures over rates by group, each with an interval, a threshold and a verdict.

A disparity is between two named groups, the highest and the lowest; its interval comes from resampling those two and is
cut at the ends of the measure's range. That the two were picked for being extreme is not corrected for in the
interval. It is in ``beyond_chance``, which looks at *every* pair of groups that misses the threshold, so that a small
extreme group cannot hide a sure difference between two large ones: a pair counts if its difference, in standard
errors, exceeds the 95th percentile of the largest such difference over all pairs of groups that are alike
(single-step max-T, Westfall & Young). For rates, those are groups whose hits are drawn at one common rate
(:mod:`arkwright.evaluation.group_chance`); for errors, every group's replicates moved to a common mean.

For selection rates, what is beyond chance is that there *is* a difference; that it is larger than the threshold is its
estimate: 29 CFR 1607.4(D) asks for size and significance apart. The other thresholds are conventions and no law, so a
difference in error rates or residuals is beyond chance only by as much as it exceeds its threshold. For a calibration
error it is that there is one, and its size is taken without what noise adds to it.

The gated measures of one column share the 5 %: each rate that can fail the model is tested at 5 % divided by how many
such rates there are (Bonferroni). Columns do not share it: each is a question of its own.

References
----------
29 CFR 1607.4(D), US Uniform Guidelines on Employee Selection Procedures (1978): the four-fifths rule for ratios of
selection rates, and why a difference is judged by its significance as well as its size.
Hardt, Price & Srebro (2016), "Equality of Opportunity in Supervised Learning", NeurIPS: equal opportunity, equalised
odds. The differences are those of ``fairlearn.metrics``.
Bellamy et al. (2019), "AI Fairness 360", IBM J. Res. Dev. 63: differences within 0.1 of zero are taken as fair.
Saleiro et al. (2018), "Aequitas: A Bias and Fairness Audit Toolkit": ratios of error rates, accepted from 0.8.
Westfall & Young (1993), "Resampling-Based Multiple Testing", chapter 2: the max-T adjustment.
Chouldechova (2017), "Fair Prediction with Disparate Impact", Big Data 5: calibrated scores and unequal base rates leave
error rates unequal.
Cohen (1988), "Statistical Power Analysis for the Behavioral Sciences": 0.2 standard deviations is a small effect.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np

from arkwright.core.errors import Invalid
from arkwright.core.written_numbers import counted
from arkwright.evaluation.group_chance import Pairs, compare_rates, excess
from arkwright.evaluation.group_metrics import MIN_CASES, MIN_ROWS, GroupMetrics, Measured, error_interval
from arkwright.evaluation.groups import Groups
from arkwright.evaluation.intervals import LEVEL, Interval, interval
from arkwright.evaluation.metric import FloatArray

Kind = Literal["ratio", "difference", "highest"]
Verdict = Literal["met", "not met", "not computable", "not judged"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A way to compare groups.

    Parameters
    ----------
    metrics
        Of the groups; with two, the measure is the larger of the two differences.
    kind
        ``ratio``: lowest / highest, accepted **above** the threshold. ``difference``: highest - lowest, and
        ``highest``: the highest itself; both accepted up to and **including** the threshold.
    threshold
        None: shown and not judged.
    standardized
        The difference is divided by the standard deviation of all residuals.
    exceeds
        Of a difference: beyond chance is only what is beyond chance *larger than the threshold*.
    """

    name: str
    title: str
    metrics: tuple[str, ...]
    kind: Kind
    threshold: float | None
    standardized: bool = False
    exceeds: bool = False


RATE_MEASURES = (
    Measure("disparate_impact_ratio", "disparate impact ratio", ("selection_rate",), "ratio", 0.8),
    Measure("demographic_parity_difference", "demographic parity difference", ("selection_rate",), "difference", 0.1),
    Measure("equal_opportunity_difference", "equal opportunity difference", ("tpr",), "difference", 0.1, exceeds=True),
    Measure("equalized_odds_difference", "equalised odds difference", ("tpr", "fpr"), "difference", 0.1, exceeds=True),
    Measure("fnr_ratio", "ratio of false negative rates", ("fnr",), "ratio", 0.8),
    Measure("worst_group_ece", "calibration error of the worst group", ("ece",), "highest", 0.05),
)
"""For an outcome that is given or not."""

ERROR_MEASURES = (
    Measure("mae_ratio", "ratio of mean absolute errors", ("mae",), "ratio", 0.8),
    Measure(
        "standardized_residual_difference",
        "difference in mean residual, in standard deviations of the residuals",
        ("mean_residual",),
        "difference",
        0.2,
        standardized=True,
        exceeds=True,
    ),
    Measure("mean_prediction_difference", "difference in mean prediction", ("mean_prediction",), "difference", None),
    Measure("mean_residual_difference", "difference in mean residual", ("mean_residual",), "difference", None),
    Measure("mae_difference", "difference in mean absolute error", ("mae",), "difference", None),
    Measure("rmse_difference", "difference in root mean squared error", ("rmse",), "difference", None),
)
"""For a predicted number."""

GATES = frozenset(
    {
        "disparate_impact_ratio",
        "demographic_parity_difference",
        "equal_opportunity_difference",
        "worst_group_ece",
        "standardized_residual_difference",
    }
)
"""Without a gate: equalised odds and ratios of error rates, which calibrated scores cannot make equal where base rates
differ (Chouldechova 2017); and ratios of mean errors, which are unequal wherever a group's own outcomes spread more."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is accepted.

    Parameters
    ----------
    thresholds
        By measure, in place of the default ones.
    gates
        Measures that can fail the model; the others can only warn.
    min_rows
        Smaller groups are left out of the comparison.
    include_small
        Compare them nevertheless.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)
    gates: Collection[str] = GATES
    min_rows: int = MIN_ROWS
    include_small: bool = False

    def checked(self) -> Rules:
        """Return the rules.

        Raises
        ------
        Invalid
            If a threshold or a gate is about a measure that does not exist.
        """
        known = {measure.name for measure in (*RATE_MEASURES, *ERROR_MEASURES)}
        unknown = sorted({*self.thresholds, *self.gates} - known)
        if unknown:
            raise Invalid(
                f"there is no fairness measure {unknown[0]!r}",
                code="evaluation.unknown_measure",
                hint=f"The measures are {', '.join(sorted(known))}.",
            )
        return self


class Disparity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One measure over the groups of one column.

    Parameters
    ----------
    metric
        The rate the two groups differ in; of the two of equalised odds, the one that differs more.
    lowest, highest
        The two groups compared; ``lowest`` is empty for a measure that is about the highest alone.
    beyond_chance
        Of the groups that miss the threshold, the two whose difference is surest; for a calibration error, the one
        that is miscalibrated most surely. Empty if chance may explain what was found, or the measure is met.
    by_chance
        For a calibration error: what the highest group would show on average if its scores were calibrated.
    left_out
        Groups too small, or without the rows the rate is taken over.
    """

    name: str
    title: str
    value: Interval
    threshold: float | None
    accepted: Literal["above", "at most"]
    verdict: Verdict
    gated: bool = False
    beyond_chance: tuple[str, ...] = ()
    metric: str = ""
    lowest: str = ""
    highest: str = ""
    left_out: tuple[str, ...] = ()
    by_chance: float | None = None


def compare(
    measures: Sequence[Measure],
    measured: Measured,
    described: Sequence[GroupMetrics],
    groups: Groups,
    rules: Rules,
    *,
    residual_std: float = 1.0,
) -> tuple[Disparity, ...]:
    """Compare the groups by each measure."""
    gated = {metric for measure in measures if measure.name in rules.gates for metric in measure.metrics}
    shared = 1.0 - (1.0 - LEVEL) / max(len(gated), 1)
    return tuple(
        _compare(
            measure, measured, described, groups, rules, residual_std, shared if measure.name in rules.gates else LEVEL
        )
        for measure in measures
    )


def _compare(
    measure: Measure,
    measured: Measured,
    described: Sequence[GroupMetrics],
    groups: Groups,
    rules: Rules,
    residual_std: float,
    level: float,
) -> Disparity:
    scale = residual_std if measure.standardized else 1.0
    threshold = rules.thresholds.get(measure.name, measure.threshold)
    accepted: Literal["above", "at most"] = "above" if measure.kind == "ratio" else "at most"
    bare = Disparity(
        name=measure.name,
        title=measure.title,
        value=Interval(value=None, low=None, high=None, reason="all residuals are equal"),
        threshold=threshold,
        accepted=accepted,
        verdict="not computable",
        gated=measure.name in rules.gates,
        left_out=_left_out(measure.metrics, measured, described, rules),
    )
    if scale <= 0:
        return bare
    found = [_extremes(measure, metric, measured, described, groups, rules) for metric in measure.metrics]
    problems = [item for item in found if isinstance(item, str)]
    known = [item for item in found if not isinstance(item, str)]
    widest = max(known, key=lambda item: item.value, default=None)
    # The larger of two is at least the one that is known: where that one misses the threshold, it is enough.
    if widest is None or (problems and _verdict(widest.value / scale, threshold, accepted) != "not met"):
        return msgspec.structs.replace(bare, value=Interval(value=None, low=None, high=None, reason=problems[0]))
    value, replicates = widest.value / scale, widest.replicates / scale
    surest, excessive = _beyond_chance(measure, measured, described, groups, rules, threshold, scale, level)
    if measure.kind == "highest":
        bounded = error_interval(value, replicates, beyond_chance=widest.high in excessive)
    else:
        bounded = interval(value, np.clip(replicates, 0.0, 1.0 if measure.kind == "ratio" else None))
    drawn = measured.by_chance.get(widest.metric) if measure.kind == "highest" else None
    return msgspec.structs.replace(
        bare,
        value=bounded,
        verdict=_verdict(value, threshold, accepted),
        beyond_chance=surest,
        by_chance=None if drawn is None else float(drawn[:, widest.high].mean()),
        metric=widest.metric,
        lowest="" if measure.kind == "highest" else groups.labels[widest.low],
        highest=groups.labels[widest.high],
    )


@dataclass(frozen=True, slots=True)
class _Extremes:
    metric: str
    low: int
    high: int
    value: float
    replicates: FloatArray


def _extremes(
    measure: Measure,
    metric: str,
    measured: Measured,
    described: Sequence[GroupMetrics],
    groups: Groups,
    rules: Rules,
) -> _Extremes | str:
    values, replicates = measured.values[metric], measured.replicates[metric]
    place = groups.place()
    # Ties go to the group that comes first in the data, so that names decide nothing.
    judged = sorted(
        (code for code, group in enumerate(described) if _counts(metric, values[code], group, rules)),
        key=lambda code: (values[code], place[code]),
    )
    if not judged or (len(judged) < 2 and measure.kind != "highest"):
        who = f"only 1 of {counted(len(described), 'group')}" if judged else "no group"
        return f"{who} is large enough and has a {_spoken(metric)}"
    low, high = judged[0], judged[-1]
    if measure.kind == "highest":
        return _Extremes(metric, low, high, float(values[high]), replicates[:, high])
    if measure.kind == "difference":
        return _Extremes(metric, low, high, float(values[high] - values[low]), replicates[:, high] - replicates[:, low])
    if values[high] == 0:
        return f"every group has a {_spoken(metric)} of 0"
    over = replicates[:, high]
    drawn = np.divide(replicates[:, low], over, out=np.full_like(over, np.nan), where=over > 0)
    return _Extremes(metric, low, high, float(values[low] / values[high]), drawn)


def _counts(metric: str, value: float, group: GroupMetrics, rules: Rules) -> bool:
    if not np.isfinite(value):
        return False
    if rules.include_small:
        return True
    cases = {"tpr": group.n_positive, "fnr": group.n_positive, "fpr": group.n_negative}.get(metric)
    return group.n_rows >= rules.min_rows and (cases is None or cases >= MIN_CASES)


def _left_out(
    metrics: Sequence[str], measured: Measured, described: Sequence[GroupMetrics], rules: Rules
) -> tuple[str, ...]:
    return tuple(
        group.group
        for code, group in enumerate(described)
        if not all(_counts(metric, measured.values[metric][code], group, rules) for metric in metrics)
    )


def _verdict(value: float, threshold: float | None, accepted: str) -> Verdict:
    if threshold is None:
        return "not judged"
    return "met" if (value > threshold if accepted == "above" else value <= threshold) else "not met"


def _beyond_chance(
    measure: Measure,
    measured: Measured,
    described: Sequence[GroupMetrics],
    groups: Groups,
    rules: Rules,
    threshold: float | None,
    scale: float,
    level: float,
) -> tuple[tuple[str, ...], set[int]]:
    """Return the group or groups that miss the threshold most surely; and the groups miscalibrated beyond chance."""
    best: tuple[float, tuple[str, ...]] = (0.0, ())
    excessive: set[int] = set()
    place = groups.place()
    for metric in measure.metrics:
        values, replicates = measured.values[metric], measured.replicates[metric]
        judged = sorted(
            (code for code, group in enumerate(described) if _counts(metric, values[code], group, rules)),
            key=lambda code: place[code],
        )
        if measure.kind == "highest" and judged:
            over = excess(values[judged], measured.by_chance[metric][:, judged], level=level)
            excessive = {code for code, sure in zip(judged, over.beyond_chance, strict=True) if sure}
            missed = over.beyond_chance & (over.corrected > (0.0 if threshold is None else threshold))
            if missed.any():
                surest = int(np.argmax(np.where(missed, over.in_deviations, 0.0)))
                best = (float(over.in_deviations[surest]), (groups.labels[judged[surest]],))
        elif len(judged) >= 2:
            if metric in measured.cases:
                cases, n_draws = measured.cases[metric][judged], replicates.shape[0]
                pairs = compare_rates(values[judged], cases, level=level, seed=measured.seed, n_draws=n_draws)
            else:
                pairs = _compare_means(values[judged] / scale, replicates[:, judged] / scale, level)
            found = _surest_pair(measure, values[judged] / scale, pairs, threshold)
            if found is not None and found[0] > best[0]:
                best = (found[0], tuple(groups.labels[judged[index]] for index in found[1:]))
    return best[1], excessive


def _compare_means(values: FloatArray, replicates: FloatArray, level: float) -> Pairs:
    one, other = np.triu_indices(values.size, k=1)
    centred = replicates - np.nanmean(replicates, axis=0)
    drawn = centred[:, one] - centred[:, other]
    error = np.nanstd(drawn, axis=0)
    gap = np.abs(values[one] - values[other])
    in_errors = np.divide(gap, error, out=np.where(gap > 0, np.inf, 0.0), where=error > 0)
    by_chance = np.divide(np.abs(drawn), error, out=np.zeros_like(drawn), where=error > 0)
    critical = np.percentile(np.nan_to_num(by_chance).max(axis=1), 100.0 * level)
    return Pairs(one, other, in_errors, error, float(critical))


def _surest_pair(
    measure: Measure, values: FloatArray, pairs: Pairs, threshold: float | None
) -> tuple[float, int, int] | None:
    """Return the largest difference in standard errors that chance does not explain, and its lower and higher group."""
    one, other = pairs.one, pairs.other
    gap = np.abs(values[one] - values[other])
    low, high = np.minimum(values[one], values[other]), np.maximum(values[one], values[other])
    if threshold is None:
        missed = gap > 0
    elif measure.kind == "ratio":
        missed = low <= threshold * high
    else:
        missed = gap > threshold
    in_errors = pairs.in_errors
    if measure.exceeds and threshold is not None:
        over = np.maximum(gap - threshold, 0.0)
        in_errors = np.divide(over, pairs.error, out=np.where(over > 0, np.inf, 0.0), where=pairs.error > 0)
    in_errors = np.where(missed & (gap > 0), in_errors, 0.0)
    surest = int(np.argmax(in_errors))
    if in_errors[surest] <= pairs.critical:
        return None
    pair = (int(one[surest]), int(other[surest]))
    below, above = sorted(pair, key=lambda index: values[index])
    return float(in_errors[surest]), below, above


def _spoken(metric: str) -> str:
    names = {
        "tpr": "true positive rate",
        "fpr": "false positive rate",
        "fnr": "false negative rate",
        "ece": "calibration error",
        "mae": "mean absolute error",
    }
    return names.get(metric, metric.replace("_", " "))
