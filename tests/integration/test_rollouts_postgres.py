"""Rollouts on PostgreSQL, with two control planes that look at the same time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.unit.deployments.stand import Stand, stand_on
from tests.unit.shelf import Shelf

from arkwright.core.clock import FixedClock
from arkwright.core.context import Context
from arkwright.governance import GovernanceService
from arkwright.kit.db import Database
from arkwright.kit.objects import ObjectStore
from arkwright.registry import BundleStore, RegistryService
from arkwright.testing import InMemoryTracking

pytestmark = [pytest.mark.postgres, pytest.mark.xdist_group("postgres")]


@pytest.fixture
def stand(
    postgres_url: str,
    clock: FixedClock,
    context: Context,
    object_store: ObjectStore,
    make_bundle: Callable[..., tuple[Path, str]],
    tmp_path: Path,
) -> Stand:
    database = Database(postgres_url, clock)
    database.migrate()
    governance, bundles, tracking = GovernanceService(), BundleStore(object_store), InMemoryTracking()
    registry = RegistryService(bundles, governance, tracking)
    shelf = Shelf(registry, governance, tracking, bundles, database, database.bound(context), make_bundle)
    return stand_on(shelf, clock, tmp_path)


def test_two_control_planes_take_a_bad_canary_back_once(stand: Stand) -> None:
    row = stand.canary()
    stand.clock.advance(6)
    stand.traffic(row, "stable", 100)
    stand.traffic(row, "canary", 40, errors=40)
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(stand.controller.tick) for _ in range(4)]:
            future.result()
    assert stand.history(row) == ["started", "rolled_back"]
    assert stand.split(row) == {"stable": 100.0}
    assert stand.shelf.stage_of(stand.candidate) == "staged"


def test_two_control_planes_promote_a_good_canary_once(stand: Stand) -> None:
    row = stand.canary(steps=[100], pause_seconds=0)
    stand.clock.advance(6)
    stand.traffic(row, "canary", 100)
    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(stand.controller.tick) for _ in range(4)]:
            future.result()
    assert stand.history(row) == ["started", "promoted"]
    assert stand.shelf.stage_of(stand.candidate) == "production"
    with stand.shelf.units.read() as unit:
        steps = [step.to_stage for step in stand.shelf.registry.history(unit, "churn")]
    assert steps.count("production") == 2


def test_the_second_active_rollout_of_a_deployment_is_refused_by_the_database(stand: Stand) -> None:
    from sqlalchemy.exc import IntegrityError

    from arkwright.deployments import repository, rollouts

    row = stand.canary()
    with pytest.raises(IntegrityError), stand.shelf.units.write() as unit:
        deployment = repository.deployment(unit.session, row.id)
        assert deployment is not None
        rollouts.begin(unit, deployment, stand.stable.id)
