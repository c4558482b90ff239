"""For whom it works: the groups of each sensitive column, how they compare, and what could be done."""

from __future__ import annotations

from collections.abc import Sequence

from arkwright.evaluation.disparity import Disparity
from arkwright.evaluation.fairness import ColumnFairness
from arkwright.evaluation.fairness_at_threshold import FairnessAtThreshold
from arkwright.evaluation.fairness_findings import Finding
from arkwright.evaluation.group_metrics import GroupMetrics
from arkwright.evaluation.intervals import Interval
from arkwright.evaluation.mitigation import Effect, MitigationReport
from arkwright.evaluation.model_evaluation import ModelEvaluation
from arkwright.evaluation.proxies import ProxyColumn, ProxyReport
from arkwright.evaluation.regulation import RegulatoryReport
from arkwright.evaluation.report_page.interval_chart import Row, interval_chart
from arkwright.evaluation.report_page.layout import Tone, absent, mark, more, only_first, part, section, table
from arkwright.evaluation.report_page.markup import Html, element, paragraphs
from arkwright.evaluation.report_page.wording import (
    capital,
    count,
    given,
    interval,
    listed,
    maybe,
    not_computable,
    number,
    percent,
    plain,
    rows,
)

_STATUS: dict[str, Tone] = {"Pass": "good", "Warning": "warning", "Fail": "bad"}
_VERDICT: dict[str, Tone] = {"met": "good", "not met": "bad", "not computable": "unknown", "not judged": "unknown"}
_SEVERITY: dict[str, Tone] = {"fail": "bad", "warning": "warning", "note": "note"}
_CHANGE: dict[str, tuple[str, Tone]] = {
    "better": ("Better", "good"),
    "worse": ("Worse", "warning"),
    "the same": ("The same", "note"),
    "not computable": ("Not computable", "unknown"),
}
_RATES = ("selection_rate", "tpr", "fpr", "precision", "accuracy", "ece")
_DRAWN = ("selection_rate", "tpr", "fpr")
_ERRORS = ("mean_truth", "mean_prediction", "mean_residual", "mae", "rmse")
_DRAWN_ERRORS = ("mean_residual", "mae")
_NAMES = {
    "selection_rate": "given the favourable outcome",
    "tpr": "rightly given it (true positive rate)",
    "fpr": "wrongly given it (false positive rate)",
    "fnr": "wrongly refused it",
    "ece": "calibration error",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "mean_residual": "mean error (truth minus prediction)",
    "mean_truth": "mean in truth",
}
_MAX_GROUPS = 20
_MAX_PROXIES = 15


def fairness(document: ModelEvaluation) -> Html:
    """Return the audit of every sensitive column."""
    found = document.fairness
    if found is None:
        return absent(document, "fairness")
    report = found.report
    parts = [
        *(element("p", mark("Assumed", "warning"), f" {each.text}") for each in report.assumptions),
        element("p", "Status: ", mark(found.status, _STATUS[found.status]), f" on {rows(report.n_rows)}."),
        element(
            "p",
            f"Groups of fewer than {report.min_rows} rows, or with too few cases, are marked small: they are shown, "
            "and left out of comparisons that they are too small for, which is a warning by itself: nothing is known "
            "about them.",
            class_="note",
        ),
        _findings("What was found", report.findings(), "No disparity was found."),
    ]
    if found.at_threshold is not None:
        parts.append(_elsewhere(found.at_threshold))
    for at, column in enumerate(report.columns):
        parts.append(_column(column, at))
    if found.proxies:
        parts.append(
            part(
                "Inputs that stand in for a sensitive column",
                *(_proxies(each, at) for at, each in enumerate(found.proxies)),
                pointer="/fairness/proxies",
            )
        )
    if found.mitigation:
        parts.append(
            part(
                "What could be done, and what it costs",
                *(_mitigation(each, at) for at, each in enumerate(found.mitigation)),
                pointer="/fairness/mitigation",
            )
        )
    if found.regulation is not None:
        parts.append(_regulation(found.regulation))
    return section(document, "fairness", *parts)


def _findings(title: str, found: Sequence[Finding], nothing: str) -> Html:
    if not found:
        return part(title, element("p", mark(nothing, "good")))
    items = [
        element("li", mark(capital(each.severity), _SEVERITY[each.severity]), f" {each.kind}: {each.text}")
        for each in found
    ]
    return part(title, element("ul", *items))


def _elsewhere(found: FairnessAtThreshold) -> Html:
    pointer = "/fairness/at_threshold"
    lines = [
        [
            f"{each.column}: {each.title}",
            interval(each.before),
            interval(each.after),
            mark(*_CHANGE[each.change]),
            mark("Fails the model", "bad") if each.fails_after else capital(each.verdict_after),
        ]
        for each in found.changes
    ]
    groups = [
        more(
            f"Groups of {column.column} at a score of {number(found.threshold)}",
            _groups(
                column, f"{column.column}, deciding from {number(found.threshold)}", f"{pointer}/report/columns/{at}"
            ),
        )
        for at, column in enumerate(found.report.columns)
        if column.judged
    ]
    return part(
        f"At the threshold that was chosen, {number(found.threshold)}",
        element(
            "p",
            f"Everything else here is about deciding from {number(found.usual)} on, as the model does when it serves. ",
            "At the other threshold the audit ends in: ",
            mark(found.status, _STATUS[found.status]),
            ".",
        ),
        element("p", found.detail),
        element(
            "ul",
            *(
                element("li", mark(capital(each.severity), _SEVERITY[each.severity]), f" {each.text}")
                for each in found.findings
            ),
        )
        if found.findings
        else None,
        table(
            "Measures that can fail the model, at both thresholds",
            ["measure", f"at {number(found.usual)}", f"at {number(found.threshold)}", "change", "there"],
            lines,
            numeric=(1, 2),
            pointers=[f"{pointer}/changes/{at}" for at in range(len(lines))],
        ),
        *groups,
        pointer=pointer,
    )


def _column(column: ColumnFairness, at: int) -> Html:
    pointer = f"/fairness/report/columns/{at}"
    outcome = "" if column.outcome in {"value", "favourable"} else f" (favourable outcome: {column.outcome})"
    about = f"{column.column}{f', {column.outcome}' if not column.judged else ''}"
    status = element(
        "p", "Status: ", mark(column.status, _STATUS[column.status]), "." if column.judged else " (shown, not judged)."
    )
    return part(
        f"{column.column}{outcome}",
        status,
        _chart(column, f"fairness-{at}", about),
        _groups(column, about, pointer),
        _disparities(column, about, pointer),
        pointer=pointer,
    )


def _chart(column: ColumnFairness, key: str, about: str) -> Html:
    regression = column.outcome == "value"
    lines = []
    groups = sorted(column.groups, key=lambda group: -group.n_rows)[:_MAX_GROUPS]
    for name in _DRAWN_ERRORS if regression else _DRAWN:
        lines += [
            Row(
                f"{group.group} (small)" if group.small else group.group,
                [group.metrics.get(name, Interval(value=None, low=None, high=None, reason="it was not measured"))],
                under=capital(_NAMES.get(name, plain(name))),
                note=f"{rows(group.n_rows)}{f'; small: {group.note}' if group.small else ''}",
            )
            for group in groups
        ]
    return interval_chart(
        key,
        f"Groups of {about}",
        "Errors of each group, with 95 % intervals."
        if regression
        else "Rates of each group, with 95 % intervals: where intervals lie far apart, groups are treated differently.",
        lines,
        axis="in the unit of the target" if regression else "share of the group's rows",
        as_percent=not regression,
        ceiling=None if regression else 1.0,
    )


def _groups(column: ColumnFairness, about: str, pointer: str) -> Html:
    regression = column.outcome == "value"
    names = _ERRORS if regression else _RATES
    headings = ["group", "rows"]
    headings += [] if regression else ["favourable in truth"]
    headings += [_NAMES.get(name, plain(name)) for name in names]
    lines = []
    for group in column.groups:
        line: list[str | None] = [_group_name(group), f"{count(group.n_rows)} ({percent(group.share)})"]
        if not regression:
            line.append(not_computable("it was not counted") if group.n_positive is None else count(group.n_positive))
        for name in names:
            value = group.metrics.get(name)
            line.append(
                not_computable("it was not measured") if value is None else interval(value, as_percent=not regression)
            )
        lines.append(line)
    return table(
        f"Groups of {about}: size, and rates with 95 % intervals"
        if not regression
        else f"Groups of {about}: size and errors",
        headings,
        lines,
        numeric=range(1, len(headings)),
        pointers=[f"{pointer}/groups/{at}" for at in range(len(lines))],
    )


def _group_name(group: GroupMetrics) -> Html:
    if not group.small:
        return element("span", group.group)
    return element("span", group.group, " ", mark("small", "warning"), f" ({group.note})")


def _disparities(column: ColumnFairness, about: str, pointer: str) -> Html:
    lines = [[_disparity_name(each), *_disparity(each)] for each in column.disparities]
    return table(
        f"How the groups of {about} compare",
        ["measure", "value (95 % interval)", "accepted", "verdict", "between", "left out"],
        lines,
        numeric=(1,),
        pointers=[f"{pointer}/disparities/{at}" for at in range(len(lines))],
    )


def _disparity_name(found: Disparity) -> str:
    return f"{capital(found.title)}{' (can fail the model)' if found.gated else ''}"


def _disparity(found: Disparity) -> list[str]:
    accepted = "shown, not judged" if found.threshold is None else f"{found.accepted} {given(found.threshold)}"
    verdict = mark(capital(found.verdict), _VERDICT[found.verdict])
    chance = ""
    if found.verdict == "not met":
        chance = "; beyond chance" if found.beyond_chance else "; chance may explain it"
    between = listed([name for name in (found.lowest, found.highest) if name], "no groups")
    shown = interval(found.value)
    if found.by_chance is not None:
        shown += f"; about {number(found.by_chance)} if calibrated"
    return [shown, accepted, element("span", verdict, chance), between, listed(found.left_out)]


def _proxies(found: ProxyReport, at: int) -> Html:
    shown = found.columns[:_MAX_PROXIES]
    lines = [[each.column, _association(each), _auc(each), each.level] for each in shown]
    return part(
        f"For {found.attribute}",
        paragraphs(found.findings),
        element(
            "p",
            f"How well all inputs together predict {found.attribute} is {not_computable(found.joint_auc.reason)}."
            if found.joint_auc.value is None
            else f"All inputs together predict {found.attribute} with an area under the ROC curve of "
            f"{interval(found.joint_auc)} ({found.joint_level}); 0.5 is nothing at all. On {rows(found.n_rows)}.",
        ),
        more(
            f"Every input's association with {found.attribute}",
            table(
                f"Inputs that go with {found.attribute}",
                ["input", "association, 0 to 1", "tells the group from the rest (AUC)", "level"],
                lines,
                numeric=(1, 2),
            ),
            only_first(len(shown), len(found.columns), "inputs"),
        ),
        pointer=f"/fairness/proxies/{at}",
        level=4,
    )


def _association(found: ProxyColumn) -> str:
    measure = plain(found.measure).replace("cramers v", "Cramér's V")
    return not_computable(found.reason) if found.association is None else f"{number(found.association)} ({measure})"


def _auc(found: ProxyColumn) -> str:
    if found.auc is not None:
        return number(found.auc)
    return (
        "for numbers only"
        if found.kind == "categorical"
        else not_computable(found.reason or "the column holds no numbers")
    )


def _mitigation(found: MitigationReport, at: int) -> Html:
    lines = [
        [f"{capital(each.strategy)}: {plain(each.objective)}", *_effect(each)]
        for each in found.effects
        if not each.reason
    ]
    reasons: dict[str, list[str]] = {}
    for each in found.effects:
        if each.reason:
            reasons.setdefault(each.reason, []).append(f"{each.strategy} for {plain(each.objective)}")
    without = [f"{capital(listed(names))}: {not_computable(reason)}." for reason, names in reasons.items()]
    cautions = list(
        dict.fromkeys(
            f"{capital(each.strategy)}: {each.caution}" for each in found.effects if each.caution and not each.reason
        )
    )
    thresholds = [
        [
            f"{plain(each.objective)}: {group.group}",
            number(group.threshold),
            percent(group.selection_rate),
            count(group.n_rows),
        ]
        for each in found.effects
        if each.thresholds is not None
        for group in each.thresholds.groups
    ]
    return part(
        f"For {found.column}",
        table(
            f"Strategies for {found.column}, the most benefit for the least accuracy first",
            [
                "strategy and aim",
                "accuracy",
                "change of accuracy (95 % interval)",
                "disparity before",
                "disparity after",
                "gain",
                "gain per accuracy lost",
            ],
            lines,
            numeric=(1, 2, 3, 4, 5, 6),
        ),
        paragraphs([*without, *cautions]),
        element(
            "p",
            f"Chosen on {rows(found.n_choosing)}, measured on {count(found.n_measuring)} others.",
            class_="note",
        ),
        more(
            f"Thresholds by group of {found.column}",
            table(
                f"Thresholds that were chosen for {found.column}",
                ["aim and group", "threshold", "given the outcome", "rows"],
                thresholds,
                numeric=(1, 2, 3),
            ),
        )
        if thresholds
        else None,
        pointer=f"/fairness/mitigation/{at}",
        level=4,
    )


def _effect(found: Effect) -> list[str]:
    measure = {
        "demographic_parity": "demographic_parity_difference",
        "equal_opportunity": "equal_opportunity_difference",
        "equalized_odds": "equalized_odds_difference",
    }[found.objective]
    none = "a group has no rows it is taken over"
    change = found.accuracy_change
    before = maybe(found.accuracy_before, percent, none)
    after = maybe(found.accuracy_after, percent, none)
    nothing = "no accuracy was lost, or nothing was gained"
    return [
        f"{before} to {after}{f' ({found.reference})' if found.reference != 'the model' else ''}",
        not_computable("it was not measured") if change is None else interval(change, as_percent=True),
        maybe(found.before.get(measure), reason=none),
        maybe(found.after.get(measure), reason=none),
        maybe(found.benefit, reason=none),
        maybe(found.benefit_per_accuracy_lost, reason=nothing),
    ]


def _regulation(found: RegulatoryReport) -> Html:
    lines = [
        [
            f"{each.regulation}, {each.article}",
            mark(capital(each.severity), "bad" if each.severity == "concern" else "warning"),
            element("span", element("strong", each.title), f". {each.why}"),
            each.action,
            listed(each.columns, "no column in particular"),
        ]
        for each in found.flags
    ]
    known = [f"{name} ({meaning})" for name, meaning in found.recognised.items()]
    return part(
        "What the law may ask",
        element("p", "Status: ", mark(found.status, _STATUS[found.status]), f". Purpose: {found.purpose}."),
        element("p", element("strong", found.disclaimer)),
        table("Points for a reviewer", ["regulation", "how sure", "point", "what to do", "columns"], lines)
        if lines
        else element("p", "No point was raised."),
        element("p", f"Columns recognised by their name or declaration: {listed(known)}.", class_="note"),
        pointer="/fairness/regulation",
    )
