"""What a data plane serves at one moment: an immutable snapshot, replaced in one assignment."""

from __future__ import annotations

from dataclasses import dataclass, field

from arkwright.bundles import LoadedBundle
from arkwright.contracts import Arm, Credential, Endpoint, RoutePlan
from arkwright.serving.traffic import choose_arm


@dataclass(frozen=True, slots=True)
class LiveArm:
    """A model version with its predictor in memory, and the names its requests may log."""

    arm: Arm
    bundle: LoadedBundle
    feature_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LiveEndpoint:
    """A deployment that answers."""

    endpoint: Endpoint
    arms: tuple[LiveArm, ...]

    def arm_for(self, request_id: str) -> LiveArm:
        """Return the arm that answers a request."""
        if len(self.arms) == 1:
            return self.arms[0]
        shares = [live.arm.traffic_percent for live in self.arms]
        return self.arms[choose_arm(shares, self.endpoint.deployment_id, request_id)]

    def as_served(self) -> Endpoint:
        """Return the endpoint with only the arms that answer."""
        return Endpoint(
            deployment_id=self.endpoint.deployment_id,
            workspace_id=self.endpoint.workspace_id,
            project_id=self.endpoint.project_id,
            name=self.endpoint.name,
            model_name=self.endpoint.model_name,
            arms=tuple(live.arm for live in self.arms),
            fallback_digests=self.endpoint.fallback_digests,
        )


@dataclass(frozen=True, slots=True)
class ServingState:
    """Everything a request needs.

    ``generation`` is -1 until a plan is in use. ``failed`` maps endpoints that should answer and cannot to the reason.
    """

    generation: int = -1
    epoch: str = ""
    endpoints: dict[str, LiveEndpoint] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    credentials: dict[str, Credential] = field(default_factory=dict)
    workspaces: dict[str, str] = field(default_factory=dict)
    protected_model_ids: frozenset[str] = frozenset()

    def plan(self) -> RoutePlan:
        """Return the plan that describes what is served, which may lag behind the one that was asked for."""
        return RoutePlan(
            generation=self.generation,
            endpoints={key: live.as_served() for key, live in self.endpoints.items()},
            credentials=tuple(self.credentials.values()),
            workspaces=self.workspaces,
            protected_model_ids=tuple(sorted(self.protected_model_ids)),
        )
