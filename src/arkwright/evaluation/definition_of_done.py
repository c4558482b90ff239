"""When a model is ready for production: eleven items, each met, not met or unknown, with its evidence.

Of three items an evaluation cannot know anything (:data:`NOT_CONNECTED`): they stay unknown, and say so.

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
from collections.abc import Mapping
from typing import Literal

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
        "Run the load test against the endpoint and file its report.",
    ),
    "drift_detection": (
        "Drift detection configured",
        "Deploy the version with its baseline: drift is then watched.",
    ),
    "dashboards": (
        "Monitoring dashboards created",
        "Open the deployment's monitoring page, or import the dashboard into yours.",
    ),
    "rollback": (
        "Rollback procedure documented",
        "Name the version to fall back to, and where the procedure is written down.",
    ),
    "tests": (
        "All tests passing (unit, model, integration)",
        "Declare behaviour tests beside the model and run them with the others.",
    ),
}
"""The items by key: what must hold, and what to do where it does not."""


NOT_CONNECTED: dict[str, str] = {
    "load_tested": "an evaluation is not connected with load tests: look at the report of yours",
    "drift_detection": "an evaluation does not look at deployments: `arkwright monitor` shows what is watched",
    "dashboards": "an evaluation does not look at dashboards",
}
"""Items about which an evaluation cannot know anything, and why: people have to look."""


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
    (9, '1 of 11 items are met, 1 is not met and 9 are unknown.')
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
        summary=f"{n_met} of {len(items)} items are met, {n_not_met} {_is(n_not_met)} not met and "
        f"{n_unknown} {_is(n_unknown)} unknown.",
    )


def fact_of_tests(outcomes: Mapping[Literal["unit", "model", "integration"], bool | None], evidence: str = "") -> Fact:
    """Return the fact about the last item from the outcome of each kind of test; None where it was not run.

    Examples
    --------
    >>> fact_of_tests({"unit": True, "model": True, "integration": None}, "run_7").reason
    'not run: integration'
    """
    kinds: tuple[Literal["unit", "model", "integration"], ...] = ("unit", "model", "integration")
    failed = [kind for kind in kinds if outcomes.get(kind) is False]
    not_run = [kind for kind in kinds if outcomes.get(kind) is None]
    reasons = [f"failing: {', '.join(failed)}"] if failed else []
    reasons += [f"not run: {', '.join(not_run)}"] if not_run else []
    return Fact(
        met=False if failed else None if not_run else True,
        evidence=(evidence,) if evidence else (),
        reason="; ".join(reasons),
    )


def _judge(key: str, fact: Fact | None) -> DoneItem:
    title, remedy = ITEMS[key]
    if fact is None:
        return DoneItem(
            key=key,
            title=title,
            status="unknown",
            reason=NOT_CONNECTED.get(key, "nothing is known about it"),
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
