"""The stages of a model version, and which may follow which.

::

    staged ──> canary ──> production ──> archived ──> deprecated
      │  <───────┘ │           ^            │ ^
      ├────────────┼───────────┘            │ │   staged -> production, archived -> production (rollback)
      └──> archived <── canary              └─┘   archived -> staged

Aliases are read in any case: ``staging`` and ``none`` mean staged, ``Production`` means production.
"""

from __future__ import annotations

from enum import StrEnum

from arkwright.core.errors import Conflict, Invalid


class Stage(StrEnum):
    """Where a version stands."""

    STAGED = "staged"
    CANARY = "canary"
    PRODUCTION = "production"
    ARCHIVED = "archived"
    DEPRECATED = "deprecated"


_ALIASES = {"staging": Stage.STAGED, "none": Stage.STAGED}

_ALLOWED = {
    Stage.STAGED: {Stage.CANARY, Stage.PRODUCTION, Stage.ARCHIVED},
    Stage.CANARY: {Stage.STAGED, Stage.PRODUCTION, Stage.ARCHIVED},
    Stage.PRODUCTION: {Stage.ARCHIVED},
    Stage.ARCHIVED: {Stage.STAGED, Stage.PRODUCTION, Stage.DEPRECATED},
    Stage.DEPRECATED: set[Stage](),
}


def parse_stage(text: str) -> Stage:
    """Read a stage or one of its aliases.

    Examples
    --------
    >>> parse_stage("Production"), parse_stage("staging")
    (<Stage.PRODUCTION: 'production'>, <Stage.STAGED: 'staged'>)

    Raises
    ------
    Invalid
        If it is neither.
    """
    lowered = text.strip().lower()
    if lowered in _ALIASES:
        return _ALIASES[lowered]
    try:
        return Stage(lowered)
    except ValueError:
        raise Invalid(
            f"{text!r} is not a stage.", code="stage.unknown", hint=f"Stages are {', '.join(stage for stage in Stage)}."
        ) from None


def check_transition(current: Stage, wanted: Stage) -> None:
    """Refuse a step the state machine does not have.

    Raises
    ------
    Conflict
        If ``wanted`` may not follow ``current``.
    """
    if wanted in _ALLOWED[current]:
        return
    if wanted is current:
        raise Conflict(
            f"The version is already in stage {current}.",
            code="stage.unchanged",
            hint="There is nothing to do; choose another stage or another version.",
        )
    onward = ", ".join(sorted(_ALLOWED[current])) or "nothing"
    raise Conflict(
        f"A version in stage {current} cannot go to {wanted}.",
        code="stage.illegal",
        hint=f"From {current} a version can go to: {onward}.",
    )
