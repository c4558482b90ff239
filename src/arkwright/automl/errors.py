"""What can go wrong with experiments."""

from __future__ import annotations

from arkwright.core.errors import NotFound


def experiment_not_found(experiment_id: str) -> NotFound:
    """Return the error for an experiment that does not exist."""
    return NotFound(
        f"There is no experiment {experiment_id!r} in this workspace.",
        code="experiment.not_found",
        hint="`arkwright experiment ls` lists the experiments.",
    )
