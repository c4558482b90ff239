"""What can go wrong in the registry."""

from __future__ import annotations

from arkwright.core.errors import Conflict, NotFound

UNDER_EVALUATION = "model_version.under_evaluation"


def model_not_found(name: str) -> NotFound:
    """Return the error for a model that does not exist."""
    return NotFound(
        f"There is no model {name!r} in this workspace.",
        code="model.not_found",
        hint="`arkwright model ls` lists the models.",
    )


def version_not_found(model: str, version: str) -> NotFound:
    """Return the error for a version that does not exist; ``model`` is empty where only an id was given."""
    return NotFound(
        f"The model {model!r} has no version {version!r}."
        if model
        else f"There is no model version {version!r} in this workspace.",
        code="model_version.not_found",
        hint="A version is addressed by its number (3), its semantic version (1.0.2) or its id (mv_...).",
    )


def under_evaluation(semver: str, job_id: str) -> Conflict:
    """Return the error for a promotion whose outcome an evaluation that has not ended may still change."""
    return Conflict(
        f"Version {semver} is being evaluated, and what is found may speak against it.",
        code=UNDER_EVALUATION,
        hint=f"Wait for it (arkwright job wait {job_id}), or cancel it, and promote again.",
        errors=[{"field": "job_id", "message": job_id}],
    )
