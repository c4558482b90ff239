"""What proves an adapter: conformance suites, and stand-ins that pass them. Ships to users.

A suite is a class of pytest tests for one port. Subclass it and give it a fixture that makes your adapter::

    class TestMyLogbook(TrackingStoreConformance):
        @pytest.fixture
        def store(self):
            return MyLogbook(...)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.testing.memory_tracking import InMemoryTracking
    from arkwright.testing.tracking_suite import TrackingStoreConformance, sample_publication, sample_trial

_HOMES = {
    "InMemoryTracking": "memory_tracking",
    "TrackingStoreConformance": "tracking_suite",
    "sample_publication": "tracking_suite",
    "sample_trial": "tracking_suite",
}

__all__ = ["InMemoryTracking", "TrackingStoreConformance", "sample_publication", "sample_trial"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
