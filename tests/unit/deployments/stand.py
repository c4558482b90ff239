"""A control plane whose one data plane is made up: what it loads and counts is what a test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from arkwright.contracts import ArmWindow, Endpoint, EndpointStatus, PlanAcknowledgement, WindowReport, latency_bucket
from arkwright.core.clock import FixedClock
from arkwright.core.context import DEFAULT_WORKSPACE_ID
from arkwright.deployments import DeploymentService, PlanPublisher, RolloutController, WindowService, repository
from arkwright.deployments.ports import ArmOutcomes
from arkwright.deployments.service import DeploymentRequest
from arkwright.deployments.tables import DeploymentRow, RolloutRow
from arkwright.kit.db import OutboxRow
from arkwright.registry import Stage
from arkwright.registry.tables import ModelVersionRow
from arkwright.tenancy import TenancyService, bootstrap
from tests.unit.shelf import Shelf


@dataclass
class Outcomes:
    """Outcomes as a test says they are."""

    known: dict[str, ArmOutcomes] = field(default_factory=dict)
    meanwhile: Callable[[], object] | None = None  # what somebody does, once, while they are read

    def compare(
        self, workspace_id: str, deployment_id: str, since: datetime, arms: Sequence[str]
    ) -> Mapping[str, ArmOutcomes]:
        act, self.meanwhile = self.meanwhile, None
        if act is not None:
            act()
        return self.known


@dataclass
class Stand:
    """A control plane with one data plane that is made up."""

    shelf: Shelf
    clock: FixedClock
    deployments: DeploymentService
    publisher: PlanPublisher
    windows: WindowService
    outcomes: Outcomes
    controller: RolloutController
    stable: ModelVersionRow
    candidate: ModelVersionRow
    sequence: int = 0

    def deploy(self, strategy: dict[str, Any] | None, **changes: Any) -> DeploymentRow:
        row = self.deployments.create(
            self.shelf.units, DeploymentRequest(**{"model": "churn", "strategy": strategy, **changes})
        )
        self.acknowledge(row)
        return row

    def canary(self, **changes: Any) -> DeploymentRow:
        return self.deploy(
            {
                "type": "canary",
                "model_version_id": self.candidate.id,
                "steps": [10, 100],
                "pause_seconds": 60,
                "analysis": {"interval_seconds": 1},
                **changes,
            }
        )

    def acknowledge(self, row: DeploymentRow, *, without: str = "", detail: str = "") -> None:
        generation = self.publisher.publish()
        digests = tuple(
            arm.bundle_digest for arm in self.endpoint(row).arms if arm.mode == "live" and arm.name != without
        )
        status = EndpointStatus(state="failed" if detail else "ready", digests=digests, detail=detail)
        self.publisher.acknowledge(
            PlanAcknowledgement(replica="edge", generation=generation, endpoints={row.id: status})
        )

    def endpoint(self, row: DeploymentRow) -> Endpoint:
        self.publisher.publish()
        return self.publisher.current().endpoints[row.id]

    def split(self, row: DeploymentRow) -> dict[str, float]:
        return {arm.name: arm.traffic_percent for arm in self.endpoint(row).arms}

    def traffic(self, row: DeploymentRow, arm: str, requests: int, *, latency_ms: float = 2.0, **counts: Any) -> None:
        """Report requests that an arm answered in the present second, after the step's first slot has begun."""
        self.sequence += 1
        version = self.stable if arm == "stable" else self.candidate
        window = ArmWindow(
            deployment_id=row.id,
            workspace_id=DEFAULT_WORKSPACE_ID,
            arm=arm,
            model_version_id=version.id,
            second=int(self.clock.now().timestamp()),
            requests=requests,
            rows=requests,
            latency_counts=((latency_bucket(latency_ms), requests),),
            **counts,
        )
        self.windows.take(
            WindowReport(replica="edge", sequence=self.sequence, windows=(window,)), [DEFAULT_WORKSPACE_ID]
        )

    def after(self, seconds: float) -> list[str]:
        """Let time pass, with a data plane that lives, and advance every rollout."""
        self.clock.advance(seconds)
        self.sequence += 1
        self.windows.take(WindowReport(replica="edge", sequence=self.sequence, windows=()), [])
        return [move.action for move in self.controller.tick()]

    def rollout(self, row: DeploymentRow) -> RolloutRow:
        with self.shelf.units.read() as unit:
            return repository.rollouts(unit.session, row.id)[0]

    def events(self, kind: str) -> list[OutboxRow]:
        with self.shelf.database.read_global() as unit:
            return list(unit.session.scalars(select(OutboxRow).where(OutboxRow.type == kind)))

    def history(self, row: DeploymentRow) -> list[str]:
        with self.shelf.units.read() as unit:
            return [event.action for event in reversed(repository.rollout_events(unit.session, row.id, limit=50))]


def stand_on(shelf: Shelf, clock: FixedClock, folder: Path) -> Stand:
    bootstrap(shelf.database, folder / "admin.key")
    stable, candidate = shelf.register(shelf.stored()), shelf.register(shelf.stored(weight=-0.06))
    shelf.promote(stable)
    shelf.promote(candidate, Stage.CANARY)
    deployments = DeploymentService(shelf.registry, shelf.governance)
    publisher = PlanPublisher(shelf.database, TenancyService(), shelf.registry, deployments)
    windows = WindowService(shelf.database)
    outcomes = Outcomes()
    controller = RolloutController(
        shelf.database,
        shelf.registry,
        shelf.governance,
        deployments,
        windows,
        publisher,
        outcomes,
        lambda: [DEFAULT_WORKSPACE_ID],
    )
    return Stand(shelf, clock, deployments, publisher, windows, outcomes, controller, stable, candidate)
