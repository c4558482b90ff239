"""A training that was started, and the model that came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from arkwright.core.errors import Conflict
from arkwright.sdk.jobs import OnProgress
from arkwright.sdk.resources import Resources
from arkwright.sdk.types import Deployment, Experiment, Job, Leaderboard, ModelVersion


@dataclass(frozen=True)
class Training:
    """A training under way."""

    client: Resources = field(repr=False)
    experiment_id: str
    job_id: str

    def stop(self) -> None:
        """Ask the search to end; the best candidate so far is still fitted, evaluated and registered."""
        self.client.experiments.cancel(self.experiment_id)

    def wait(self, on_progress: OnProgress | None = None, timeout_seconds: float | None = None) -> TrainedModel:
        """Wait for the model.

        Raises
        ------
        ArkwrightError
            What the training failed with.
        Conflict
            If it was stopped before any candidate was scored.
        """
        job = self.client.jobs.wait(self.job_id, on_progress=on_progress, timeout_seconds=timeout_seconds)
        return trained_model(self.client, job, self.experiment_id)


@dataclass(frozen=True)
class TrainedModel:
    """The version that a training registered, and why it is the one.

    Attributes
    ----------
    version
        The registry's record.
    evaluation
        The holdout's report: ``metrics`` and the baseline's ``reference`` with 95 % intervals, ``beats_baseline``.
    """

    client: Resources = field(repr=False)
    experiment: Experiment = field(repr=False)
    leaderboard: Leaderboard = field(repr=False)
    version: ModelVersion
    evaluation: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.version["model_name"]

    @property
    def number(self) -> int:
        """The version's number."""
        return self.version["version"]

    @property
    def metrics(self) -> dict[str, Any]:
        """The holdout's metrics."""
        return self.version["metrics"]

    @property
    def recommendation(self) -> str:
        """Why this candidate was chosen, in plain language."""
        return self.leaderboard["recommendation"]

    def promote(
        self, *, stage: str = "production", comment: str = "", on_progress: OnProgress | None = None
    ) -> ModelVersion:
        """Move the version to a stage, if the gate allows it, once the evaluation that follows a training has ended."""
        return self.client.models.promote(self.name, self.number, stage=stage, comment=comment, on_progress=on_progress)

    def deploy(self, name: str = "", *, pin: bool = False) -> Deployment:
        """Make an endpoint that follows the production version, or pins this one, and wait until it answers."""
        deployments = self.client.deployments
        if pin:
            created = deployments.create(model_version_id=self.version["id"], name=name)
        else:
            created = deployments.create(model=self.name, name=name)
        return deployments.wait_until_ready(created["id"])


def trained_model(client: Resources, job: Job, experiment_id: str) -> TrainedModel:
    """Gather what a finished training made."""
    result = job.get("result") or {}
    version_id = result.get("model_version_id")
    if not version_id:
        raise Conflict(
            f"The training ended without a model: {job['message']}",
            code="training.no_model",
            hint="Train again with a larger budget.",
        )
    version = client.models.version(result["model_id"], version_id)
    evidence = client.evidence(version["bundle_digest"], kind="evaluation")
    return TrainedModel(
        client=client,
        experiment=client.experiments.get(experiment_id),
        leaderboard=client.experiments.leaderboard(experiment_id),
        version=version,
        evaluation=dict(evidence[-1]["body"]) if evidence else {},
    )
