"""Which project a new thing belongs to."""

from __future__ import annotations

from arkwright.core.context import DEFAULT_PROJECT_ID
from arkwright.core.errors import NotFound
from arkwright.kit.db import UnitOfWork
from arkwright.tenancy.tables import ProjectRow


def require_project(unit: UnitOfWork, project_id: str) -> str:
    """Return the project a request names, the default one where it names none.

    Raises
    ------
    NotFound
        If the workspace has no such project: what is filed under it would be found by nobody.
    """
    if not project_id or project_id == DEFAULT_PROJECT_ID:
        return DEFAULT_PROJECT_ID
    if unit.session.get(ProjectRow, (unit.context.workspace_id, project_id)) is None:
        raise NotFound(
            f"There is no project {project_id!r} in this workspace.",
            code="project.not_found",
            hint="GET /v1/projects lists them; leave project_id out for the default one.",
        )
    return project_id
