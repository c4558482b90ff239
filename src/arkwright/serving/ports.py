"""What a data plane needs from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from arkwright.contracts import PlanAcknowledgement, RoutePlan


@dataclass(frozen=True, slots=True)
class FetchedPlan:
    """A plan, and the state it was numbered by.

    ``epoch`` names the control plane's database. Generations are comparable within one epoch only: a new epoch is
    how a data plane learns that the control plane was reset and counts from the start again.
    """

    plan: RoutePlan
    epoch: str = ""


class PlanSource(Protocol):
    """Where plans come from and acknowledgements go."""

    async def fetch(self, after: int) -> FetchedPlan | None:
        """Return the current plan, or None if its generation is ``after``.

        Raises
        ------
        Unavailable
            If the control plane does not answer.
        """
        ...

    async def acknowledge(self, acknowledgement: PlanAcknowledgement) -> None:
        """Report what became of a plan.

        Raises
        ------
        Unavailable
            If the control plane does not answer.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
