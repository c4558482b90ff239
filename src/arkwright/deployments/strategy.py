"""A strategy as it was asked for, turned into steps, criteria and arms: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from arkwright.contracts import Objectives
from arkwright.core.structs import prepared
from arkwright.deployments.analysis import Criteria, MetricLimit
from arkwright.deployments.resource import DEFAULT_PAUSE_SECONDS, DEFAULT_STEPS, LATENCY_CLASSES
from arkwright.deployments.rollout import Course

_LOWER_IS_BETTER = ("error", "loss", "brier", "cost", "latency")


@dataclass(frozen=True, slots=True)
class PlannedArm:
    """An arm beside the stable one; ``percent`` is what it keeps where no step says otherwise."""

    name: str
    mode: Literal["live", "shadow"]
    version_id: str
    percent: float


def course_of(strategy: Mapping[str, Any]) -> Course:
    """Return the steps of a strategy.

    Examples
    --------
    >>> course_of({"type": "canary", "steps": [5, 50, 100], "pause_seconds": 60})
    Course(strategy='canary', steps=(5.0, 50.0, 100.0), pauses=(60.0, 60.0, 60.0), automatic=True)
    >>> course_of({"type": "blue_green", "pause_seconds": 60}).steps
    (0.0, 100.0)
    """
    kind = strategy["type"]
    pause = strategy.get("pause_seconds", DEFAULT_PAUSE_SECONDS)
    automatic = bool(strategy.get("auto_promote", True))
    if kind == "canary":
        steps = tuple(float(share) for share in strategy.get("steps", DEFAULT_STEPS))
        each = pause if isinstance(pause, Sequence) else (pause,) * len(steps)
        return Course(kind, steps, tuple(None if length is None else float(length) for length in each), automatic)
    if kind == "blue_green":
        # Green is switched to once it is loaded everywhere, unless somebody wants to say when.
        return Course(kind, (0.0, 100.0), (0.0 if automatic else None, pause), automatic)
    return Course(kind, (100.0,), (None,), automatic=False)


def criteria_of(strategy: Mapping[str, Any], objectives: Objectives) -> Criteria:
    """Return what a candidate is held to: the analysis, and where it is silent the deployment's objectives.

    A shadow is held to its comparison, and A/B arms to the objectives: their outcomes are the test's own business, and
    looking at them early would spoil it.
    """
    analysis = strategy.get("analysis") or {}
    given = {name: value for name, value in analysis.items() if value is not None}
    kind = strategy["type"]
    return Criteria(
        min_requests=int(given.get("min_requests", 50)),
        error_rate_pct=float(given.get("max_error_rate_pct", objectives.error_rate_pct)),
        latency_ms_p95=float(given.get("latency_ms_p95", objectives.latency_ms_p95)),
        latency_ms_p99=float(given.get("latency_ms_p99", objectives.latency_ms_p99)),
        metrics=() if kind in ("shadow", "ab") else tuple(_limit(rule) for rule in given.get("metrics", ())),
        min_agreement_pct=float(given.get("min_agreement_pct", 0.0)) if kind == "shadow" else 0.0,
        max_score_difference=float(given.get("max_score_difference", 0.0)) if kind == "shadow" else 0.0,
        confidence=float(given.get("confidence", 0.95)),
    )


def objectives_of(slos: Mapping[str, Any]) -> Objectives:
    """Return the objectives of a deployment's SLOs; a latency class fills in what is not given.

    Examples
    --------
    >>> objectives_of({"latency_class": "tabular-fast"}).latency_ms_p95, objectives_of({}).latency_ms_p95
    (120.0, 500.0)
    """
    latency_class = str(slos.get("latency_class") or "standard")
    return Objectives(
        latency_class=latency_class,
        latency_ms_p95=float(slos.get("latency_ms_p95") or LATENCY_CLASSES[latency_class]),
        latency_ms_p99=float(slos.get("latency_ms_p99") or 0.0),
        error_rate_pct=float(slos.get("error_rate_pct", 1.0)),
    )


def looser(objectives: Objectives, criteria: Criteria) -> Objectives:
    """Return the looser of a deployment's objectives and what its rollout is held to, limit by limit.

    A data plane's fuse goes by it: it must not take away a candidate that keeps what its rollout asks for, nor one that
    keeps what the deployment promises.

    Examples
    --------
    >>> mixed = looser(Objectives(latency_ms_p95=100.0), Criteria(latency_ms_p95=200.0, error_rate_pct=0.5))
    >>> mixed.latency_ms_p95, mixed.latency_ms_p99, mixed.error_rate_pct
    (200.0, 0.0, 1.0)
    """
    return Objectives(
        latency_class=objectives.latency_class,
        latency_ms_p95=_later(objectives.latency_ms_p95, criteria.latency_ms_p95),
        latency_ms_p99=_later(objectives.latency_ms_p99, criteria.latency_ms_p99),
        error_rate_pct=max(objectives.error_rate_pct, criteria.error_rate_pct),
    )


def arms_of(strategy: Mapping[str, Any]) -> list[PlannedArm]:
    """Return the arms beside the stable one.

    Examples
    --------
    >>> [(arm.name, arm.mode) for arm in arms_of({"type": "shadow", "model_version_id": "mv_2", "percent": 20})]
    [('shadow', 'shadow')]
    """
    kind = strategy["type"]
    if kind == "ab":
        return [
            PlannedArm(arm["name"], "live", arm["model_version_id"], float(arm["percent"]))
            for arm in strategy["arms"]
            if arm["name"] != "stable"
        ]
    if kind == "shadow":
        return [PlannedArm("shadow", "shadow", strategy["model_version_id"], float(strategy.get("percent", 100.0)))]
    name = "canary" if kind == "canary" else "green"
    return [PlannedArm(name, "live", strategy["model_version_id"], 0.0)]


def split(course: Course, step: int, arms: Sequence[PlannedArm]) -> dict[str, float]:
    """Return each arm's share of the requests at a step; a shadow's is of copies and takes nothing from the others.

    Examples
    --------
    >>> canary = course_of({"type": "canary", "steps": [10, 100]})
    >>> split(canary, 0, arms_of({"type": "canary", "model_version_id": "mv_2"}))
    {'stable': 90.0, 'canary': 10.0}
    """
    beside = {arm.name: course.steps[step] if course.walks else arm.percent for arm in arms}
    live = sum(beside[arm.name] for arm in arms if arm.mode == "live")
    return {"stable": max(0.0, 100.0 - live), **beside}


def as_json(value: Any) -> Any:
    """Return a course, criteria or arms as they are kept."""
    return msgspec.to_builtins(value)


def course_from(kept: Mapping[str, Any]) -> Course:
    """Read a course back."""
    known = {name: value for name, value in kept.items() if name in Course.__dataclass_fields__}
    return msgspec.convert(known, Course, strict=False)


def criteria_from(kept: Mapping[str, Any]) -> Criteria:
    """Read criteria back."""
    return msgspec.convert(dict(kept), Criteria, strict=False)


def arms_from(kept: Sequence[Mapping[str, Any]]) -> list[PlannedArm]:
    """Read arms back."""
    return [msgspec.convert(dict(arm), PlannedArm, strict=False) for arm in kept]


def _later(one: float, other: float) -> float:
    """Return the later of two limits on latency; 0 limits nothing."""
    return max(one, other) if one > 0 and other > 0 else 0.0


def _limit(rule: Mapping[str, Any]) -> MetricLimit:
    name = str(rule["name"])
    higher = rule.get("higher_is_better")
    if higher is None:
        higher = not any(word in name for word in _LOWER_IS_BETTER)
    return MetricLimit(name, float(rule.get("max_worse", 0.0)), int(rule.get("min_outcomes", 100)), bool(higher))


prepared(PlannedArm)
