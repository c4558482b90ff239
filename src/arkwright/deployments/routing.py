"""From desired state to what a data plane needs: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from arkwright.contracts import Arm, Endpoint
from arkwright.governance import Condition

DEPLOYABLE = ("canary", "production")
DEPLOYMENT_GATE = "deployment"


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
    """The facts of a deployment that routing needs."""

    deployment_id: str
    workspace_id: str
    project_id: str
    name: str
    model_name: str
    canary_percent: float


@dataclass(frozen=True, slots=True)
class EndpointState:
    """How an endpoint stands at the data planes: ``pending``, ``ready`` or ``failed``, and why."""

    state: Literal["pending", "ready", "failed"]
    detail: str


def compile_endpoint(
    wanted: Wanted, stable: Release, canary: Release | None, fallbacks: Iterable[Release] = ()
) -> Endpoint:
    """Return the endpoint of a deployment.

    Parameters
    ----------
    stable, canary
        The versions that answer; the canary gets ``wanted.canary_percent`` of the requests.
    fallbacks
        Versions a rollback may need; their bundles are kept at hand.
    """
    percent = wanted.canary_percent if canary is not None else 0.0
    arms = [_arm("stable", stable, 100.0 - percent)]
    if canary is not None and percent > 0:
        arms.append(_arm("canary", canary, percent))
    used = {arm.bundle_digest for arm in arms}
    return Endpoint(
        deployment_id=wanted.deployment_id,
        workspace_id=wanted.workspace_id,
        project_id=wanted.project_id,
        name=wanted.name,
        model_name=wanted.model_name,
        arms=tuple(arms),
        fallback_digests=tuple(
            dict.fromkeys(release.bundle_digest for release in fallbacks if release.bundle_digest not in used)
        ),
    )


def answering(stable: Release, canary: Release | None) -> Release | None:
    """Return the canary if it still is one: not taken back to another stage, and not what stable has become."""
    if canary is None or canary.stage not in DEPLOYABLE or canary.version_id == stable.version_id:
        return None
    return canary


def deployment_conditions(releases: Iterable[Release]) -> list[Condition]:
    """Return the conditions under which versions may answer requests: each was promoted through its gate."""
    return [
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


def _arm(name: Literal["stable", "canary"], release: Release, percent: float) -> Arm:
    return Arm(
        name=name,
        model_version_id=release.version_id,
        number=release.number,
        semver=release.semver,
        bundle_digest=release.bundle_digest,
        bundle_uri=release.bundle_uri,
        traffic_percent=percent,
    )
