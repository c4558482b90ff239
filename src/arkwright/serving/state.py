"""What a data plane serves at one moment: an immutable snapshot, replaced in one assignment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from arkwright.bundles import LoadedBundle
from arkwright.contracts import Arm, Credential, Endpoint, RoutePlan
from arkwright.serving.ports import ServableModel
from arkwright.serving.traffic import Split

if TYPE_CHECKING:
    from arkwright.serving.runtime import EndpointRuntime

_HEADER = "header:"


@dataclass(frozen=True, slots=True)
class LiveArm:
    """A model version that is loaded, the names its requests may log, and what answers."""

    arm: Arm
    bundle: LoadedBundle
    feature_names: tuple[str, ...]
    model: ServableModel


@dataclass(frozen=True, slots=True)
class LiveEndpoint:
    """A deployment that answers.

    Parameters
    ----------
    endpoint
        As the plan has it.
    arms
        Those of its live arms that are loaded; the first one is where the units of any other go when it cannot answer.
    shadows, fallback
        Those of its shadow arms and of its fallback that are loaded.
    runtime
        What outlives a change of plan: counts, breakers, fuses.

    Attributes
    ----------
    inline
        Whether every arm and the fallback may run on the event loop.
    typed
        Whether a request of one row may be answered without its rows being read into a dictionary: every arm is
        inline, and nothing else (a shadow, the cache, the unit, redaction) needs to see the rows.
    unit_header, unit_column
        Where a request's unit is found; neither of them where each request is a unit of its own.
    """

    endpoint: Endpoint
    arms: tuple[LiveArm, ...]
    shadows: tuple[LiveArm, ...]
    fallback: LiveArm | None
    runtime: EndpointRuntime
    inline: bool = field(init=False)
    typed: bool = field(init=False)
    unit_header: bytes | None = field(init=False)
    unit_column: str | None = field(init=False)
    _split: Split = field(init=False)
    _targets: tuple[LiveArm, ...] = field(init=False)

    def __post_init__(self) -> None:
        endpoint = self.endpoint
        answering = self.arms if self.fallback is None else (*self.arms, self.fallback)
        named = endpoint.unit.startswith(_HEADER)
        header = endpoint.unit.removeprefix(_HEADER) if named else ""
        column = "" if named or endpoint.unit == "request" else endpoint.unit
        planned = [arm for arm in endpoint.arms if arm.mode == "live"]
        loaded = {live.arm.name: live for live in self.arms}
        first = self.arms[0] if self.arms else None
        inline = all(live.model.inline for live in answering)
        seen = bool(self.shadows or column or endpoint.cache_seconds > 0.0 or endpoint.log.redact)
        derived = {
            "inline": inline,
            "typed": inline and not seen,
            "unit_header": header.strip().lower().encode("latin-1", "replace") or None,
            "unit_column": column or None,
            "_split": Split([arm.traffic_percent for arm in planned], endpoint.deployment_id, endpoint.salt),
            # The units of an arm that is not loaded go to the first one, and no other unit moves.
            "_targets": tuple(loaded.get(arm.name, first) for arm in planned),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def assigned(self, unit: str) -> LiveArm:
        """Return the arm that a unit belongs to, whatever state it is in."""
        return self._targets[self._split.index(unit)]

    def loaded(self) -> Iterator[LiveArm]:
        """Yield whatever it has in memory."""
        yield from self.arms
        yield from self.shadows
        if self.fallback is not None:
            yield self.fallback

    def as_served(self) -> Endpoint:
        """Return the endpoint without the live arms that could not be loaded."""
        names = {live.arm.name for live in self.arms}
        kept = tuple(arm for arm in self.endpoint.arms if arm.mode != "live" or arm.name in names)
        return msgspec.structs.replace(self.endpoint, arms=kept)


@dataclass(frozen=True, slots=True)
class Failure:
    """An endpoint that should answer and cannot, or not with all its arms, whose it is, and why."""

    workspace_id: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ServingState:
    """Everything a request needs.

    ``generation`` is -1 until a plan is in use. ``failed`` has the endpoints that should answer and cannot, or not with
    all their arms, by id.
    """

    generation: int = -1
    epoch: str = ""
    endpoints: dict[str, LiveEndpoint] = field(default_factory=dict)
    failed: dict[str, Failure] = field(default_factory=dict)
    credentials: dict[str, Credential] = field(default_factory=dict)
    workspaces: dict[str, str] = field(default_factory=dict)
    protected_model_ids: frozenset[str] = frozenset()

    def plan(self) -> RoutePlan:
        """Return the plan that describes what is served, which may lag behind the one that was asked for."""
        return RoutePlan(
            generation=self.generation,
            endpoints={key: live.as_served() for key, live in self.endpoints.items()},
            credentials=tuple(self.credentials.values()),
            workspaces=self.workspaces,
            protected_model_ids=tuple(sorted(self.protected_model_ids)),
        )
