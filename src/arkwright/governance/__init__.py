"""Evidence, policy gates and lineage.

Evidence is what somebody learned about a bundle after it was built; it cites the bundle's digest. Gates read
evidence and facts, never the room that made them, and every decision is stored with its inputs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.governance.gates import Condition, GateDecision, decide_gate
    from arkwright.governance.service import GovernanceService

_HOMES = {
    "Condition": "gates",
    "GateDecision": "gates",
    "GovernanceService": "service",
    "decide_gate": "gates",
}

__all__ = ["Condition", "GateDecision", "GovernanceService", "decide_gate"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
