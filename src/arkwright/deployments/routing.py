"""From desired state to what a data plane needs: pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from arkwright.contracts import Arm, Endpoint, Fallback, Fuse, Limits, LogPolicy
from arkwright.deployments.analysis import Criteria
from arkwright.deployments.strategy import looser, objectives_of
from arkwright.governance import Condition

DEPLOYABLE = ("canary", "production")
DEPLOYMENT_GATE = "deployment"
SCALE_TOLERANCE = 0.1
GONE_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Release:
    """The facts of a model version that routing needs."""

    version_id: str
    number: int
    semver: str
    stage: str
    bundle_digest: str
    bundle_uri: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """The facts of a deployment that routing needs; ``settings`` is the kept part of its resource."""

    deployment_id: str
    workspace_id: str
    project_id: str
    name: str
    model_name: str
    slos: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Beside:
    """An arm beside the stable one: a canary, a shadow, green, or an arm of an A/B test."""

    name: str
    mode: Literal["live", "shadow"]
    release: Release
    percent: float


@dataclass(frozen=True, slots=True)
class Draw:
    """How units are assigned while there is more than one arm, and what the rollout holds its arms to."""

    strategy: Literal["pinned", "canary", "shadow", "blue_green", "ab"] = "pinned"
    unit: str = "request"
    salt: str = ""
    criteria: Criteria | None = None


PINNED = Draw()


@dataclass(frozen=True, slots=True)
class EndpointState:
    """How an endpoint stands at the data planes: ``pending``, ``ready`` or ``failed``, and why."""

    state: Literal["pending", "ready", "failed"]
    detail: str


def compile_endpoint(
    wanted: Wanted,
    stable: Release,
    beside: Sequence[Beside] = (),
    fallbacks: Sequence[Release] = (),
    draw: Draw = PINNED,
) -> Endpoint:
    """Return the endpoint of a deployment.

    Parameters
    ----------
    stable
        The version that answers what the arms beside it do not.
    fallbacks
        Versions a rollback may need, latest first; their bundles are kept at hand.

    Notes
    -----
    The objectives are what the fuses of the data planes go by, and nothing else: see
    :func:`~arkwright.deployments.strategy.looser`.
    """
    live = sum(arm.percent for arm in beside if arm.mode == "live")
    arms = [
        _arm("stable", stable, max(0.0, 100.0 - live)),
        *(_arm(arm.name, arm.release, arm.percent, arm.mode) for arm in beside),
    ]
    settings = wanted.settings
    fallback = settings.get("fallback") or {}
    behind = _behind(stable, beside, fallbacks) if fallback.get("previous") else None
    objectives = objectives_of(wanted.slos)
    if beside and draw.criteria is not None:
        objectives = looser(objectives, draw.criteria)
    used = {arm.bundle_digest for arm in arms}
    return Endpoint(
        deployment_id=wanted.deployment_id,
        workspace_id=wanted.workspace_id,
        project_id=wanted.project_id,
        name=wanted.name,
        model_name=wanted.model_name,
        arms=tuple(arms),
        strategy=draw.strategy if beside else "pinned",
        unit=draw.unit,
        salt=draw.salt,
        limits=msgspec.convert(settings.get("limits") or {}, Limits),
        objectives=objectives,
        fuse=Fuse(min_requests=draw.criteria.min_requests) if draw.criteria is not None else Fuse(),
        log=msgspec.convert(settings.get("log") or {}, LogPolicy),
        fallback=Fallback(arm=_arm("fallback", behind, 0.0) if behind else None, constant=fallback.get("constant")),
        cache_seconds=float(settings.get("cache_seconds") or 0.0),
        fallback_digests=tuple(
            dict.fromkeys(release.bundle_digest for release in fallbacks if release.bundle_digest not in used)
        ),
    )


def answering(stable: Release, beside: Iterable[Beside]) -> list[Beside]:
    """Return the arms that still may answer: not taken back to another stage, and not what stable has become.

    A shadow answers nobody, so it may be of any stage that can be brought back.
    """
    return [
        arm
        for arm in beside
        if arm.release.version_id != stable.version_id
        and arm.release.stage in (DEPLOYABLE if arm.mode == "live" else (*DEPLOYABLE, "staged"))
    ]


def deployment_conditions(releases: Iterable[Release], shadows: Iterable[Release] = ()) -> list[Condition]:
    """Return the conditions under which versions may answer requests: each was promoted through its gate.

    A shadow may still be staged: it is deployed to be looked at, and nobody sees its answers.
    """
    watched = [
        Condition(
            "not_retired",
            release.stage in (*DEPLOYABLE, "staged"),
            f"Version {release.semver} is in stage {release.stage}; a shadow may be staged, canary or production.",
        )
        for release in shadows
    ]
    return watched + [
        Condition(
            "promoted",
            release.stage in DEPLOYABLE,
            f"Version {release.semver} is in stage {release.stage}."
            if release.stage in DEPLOYABLE
            else f"Version {release.semver} is in stage {release.stage}; only canary and production may serve.",
        )
        for release in releases
    ]


def endpoint_state(endpoint_id: str, digest: str, acknowledged: Mapping[str, Mapping[str, Any]]) -> EndpointState:
    """Judge an endpoint by what each data plane said of it.

    Parameters
    ----------
    digest
        The bundle that should answer.
    acknowledged
        For each data plane, its endpoints' last acknowledged states.
    """
    states = [endpoints[endpoint_id] for endpoints in acknowledged.values() if endpoint_id in endpoints]
    for state in states:
        if state.get("state") == "failed":
            return EndpointState("failed", str(state.get("detail", "")))
    if states and all(digest in state.get("digests", ()) for state in states):
        return EndpointState("ready", "")
    return EndpointState("pending", "The data plane has not loaded this version yet.")


@dataclass(frozen=True, slots=True)
class Plane:
    """A data plane as the control plane knows it."""

    replica: str
    endpoints: Mapping[str, Mapping[str, Any]]
    seen_at: datetime
    reported_at: datetime | None = None
    in_flight: int = 0
    queue: int = 0
    cpu_percent: float = 0.0


def present(planes: Iterable[Plane], now: datetime) -> list[Plane]:
    """Return the data planes that still count: not those that have been silent for a minute.

    One that reports its windows does so every second, so silence means that it is gone. One that never reported (a
    platform without traffic reports) is gone when another one was heard a minute after it.
    """
    known = list(planes)
    latest = max((plane.seen_at for plane in known), default=now)
    return [plane for plane in known if (now if plane.reported_at else latest) - plane.seen_at <= GONE_AFTER]


def desired_replicas(replicas: int, cpu_percent: float, autoscale: Mapping[str, Any]) -> int:
    """Return how many data planes there should be for the CPU they use: Kubernetes' rule for its autoscaler.

    ``ceil(replicas * usage / target)``, left alone within a tenth of the target, between the least and the most.

    References
    ----------
    Kubernetes documentation, "Horizontal Pod Autoscaling: algorithm details".

    Examples
    --------
    >>> wanted = {"min_replicas": 2, "max_replicas": 10, "target_cpu_utilization_percentage": 60}
    >>> desired_replicas(3, 90.0, wanted), desired_replicas(3, 62.0, wanted), desired_replicas(3, 0.0, wanted)
    (5, 3, 2)
    """
    target = float(autoscale.get("target_cpu_utilization_percentage", 60))
    ratio = cpu_percent / target
    wanted = replicas if abs(ratio - 1.0) <= SCALE_TOLERANCE else math.ceil(replicas * ratio)
    return max(int(autoscale.get("min_replicas", 2)), min(int(autoscale.get("max_replicas", 10)), wanted))


def missing_digest(endpoint_id: str, digests: Iterable[str], planes: Iterable[Plane]) -> tuple[bool, str]:
    """Tell whether every data plane has all of these bundles loaded, and if one cannot, why.

    Returns
    -------
    tuple
        Whether all are loaded everywhere, and the failing data plane's own words, empty if none fails.
    """
    wanted = set(digests)
    states = [plane.endpoints.get(endpoint_id, {}) for plane in planes]
    loaded = bool(states) and all(wanted <= set(state.get("digests", ())) for state in states)
    problems = [
        str(state.get("detail", ""))
        for state in states
        if state.get("state") == "failed" and not wanted <= set(state.get("digests", ()))
    ]
    return loaded, problems[0] if problems else ""


def _behind(stable: Release, beside: Sequence[Beside], fallbacks: Iterable[Release]) -> Release | None:
    """Return who answers where an arm cannot.

    The latest earlier version that is no arm itself: the one that fails cannot answer for itself, nor one on trial for
    the others. Where there is none, stable answers for the live arms beside it.
    """
    on_trial = {stable.version_id, *(arm.release.version_id for arm in beside)}
    earlier = next((release for release in fallbacks if release.version_id not in on_trial), None)
    if earlier is not None:
        return earlier
    return stable if any(arm.mode == "live" for arm in beside) else None


def _arm(name: str, release: Release, percent: float, mode: Literal["live", "shadow"] = "live") -> Arm:
    return Arm(
        name=name,
        mode=mode,
        model_version_id=release.version_id,
        number=release.number,
        semver=release.semver,
        bundle_digest=release.bundle_digest,
        bundle_uri=release.bundle_uri,
        traffic_percent=percent,
    )
