"""What can go wrong in the registry."""

from __future__ import annotations

from arkwright.core.errors import NotFound


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
