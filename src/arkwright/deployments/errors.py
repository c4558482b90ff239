"""What can go wrong with deployments."""

from __future__ import annotations

from arkwright.core.errors import Conflict, NotFound


def deployment_not_found(name: str) -> NotFound:
    """Return the error for a deployment that does not exist."""
    return NotFound(
        f"There is no deployment {name!r} in this workspace.",
        code="deployment.not_found",
        hint="`arkwright deployment ls` lists the deployments.",
    )


def no_rollout(name: str) -> Conflict:
    """Return the error for asking something of a rollout where none is active."""
    return Conflict(
        f"The deployment {name!r} has no rollout that could still move.",
        code="rollout.none",
        hint="`arkwright deployment rollout` shows how the last one ended.",
    )
