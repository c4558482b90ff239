"""The version beside another one: what changed, how sure that is, and what follows."""

from __future__ import annotations

from collections.abc import Sequence

from arkwright.evaluation.comparison import MetricComparison
from arkwright.evaluation.decision import RiskAssessment, Rule
from arkwright.evaluation.intervals import RESAMPLED, Interval
from arkwright.evaluation.model_evaluation import ModelEvaluation
from arkwright.evaluation.report_page.interval_chart import Row, interval_chart
from arkwright.evaluation.report_page.layout import Tone, absent, facts, mark, part, section, table
from arkwright.evaluation.report_page.markup import Html, element, join, paragraphs
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
    probability,
    rows,
)
from arkwright.evaluation.signature_change import SchemaCompatibility
from arkwright.evaluation.trade_offs import TradeOff

_OUTCOME: dict[str, Tone] = {
    "PROMOTE": "good",
    "CANARY": "good",
    "ITERATE": "warning",
    "HOLD": "warning",
    "REJECT": "bad",
}
_CHANGE: dict[str, Tone] = {
    "better": "good",
    "worse": "bad",
    "no clear difference": "note",
    "not computable": "unknown",
}
_UNKNOWN = "it was not measured"


def challenge(document: ModelEvaluation) -> Html:
    """Return the comparison and both decisions with their rules."""
    found = document.challenge
    if found is None:
        return absent(document, "challenge")
    comparison, advice, version = found.comparison, found.recommendation, found.version
    canary = (
        f" with {version.canary_traffic_percent} % of the traffic" if version.canary_traffic_percent is not None else ""
    )
    return section(
        document,
        "challenge",
        element(
            "p",
            f"Against {found.baseline.model_name}, version {found.baseline.version} (bundle ",
            element("code", found.baseline.bundle_digest),
            f"), on {rows(comparison.n_rows)}.",
        ),
        element("p", f"The hypothesis, as it was stated: {found.hypothesis}") if found.hypothesis else None,
        part(
            "Decisions",
            element("p", "The experiment: ", mark(advice.outcome, _OUTCOME[advice.outcome]), f". {advice.rationale}"),
            paragraphs(advice.findings),
            element(
                "p", "The version: ", mark(version.outcome, _OUTCOME[version.outcome]), f"{canary}. {version.rationale}"
            ),
            None if version.findings == advice.findings else paragraphs(version.findings),
            pointer="/challenge/recommendation",
        ),
        part(
            "Metrics",
            element(
                "p",
                f"Better or worse where the p-value, adjusted for all metrics together (Holm), is below "
                f"{given(comparison.alpha)}. Intervals come from {count(comparison.n_resamples)} paired resamples"
                + (f" {RESAMPLED[comparison.resampling]}." if comparison.resampling is not None else "."),
                class_="note",
            ),
            _metrics(comparison.metrics),
            _chart(comparison.metrics),
            pointer="/challenge/comparison",
        ),
        part(
            "Rules, in their order",
            _rules("Rules for the experiment", advice.rules, advice.rule),
            _rules("Rules for the version", version.rules, version.rule),
            pointer="/challenge/version/rules",
        ),
        _trade_offs(advice.trade_offs or version.resources),
        _schema(version.schema),
        _risk(version.risk),
    )


def _metrics(found: Sequence[MetricComparison]) -> Html:
    lines = [
        [
            f"{capital(each.title)} ({'higher' if each.direction == 'maximize' else 'lower'} is better)",
            maybe(each.baseline, reason=each.reason),
            maybe(each.candidate, reason=each.reason),
            interval(each.change),
            interval(each.relative_change, as_percent=True),
            maybe(each.p_adjusted, probability, each.reason),
            each.test,
            mark(capital(each.outcome), _CHANGE[each.outcome]),
        ]
        for each in found
    ]
    headings = [
        "metric",
        "baseline",
        "candidate",
        "change (95 % interval)",
        "relative change",
        "adjusted p",
        "test",
        "outcome",
    ]
    return table("Baseline and candidate on the same rows", headings, lines, numeric=(1, 2, 3, 4, 5))


def _chart(found: Sequence[MetricComparison]) -> Html:
    lines = []
    for each in found:
        change = each.relative_change
        if each.direction == "minimize" and change.value is not None:
            low, high = change.low, change.high
            change = Interval(
                value=-change.value,
                low=None if high is None else -high,
                high=None if low is None else -low,
                reason=change.reason,
            )
        lines.append(Row(capital(each.title), [change], note=each.outcome))
    return interval_chart(
        "challenge-chart",
        "Relative improvement",
        "To the right of zero the candidate is better, whichever way the metric counts.",
        lines,
        axis="improvement, as a share of the baseline's value",
        as_percent=True,
        reference=("no change", 0.0),
    )


def _rules(caption: str, found: Sequence[Rule], decided: str) -> Html:
    lines = [
        [
            capital(each.name),
            "yes, and it decided" if each.name == decided and each.applies else "yes" if each.applies else "no",
            join([each.detail, paragraphs(each.findings)]),
        ]
        for each in found
    ]
    return table(caption, ["rule", "applies", "what it found"], lines)


def _trade_offs(found: Sequence[TradeOff]) -> Html:
    if not found:
        return Html("")
    lines = []
    for each in found:
        if each.within_limits is None:
            within = mark("Not known", "unknown")
        else:
            within = mark("Within", "good") if each.within_limits else mark("Over", "bad")
        change = not_computable(_UNKNOWN)
        if each.change is not None:
            relative = f" ({percent(each.change_percent / 100)})" if each.change_percent is not None else ""
            change = f"{number(each.change)}{relative}"
        lines.append(
            [
                f"{capital(each.name)} ({each.unit})",
                maybe(each.baseline, reason=_UNKNOWN),
                maybe(each.candidate, reason=_UNKNOWN),
                change,
                within,
                each.detail,
            ]
        )
    return part(
        "Trade-offs",
        table(
            "Resources of both",
            ["resource", "baseline", "candidate", "change", "limits", "in words"],
            lines,
            numeric=(1, 2, 3),
        ),
        pointer="/challenge/recommendation/trade_offs",
    )


def _schema(found: SchemaCompatibility) -> Html:
    lines = [
        [
            f"{capital(each.kind)}: {each.name}",
            mark("Breaks callers", "bad") if each.breaking else mark("Compatible", "good"),
            each.detail,
            each.client_update or "nothing",
        ]
        for each in found.changes
    ]
    said = mark("Breaks callers", "bad") if found.breaking else mark("Compatible", "good")
    return part(
        "Interface",
        element("p", said, f"; the version number rises in its {found.bump} part."),
        table("Changes of the interface", ["change", "effect", "detail", "what callers do"], lines)
        if lines
        else element("p", "Inputs and answers are the same."),
        pointer="/challenge/version/schema",
    )


def _risk(found: RiskAssessment) -> Html:
    tones: dict[str, Tone] = {"low": "good", "medium": "warning", "high": "bad"}
    return part(
        "Risk of the switch",
        element("p", "Risk: ", mark(found.level, tones[found.level]), "."),
        paragraphs(found.reasons),
        facts(
            [
                ("Going back is", f"{found.rollback} risk: {found.rollback_reason}"),
                ("Breaking changes", listed(found.breaking_changes)),
                ("What callers must do first", " ".join(found.client_updates) or "nothing"),
                ("Reasons", count(len(found.reasons))),
            ]
        ),
        pointer="/challenge/version/risk",
    )
