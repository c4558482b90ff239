"""Compiling the route plan and giving it a generation.

The plan is a function of the database; publishing compares it with the last one and makes a new generation only if it
differs, so it can be called at any time and as often as one likes.
"""

from __future__ import annotations

import hashlib
import threading

import msgspec

from arkwright.contracts import EndpointStatus, PlanAcknowledgement, RoutePlan
from arkwright.core.context import system_context
from arkwright.core.events import Event
from arkwright.deployments import repository
from arkwright.deployments.service import DeploymentService
from arkwright.deployments.tables import DataPlaneRow, PublishedPlanRow
from arkwright.kit.db import Database
from arkwright.registry import RegistryService
from arkwright.tenancy import TenancyService

_KEPT_GENERATIONS = 100


class PlanPublisher:
    """Compiles, numbers and hands out the plan; takes acknowledgements."""

    def __init__(
        self, database: Database, tenancy: TenancyService, registry: RegistryService, deployments: DeploymentService
    ) -> None:
        self._database = database
        self._tenancy = tenancy
        self._registry = registry
        self._deployments = deployments
        self._one_at_a_time = threading.Lock()

    @property
    def epoch(self) -> str:
        """Name of this database: generations of two databases cannot be compared."""
        with self._database.read_global() as unit:
            return self._tenancy.workspaces(unit)[0].owner_user_id

    def handle(self, _event: Event) -> None:
        """Publish because something changed: an outbox subscriber."""
        self.publish()

    def publish(self) -> int:
        """Bring the published plan in line with the database; return its generation."""
        with self._one_at_a_time:
            plan = self._compile()
            content = msgspec.json.encode(plan)
            digest = hashlib.sha256(content).hexdigest()
            with self._database.write_global() as unit:
                newest = repository.newest_plan(unit.session)
                known = max((plane.generation for plane in repository.data_planes(unit.session)), default=0)
                if newest is not None and newest.sha256 == digest and newest.generation >= known:
                    return newest.generation
                row = PublishedPlanRow(sha256=digest, plan=content.decode(), created_at=unit.clock.now())
                if newest is not None and newest.generation < known:
                    # A database restored from a backup: number past what the data planes have seen.
                    row.generation = known + 1
                unit.session.add(row)
                unit.session.flush()
                repository.forget_plans_before(unit.session, row.generation - _KEPT_GENERATIONS)
                return row.generation

    def newer_than(self, generation: int) -> RoutePlan | None:
        """Return the newest generation, or None if it is that one."""
        with self._database.read_global() as unit:
            if repository.newest_generation(unit.session) == generation:
                return None
        return self.current()

    def current(self) -> RoutePlan:
        """Return the newest generation."""
        with self._database.read_global() as unit:
            row = repository.newest_plan(unit.session)
        if row is None:
            self.publish()
            return self.current()
        plan = msgspec.json.decode(row.plan, type=RoutePlan)
        return msgspec.structs.replace(plan, generation=row.generation)

    def acknowledge(self, acknowledgement: PlanAcknowledgement) -> None:
        """Keep what a data plane said of a generation."""
        with self._database.write_global() as unit:
            row = unit.session.get(DataPlaneRow, acknowledgement.replica)
            if row is None:
                row = DataPlaneRow(replica=acknowledgement.replica)
                unit.session.add(row)
            row.generation = acknowledgement.generation
            row.endpoints = {name: _plain(status) for name, status in acknowledgement.endpoints.items()}
            row.seen_at = unit.clock.now()

    def _compile(self) -> RoutePlan:
        with self._database.read_global() as unit:
            workspaces = {row.id: row.tracking_name for row in self._tenancy.workspaces(unit)}
            credentials = self._tenancy.credentials(unit)
        endpoints = {}
        protected: list[str] = []
        for workspace_id in workspaces:
            with self._database.read(system_context(workspace_id)) as unit:
                endpoints.update(self._deployments.endpoints(unit))
                protected += [row.mlflow_model_id for row in self._registry.all_versions(unit) if row.mlflow_model_id]
        return RoutePlan(
            generation=0,
            endpoints=endpoints,
            credentials=credentials,
            workspaces=workspaces,
            protected_model_ids=tuple(sorted(protected)),
        )


def _plain(status: EndpointStatus) -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(status)
    return plain
