"""What can go wrong with deployments."""

from __future__ import annotations

from arkwright.core.errors import NotFound


def deployment_not_found(name: str) -> NotFound:
    """Return the error for a deployment that does not exist."""
    return NotFound(
        f"There is no deployment {name!r} in this workspace.",
        code="deployment.not_found",
        hint="`arkwright deployment ls` lists the deployments.",
    )
