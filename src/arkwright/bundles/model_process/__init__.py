"""A general bundle's model in a process of its own, and a blocking way to ask it.

The model's libraries, and whatever its pickle may run, stay in the child: :mod:`.child` is started by name and never
imported. :mod:`.launch` starts it with a reduced environment, :mod:`.frames` is what goes over the socket, and
:class:`GeneralScorer` asks it from code that may wait. The data plane asks it without waiting
(``arkwright.serving.general``).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.bundles.model_process.launch import ModelProcess, launch_model
    from arkwright.bundles.model_process.scorer import GeneralScorer

_HOMES = {"GeneralScorer": "scorer", "ModelProcess": "launch", "launch_model": "launch"}

__all__ = ["GeneralScorer", "ModelProcess", "launch_model"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
