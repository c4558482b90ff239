"""The logbook in memory passes the suite of its port; the one in MLflow does in tests/integration."""

from __future__ import annotations

import pytest

from arkwright.testing import InMemoryTracking, TrackingStoreConformance
from arkwright.tracking import TrackingStore


class TestInMemoryTracking(TrackingStoreConformance):
    @pytest.fixture
    def store(self) -> TrackingStore:
        return InMemoryTracking()
