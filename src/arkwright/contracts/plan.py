"""Which bundle answers which endpoint, and whose credentials count.

The control plane compiles an immutable :class:`RoutePlan` and numbers it; a data plane pulls it,
prepares every bundle beside the ones in use, swaps to the new plan in one assignment, acknowledges
it, and keeps the last good one on disk. A lower generation never replaces a higher one.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One model version behind an endpoint.

    ``name`` is ``stable``, ``canary`` or the name of an A/B arm. A ``live`` arm answers ``traffic_percent`` of the
    units; a ``shadow`` arm is given a copy of that share of the requests, and nobody sees its answers.
    """

    name: str = "stable"
    mode: Literal["live", "shadow"] = "live"
    model_version_id: str
    number: int
    semver: str
    bundle_digest: str
    bundle_uri: str
    traffic_percent: float = 100.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one endpoint admits; 0 means that only the data plane's own limits hold.

    ``requests_per_second`` and ``burst`` count per credential (a token bucket).
    """

    requests_per_second: float = 0.0
    burst: int = 0
    timeout_ms: float = 0.0
    max_rows: int = 0


class Objectives(msgspec.Struct, frozen=True, kw_only=True):
    """The service levels an endpoint promises; during a rollout, the looser of these and the rollout's own limits.

    Over a window, the 95th (99th) percentile of the latency in ms, and the share of failed requests in percent; 0
    for ``latency_ms_p99`` promises nothing.
    """

    latency_class: str = "standard"
    latency_ms_p95: float = 500.0
    latency_ms_p99: float = 0.0
    error_rate_pct: float = 1.0


class Fuse(msgspec.Struct, frozen=True, kw_only=True):
    """When a data plane takes traffic from an arm by itself, because the control plane may be away.

    A canary or A/B arm whose last ``window_seconds`` hold at least ``min_requests`` and break the endpoint's
    objectives beyond doubt is blown: its units go to the first arm until a newer plan says otherwise. While the control
    plane answers, only plain failure blows it; what "beyond doubt" means stands in ``serving/fuse.py``.
    """

    enabled: bool = True
    window_seconds: float = 30.0
    min_requests: int = 50


class LogPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What of a prediction is written down.

    ``sample_percent`` of the requests are logged (chosen by request id, so a request is logged whole or not at all);
    the values of ``redact`` columns are replaced by their SHA-256 before they reach a disk.
    """

    sample_percent: float = 100.0
    redact: tuple[str, ...] = ()


class Fallback(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers when an arm cannot: an earlier version, then a constant; neither of them leaves the error.

    ``constant`` has the members of a prediction (``label`` and ``score``, or ``value``). An answer that came this way
    is marked with ``"fallback"`` and logged under the arm ``fallback``.
    """

    arm: Arm | None = None
    constant: dict[str, Any] | None = None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment as the data plane sees it.

    Parameters
    ----------
    strategy
        ``pinned``, ``canary``, ``shadow``, ``blue_green`` or ``ab``.
    unit
        What stays with its arm: ``request`` (the request id), or the name of a column or header
        (``header:x-user-id``) whose value is hashed. A request without it is assigned by its request id.
    salt
        Mixed into the hash: a new salt is a new draw.
    fallback_digests
        Bundles to keep on disk so that a rollback needs no download.
    cache_seconds
        How long an identical payload may be answered from memory; 0 for never.
    """

    deployment_id: str
    workspace_id: str
    project_id: str
    name: str
    model_name: str
    arms: tuple[Arm, ...]
    strategy: Literal["pinned", "canary", "shadow", "blue_green", "ab"] = "pinned"
    unit: str = "request"
    salt: str = ""
    limits: Limits = Limits()
    objectives: Objectives = Objectives()
    fuse: Fuse = Fuse()
    log: LogPolicy = LogPolicy()
    fallback: Fallback = Fallback()
    cache_seconds: float = 0.0
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


class SavedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as a data plane keeps it in ``serving/plan.json``, and starts from when the control plane is away."""

    epoch: str
    plan: RoutePlan


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
