"""What training a model took, and what that costs.

The time is that of the run that made the bundle: the chosen candidate on every fold, and its fit on all training rows.
The other candidates of the search are not in it, for a retraining need not repeat them.

A training holds all processors it was given from beginning to end. It is priced at the cheapest machine of the price
table that has as many: hours times the machine's price, as a cloud bills them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from arkwright.core.structs import prepared
from arkwright.evaluation.resources import InstanceType

_SECONDS_PER_HOUR = 3600.0


class TrainingEffort(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds by the clock on the wall, and how many processors were held meanwhile."""

    seconds: float
    processors: int


class TrainingCost(msgspec.Struct, frozen=True, kw_only=True):
    """A training's cost, and the machine whose price it is."""

    usd: float
    instance: str


def training_cost(effort: TrainingEffort, prices: Sequence[InstanceType]) -> TrainingCost | None:
    """Price a training at the cheapest machine with as many processors; None where the table has none.

    Examples
    --------
    >>> small = InstanceType(name="small", vcpus=2, memory_gb=4, usd_per_hour=0.05)
    >>> large = InstanceType(name="large", vcpus=8, memory_gb=32, usd_per_hour=0.40)
    >>> training_cost(TrainingEffort(seconds=1800, processors=4), [small, large])
    TrainingCost(usd=0.2, instance='large')
    >>> training_cost(TrainingEffort(seconds=1800, processors=16), [small, large]) is None
    True
    """
    fitting = [each for each in prices if each.vcpus >= effort.processors]
    if not fitting:
        return None
    cheapest = min(fitting, key=lambda each: (each.usd_per_hour, each.vcpus, each.name))
    return TrainingCost(usd=effort.seconds / _SECONDS_PER_HOUR * cheapest.usd_per_hour, instance=cheapest.name)


prepared(TrainingEffort)
