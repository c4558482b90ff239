"""Trials in the tracking store: one run each, written in one batch, under one parent run.

The logbook may still be warming up when a search begins. A search does not wait for it: what could not be written
at once is written when the search is over, and a trial's key makes writing twice the same as writing once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from arkwright.automl.search import Trial
from arkwright.core.errors import AdapterError, Unavailable
from arkwright.tracking.ports import TrackingStore, TrialRecord, TrialStatus

KIND_TAG = "arkwright.kind"
JOB_TAG = "arkwright.job_id"
STATUS_TAG = "status"
TRIAL_KIND = "trial"
SEARCH_KIND = "search"
_STATUS: Mapping[str, TrialStatus] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "stopped": "cancelled",
    "skipped": "cancelled",
}


def search_key(job_id: str) -> str:
    """Return the key of a training's parent run."""
    return f"{job_id}.search"


class Logbook:
    """One training's pages in the logbook.

    Parameters
    ----------
    workspace
        The workspace's name in the logbook.
    name
        Of the experiment there; unique.
    tags
        On the experiment and on every run.
    params
        Of the parent run: what the experiment is to show. More may be stated before it is opened.
    """

    def __init__(
        self,
        store: TrackingStore,
        workspace: str,
        name: str,
        *,
        job_id: str,
        started_at: datetime,
        created_by: str,
        tags: Mapping[str, str],
        params: Mapping[str, str] | None = None,
    ) -> None:
        self._store = store
        self._workspace = workspace
        self._name = name
        self._job_id = job_id
        self._started_at = started_at
        self._created_by = created_by
        self._tags = dict(tags)
        self.params = dict(params or {})
        self.experiment_id = ""
        self.parent_run_id = ""

    def open(self) -> None:
        """Find or create the experiment and the parent run.

        Raises
        ------
        Unavailable, AdapterError
            If the logbook does not answer.
        """
        if self.parent_run_id:
            return
        self._store.ensure_workspace(self._workspace)
        self.experiment_id = self._store.ensure_experiment(self._workspace, self._name, self._tags)
        record = TrialRecord(
            key=search_key(self._job_id),
            experiment_id=self.experiment_id,
            name="search",
            status="running",
            started_at=self._started_at,
            params=self.params,
            tags={**self._tags, KIND_TAG: SEARCH_KIND, STATUS_TAG: "running"},
            created_by=self._created_by,
        )
        self.parent_run_id = self._store.log_trial(self._workspace, record)

    def write(self, trial: Trial, *, metric: str, started_at: datetime, ended_at: datetime) -> str:
        """Write a trial and return its run's id; the same trial again returns the same run."""
        self.open()
        return self._store.log_trial(
            self._workspace,
            TrialRecord(
                key=f"{self._job_id}.{trial.name}",
                experiment_id=self.experiment_id,
                name=trial.name,
                status=_STATUS[trial.status],
                started_at=started_at,
                ended_at=ended_at,
                params={"learner": trial.candidate.learner, **trial.candidate.params},
                metrics=_metrics(trial, metric),
                series={f"{metric}_by_fold": trial.fold_scores} if trial.fold_scores else {},
                tags={
                    **self._tags,
                    KIND_TAG: TRIAL_KIND,
                    JOB_TAG: self._job_id,
                    "arkwright.step": trial.name,
                    "arkwright.status": trial.status,
                    **({"arkwright.error": trial.error} if trial.error else {}),
                },
                parent_run_id=self.parent_run_id,
                created_by=self._created_by,
            ),
        )

    def try_write(self, trial: Trial, *, metric: str, started_at: datetime, ended_at: datetime) -> str:
        """Write a trial if the logbook answers; an empty id says that it did not."""
        try:
            return self.write(trial, metric=metric, started_at=started_at, ended_at=ended_at)
        except (Unavailable, AdapterError):
            return ""

    def close(self, *, chosen: str, metrics: Mapping[str, Any], ended_at: datetime, cancelled: bool) -> None:
        """End the parent run with the holdout's metrics of the chosen model."""
        self.open()
        status: TrialStatus = "cancelled" if cancelled else "succeeded"
        self._store.update_trial(
            self._workspace,
            self.parent_run_id,
            status=status,
            ended_at=ended_at,
            metrics={f"holdout_{name}": value for name, value in metrics.items() if value is not None},
            tags={"arkwright.chosen": chosen, STATUS_TAG: status},
        )

    def give_up(self, *, status: TrialStatus, ended_at: datetime) -> None:
        """End the parent run of a training that leaves no model."""
        self.open()
        self._store.update_trial(
            self._workspace, self.parent_run_id, status=status, ended_at=ended_at, tags={STATUS_TAG: status}
        )


def _metrics(trial: Trial, metric: str) -> dict[str, float]:
    values = {"seconds": trial.seconds, "fold_seconds": trial.fold_seconds}
    if trial.score is not None:
        values[metric] = trial.score
        values[f"{metric}_std"] = trial.score_std or 0.0
        values["rounds"] = float(trial.rounds)
    return values
