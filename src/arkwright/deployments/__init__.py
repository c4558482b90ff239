"""Desired state: which model version answers which endpoint, and the plan the data planes pull."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.deployments.batches import BatchService
    from arkwright.deployments.controller import RolloutController
    from arkwright.deployments.images import ImageService
    from arkwright.deployments.publishing import PlanPublisher
    from arkwright.deployments.routing import compile_endpoint
    from arkwright.deployments.service import DeploymentService
    from arkwright.deployments.windows import WindowService

_HOMES = {
    "BatchService": "batches",
    "DeploymentService": "service",
    "ImageService": "images",
    "PlanPublisher": "publishing",
    "RolloutController": "controller",
    "WindowService": "windows",
    "compile_endpoint": "routing",
}

__all__ = [
    "BatchService",
    "DeploymentService",
    "ImageService",
    "PlanPublisher",
    "RolloutController",
    "WindowService",
    "compile_endpoint",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
