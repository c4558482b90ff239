"""What monitoring needs from others; the composition root fills it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from arkwright.contracts import Baseline, Signature
from arkwright.kit.db import UnitOfWork


class MonitoredModel(NamedTuple):
    """The version behind a deployment's stable arm, as far as monitoring is concerned."""

    baseline: Baseline
    signature: Signature
    model_version_id: str
    model_name: str = ""
    semver: str = ""

    @property
    def label(self) -> str:
        """How people call it."""
        return f"{self.model_name} {self.semver}".strip() or self.model_version_id


class MonitoredDeployments(Protocol):
    """Deployments and the baselines of what they serve."""

    def resolve(self, unit: UnitOfWork, id_or_name: str) -> str:
        """Return a deployment's id.

        Raises
        ------
        NotFound
            If there is no such deployment.
        """
        ...

    def signature_of(self, unit: UnitOfWork, deployment_id: str) -> Signature | None:
        """Return the signature of the deployment's stable version, or None where no version answers.

        Raises
        ------
        NotFound
            If there is no such deployment.
        """
        ...

    def baseline_of(self, unit: UnitOfWork, deployment_id: str) -> MonitoredModel:
        """Return the baseline and signature in the bundle of the deployment's stable version.

        Raises
        ------
        NotFound
            If there is no such deployment.
        Conflict
            If it follows a model that has no version in production.
        """
        ...


class PredictionSource(Protocol):
    """The way logged predictions come into the object store."""

    def collect(self, workspace_id: str, deployment_id: str) -> None:
        """Bring what the data planes have logged for a deployment so far into the object store.

        Does nothing where that happens by other means; must not fail for a deployment without a log.
        """
        ...
