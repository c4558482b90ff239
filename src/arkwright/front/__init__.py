"""What ``arkwright up`` adds: the one public port, and the processes behind it.

:func:`run` holds the home, binds the port, serves predictions inline, and supervises the control plane, the worker and
MLflow as children on unix sockets. :func:`start_background`, :func:`stop` and :func:`status` do the same from outside.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.front.background import start_background, status, stop
    from arkwright.front.foreground import run
    from arkwright.front.home import RunningPlatform

_HOMES = {
    "RunningPlatform": "home",
    "run": "foreground",
    "start_background": "background",
    "status": "background",
    "stop": "background",
}

__all__ = ["RunningPlatform", "run", "start_background", "status", "stop"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
