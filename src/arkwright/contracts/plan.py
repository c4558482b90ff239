"""Which bundle answers which endpoint, and whose credentials count.

The control plane compiles an immutable :class:`RoutePlan` and numbers it; a data plane pulls it,
prepares every bundle beside the ones in use, swaps to the new plan in one assignment, acknowledges
it, and keeps the last good one on disk. A lower generation never replaces a higher one.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One model version behind an endpoint, with its share of the traffic."""

    name: Literal["stable", "canary"] = "stable"
    model_version_id: str
    number: int
    semver: str
    bundle_digest: str
    bundle_uri: str
    traffic_percent: float = 100.0


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment as the data plane sees it.

    ``fallback_digests`` are bundles to keep on disk so that a rollback needs no download.
    """

    deployment_id: str
    workspace_id: str
    project_id: str
    name: str
    model_name: str
    arms: tuple[Arm, ...]
    fallback_digests: tuple[str, ...] = ()


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """The hash of a secret, and what its bearer may do.

    ``secret_sha256`` is the SHA-256 of a secret of 256 random bits (so no slow hash is needed).
    ``expires_at`` is in seconds since the epoch, 0 for never.
    """

    secret_sha256: str
    actor_id: str
    actor_kind: str
    workspace_id: str
    role: str
    expires_at: float = 0.0


class RoutePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a data plane needs to serve.

    ``workspaces`` maps a workspace's id to its MLflow workspace name. ``protected_model_ids`` are MLflow
    logged models that are registered: their artifacts may no longer be written.
    """

    generation: int
    endpoints: dict[str, Endpoint] = {}
    credentials: tuple[Credential, ...] = ()
    workspaces: dict[str, str] = {}
    protected_model_ids: tuple[str, ...] = ()


class EndpointStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one endpoint at one data plane."""

    state: Literal["ready", "failed"]
    digests: tuple[str, ...] = ()
    detail: str = ""


class PlanAcknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """A data plane's answer to a plan.

    ``replica`` names the data plane; ``generation`` is the one it now serves.
    """

    replica: str
    generation: int
    endpoints: dict[str, EndpointStatus] = {}
