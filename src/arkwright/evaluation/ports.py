"""What an evaluation needs to know of others; the composition root fills it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from arkwright.evaluation.experiment_definition import StatedDefinition
from arkwright.evaluation.training_effort import TrainingEffort
from arkwright.kit.db import UnitOfWork


class ServingDeployment(NamedTuple):
    """A deployment whose callers are answered by a version, as far as its readiness is concerned.

    ``monitor_status`` is ``active``, ``disabled`` or ``stopped``, and empty without a drift monitor; ``monitor_reason``
    is why it is not active, ``monitor_schedule`` when it runs (five cron fields, UTC). ``back_to`` and ``back_to_id``
    are the version that a rollback would put back; empty where there is none.
    """

    deployment_id: str
    name: str
    monitor_id: str = ""
    monitor_status: str = ""
    monitor_reason: str = ""
    monitor_schedule: str = ""
    back_to: str = ""
    back_to_id: str = ""


class Operations(Protocol):
    """Where versions serve, and who watches them there."""

    def serving(self, unit: UnitOfWork, model_version_id: str) -> Sequence[ServingDeployment]:
        """Return the active deployments that answer with a version, oldest first; not those that only try it."""
        ...


class Experiments(Protocol):
    """What experiments were to show, and what their trainings took."""

    def definition_of(self, unit: UnitOfWork, experiment_id: str) -> StatedDefinition | None:
        """Return what an experiment states; None if there is no such experiment."""
        ...

    def effort_of(self, unit: UnitOfWork, lineage: Mapping[str, str]) -> TrainingEffort | None:
        """Return what the training of a bundle with this lineage took; None where that is not known."""
        ...


class NoExperiments:
    """No experiment is kept: for an evaluation without a platform around it."""

    def definition_of(self, unit: UnitOfWork, experiment_id: str) -> StatedDefinition | None:  # noqa: ARG002
        """Return None."""
        return None

    def effort_of(self, unit: UnitOfWork, lineage: Mapping[str, str]) -> TrainingEffort | None:  # noqa: ARG002
        """Return None."""
        return None
