"""May this actor do this? Deny by default.

There is one role for now, ``admin``, which may do everything in its own workspace; the platform itself
(``system``) may too. Every other role may do nothing, until the roles arrive.
"""

from __future__ import annotations

from arkwright.core.context import Actor
from arkwright.core.errors import NotPermitted
from arkwright.kit.db import UnitOfWork


def permitted(actor: Actor, action: str) -> bool:
    """Tell whether an actor may do a dotted action such as ``model.promote`` in its workspace.

    Examples
    --------
    >>> permitted(Actor("user_1", "user", "admin"), "model.promote")
    True
    >>> permitted(Actor("user_2", "user", "guest"), "model.promote")
    False
    """
    return bool(action) and (actor.kind == "system" or actor.role == "admin")


def authorise(unit: UnitOfWork, action: str, entity_type: str, entity_id: str = "") -> None:
    """Refuse unless the unit's actor may do the action.

    Raises
    ------
    NotPermitted
        If not.
    """
    if not unit.context.workspace_id or not permitted(unit.context.actor, action):
        thing = f"{entity_type} {entity_id}".strip()
        raise NotPermitted(
            f"{unit.context.actor.id} may not {action} on {thing}.",
            hint="Ask an administrator of the workspace for a role that allows it.",
        )
