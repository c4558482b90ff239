"""How an experiment ends: each evaluation of its version that is filed may change what it came to.

What the platform knows is written down first, and then the logbook is told. One that is away is told when the event is
delivered again, which may be late, twice or out of order: what is told is the present state.
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
    """An outbox subscriber that writes down what an experiment came to, and shows it on its search's run."""

    name = "automl.outcomes"
    types = frozenset({EVALUATION_FILED})

    def __init__(
        self, database: Database, experiments: ExperimentService, tenancy: TenancyService, tracking: TrackingStore
    ) -> None:
        self._database = database
        self._experiments = experiments
        self._tenancy = tenancy
        self._tracking = tracking

    def handle(self, event: Event) -> None:
        """Conclude the experiment that the evaluated version came from, if it came from one."""
        experiment_id = event.data["experiment_id"]
        if not experiment_id:
            return
        with self._database.write(system_context(event.workspace_id, event.id)) as unit:
            self._experiments.conclude(unit, experiment_id, event.data["training_job_id"], _conclusion(event))
            row = self._experiments.find(unit, experiment_id)
            outcome = None if row is None else self._experiments.outcome(row)
            if row is None or outcome is None or not row.tracking_experiment_id:
                return
            tracking_id, key = row.tracking_experiment_id, search_key(row.job_id or "")
        with self._database.read_global() as unit:
            names = {row.id: row.tracking_name for row in self._tenancy.workspaces(unit)}
        workspace = names[event.workspace_id]
        for run in self._tracking.list_trials(workspace, tracking_id, tags={KIND_TAG: SEARCH_KIND}):
            if run.key == key:
                self._tracking.update_trial(workspace, run.run_id, tags=outcome.tags)


def _conclusion(event: Event) -> Conclusion:
    data = event.data
    return Conclusion(
        evaluation_id=data["evaluation_id"],
        model_version_id=data["model_version_id"],
        completed_at=event.time,
        reason=data["not_compared"],
        **(data["recommendation"] or {}),
    )
