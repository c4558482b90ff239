"""A served platform with two versions of a model: the first in production, the second in canary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.conftest import EVALUATION, LINEAGE, small_bundle
from tests.unit.sdk.served_platform import Served, served_platform

from arkwright.core.context import DEFAULT_WORKSPACE_ID, system_context
from arkwright.registry import Stage
from arkwright.tracking.ports import TrialRecord


@contextmanager
def two_versions(folder: Path, schema: Path) -> Iterator[Served]:
    """Serve it until the block ends."""
    with served_platform(folder / "home", schema) as served:
        platform = served.platform
        units = platform.database.bound(system_context(DEFAULT_WORKSPACE_ID))
        experiment = platform.tracking.ensure_experiment("default", "churn")
        trial = TrialRecord(
            key="t1", experiment_id=experiment, name="t1", status="succeeded", started_at=datetime.now(UTC)
        )
        lineage = {**LINEAGE, "run_id": platform.tracking.log_trial("default", trial)}
        with units.write() as unit:
            platform.registry.ensure(unit, "churn")
        for name, weight, stage in (("one", -0.5, Stage.PRODUCTION), ("two", -0.2, Stage.CANARY)):
            digest = small_bundle(folder / name, weight=weight, lineage=lineage)
            platform.registry.bundles.save(DEFAULT_WORKSPACE_ID, folder / name, digest)
            with units.write() as unit:
                platform.governance.file(unit, "evaluation", digest, EVALUATION)
            row = platform.registry.register(units, "churn", digest, workspace_name="default")
            platform.registry.promote(units, "churn", row.id, stage)
        yield served
