"""Who is asking, in which workspace.

A :class:`Context` travels from the edge of a request or a job down to the database, where it decides
which rows exist. Code without a context reaches no tenant's data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

DEFAULT_WORKSPACE_ID = "ws_00000000000000000000000000"
DEFAULT_PROJECT_ID = "proj_00000000000000000000000000"


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, a service account or the platform itself."""

    id: str
    kind: str  # user | api_key | system
    role: str = "admin"


SYSTEM = Actor(id="system", kind="system")


@dataclass(frozen=True, slots=True)
class Context:
    """The actor, the workspace and the request an action belongs to."""

    actor: Actor
    workspace_id: str
    request_id: str = ""

    def acting_as(self, actor: Actor) -> Context:
        """Return the same context for another actor."""
        return replace(self, actor=actor)


def system_context(workspace_id: str, request_id: str = "") -> Context:
    """Return the context in which the platform itself works for a workspace."""
    return Context(actor=SYSTEM, workspace_id=workspace_id, request_id=request_id)
