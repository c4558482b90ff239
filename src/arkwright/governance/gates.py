"""A gate: named conditions, all of which must be met. Deny by default.

A gate without conditions refuses: nothing passes because nobody thought of a rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arkwright.core.errors import PolicyRefused


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that must hold, whether it does, and why, in a sentence."""

    name: str
    met: bool
    detail: str


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What a gate said about an entity."""

    gate: str
    allowed: bool
    conditions: tuple[Condition, ...]

    @property
    def unmet(self) -> list[str]:
        """One sentence for each condition that does not hold."""
        return [condition.detail for condition in self.conditions if not condition.met]

    def enforce(self, what: str) -> None:
        """Raise unless allowed.

        Raises
        ------
        PolicyRefused
            With every unmet condition.
        """
        if not self.allowed:
            reasons = " ".join(self.unmet) or "The gate has no conditions, so it allows nothing."
            raise PolicyRefused(
                f"{what} was refused by the gate {self.gate!r}: {reasons}",
                unmet=self.unmet,
                code=f"gate.{self.gate}",
                hint="Mend what is listed and try again; the decision is kept in the audit log.",
            )


def decide_gate(gate: str, conditions: Sequence[Condition]) -> GateDecision:
    """Allow if there are conditions and every one of them is met.

    Examples
    --------
    >>> decide_gate("promotion", [Condition("beats_baseline", True, "AUC 0.84 beats 0.50.")]).allowed
    True
    >>> decide_gate("promotion", []).allowed
    False
    """
    allowed = bool(conditions) and all(condition.met for condition in conditions)
    return GateDecision(gate, allowed, tuple(conditions))
