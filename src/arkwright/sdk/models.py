"""The registry: models, their versions, promotion and rollback."""

from __future__ import annotations

from collections.abc import Mapping

from arkwright.sdk.transport import Items, Transport, segment
from arkwright.sdk.types import Model, ModelVersion, StageChange


class Models:
    """``client.models``. A model is named by id or name, a version by number, semantic version or id."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str, *, description: str = "", project_id: str = "") -> Model:
        """Create a model without versions."""
        body = {"name": name, "description": description, "project_id": project_id}
        created: Model = self._transport.post("/v1/models", body)
        return created

    def list(self, *, limit: int | None = None) -> Items[Model]:
        """Return the workspace's models, oldest first."""
        return self._transport.pages("/v1/models", limit=limit)

    def get(self, model: str) -> Model:
        """Return a model."""
        found: Model = self._transport.get(_path(model))
        return found

    def versions(self, model: str, *, limit: int | None = None) -> Items[ModelVersion]:
        """Return a model's versions, newest first."""
        return self._transport.pages(f"{_path(model)}/versions", limit=limit)

    def version(self, model: str, version: int | str) -> ModelVersion:
        """Return one version."""
        found: ModelVersion = self._transport.get(_version_path(model, version))
        return found

    def create_version(
        self, model: str, bundle_digest: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> ModelVersion:
        """Make a stored bundle the next version of a model; the same bundle twice is one version."""
        body = {"bundle_digest": bundle_digest, "description": description, "tags": dict(tags or {})}
        created: ModelVersion = self._transport.post(f"{_path(model)}/versions", body)
        return created

    def promote(self, model: str, version: int | str, *, stage: str = "production", comment: str = "") -> ModelVersion:
        """Move a version to a stage, if the gate allows it.

        Raises
        ------
        PolicyRefused
            With one sentence in ``unmet`` for each condition that does not hold.
        """
        body = {"stage": stage, "comment": comment}
        promoted: ModelVersion = self._transport.post(f"{_version_path(model, version)}/promote", body)
        return promoted

    def rollback(self, model: str, *, comment: str = "") -> ModelVersion:
        """Put the previous production version back, and return it."""
        restored: ModelVersion = self._transport.post(f"{_path(model)}/rollback", {"comment": comment})
        return restored

    def history(self, model: str, *, until: str = "") -> Items[StageChange]:
        """Return every stage change, oldest first, up to a moment such as ``2027-01-01T00:00:00Z``."""
        found: Items[StageChange] = self._transport.get(f"{_path(model)}/history", until=until)
        return found


def _path(model: str) -> str:
    return f"/v1/models/{segment(model)}"


def _version_path(model: str, version: int | str) -> str:
    return f"{_path(model)}/versions/{segment(str(version))}"
