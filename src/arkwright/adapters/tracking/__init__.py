"""Logbooks: MLflow 3 over its REST API, the embedded child or the user's own server."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.adapters.tracking.mlflow_rest import MlflowTracking

_HOMES = {"MlflowTracking": "mlflow_rest"}

__all__ = ["MlflowTracking"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
