"""What an improvement costs: each resource that both models use, beside the change of the primary metric."""

from __future__ import annotations

import msgspec

from arkwright.core.errors import Invalid
from arkwright.core.written_numbers import signed, written
from arkwright.evaluation.comparison import MetricComparison
from arkwright.evaluation.comparison_words import written_change


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """What both models use of something, less being better: latency, size, memory, training cost, parameters.

    ``limit`` is an absolute ceiling for the candidate, ``limit_increase_percent`` one for the rise over the baseline.
    """

    name: str
    unit: str
    baseline: float | None
    candidate: float | None
    limit: float | None = None
    limit_increase_percent: float | None = None


class TradeOff(msgspec.Struct, frozen=True, kw_only=True):
    """A resource's change beside the primary metric's; ``within_limits`` is None where it is not known."""

    name: str
    unit: str
    baseline: float | None
    candidate: float | None
    change: float | None
    change_percent: float | None
    within_limits: bool | None
    detail: str


def weigh(item: Resource, primary: MetricComparison) -> TradeOff:
    """Work out a resource's change, and whether the candidate stays within its limits.

    Raises
    ------
    Invalid
        If what was measured is negative or not finite.
    """
    before, after = item.baseline, item.candidate
    for value in (before, after):
        if value is not None and not 0 <= value < float("inf"):
            raise Invalid(
                f"{item.name} cannot be {value:g} {item.unit}.",
                code="decision.resource",
                hint="Give what was measured, a finite number of at least 0, or None where it was not.",
            )
    change = after - before if before is not None and after is not None else None
    percent = 100.0 * change / before if change is not None and before else None
    limits: list[bool | None] = []
    if item.limit is not None:
        limits.append(None if after is None else after <= item.limit)
    if item.limit_increase_percent is not None:
        # From nothing to something is no percentage: over any limit, unless nothing was added.
        rise = percent if percent is not None or change is None else (0.0 if change == 0 else float("inf"))
        limits.append(None if rise is None else rise <= item.limit_increase_percent)
    within = False if False in limits else None if None in limits else True
    return TradeOff(
        name=item.name,
        unit=item.unit,
        baseline=before,
        candidate=after,
        change=change,
        change_percent=percent,
        within_limits=within,
        detail=_told(item, change, percent, within, primary),
    )


def _told(
    item: Resource, change: float | None, percent: float | None, within: bool | None, primary: MetricComparison
) -> str:
    if item.baseline is None or item.candidate is None or change is None:
        who = "the baseline" if item.baseline is None else "the candidate"
        known = f"{item.name} of {who} is not known"
        return f"{known}, so that its limit could not be checked." if within is None else f"{known}."
    share = f" ({signed(percent, 3)} %)" if percent else ""
    sentence = f"{item.name} goes from {written(item.baseline)} to {written(item.candidate)} {item.unit}{share}"
    if change == 0:
        sentence = f"{item.name} stays at {written(item.candidate)} {item.unit}"
    if primary.change.value is not None:
        sentence += f", for a change of {written_change(primary)} in {primary.title}"
    if within is False:
        ceilings = [f"{written(item.limit)} {item.unit}"] if item.limit is not None else []
        if item.limit_increase_percent is not None:
            ceilings.append(f"{signed(item.limit_increase_percent, 3)} %")
        sentence += f"; the limit is {' and '.join(ceilings)}"
    return sentence + "."
