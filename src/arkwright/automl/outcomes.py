"""How an experiment ends: each evaluation of its version that is filed may change what it came to.

Two subscribers, so that a logbook that is away keeps nobody else waiting: what the platform knows is written down at
once, and the logbook is told when it answers. Both look at the present state, and may run late, twice or out of order.
"""

from __future__ import annotations

from arkwright.automl.definition import Conclusion
from arkwright.automl.logbook import KIND_TAG, SEARCH_KIND, search_key
from arkwright.automl.service import ExperimentService
from arkwright.core.context import system_context
from arkwright.core.events import EVALUATION_FILED, Event
from arkwright.kit.db import Database
from arkwright.tenancy import TenancyService
from arkwright.tracking.ports import TrackingStore


class ExperimentOutcomes:
    """An outbox subscriber that writes down what an experiment came to."""

    name = "automl.outcomes"
    types = frozenset({EVALUATION_FILED})

    def __init__(self, database: Database, experiments: ExperimentService) -> None:
        self._database = database
        self._experiments = experiments

    def handle(self, event: Event) -> None:
        """Conclude the experiment that the evaluated version came from, if it came from one."""
        data = event.data
        if not data["experiment_id"]:
            return
        conclusion = Conclusion(
            evaluation_id=data["evaluation_id"],
            model_version_id=data["model_version_id"],
            completed_at=event.time,
            reason=data["not_compared"],
            **(data["recommendation"] or {}),
        )
        with self._database.write(system_context(event.workspace_id, event.id)) as unit:
            self._experiments.conclude(unit, data["experiment_id"], data["training_job_id"], conclusion)


class OutcomeProjection:
    """An outbox subscriber that shows the outcome on the search's run in the logbook."""

    name = "automl.outcome_tags"
    types = frozenset({EVALUATION_FILED})

    def __init__(
        self, database: Database, experiments: ExperimentService, tenancy: TenancyService, tracking: TrackingStore
    ) -> None:
        self._database = database
        self._experiments = experiments
        self._tenancy = tenancy
        self._tracking = tracking

    def handle(self, event: Event) -> None:
        """Tag the run with the outcome as it is now."""
        with self._database.read_global() as unit:
            names = {row.id: row.tracking_name for row in self._tenancy.workspaces(unit)}
        with self._database.read(system_context(event.workspace_id, event.id)) as unit:
            row = self._experiments.find(unit, event.data["experiment_id"])
            outcome = None if row is None else self._experiments.outcome(row)
            if row is None or outcome is None or not row.tracking_experiment_id:
                return
            tracking_id, key = row.tracking_experiment_id, search_key(row.job_id or "")
        workspace = names[event.workspace_id]
        for run in self._tracking.list_trials(workspace, tracking_id, tags={KIND_TAG: SEARCH_KIND}):
            if run.key == key:
                self._tracking.update_trial(workspace, run.run_id, tags=outcome.tags)
