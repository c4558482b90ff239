"""What differs between two states of a deployment, member by member: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """One member that differs; None stands for one that is not there."""

    field: str
    before: Any
    after: Any


def changes_between(before: Mapping[str, Any], after: Mapping[str, Any], where: str = "") -> list[Change]:
    """Return the members that differ, in the order of their names; objects are compared member by member.

    A member that is missing, null or an empty object is the same thing.

    Examples
    --------
    >>> changes_between({"slos": {"latency_ms_p95": 500}}, {"slos": {"latency_ms_p95": 120}, "cache_seconds": 5})
    [Change(field='cache_seconds', before=None, after=5), Change(field='slos.latency_ms_p95', before=500, after=120)]
    >>> changes_between({"log": {}}, {"strategy": None})
    []
    """
    found: list[Change] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) or isinstance(new, Mapping):
            nested = changes_between(
                old if isinstance(old, Mapping) else {}, new if isinstance(new, Mapping) else {}, f"{where}{name}."
            )
            found += nested
        elif old != new:
            found.append(Change(f"{where}{name}", old, new))
    return found
