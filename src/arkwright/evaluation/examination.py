"""From rows and a model to the whole evaluation: which file answers which section, and the document they make.

Nothing here is measured or judged anew: a section asks the noun files and puts what they answered side by side. A part
that cannot be computed is named in the section's ``notes``; a section of which nothing can be computed raises
:class:`NotComputed`. :func:`assemble` then makes the document, and the words of it by rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from arkwright.core.errors import AdapterError, ArkwrightError, Unavailable
from arkwright.evaluation.behaviour import BehaviourReport, run_behaviour
from arkwright.evaluation.behaviour_spec import parse_behaviour
from arkwright.evaluation.definition_of_done import (
    Fact,
    ScopeOutcome,
    check_definition_of_done,
    fact_of_tests,
    shown_facts,
)
from arkwright.evaluation.examine_challenge import examine_challenge
from arkwright.evaluation.examine_explanations import examine_explanations
from arkwright.evaluation.examine_fairness import examine_fairness
from arkwright.evaluation.examine_forecast import examine_forecast
from arkwright.evaluation.examine_operation import examine_operation
from arkwright.evaluation.examine_performance import examine_calibration, examine_performance, examine_weak_slices
from arkwright.evaluation.intervals import fold_spread
from arkwright.evaluation.material import (
    NOT_COMPUTED,
    Baseline,
    Material,
    NotComputed,
    Options,
    Profile,
    rows_used,
)
from arkwright.evaluation.model_evaluation import (
    ON_REQUEST,
    SECTIONS,
    DataUsed,
    ExplanationSection,
    GoNoGo,
    ModelEvaluation,
    SectionName,
    Subject,
)
from arkwright.evaluation.recommendations import monitoring_of, recommendations_of
from arkwright.evaluation.robustness import RobustnessReport, assess_robustness
from arkwright.evaluation.summary import summary_of
from arkwright.evaluation.verdict import verdict_of

__all__ = [
    "Baseline",
    "Material",
    "NotComputed",
    "Options",
    "Profile",
    "assemble",
    "examine",
    "rows_used",
    "section",
]

_NOT_JUDGED = GoNoGo(decision="no-go", confidence="low", confidence_reason="Nothing was judged yet.", reasons=())


def section(
    name: SectionName, material: Material, options: Options, done: Mapping[SectionName, Any] | None = None
) -> Any:
    """Compute one section.

    Parameters
    ----------
    done
        The sections computed before it, by name. It works without them; a comparison then measures less.

    Returns
    -------
    msgspec.Struct
        As :class:`~arkwright.evaluation.model_evaluation.ModelEvaluation` holds it under this name.

    Raises
    ------
    NotComputed
        If nothing of it can be computed; says why.
    Unavailable, AdapterError
        From the model, as they come: another attempt may succeed.
    """
    done = done or {}
    steps: dict[SectionName, Callable[[], Any]] = {
        "performance": lambda: examine_performance(material, options),
        "weak_slices": lambda: examine_weak_slices(material, options),
        "calibration": lambda: examine_calibration(material, options),
        "fairness": lambda: examine_fairness(material, options, done.get("calibration")),
        "robustness": lambda: _robustness(material, options, done.get("explanations")),
        "operation": lambda: examine_operation(material, options, done.get("performance")),
        "explanations": lambda: examine_explanations(material, options),
        "behaviour": lambda: _behaviour(material, options),
        "challenge": lambda: examine_challenge(material, options, done.get("fairness"), done.get("operation")),
        "forecast": lambda: examine_forecast(material, options),
    }
    try:
        return steps[name]()
    except (NotComputed, Unavailable, AdapterError):
        raise  # the last two are worth another attempt
    except ArkwrightError as error:
        raise NotComputed(error.detail, hint=error.hint, errors=error.errors) from error


def examine(material: Material, options: Options) -> tuple[dict[SectionName, Any], dict[SectionName, str]]:
    """Compute every section, in order; what cannot be computed is answered with its reason.

    Returns
    -------
    tuple
        The sections, and why the others are missing, both by name.
    """
    done: dict[SectionName, Any] = {}
    missing: dict[SectionName, str] = {}
    for name in (*SECTIONS, *(ON_REQUEST if material.timeline is not None else ())):
        try:
            done[name] = section(name, material, options, done)
        except NotComputed as error:
            missing[name] = error.detail
    return done, missing


def assemble(
    subject: Subject,
    data: DataUsed,
    sections: Mapping[SectionName, Any],
    not_done: Mapping[SectionName, str],
    facts: Mapping[str, Fact],
    options: Options,
    *,
    fold_values: Sequence[float] = (),
    software: Mapping[str, str] | None = None,
) -> ModelEvaluation:
    """Make the document of its sections.

    Parameters
    ----------
    sections
        At least ``performance``.
    not_done
        By section, why it is missing.
    facts
        What is known beside the sections, by key of the definition of done. What the document itself shows is added:
        several metrics, groups compared, behaviour tests.
    fold_values
        The primary metric in each fold of the training's cross-validation.

    Raises
    ------
    NotComputed
        Without ``performance``.
    """
    if sections.get("performance") is None:
        why = not_done.get("performance", "The section was not computed.")
        raise NotComputed(f"Without its metrics there is no evaluation. {why}")
    incomplete: dict[str, str] = {name: why for name, why in not_done.items() if sections.get(name) is None}
    if data.no_people and sections.get("fairness") is None:
        incomplete["fairness"] = f"It was stated that nobody needs to be compared: {data.no_people}"
    for name in (*SECTIONS, *ON_REQUEST):
        if sections.get(name) is None:
            if name not in ON_REQUEST:
                incomplete.setdefault(name, "It was not asked for.")
            continue
        notes = [note for note in getattr(sections[name], "notes", ()) if f": {NOT_COMPUTED}" in note]
        if notes:
            incomplete[name] = " ".join(notes)
    document = ModelEvaluation(
        subject=subject,
        data=data,
        verdict=_NOT_JUDGED,
        summary=(),
        performance=sections["performance"],
        weak_slices=sections.get("weak_slices"),
        calibration=sections.get("calibration"),
        fairness=sections.get("fairness"),
        robustness=sections.get("robustness"),
        operation=sections.get("operation"),
        explanations=sections.get("explanations"),
        behaviour=sections.get("behaviour"),
        challenge=sections.get("challenge"),
        forecast=sections.get("forecast"),
        definition_of_done=check_definition_of_done(_facts(data, sections, not_done, facts)),
        fold_spread=fold_spread(fold_values) if len(fold_values) else None,
        not_done=incomplete,
        seed=options.seed,
        software=dict(software or {}),
    )
    return msgspec.structs.replace(
        document,
        verdict=verdict_of(document),
        summary=summary_of(document),
        recommendations=recommendations_of(document),
        monitoring=monitoring_of(document),
    )


def _robustness(material: Material, options: Options, explanations: ExplanationSection | None) -> RobustnessReport:
    attributions = None if explanations is None else explanations.attributions
    return assess_robustness(
        material.predict,
        material.signature,
        material.inputs,
        material.truth,
        seed=options.seed,
        reference=None if material.training is None else material.background,
        metric=options.metric_of(material.signature),
        important=() if attributions is None else [item.name for item in attributions.ranking],
        max_rows=rows_used("robustness", material, options),
    )


def _behaviour(material: Material, options: Options) -> BehaviourReport:
    if not material.behaviour.strip():
        raise NotComputed("No behaviour tests are declared.", hint="Declare them in YAML beside the model.")
    return run_behaviour(
        parse_behaviour(material.behaviour),
        material.predict,
        material.signature,
        material.inputs,
        seed=options.seed,
        max_rows=rows_used("behaviour", material, options),
    )


def _facts(
    data: DataUsed,
    sections: Mapping[SectionName, Any],
    not_done: Mapping[SectionName, str],
    facts: Mapping[str, Fact],
) -> dict[str, Fact]:
    """Add what the document shows; a given fact goes first, and a failing behaviour test before that."""
    fairness, behaviour = sections.get("fairness"), sections.get("behaviour")
    shown = shown_facts(
        n_metrics=len(sections["performance"].metrics),
        metrics_in="/performance/metrics",
        fairness=None if fairness is None else fairness.status,
        fairness_in="/fairness/report",
        no_people=data.no_people,
        no_people_in="/data/no_people",
        why_not=not_done.get("fairness", ""),
    )
    if behaviour is not None:
        outcome = ScopeOutcome(passed=behaviour.passed, evidence="/behaviour")
        shown["tests"] = fact_of_tests({"model": (outcome,)})
    known = {**shown, **facts}
    if behaviour is not None and not behaviour.passed and known["tests"].met is not False:
        known["tests"] = Fact(met=False, evidence=("/behaviour",), reason=behaviour.detail)
    return known
