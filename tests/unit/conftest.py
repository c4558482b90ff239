"""Fixtures of the rooms' tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from arkwright.core.context import Context
from arkwright.governance import GovernanceService
from arkwright.kit.db import Database
from arkwright.kit.objects import ObjectStore
from arkwright.registry import BundleStore, RegistryService
from arkwright.testing import InMemoryTracking
from tests.unit.shelf import Shelf


@pytest.fixture
def shelf(
    database: Database,
    context: Context,
    object_store: ObjectStore,
    make_bundle: Callable[..., tuple[Path, str]],
) -> Shelf:
    governance = GovernanceService()
    bundles = BundleStore(object_store)
    tracking = InMemoryTracking()
    registry = RegistryService(bundles, governance, tracking)
    return Shelf(registry, governance, tracking, bundles, database, database.bound(context), make_bundle)
