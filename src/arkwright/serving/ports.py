"""What a data plane needs from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from arkwright.bundles import TypedRow
from arkwright.contracts import PlanAcknowledgement, RoutePlan, WindowReport


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

    async def report(self, report: WindowReport) -> None:
        """Say what happened in the last seconds.

        Raises
        ------
        Unavailable
            If the control plane does not answer.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class ServableModel(Protocol):
    """A model that answers rows, wherever it runs.

    ``inline`` models answer within microseconds and run on the event loop; the others are awaited. ``Invalid`` is the
    caller's fault, as is ``Unavailable`` a matter of load or of starting up; anything else is the model's.
    """

    inline: bool

    def predict_rows(self, rows: list[dict[str, Any]], *, with_scores: bool = False) -> list[dict[str, Any]]:
        """Check and answer rows at once; inline models only."""
        ...

    async def predict_rows_async(
        self, rows: list[dict[str, Any]], *, with_scores: bool = False, timeout_seconds: float
    ) -> list[dict[str, Any]]:
        """Check and answer rows without holding up the event loop."""
        ...

    def read_row(self, body: bytes) -> TypedRow | None:
        """Read the body of a request with one row; None if it must be read some other way; inline models only."""
        ...

    def answer_row(self, typed: TypedRow) -> dict[str, Any]:
        """Answer a row that was read; inline models only."""
        ...

    def explain_rows(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what each column added to each row's score.

        Raises
        ------
        Invalid
            If the model cannot say.
        """
        ...

    async def start(self) -> None:
        """Make it ready to answer."""
        ...

    async def close(self) -> None:
        """Let go of what it holds; no request is being answered, and none will be."""
        ...
