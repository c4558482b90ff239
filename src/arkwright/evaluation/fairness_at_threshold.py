"""What moving the decision threshold would do to fairness, before anybody moves it.

A threshold that saves cost gives the favourable outcome to other people than one half does, and more or fewer of each
group. So the same audit, on the same resamples, is made at both, and what changes is named measure by measure. The
status of a version is that of the threshold it decides at today; what the other one would bring is a finding of its
own: a version that passes today and would fail there must not be moved there as it is.

The threshold was chosen on rows of this kind and for its cost, not for its fairness, so nothing was searched for here
that a correction would have to know of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from arkwright.core.errors import Invalid
from arkwright.core.written_numbers import written
from arkwright.evaluation.disparity import Disparity
from arkwright.evaluation.fairness import ColumnFairness, FairnessReport, Status
from arkwright.evaluation.fairness_findings import Finding, Severity
from arkwright.evaluation.intervals import Interval

_TOLD = 3
Change = Literal["better", "worse", "the same", "not computable"]


class ThresholdChange(msgspec.Struct, frozen=True, kw_only=True):
    """One gated measure of one column at both thresholds.

    ``fails_before`` and ``fails_after`` say whether it fails the model: not met, and beyond chance.
    """

    column: str
    measure: str
    title: str
    before: Interval
    after: Interval
    verdict_before: str
    verdict_after: str
    fails_before: bool
    fails_after: bool
    change: Change


class FairnessAtThreshold(msgspec.Struct, frozen=True, kw_only=True):
    """The audit at another threshold, beside that at the one in use.

    Attributes
    ----------
    threshold, usual
        The other one, and the one at which rows are decided today.
    status
        What the audit would end in at ``threshold``.
    changes
        The gated measures of the judged columns, those that come to fail first.
    detail
        What changes, in a sentence.
    findings
        For each column that fails at one threshold alone. A ``warning`` asks not to move there as it is.
    """

    threshold: float
    usual: float
    status: Status
    report: FairnessReport
    changes: tuple[ThresholdChange, ...]
    detail: str
    findings: tuple[Finding, ...] = ()


def compare_thresholds(
    before: FairnessReport, after: FairnessReport, *, severity: Severity = "warning"
) -> FairnessAtThreshold:
    """Say what changes between two audits of the same rows at two thresholds.

    Parameters
    ----------
    before, after
        Of :func:`~arkwright.evaluation.fairness.audit_binary_at`, at the threshold in use and at the other one.
    severity
        Of a column that comes to fail; ``note`` where nobody asked to move the threshold.

    Raises
    ------
    Invalid
        If an audit has no threshold, or they are not about the same columns.

    Examples
    --------
    >>> from arkwright.evaluation.fairness import audit_binary_at
    >>> import numpy as np
    >>> truth, group = np.tile([1, 0], 200), np.repeat(["f", "m"], 200)
    >>> score = np.where(group == "m", 0.4, np.where(np.arange(400) % 40 == 0, 0.6, 0.1))
    >>> compare_thresholds(*audit_binary_at(truth, score, {"sex": group}, [0.5, 0.3])).status
    'Fail'
    """
    if before.threshold is None or after.threshold is None or _names(before) != _names(after):
        raise Invalid(
            "The two audits cannot be compared: they are not of the same columns at two thresholds.",
            code="evaluation.thresholds",
            hint="Audit the same rows at both thresholds with audit_binary_at.",
        )
    pairs = [
        (one, other) for one, other in zip(before.columns, after.columns, strict=True) if one.judged and other.judged
    ]
    changes = [change for one, other in pairs for change in _changes(one, other)]
    findings = [found for one, other in pairs for found in _findings(one, other, after.threshold, severity)]
    return FairnessAtThreshold(
        threshold=after.threshold,
        usual=before.threshold,
        status=after.status,
        report=after,
        changes=tuple(sorted(changes, key=_rank)),
        detail=_detail(before, after, changes),
        findings=tuple(findings),
    )


def _names(report: FairnessReport) -> list[tuple[str, str]]:
    return [(column.column, column.outcome) for column in report.columns]


def _changes(before: ColumnFairness, after: ColumnFairness) -> list[ThresholdChange]:
    found = []
    for one in before.disparities:
        if not one.gated:
            continue
        other = after.disparity(one.name)
        found.append(
            ThresholdChange(
                column=before.column,
                measure=one.name,
                title=one.title,
                before=one.value,
                after=other.value,
                verdict_before=one.verdict,
                verdict_after=other.verdict,
                fails_before=_fails(one),
                fails_after=_fails(other),
                change=_change(one, other),
            )
        )
    return found


def _fails(found: Disparity) -> bool:
    return found.gated and found.verdict == "not met" and bool(found.beyond_chance)


def _change(one: Disparity, other: Disparity) -> Change:
    before, after = one.value.value, other.value.value
    if before is None or after is None:
        return "not computable"
    if before == after:
        return "the same"
    return "better" if (after > before) == (one.accepted == "above") else "worse"


def _rank(change: ThresholdChange) -> tuple[bool, bool, int]:
    order: tuple[Change, ...] = ("worse", "not computable", "better", "the same")
    return (not (change.fails_after and not change.fails_before), not change.fails_after, order.index(change.change))


def _findings(before: ColumnFairness, after: ColumnFairness, threshold: float, severity: Severity) -> list[Finding]:
    at = written(threshold)
    if after.status == "Fail" and before.status != "Fail":
        why = next(item for item in after.findings if item.severity == "fail")
        text = (
            f"At a score of {at} the audit would fail, which it does not today. Do not move the threshold there "
            f"without mending this first. {why.text}"
        )
        return [
            Finding(
                severity=severity,
                kind="threshold",
                column=before.column,
                text=text,
                group=why.group,
                measure=why.measure,
            )
        ]
    if before.status == "Fail" and after.status != "Fail":
        text = f"{before.column}: at a score of {at} the audit would not fail, which it does today."
        return [Finding(severity="note", kind="threshold", column=before.column, text=text)]
    return []


def _detail(before: FairnessReport, after: FairnessReport, changes: Sequence[ThresholdChange]) -> str:
    at, usual = written(after.threshold or 0.0), written(before.threshold or 0.0)
    worse, better = ([each for each in changes if each.change == way] for way in ("worse", "better"))
    fails = [each for each in changes if each.fails_after and not each.fails_before]
    unknown = [each for each in changes if each.before.value is not None and each.after.value is None]
    mended = [each for each in changes if each.fails_before and not each.fails_after and each not in unknown]
    told = [
        f"{what}: {_listed(found)}"
        for what, found in (
            ("come to fail", fails),
            ("no longer fail", mended),
            ("get worse", [each for each in worse if each not in fails]),
            ("get better", [each for each in better if each not in (*mended, *fails)]),
            ("cannot be computed there", unknown),
        )
        if found
    ]
    what = f" Of the measures that can fail the model, {'; '.join(told)}." if told else " No measure changes."
    ends = (
        f"ends in {after.status}, as it does at {usual}"
        if after.status == before.status
        else (f"ends in {after.status}, at {usual} in {before.status}")
    )
    return f"At a score of {at} the fairness audit {ends}.{what}"


def _listed(found: Sequence[ThresholdChange]) -> str:
    names = [f"{each.title} of {each.column}" for each in found[:_TOLD]]
    return ", ".join(names) + (f" and {len(found) - _TOLD} more" if len(found) > _TOLD else "")
