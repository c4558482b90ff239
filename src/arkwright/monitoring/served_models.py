"""The models behind deployments, as monitoring sees them: the port filled with the rooms below."""

from __future__ import annotations

import msgspec

from arkwright.contracts import Signature
from arkwright.core.errors import Conflict
from arkwright.deployments import DeploymentService
from arkwright.kit.db import UnitOfWork
from arkwright.monitoring.ports import MonitoredModel
from arkwright.registry import RegistryService


class ServedModels:
    """Finds a deployment's stable version and the baseline in its bundle.

    Implements :class:`~arkwright.monitoring.ports.MonitoredDeployments`.
    """

    def __init__(self, deployments: DeploymentService, registry: RegistryService) -> None:
        self._deployments = deployments
        self._registry = registry

    def resolve(self, unit: UnitOfWork, id_or_name: str) -> str:
        """Return a deployment's id."""
        return self._deployments.get(unit, id_or_name).id

    def signature_of(self, unit: UnitOfWork, deployment_id: str) -> Signature | None:
        """Return the signature of the version the stable arm answers with; the bundle is not touched."""
        release = self._deployments.serving(unit, self._deployments.get(unit, deployment_id))
        if release is None:
            return None
        version = self._registry.version_by_id(unit, release.version_id)
        return msgspec.convert(version.signature, Signature, strict=False)

    def baseline_of(self, unit: UnitOfWork, deployment_id: str) -> MonitoredModel:
        """Return the baseline of the version the stable arm answers with; its bundle is verified on the way."""
        deployment = self._deployments.get(unit, deployment_id)
        release = self._deployments.serving(unit, deployment)
        if release is None:
            raise Conflict(
                f"The deployment {deployment.name!r} follows a model that has no version in production.",
                code="monitoring.nothing_served",
                hint="Promote a version of it first; then there is something to watch.",
            )
        bundle = self._registry.bundles.load(unit.context.workspace_id, release.bundle_digest)
        return MonitoredModel(
            baseline=bundle.baseline,
            signature=bundle.signature,
            model_version_id=release.version_id,
            model_name=self._registry.get(unit, deployment.model_id).name,
            semver=release.semver,
        )
