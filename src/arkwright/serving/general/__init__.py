"""The honest way to serve a model that could not be compiled: in a process of its own, many requests at a time.

:class:`GeneralModel` starts the process, gathers what arrives while it works into the next batch, and gives every
caller the scores of its own rows. A model that hangs is ended, one that dies is started again, and neither takes the
server along.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.serving.general.model import GeneralModel

_HOMES = {"GeneralModel": "model"}

__all__ = ["GeneralModel"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
