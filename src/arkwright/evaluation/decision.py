"""What to do with a candidate: rules in a fixed order, and the one that decided.

Two questions, each answered by the first rule that applies; all rules are reported with what they found.

:func:`recommend` ends an experiment with PROMOTE, ITERATE or REJECT:

1. the primary metric is worse -> REJECT
2. fairness is not acceptable -> REJECT
3. a guardrail metric is worse than its tolerance allows -> REJECT
4. the primary metric or a guardrail cannot be computed, or fairness is required and unknown -> ITERATE
5. a loss of a guardrail metric beyond its tolerance is not excluded -> ITERATE
6. the primary metric shows no clear difference, whether the candidate came out ahead or not -> ITERATE
7. the improvement is smaller than asked for, or a success criterion is not met -> ITERATE
8. latency, size, cost or another resource is over its limit -> ITERATE
9. none of these -> PROMOTE

:func:`decide_version` takes a model version towards production with PROMOTE, CANARY, HOLD or REJECT:

1. to 3. as above -> REJECT
4. the evidence is incomplete -> HOLD
5. a loss of a guardrail metric beyond its tolerance is not excluded -> HOLD
6. the schema change is breaking -> HOLD, until callers have changed
7. a resource is over its limit -> HOLD
8. no clear difference, and a loss larger than the margin is not excluded -> HOLD
9. no clear difference beyond the margin, or the risk is not low -> CANARY
10. clearly better at low risk -> PROMOTE

"Worse", "better" and "no clear difference" are the outcomes of :func:`arkwright.evaluation.comparison.compare_models`,
with its tests, its level and Holm's correction. There is no clock and no chance here: the same evidence, the same
answer.

A guardrail asks the other way round: not whether harm is shown, but whether it is excluded. With a tolerance, the 95 %
interval of the change must end before it (non-inferiority). Without one no finite sample can exclude every loss, so a
worsening whose own one-sided p-value is below alpha speaks against it; Holm's correction is left out there, for it
would let a guardrail pass because others are watched too. A chance difference therefore stops an equal candidate in
one of twenty guardrails without tolerance: name a tolerance.

References
----------
Piaggio et al. (2012), "Reporting of Noninferiority and Equivalence Randomized Trials", JAMA 308: a margin is excluded
if the interval of the difference ends before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

import msgspec

from arkwright.core.errors import Invalid
from arkwright.core.written_numbers import counted, written
from arkwright.evaluation.comparison import MetricComparison, ModelComparison
from arkwright.evaluation.comparison_words import comparison_sentence, metric_title, written_p
from arkwright.evaluation.metric import METRICS
from arkwright.evaluation.signature_change import Level, SchemaCompatibility
from arkwright.evaluation.trade_offs import Resource, TradeOff, weigh

Recommended = Literal["PROMOTE", "ITERATE", "REJECT"]
VersionDecided = Literal["PROMOTE", "CANARY", "HOLD", "REJECT"]
Outcome = TypeVar("Outcome", Recommended, VersionDecided)

STATUS: dict[Recommended, str] = {"PROMOTE": "promoted", "ITERATE": "iterate", "REJECT": "rejected"}
"""The status an experiment takes with each recommendation."""

CANARY_TRAFFIC_PERCENT = 10


class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """A metric that must not get worse by more than ``tolerance``, in its own unit; 0: not at all."""

    metric: str
    tolerance: float = 0.0


class Criterion(msgspec.Struct, frozen=True, kw_only=True):
    """A success criterion: the candidate's metric must be at least, or at most, so much."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None


class FairnessEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the candidate's fairness is acceptable (None: not known), and why: a sentence, and what it rests on."""

    acceptable: bool | None
    detail: str
    findings: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: whether it applied, and what it found, one by one where that is several things.

    The first that applied decided.
    """

    name: str
    applies: bool
    detail: str
    findings: tuple[str, ...] = ()


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an experiment.

    ``statistical_significance`` is the Holm-adjusted p-value of the primary metric; ``rationale`` the sentence of the
    rule that decided, and ``findings`` what it found. Who files it adds ``completed_at``.
    """

    outcome: Recommended
    status: str
    rule: str
    rationale: str
    findings: tuple[str, ...] = ()
    primary_metric: str
    comparison_summary: str
    statistical_significance: float | None
    rules: tuple[Rule, ...]
    trade_offs: tuple[TradeOff, ...]


class RiskAssessment(msgspec.Struct, frozen=True, kw_only=True):
    """How risky the switch is, with the reasons; ``rollback`` how hard it is to undo."""

    level: Level
    reasons: tuple[str, ...]
    breaking_changes: tuple[str, ...]
    rollback: Level
    rollback_reason: str
    client_updates: tuple[str, ...]


class VersionDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What to do with a version, and why; ``canary_traffic_percent`` only with CANARY."""

    outcome: VersionDecided
    rule: str
    rationale: str
    findings: tuple[str, ...] = ()
    primary_metric: str
    comparison_summary: str
    statistical_significance: float | None
    rules: tuple[Rule, ...]
    schema: SchemaCompatibility
    resources: tuple[TradeOff, ...]
    risk: RiskAssessment
    canary_traffic_percent: int | None = None


def recommend(
    comparison: ModelComparison,
    *,
    primary: str,
    guardrails: Sequence[Guardrail] = (),
    fairness: FairnessEvidence | None = None,
    require_fairness: bool = False,
    resources: Sequence[Resource] = (),
    criteria: Sequence[Criterion] = (),
    minimum_improvement: float = 0.0,
) -> Recommendation:
    """Recommend what to do with an experiment's candidate.

    Parameters
    ----------
    primary
        The metric the experiment was about; one of the comparison's.
    minimum_improvement
        The least improvement worth having, in the primary metric's unit.

    Raises
    ------
    Invalid
        If a metric was not compared, or a tolerance, limit or criterion makes no sense.
    """
    evidence = _Evidence(comparison, primary, guardrails, fairness, resources, require_fairness=require_fairness)
    _check_criteria(comparison, criteria, minimum_improvement)
    improvement = evidence.primary.improvement or 0.0
    unclear = evidence.primary.outcome == "no clear difference"
    unmet = [sentence for item in criteria if (sentence := _unmet(comparison, item))]
    steps: list[tuple[Recommended, Rule]] = [
        *(("REJECT", rule) for rule in evidence.refusals()),
        ("ITERATE", evidence.incomplete()),
        ("ITERATE", evidence.not_excluded()),
        (
            "ITERATE",
            _rule(
                "no improvement",
                unclear and improvement <= 0,
                f"The candidate is not ahead, and not shown to be worse. {evidence.summary}",
            ),
        ),
        (
            "ITERATE",
            _rule(
                "improvement not certain",
                unclear and improvement > 0,
                f"The candidate is ahead, but chance could explain it. {evidence.summary}",
            ),
        ),
        (
            "ITERATE",
            _rule(
                "improvement too small",
                evidence.primary.outcome == "better" and improvement < minimum_improvement,
                f"{metric_title(primary)} improved by {written(improvement)}, "
                f"{written(minimum_improvement)} was asked for.",
            ),
        ),
        (
            "ITERATE",
            _several(
                "success criteria",
                f"{counted(len(unmet), 'success criterion is', 'success criteria are')} not met.",
                unmet,
                f"{counted(len(criteria), 'success criterion is', 'success criteria are')} met."
                if criteria
                else "There is no success criterion.",
            ),
        ),
        ("ITERATE", evidence.over_limits()),
        ("PROMOTE", _rule("clear improvement", applies=True, detail=f"Nothing speaks against it. {evidence.summary}")),
    ]
    outcome, decisive, rules = _decided(steps)
    return Recommendation(
        outcome=outcome,
        status=STATUS[outcome],
        rule=decisive.name,
        rationale=decisive.detail,
        findings=decisive.findings,
        primary_metric=primary,
        comparison_summary=evidence.all_metrics(),
        statistical_significance=evidence.primary.p_adjusted,
        rules=rules,
        trade_offs=evidence.trade_offs,
    )


def decide_version(
    comparison: ModelComparison,
    schema: SchemaCompatibility,
    *,
    primary: str,
    guardrails: Sequence[Guardrail] = (),
    fairness: FairnessEvidence | None = None,
    require_fairness: bool = False,
    resources: Sequence[Resource] = (),
    margin: float = 0.0,
) -> VersionDecision:
    """Decide how a version may approach production.

    Parameters
    ----------
    schema
        From :func:`arkwright.evaluation.signature_change.schema_compatibility`, production's signature to this one's.
    margin
        A loss of the primary metric that does not matter, in its unit. With no clear difference, the version may go on
        if its interval excludes a larger loss; with 0, only a clear improvement may.

    Raises
    ------
    Invalid
        As :func:`recommend`, and if the margin is negative.
    """
    if not 0 <= margin < float("inf"):
        raise Invalid(
            f"A margin of {margin:g} is none.", code="decision.margin", hint="Give a loss of at least 0, such as 0.005."
        )
    evidence = _Evidence(comparison, primary, guardrails, fairness, resources, require_fairness=require_fairness)
    unclear = evidence.primary.outcome == "no clear difference"
    worst = _worst_case(evidence.primary)
    excluded = worst is not None and margin > 0 and worst > -margin
    risk = _risk(schema, evidence)
    breaking = [change.detail for change in schema.changes if change.breaking]
    steps: list[tuple[VersionDecided, Rule]] = [
        *(("REJECT", rule) for rule in evidence.refusals()),
        ("HOLD", evidence.incomplete()),
        ("HOLD", evidence.not_excluded()),
        (
            "HOLD",
            _rule(
                "breaking schema",
                schema.breaking,
                "Callers must change first.",
                "No change breaks callers.",
                breaking,
            ),
        ),
        ("HOLD", evidence.over_limits()),
        (
            "HOLD",
            _rule(
                "loss not excluded",
                unclear and not excluded,
                f"{_a_loss(margin)} of {metric_title(primary)} is not excluded. {evidence.summary}",
            ),
        ),
        (
            "CANARY",
            _rule(
                "not clearly better",
                unclear,
                f"{_a_loss(margin)} is excluded, a gain is not certain. {evidence.summary}",
            ),
        ),
        (
            "CANARY",
            _rule("risk", risk.level != "low", f"The risk is {risk.level}.", "The risk is low.", risk.reasons),
        ),
        ("PROMOTE", _rule("clear improvement", applies=True, detail=f"The risk is low. {evidence.summary}")),
    ]
    outcome, decisive, rules = _decided(steps)
    return VersionDecision(
        outcome=outcome,
        rule=decisive.name,
        rationale=decisive.detail,
        findings=decisive.findings,
        primary_metric=primary,
        comparison_summary=evidence.all_metrics(),
        statistical_significance=evidence.primary.p_adjusted,
        rules=rules,
        schema=schema,
        resources=evidence.trade_offs,
        risk=risk,
        canary_traffic_percent=CANARY_TRAFFIC_PERCENT if outcome == "CANARY" else None,
    )


class _Evidence:
    """What both decisions share: the metrics looked up, the trade-offs worked out, the first rules."""

    def __init__(
        self,
        comparison: ModelComparison,
        primary: str,
        guardrails: Sequence[Guardrail],
        fairness: FairnessEvidence | None,
        resources: Sequence[Resource],
        *,
        require_fairness: bool,
    ) -> None:
        self.comparison = comparison
        self.primary = _of(comparison, primary)
        self.summary = comparison_sentence(self.primary)
        self._guardrails = [(item, _of(comparison, item.metric)) for item in guardrails]
        self._fairness = fairness
        self._require_fairness = require_fairness
        self.trade_offs = tuple(weigh(item, self.primary) for item in resources)
        for item in guardrails:
            if not 0 <= item.tolerance < float("inf"):
                raise Invalid(
                    f"The tolerance {item.tolerance:g} of {item.metric} is none.",
                    code="decision.tolerance",
                    hint="Give the largest acceptable loss, at least 0, in the metric's unit.",
                )

    def refusals(self) -> list[Rule]:
        hurt = [
            f"{comparison_sentence(found)} {_tolerated(item.tolerance)}"
            for item, found in self._guardrails
            if found.outcome == "worse" and found.improvement is not None and -found.improvement > item.tolerance
        ]
        unfair = self._fairness is not None and self._fairness.acceptable is False
        fairness = self._fairness or FairnessEvidence(acceptable=None, detail="Fairness was not measured.")
        kept = "No guardrail is shown to be worse." if self._guardrails else "There is no guardrail metric."
        return [
            _rule("primary metric worse", self.primary.outcome == "worse", self.summary, self.summary),
            _rule("unfair", unfair, fairness.detail, fairness.detail, fairness.findings),
            _rule(
                "guardrail worse",
                bool(hurt),
                f"{counted(len(hurt), 'guardrail is', 'guardrails are')} worse than tolerated.",
                kept,
                hurt,
            ),
        ]

    def incomplete(self) -> Rule:
        missing = [
            f"{metric_title(found.metric)} is not computable, because {found.reason}."
            for found in (self.primary, *(found for _, found in self._guardrails))
            if found.outcome == "not computable"
        ]
        if self._require_fairness and (self._fairness is None or self._fairness.acceptable is None):
            missing.append(f"Fairness is not known. {self._fairness.detail if self._fairness else ''}".strip())
            missing += self._fairness.findings if self._fairness else ()
        missing = list(dict.fromkeys(missing))
        return _several("evidence incomplete", "Not everything was measured.", missing, "Everything was measured.")

    def not_excluded(self) -> Rule:
        found = [_guardrail_loss(item, metric, self.comparison.alpha) for item, metric in self._guardrails]
        possible = [sentence for sentence in found if sentence]
        n = counted(len(self._guardrails), "guardrail metric holds", "guardrail metrics hold")
        kept = f"{n}." if self._guardrails else "There is no guardrail metric."
        lead = f"For {counted(len(possible), 'guardrail')} a loss is not excluded."
        return _several("guardrail loss not excluded", lead, possible, kept)

    def over_limits(self) -> Rule:
        over = [item.detail for item in self.trade_offs if item.within_limits is False]
        return _several(
            "over limits",
            f"{counted(len(over), 'resource is', 'resources are')} over their limits.",
            over,
            "No limit is exceeded.",
        )

    def all_metrics(self) -> str:
        return " ".join(comparison_sentence(item) for item in self.comparison.metrics)


def _risk(schema: SchemaCompatibility, evidence: _Evidence) -> RiskAssessment:
    high = [change.detail for change in schema.changes if change.breaking]
    over = [item.detail for item in evidence.trade_offs if item.within_limits is False]
    medium = [change.detail for change in schema.changes if not change.breaking]
    if schema.bump == "minor" and not schema.changes:
        medium.append("Another learning algorithm answers than before.")
    unknown = [item.detail for item in evidence.trade_offs if item.within_limits is None]
    reasons = (*high, *over, *medium, *unknown)
    level: Level = "high" if high or over else "medium" if medium or unknown or schema.rollback == "high" else "low"
    if level == "medium" and not reasons:
        reasons = (schema.rollback_reason,)
    return RiskAssessment(
        level=level,
        reasons=reasons,
        breaking_changes=tuple(high),
        rollback=schema.rollback,
        rollback_reason=schema.rollback_reason,
        client_updates=schema.client_updates,
    )


def _a_loss(margin: float) -> str:
    return f"A loss of more than {written(margin)}" if margin else "A loss"


def _tolerated(tolerance: float) -> str:
    return f"{_a_loss(tolerance)} is not tolerated."


def _worst_case(item: MetricComparison) -> float | None:
    """Return the least improvement the interval of the change allows."""
    ends = (item.change.low, item.change.high)
    if ends[0] is None or ends[1] is None:
        return None
    return min(METRICS[item.metric].sign * end for end in ends if end is not None)


def _guardrail_loss(item: Guardrail, found: MetricComparison, alpha: float) -> str:
    """Say what speaks for a loss beyond the tolerance; empty if nothing does."""
    if found.outcome == "not computable" or found.improvement is None or found.p_value is None:
        return ""
    if item.tolerance > 0:
        worst = _worst_case(found)
        if worst is not None and worst > -item.tolerance:
            return ""
        return f"{comparison_sentence(found)} {_a_loss(item.tolerance)} is not excluded."
    one_sided = found.p_value / 2
    if found.improvement >= 0 or one_sided >= alpha:
        return ""
    return f"{comparison_sentence(found)} On its own it came out worse (one-sided p {written_p(one_sided)})."


def _unmet(comparison: ModelComparison, item: Criterion) -> str:
    value = _of(comparison, item.metric).candidate
    if value is None:
        return f"Whether {metric_title(item.metric)} meets its criterion is not known."
    if item.at_least is not None and value < item.at_least:
        return f"{metric_title(item.metric)} is {written(value)}, at least {written(item.at_least)} was asked for."
    if item.at_most is not None and value > item.at_most:
        return f"{metric_title(item.metric)} is {written(value)}, at most {written(item.at_most)} was asked for."
    return ""


def _check_criteria(comparison: ModelComparison, criteria: Sequence[Criterion], minimum_improvement: float) -> None:
    for item in criteria:
        _of(comparison, item.metric)
        if item.at_least is None and item.at_most is None:
            raise Invalid(
                f"The success criterion of {item.metric} has no bound.",
                code="decision.criterion",
                hint="Set at_least, at_most, or both.",
            )
    if not 0 <= minimum_improvement < float("inf"):
        raise Invalid(
            f"A minimum improvement of {minimum_improvement:g} is none.",
            code="decision.minimum_improvement",
            hint="Give it as a positive amount, whichever direction is better.",
        )


def _of(comparison: ModelComparison, metric: str) -> MetricComparison:
    found = comparison.of(metric)
    if found is None:
        raise Invalid(
            f"{metric!r} was not compared.",
            code="decision.metric",
            hint="Compare the models on it first; compared are "
            + ", ".join(x.metric for x in comparison.metrics)
            + ".",
        )
    return found


def _rule(
    name: str, applies: bool, detail: str, otherwise: str = "Does not apply.", findings: Sequence[str] = ()
) -> Rule:
    return Rule(
        name=name,
        applies=applies,
        detail=detail if applies else otherwise,
        findings=tuple(findings) if applies else (),
    )


def _several(name: str, lead: str, found: Sequence[str], otherwise: str) -> Rule:
    """Apply where anything was found: one thing is told as it is, several are listed below a leading sentence."""
    detail, *more = found if len(found) == 1 else (lead, *found)
    return _rule(name, bool(found), detail, otherwise, more)


def _decided(steps: list[tuple[Outcome, Rule]]) -> tuple[Outcome, Rule, tuple[Rule, ...]]:
    """Return the outcome, its rule, and all rules; the closing rule applies where no other did."""
    *earlier, (last, closing) = steps
    if any(rule.applies for _, rule in earlier):
        closing = _rule(closing.name, applies=False, detail="")
    rules = [*earlier, (last, closing)]
    outcome, decisive = next((outcome, rule) for outcome, rule in rules if rule.applies)
    return outcome, decisive, tuple(rule for _, rule in rules)
