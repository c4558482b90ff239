"""Arkwright from Python: a typed client of the REST interface.

::

    from arkwright.sdk import Client

    with Client() as client:
        model = client.train("telco_churn.csv", target="Churn", budget="60s")

The errors are those of :mod:`arkwright.core.errors`; the shapes of the answers are in :mod:`arkwright.sdk.types`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.core.errors import (
        AdapterError,
        ArkwrightError,
        Conflict,
        Invalid,
        NotAuthenticated,
        NotFound,
        NotPermitted,
        PolicyRefused,
        Unavailable,
    )
    from arkwright.sdk.client import Client
    from arkwright.sdk.connection import Connection, find_connection, pointer_path
    from arkwright.sdk.training import TrainedModel, Training

_HOMES = {
    "AdapterError": "arkwright.core.errors",
    "ArkwrightError": "arkwright.core.errors",
    "Client": "arkwright.sdk.client",
    "Conflict": "arkwright.core.errors",
    "Connection": "arkwright.sdk.connection",
    "Invalid": "arkwright.core.errors",
    "NotAuthenticated": "arkwright.core.errors",
    "NotFound": "arkwright.core.errors",
    "NotPermitted": "arkwright.core.errors",
    "PolicyRefused": "arkwright.core.errors",
    "TrainedModel": "arkwright.sdk.training",
    "Training": "arkwright.sdk.training",
    "Unavailable": "arkwright.core.errors",
    "find_connection": "arkwright.sdk.connection",
    "pointer_path": "arkwright.sdk.connection",
}

__all__ = [
    "AdapterError",
    "ArkwrightError",
    "Client",
    "Conflict",
    "Connection",
    "Invalid",
    "NotAuthenticated",
    "NotFound",
    "NotPermitted",
    "PolicyRefused",
    "TrainedModel",
    "Training",
    "Unavailable",
    "find_connection",
    "pointer_path",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
