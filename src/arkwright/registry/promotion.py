"""Keeping MLflow's aliases in step with the stages.

``@champion`` is the version in production, ``@challenger`` the newest in canary. The projection looks at the stages as
they are now, so it may run late, twice or out of order.
"""

from __future__ import annotations

from arkwright.core.context import system_context
from arkwright.core.events import Event
from arkwright.kit.db import Database
from arkwright.registry import repository
from arkwright.registry.stages import Stage
from arkwright.tenancy import TenancyService
from arkwright.tracking.ports import TrackingStore

CHAMPION = "champion"
CHALLENGER = "challenger"


class AliasProjection:
    """An outbox subscriber that points MLflow's aliases where the stages say."""

    def __init__(self, database: Database, tenancy: TenancyService, tracking: TrackingStore) -> None:
        self._database = database
        self._tenancy = tenancy
        self._tracking = tracking

    def handle(self, event: Event) -> None:
        """Project the aliases of the event's model."""
        with self._database.read_global() as unit:
            names = {row.id: row.tracking_name for row in self._tenancy.workspaces(unit)}
        with self._database.read(system_context(event.workspace_id)) as unit:
            model = repository.model(unit.session, event.subject)
            if model is None:
                return
            wanted = {}
            for alias, stage in ((CHAMPION, Stage.PRODUCTION), (CHALLENGER, Stage.CANARY)):
                versions = repository.in_stage(unit.session, model.id, stage.value)
                wanted[alias] = int(versions[0].mlflow_version) if versions else None
            name = model.name
        workspace = names[event.workspace_id]
        for alias, number in wanted.items():
            if number is None:
                self._tracking.delete_alias(workspace, name, alias)
            else:
                self._tracking.set_alias(workspace, name, alias, number)
