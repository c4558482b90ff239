"""What a fairness audit found, in plain words.

References
----------
Saleiro et al. (2018), "Aequitas: A Bias and Fairness Audit Toolkit": an error rate 1.25 times another's (the inverse of
four fifths) is worth a look. That a mean error of 0.02 in a probability is worth a look is this project's choice, and
so is a fifth of a standard deviation in a residual, after Cohen (1988), "Statistical Power Analysis".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from arkwright.core.written_numbers import counted, percentage, written
from arkwright.evaluation.disparity import Disparity
from arkwright.evaluation.group_metrics import GroupMetrics
from arkwright.evaluation.intervals import Interval

Severity = Literal["fail", "warning", "note"]

_NOTABLE_ERROR = 0.02
_NOTABLE_RATIO = 1.25
_NOTABLE_RESIDUAL = 0.2
_MAX_NOTES = 5
_TOLD = {
    "selection_rate": "the favourable outcome is given to",
    "tpr": "of those who should get the favourable outcome, it is given to",
    "fpr": "of those who should not get the favourable outcome, it is given to",
    "fnr": "of those who should get the favourable outcome, it is refused to",
}


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing to know, in plain words.

    ``severity`` is ``fail`` or ``warning`` where it decides the status, ``note`` where it does not. ``kind``:
    ``disparity``, ``systematic bias`` (scores of a group too high or too low), ``error distribution`` (a group with
    more errors than all rows), ``small group`` or ``assumption``: what was taken for granted about the audit itself,
    which is a warning to the reader and decides no status; ``threshold``: what moving the threshold would do.
    ``column`` is empty for an assumption about all of them.
    """

    severity: Severity
    kind: Literal["disparity", "systematic bias", "error distribution", "small group", "assumption", "threshold"]
    column: str
    text: str
    group: str = ""
    measure: str = ""


def disparity_findings(
    column: str, disparities: Sequence[Disparity], groups: Sequence[GroupMetrics]
) -> tuple[Finding, ...]:
    """Say which measures are not met, and which cannot be computed: a warning with a gate, a note without one."""
    by_group = {group.group: group for group in groups}
    found, unknown = [], dict[str, list[str]]()
    for item in disparities:
        severity: Severity = "warning"
        named = item.lowest or item.highest
        if item.verdict == "not computable" and item.gated:
            text = f"{column}: the {item.title} is not computable, because {item.value.reason}."
        elif item.verdict == "not met":
            severity = "fail" if item.gated and item.beyond_chance else "warning"
            text = f"{column}: {_told(item, by_group)}"
        else:
            # Without a group left out, every group has a rate of 0: they are alike.
            if item.verdict == "not computable" and item.left_out:
                unknown.setdefault(item.value.reason, []).append(item.title)
            continue
        found.append(
            Finding(severity=severity, kind="disparity", column=column, text=text, group=named, measure=item.name)
        )
    for reason, titles in unknown.items():
        text = f"{column}: not computable: the {_listed(titles)}, because {reason}."
        found.append(Finding(severity="note", kind="disparity", column=column, text=text))
    return tuple(found)


def left_out_findings(
    column: str, disparities: Sequence[Disparity], groups: Sequence[GroupMetrics], *, severity: Severity
) -> tuple[Finding, ...]:
    """Say which groups no measure with a gate could judge, or not all of them: nothing speaks for these groups."""
    gated = [item for item in disparities if item.gated and item.verdict != "not computable"]
    missing: dict[tuple[str, ...], list[str]] = {}
    for group in groups:
        titles = tuple(item.title for item in gated if group.group in item.left_out)
        if titles:
            missing.setdefault(titles, []).append(f"{group.group} ({group.note or counted(group.n_rows, 'row')})")
    found = []
    for titles, names in missing.items():
        more = f" and {len(names) - _MAX_NOTES} more groups" if len(names) > _MAX_NOTES else ""
        by = "any measure" if len(titles) == len(gated) else f"the {_listed(titles)}"
        text = (
            f"{column}: too small to be judged by {by}: {'; '.join(names[:_MAX_NOTES])}{more}. "
            "Whether the model works for them is not known."
        )
        found.append(Finding(severity=severity, kind="small group", column=column, text=text))
    return tuple(found)


def assumed_favourable(label: str) -> Finding:
    """Say that nobody stated which class people want."""
    return Finding(
        severity="warning",
        kind="assumption",
        column="",
        text=f"Nobody stated which outcome is favourable. {label}, the positive class, was taken to be; with the other "
        "class every rate here would be about the opposite. Name the class that people want.",
    )


def small_notes(column: str, groups: Sequence[GroupMetrics]) -> tuple[Finding, ...]:
    """Name the small groups; beyond five, only how many more there are."""
    small = [group for group in groups if group.small]
    found = [
        Finding(
            severity="note",
            kind="small group",
            column=column,
            group=group.group,
            text=f"{column} = {group.group} is small ({group.note}): its figures are shown and say little.",
        )
        for group in small[:_MAX_NOTES]
    ]
    if len(small) > _MAX_NOTES:
        text = f"{column}: {len(small) - _MAX_NOTES} more groups are small."
        found.append(Finding(severity="note", kind="small group", column=column, text=text))
    return tuple(found)


def bias_notes(column: str, groups: Sequence[GroupMetrics]) -> list[Finding]:
    """Name groups whose scores are too high or too low on average, by 0.02 or more and beyond chance."""
    found = []
    for group in groups:
        error = group.metrics["mean_error"]
        if group.small or error.value is None or error.low is None or error.high is None:
            continue
        if abs(error.value) >= _NOTABLE_ERROR and (error.low > 0 or error.high < 0):
            way = "low" if error.value > 0 else "high"
            text = (
                f"{column} = {group.group}: scores are too {way} by {_written(error, sign=error.value < 0)} on average."
            )
            found.append((abs(error.value), _note("systematic bias", column, group.group, text)))
    return _largest(found)


def error_notes(column: str, groups: Sequence[GroupMetrics], overall: float) -> list[Finding]:
    """Name groups with at least 1.25 times the errors of all rows, beyond chance, and which kind they are."""
    found = []
    for group in groups:
        right = group.metrics["accuracy"]
        if group.small or overall <= 0 or right.value is None or right.high is None:
            continue
        rate = 1.0 - right.value
        if rate >= _NOTABLE_RATIO * overall and 1.0 - right.high > overall:
            missed, alarmed = group.metrics["fnr"], group.metrics["fpr"]
            text = (
                f"{column} = {group.group}: {percentage(rate, 1)} of the rows are called wrong, "
                f"{percentage(overall, 1)} of all rows; "
                f"the favourable outcome is wrongly refused to {_share(missed)} and wrongly given to {_share(alarmed)}."
            )
            found.append((rate, _note("error distribution", column, group.group, text)))
    return _largest(found)


def residual_notes(column: str, groups: Sequence[GroupMetrics], spread: float) -> list[Finding]:
    """Name groups predicted too high or too low by a fifth of the residuals' spread, beyond chance."""
    found = []
    for group in groups:
        mean = group.metrics["mean_residual"]
        if group.small or mean.value is None or mean.low is None or mean.high is None or spread <= 0:
            continue
        if abs(mean.value) >= _NOTABLE_RESIDUAL * spread and (mean.low > 0 or mean.high < 0):
            way = "low" if mean.value > 0 else "high"
            size = _written(mean, sign=mean.value < 0)
            text = f"{column} = {group.group}: predictions are too {way} by {size} on average."
            found.append((abs(mean.value), _note("systematic bias", column, group.group, text)))
    return _largest(found)


def _note(kind: Literal["systematic bias", "error distribution"], column: str, group: str, text: str) -> Finding:
    return Finding(severity="note", kind=kind, column=column, group=group, text=text)


def _largest(found: Sequence[tuple[float, Finding]]) -> list[Finding]:
    ranked = sorted(found, key=lambda item: -item[0])
    return [finding for _, finding in ranked[:_MAX_NOTES]]


def _told(item: Disparity, by_group: dict[str, GroupMetrics]) -> str:
    limit = f"{item.accepted} {item.threshold:g} is accepted"
    chance = ""
    if not item.beyond_chance:
        chance = " Chance may explain it: more rows would tell."
    elif _reaches(item):
        what = "That the groups differ" if item.lowest else "That its scores are off"
        chance = f" {what} is beyond chance; that it is by more than is accepted is not."
    if item.beyond_chance and not {*item.beyond_chance} <= {item.lowest, item.highest}:
        surest = " and ".join(item.beyond_chance)
        chance += f" The surest {'difference is between' if item.lowest else 'is'} {surest}."
    value = f"{item.title} {_written(item.value)}, {limit}.{chance}"
    if not item.lowest:
        return f"{item.highest}: {value}{_calibrated(item)}"
    low, high = by_group[item.lowest].metrics[item.metric], by_group[item.highest].metrics[item.metric]
    if item.metric in _TOLD:
        return f"{_TOLD[item.metric]} {_share(low)} of {item.lowest} and {_share(high)} of {item.highest}; {value}"
    spoken = item.metric.replace("_", " ").replace("mae", "mean absolute error")
    least, most = (written(each.value or 0.0, 3) for each in (low, high))
    return f"{spoken} is {least} for {item.lowest} and {most} for {item.highest}; {value}"


def _reaches(item: Disparity) -> bool:
    """Whether the interval of a measure that is not met reaches into what is accepted."""
    if item.threshold is None or item.value.low is None or item.value.high is None:
        return False
    return item.value.high > item.threshold if item.accepted == "above" else item.value.low <= item.threshold


def _calibrated(item: Disparity) -> str:
    return (
        ""
        if item.by_chance is None
        else f" A calibrated model would show about {written(item.by_chance, 2)} in such a group."
    )


def _listed(titles: Sequence[str]) -> str:
    return " and the ".join([", the ".join(titles[:-1]), titles[-1]] if len(titles) > 1 else titles)


def _written(value: Interval, *, sign: bool = False) -> str:
    if value.value is None:
        return "not computable"
    if value.low is None or value.high is None:
        return written(abs(value.value) if sign else value.value, 3)
    shown = (-value.value, -value.high, -value.low) if sign else (value.value, value.low, value.high)
    told = [written(each, 3) for each in shown]
    return f"{told[0]} (95 % interval {told[1]} to {told[2]})"


def _share(value: Interval) -> str:
    return "nobody (no such rows)" if value.value is None else percentage(value.value, 1)
