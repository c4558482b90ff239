"""When a model is ready for production: eleven items, each met, not met or unknown, with its evidence.

An item is *met* only by a fact that says so and names its evidence. A fact without evidence is a claim and leaves the
item *unknown*, as does no fact at all; both count as not complete.

References
----------
The project's requirements, "Definition of Done (ML Model)": the eleven items, in its order and words.
Breck, Cai, Nielsen, Salib & Sculley (2017), "The ML Test Score: A Rubric for ML Production Readiness and Technical
Debt Reduction", IEEE Big Data (the same idea, scored).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import msgspec

from arkwright.core.errors import Invalid

ItemStatus = Literal["met", "not_met", "unknown"]

ITEMS: dict[str, tuple[str, str]] = {
    "data_schema": (
        "Data validation schemas defined and enforced",
        "Declare the dataset's schema and train on a version that was checked against it.",
    ),
    "feature_engineering": (
        "Feature engineering code tested and versioned",
        "Train through the platform, so that the encoder is in the bundle and its parity was measured.",
    ),
    "experiment_tracked": (
        "Experiment tracked with all parameters and metrics",
        "Log the run, with its parameters and metrics, and name it in the version's lineage.",
    ),
    "multiple_metrics": (
        "Model evaluated on multiple metrics (not just accuracy)",
        "Evaluate the version: the report holds every metric of the task with its interval.",
    ),
    "fairness": (
        "Fairness assessed across protected groups",
        "Name the sensitive columns when evaluating, or record why there is none.",
    ),
    "signature": (
        "Model registered with signature and artifacts",
        "Register the bundle: it holds the signature and lists every file.",
    ),
    "load_tested": (
        "Inference endpoint tested under load",
        "Deploy it and run `arkwright load-test DEPLOYMENT`: the outcome is filed.",
    ),
    "drift_detection": (
        "Drift detection configured",
        "Deploy it: a drift monitor is created with the deployment; `arkwright monitor ls` shows whether it is on.",
    ),
    "dashboards": (
        "Monitoring dashboards created",
        "Name the page on which it is watched: `arkwright attest MODEL --dashboard URL`.",
    ),
    "rollback": (
        "Rollback procedure documented",
        "Say how to go back, or where that is written down: `arkwright attest MODEL --rollback TEXT`.",
    ),
    "tests": (
        "All tests passing (unit, model, integration)",
        "Run all three and file their reports: `arkwright attest MODEL --junit unit=FILE` (also model, integration).",
    ),
}
"""The items by key: what must hold, and what to do where it does not."""


Scope = Literal["unit", "model", "integration"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""Which tests there have to be."""


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about an item.

    Parameters
    ----------
    met
        Whether it holds; None if that is not known.
    evidence
        What shows it: ids of evidence objects, runs, reports, or addresses of documents.
    reason
        Why it does not hold or is not known, or a remark.
    """

    met: bool | None
    evidence: tuple[str, ...] = ()
    reason: str = ""


class DoneItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item; ``remedy`` says what to do where it is not met."""

    key: str
    title: str
    status: ItemStatus
    evidence: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""


class DefinitionOfDone(msgspec.Struct, frozen=True, kw_only=True):
    """All eleven items in order; ``percent_complete`` is the share met, rounded down, so that 100 means all."""

    items: tuple[DoneItem, ...]
    n_met: int
    n_not_met: int
    n_unknown: int
    percent_complete: int
    done: bool
    summary: str


def check_definition_of_done(facts: Mapping[str, Fact]) -> DefinitionOfDone:
    """Judge the eleven items from what is known.

    Parameters
    ----------
    facts
        By the keys of :data:`ITEMS`; an item without a fact is unknown.

    Raises
    ------
    Invalid
        If a fact is about no item.

    Examples
    --------
    >>> facts = {"signature": Fact(met=True, evidence=("evd_1",)), "fairness": Fact(met=False)}
    >>> found = check_definition_of_done(facts)
    >>> found.percent_complete, found.summary
    (9, '1 of 11 items is met, 1 is not met and 9 are unknown.')
    """
    strangers = [key for key in facts if key not in ITEMS]
    if strangers:
        near = difflib.get_close_matches(strangers[0], ITEMS, n=1)
        raise Invalid(
            f"{strangers[0]!r} is no item of the definition of done.",
            code="evaluation.definition_of_done",
            hint=f"Did you mean {near[0]!r}?" if near else f"Use the items {', '.join(ITEMS)}.",
            errors=[{"field": key, "message": "is no item of the definition of done"} for key in strangers],
        )
    items = tuple(_judge(key, facts.get(key)) for key in ITEMS)
    counts = {status: sum(item.status == status for item in items) for status in ("met", "not_met", "unknown")}
    n_met, n_not_met, n_unknown = counts["met"], counts["not_met"], counts["unknown"]
    return DefinitionOfDone(
        items=items,
        n_met=n_met,
        n_not_met=n_not_met,
        n_unknown=n_unknown,
        percent_complete=100 * n_met // len(items),
        done=n_met == len(items),
        summary=f"{n_met} of {len(items)} items {_is(n_met)} met, {n_not_met} {_is(n_not_met)} not met and "
        f"{n_unknown} {_is(n_unknown)} unknown.",
    )


class ScopeOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What some tests of one scope ended in; ``passed`` is None where none of them was run."""

    passed: bool | None
    evidence: str = ""
    reason: str = ""


def fact_of_tests(outcomes: Mapping[Scope, Sequence[ScopeOutcome]]) -> Fact:
    """Return the fact about the last item: every scope was run, and nothing in it fails.

    Examples
    --------
    >>> passed = ScopeOutcome(passed=True, evidence="ev_1")
    >>> fact_of_tests({"unit": [passed], "model": [passed]}).reason
    'not run: integration'
    """
    scopes = {scope: outcomes.get(scope, ()) for scope in SCOPES}
    failing = [each for scope in SCOPES for each in scopes[scope] if each.passed is False]
    failed = [scope for scope in SCOPES if any(each.passed is False for each in scopes[scope])]
    not_run = [scope for scope in SCOPES if all(each.passed is None for each in scopes[scope])]
    reasons = [f"failing: {', '.join(failed)}"] if failed else []
    reasons += [f"not run: {', '.join(not_run)}"] if not_run else []
    reasons += [each.reason for each in failing if each.reason]
    if not reasons:
        reasons = [each.reason for scope in SCOPES for each in scopes[scope] if each.reason]
    evidence = dict.fromkeys(each.evidence for scope in SCOPES for each in scopes[scope] if each.evidence)
    return Fact(met=False if failed else None if not_run else True, evidence=tuple(evidence), reason="; ".join(reasons))


def shown_facts(
    *,
    n_metrics: int,
    metrics_in: str,
    fairness: str | None,
    fairness_in: str,
    no_people: str = "",
    no_people_in: str = "",
    why_not: str = "",
) -> dict[str, Fact]:
    """Return what an evaluation itself shows: several metrics, groups compared.

    Parameters
    ----------
    metrics_in, fairness_in, no_people_in
        Where it shows that: a place in its document, or the evaluation.
    fairness
        What the comparison of groups ended in; None where none were compared, for the reason ``why_not``.
    no_people
        Why nobody needs to be compared, as somebody stated it.
    """
    facts = {
        "multiple_metrics": Fact(met=n_metrics > 1, evidence=(metrics_in,)),
        "fairness": Fact(met=None, reason=why_not)
        if fairness is None
        else Fact(met=True, evidence=(fairness_in,), reason=f"the outcome is {fairness}"),
    }
    if fairness is None and no_people:
        reason = f"it was stated that nobody needs to be compared: {no_people}"
        facts["fairness"] = Fact(met=True, evidence=(no_people_in,), reason=reason)
    return facts


def _judge(key: str, fact: Fact | None) -> DoneItem:
    title, remedy = ITEMS[key]
    if fact is None:
        return DoneItem(
            key=key,
            title=title,
            status="unknown",
            reason="nothing is known about it",
            remedy=remedy,
        )
    evidence = tuple(each for each in fact.evidence if each.strip())
    if fact.met and evidence:
        return DoneItem(key=key, title=title, status="met", evidence=evidence, reason=fact.reason)
    status: ItemStatus = "not_met" if fact.met is False else "unknown"
    reason = fact.reason or ("it does not hold" if fact.met is False else "nothing is known about it")
    if fact.met:
        reason = "it is said to hold and no evidence is named" + (f" ({fact.reason})" if fact.reason else "")
    return DoneItem(key=key, title=title, status=status, evidence=evidence, reason=reason, remedy=remedy)


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
