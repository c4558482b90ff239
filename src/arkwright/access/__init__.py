"""Who may do what, and the record that it was done.

Every service calls both: :func:`authorise` before it loads, :func:`record` in the commit that changed something.
The record is a hash chain for each workspace: :func:`verify_chain` finds, offline, an entry that was altered, removed
or put in. Whoever can write to the database could cut the newest entries off together with the recorded head: compare
the head with one that was noted elsewhere.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arkwright.access.audit import AuditTrail, record
    from arkwright.access.authorisation import authorise, permitted
    from arkwright.access.chain import ChainEntry, ChainVerdict, canonical, verify_chain

_HOMES = {
    "AuditTrail": "audit",
    "record": "audit",
    "authorise": "authorisation",
    "permitted": "authorisation",
    "ChainEntry": "chain",
    "ChainVerdict": "chain",
    "canonical": "chain",
    "verify_chain": "chain",
}

__all__ = ["AuditTrail", "ChainEntry", "ChainVerdict", "authorise", "canonical", "permitted", "record", "verify_chain"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
