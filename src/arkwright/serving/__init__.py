"""The data plane for models: answers predictions from the last good plan, with no database and no MLflow.

:class:`DataPlane` ties the parts together: the :class:`PlanHolder` pulls the route plan and prepares bundles beside the
ones in use, the :class:`Authenticator` knows keys by their hashes, the :class:`InferenceApp` sends each path to its
protocol and all of them to one core, and the :class:`PredictionLog` writes every scored row without ever making a
request wait.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.serving.app import InferenceApp
    from arkwright.serving.asgi import (
        ClientGone,
        Message,
        Receive,
        Scope,
        Send,
        header,
        read_body,
        request_id_of,
        respond,
        respond_json,
        respond_problem,
    )
    from arkwright.serving.auth import Authenticator, Principal
    from arkwright.serving.direct import direct_protocol
    from arkwright.serving.log import LoggedRequest, PredictionLog
    from arkwright.serving.plan import PlanHolder
    from arkwright.serving.plane import DataPlane
    from arkwright.serving.ports import FetchedPlan, PlanSource
    from arkwright.serving.source import HttpPlanSource, unix_transport
    from arkwright.serving.state import ServingState
    from arkwright.serving.store import BundleStore

_PLACES = {
    "Authenticator": "auth",
    "BundleStore": "store",
    "ClientGone": "asgi",
    "DataPlane": "plane",
    "FetchedPlan": "ports",
    "HttpPlanSource": "source",
    "InferenceApp": "app",
    "LoggedRequest": "log",
    "Message": "asgi",
    "PlanHolder": "plan",
    "PlanSource": "ports",
    "PredictionLog": "log",
    "Principal": "auth",
    "Receive": "asgi",
    "Scope": "asgi",
    "Send": "asgi",
    "ServingState": "state",
    "direct_protocol": "direct",
    "header": "asgi",
    "read_body": "asgi",
    "request_id_of": "asgi",
    "respond": "asgi",
    "respond_json": "asgi",
    "respond_problem": "asgi",
    "unix_transport": "source",
}

__all__ = [
    "Authenticator",
    "BundleStore",
    "ClientGone",
    "DataPlane",
    "FetchedPlan",
    "HttpPlanSource",
    "InferenceApp",
    "LoggedRequest",
    "Message",
    "PlanHolder",
    "PlanSource",
    "PredictionLog",
    "Principal",
    "Receive",
    "Scope",
    "Send",
    "ServingState",
    "direct_protocol",
    "header",
    "read_body",
    "request_id_of",
    "respond",
    "respond_json",
    "respond_problem",
    "unix_transport",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
