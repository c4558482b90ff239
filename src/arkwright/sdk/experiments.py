"""Experiments: a question put to the engine, and the candidates that answered it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arkwright.sdk.transport import Items, Transport, segment
from arkwright.sdk.types import Accepted, CreatedExperiment, Experiment, Leaderboard, Trial


class Experiments:
    """``client.experiments``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        *,
        dataset_id: str,
        target: str,
        dataset_version: int | None = None,
        name: str = "",
        task_type: str = "auto",
        objective: str = "",
        config: Mapping[str, Any] | None = None,
        definition: Mapping[str, Any] | None = None,
        project_id: str = "",
    ) -> CreatedExperiment:
        """Create an experiment; nothing runs yet.

        Parameters
        ----------
        task_type
            ``auto``, ``classification``, ``binary``, ``multiclass`` or ``regression``.
        objective
            Such as ``maximize_f1`` or ``minimize_rmse``; empty: by task.
        config
            ``budget_seconds``, ``cv``, ``feature_types``, ``ignore_columns``, ``model_name``; each has a default.
        definition
            What the model is to show: ``hypothesis``, ``baseline_model`` (``MODEL@VERSION`` or a version's id),
            ``guardrails`` (``{"metric": ..., "tolerance": ...}``), ``success_criteria`` (``{"metric": ...,
            "at_least": ...}`` or ``at_most``), ``margin`` and ``minimum_improvement``. Its evaluations go by it.
        """
        body = {
            "project_id": project_id,
            "name": name,
            "task_type": task_type,
            "objective": objective,
            "dataset_id": dataset_id,
            "dataset_version": dataset_version,
            "target": target,
            "config": dict(config or {}),
            "definition": dict(definition or {}),
        }
        created: CreatedExperiment = self._transport.post("/v1/experiments", body)
        return created

    def run(self, experiment_id: str) -> Accepted:
        """Start the search as a job; its id is in the answer."""
        accepted: Accepted = self._transport.post(f"/v1/experiments/{segment(experiment_id)}/run")
        return accepted

    def cancel(self, experiment_id: str) -> Accepted:
        """Stop searching; the best candidate so far is still fitted, evaluated and registered."""
        accepted: Accepted = self._transport.post(f"/v1/experiments/{segment(experiment_id)}/cancel")
        return accepted

    def get(self, experiment_id: str) -> Experiment:
        """Return an experiment and what came of it."""
        found: Experiment = self._transport.get(f"/v1/experiments/{segment(experiment_id)}")
        return found

    def list(self, *, limit: int | None = None) -> Items[Experiment]:
        """Return the workspace's experiments, oldest first."""
        return self._transport.pages("/v1/experiments", limit=limit)

    def trials(self, experiment_id: str) -> Items[Trial]:
        """Return every candidate's run with its parameters and metrics."""
        found: Items[Trial] = self._transport.get(f"/v1/experiments/{segment(experiment_id)}/trials")
        return found

    def leaderboard(self, experiment_id: str) -> Leaderboard:
        """Return the candidates, best first, while the search goes on too."""
        found: Leaderboard = self._transport.get(f"/v1/experiments/{segment(experiment_id)}/leaderboard")
        return found
