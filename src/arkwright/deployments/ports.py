"""What rollouts need from others; the composition root fills it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MetricSums:
    """A metric over one arm's outcomes: how many, their sum, and the sum of their squares.

    ``accuracy`` sums ones and zeros, ``absolute_error`` distances, a business metric its values.
    """

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """The metric's value; 0 where there is no outcome."""
        return self.total / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class ArmOutcomes:
    """What became of the predictions of one arm, as far as the truth is known."""

    n: int = 0
    metrics: Mapping[str, MetricSums] = field(default_factory=dict)


class OutcomeSource(Protocol):
    """Outcomes joined to predictions, by arm."""

    def compare(
        self, workspace_id: str, deployment_id: str, since: datetime, arms: Sequence[str]
    ) -> Mapping[str, ArmOutcomes]:
        """Return each arm's outcomes of predictions made at or after ``since``; an arm without any may be missing.

        Parameters
        ----------
        arms
            Names of the arms to compare, such as ``stable`` and ``canary``.

        Returns
        -------
        Mapping
            For classification at least the metric ``accuracy`` (higher is better); for regression ``absolute_error``
            and ``squared_error`` (lower is better).
        """
        ...
