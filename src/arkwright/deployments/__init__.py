"""Desired state: which model version answers which endpoint, and the plan the data planes pull."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.deployments.publishing import PlanPublisher
    from arkwright.deployments.routing import compile_endpoint
    from arkwright.deployments.service import BatchService, DeploymentService

_HOMES = {
    "BatchService": "service",
    "DeploymentService": "service",
    "PlanPublisher": "publishing",
    "compile_endpoint": "routing",
}

__all__ = ["BatchService", "DeploymentService", "PlanPublisher", "compile_endpoint"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
