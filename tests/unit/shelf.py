"""A registry over a real database and object store, and a logbook in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from arkwright.governance import GovernanceService
from arkwright.kit.db import BoundDatabase, Database
from arkwright.registry import BundleStore, RegistryService, Stage
from arkwright.registry.tables import ModelVersionRow
from arkwright.testing import InMemoryTracking
from arkwright.tracking.ports import TrialRecord
from tests.conftest import EVALUATION, LINEAGE


@dataclass
class Shelf:
    """The registry with what it stands on."""

    registry: RegistryService
    governance: GovernanceService
    tracking: InMemoryTracking
    bundles: BundleStore
    database: Database
    units: BoundDatabase
    make_bundle: Callable[..., tuple[Path, str]]

    def stored(self, evaluation: dict[str, Any] | None = EVALUATION, **changes: Any) -> str:
        """Store a bundle, with evidence about it, and return its digest."""
        experiment = self.tracking.ensure_experiment("default", "churn")
        run_id = self.tracking.log_trial(
            "default",
            TrialRecord(
                key="t1", experiment_id=experiment, name="t1", status="succeeded", started_at=datetime.now(UTC)
            ),
        )
        changes.setdefault("lineage", {**LINEAGE, "run_id": run_id})
        folder, digest = self.make_bundle(**changes)
        with self.units.write() as unit:
            self.bundles.save(unit.context.workspace_id, folder, digest)
            if evaluation is not None:
                self.governance.file(unit, "evaluation", digest, evaluation)
        return digest

    def register(self, digest: str, model: str = "churn") -> ModelVersionRow:
        """Register a bundle under a model, created if need be."""
        with self.units.write() as unit:
            self.registry.ensure(unit, model)
        return self.registry.register(self.units, model, digest, workspace_name="default")

    def promote(self, version: ModelVersionRow, stage: Stage = Stage.PRODUCTION) -> ModelVersionRow:
        """Promote a version."""
        return self.registry.promote(self.units, version.model_id, str(version.number), stage)

    def stage_of(self, version: ModelVersionRow) -> str:
        """Read a version's stage anew."""
        with self.units.read() as unit:
            return self.registry.version_by_id(unit, version.id).stage
