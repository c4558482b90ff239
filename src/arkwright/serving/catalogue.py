"""The deployments a caller can see, by id and by name."""

from __future__ import annotations

from arkwright.core.errors import Invalid, NotFound, Unavailable
from arkwright.serving.auth import Principal
from arkwright.serving.plan import PlanHolder
from arkwright.serving.state import Failure, LiveEndpoint, ServingState


class Catalogue:
    """Finds deployments in the plan that is served.

    Another workspace's deployment does not exist for a caller.
    """

    def __init__(self, holder: PlanHolder) -> None:
        self._holder = holder
        self._indexed: ServingState | None = None
        self._by_name: dict[tuple[str, str], LiveEndpoint] = {}

    def known(self, named: str, workspace_id: str) -> LiveEndpoint | None:
        """Return a deployment by id or name if it is served now."""
        live = self._holder.state.endpoints.get(named)
        if live is not None:
            return live if live.endpoint.workspace_id == workspace_id else None
        return self._names().get((workspace_id, named))

    async def find(self, named: str, principal: Principal) -> LiveEndpoint:
        """Return a deployment by id or name; one made a moment ago is looked for at the control plane.

        Raises
        ------
        NotFound
            If this workspace has none of that name.
        Unavailable
            If it has one, and no model of it could be loaded.
        """
        live = self.known(named, principal.workspace_id)
        if live is None and self._failure(named, principal.workspace_id) is None:
            await self._holder.refresh(endpoints=True)
            live = self.known(named, principal.workspace_id)
        if live is not None:
            return live
        failure = self._failure(named, principal.workspace_id)
        if failure is not None:
            raise Unavailable(
                f"The deployment {named!r} has no model that can be served ({failure.reason}).",
                code="deployment.unavailable",
                hint="Promote or deploy a version whose bundle verifies; the preparation is also tried again.",
                retry_after_seconds=5,
            )
        raise NotFound(
            f"There is no deployment {named!r} in this workspace.",
            code="deployment.not_found",
            hint="List the deployments with GET /v1/deployments.",
        )

    def only(self, principal: Principal) -> LiveEndpoint:
        """Return the workspace's one deployment, for a request that names none.

        Raises
        ------
        Invalid
            If there are several, or none; it lists their names.
        """
        served = self.of_workspace(principal.workspace_id)
        if len(served) == 1:
            return served[0]
        names = ", ".join(live.endpoint.name for live in served)
        raise _Unnamed(
            f"The request names no deployment, and this workspace has {len(served) or 'none'}"
            f"{f': {names}' if names else ''}.",
            code="deployment.unnamed",
            hint="Add ?deployment=<name or id> to the address.",
            errors=[{"field": "deployment", "message": f"is missing: one of {names}" if names else "is missing"}],
        )

    def of_workspace(self, workspace_id: str) -> list[LiveEndpoint]:
        """Return the deployments of a workspace that answer, by name."""
        served = [live for live in self._holder.state.endpoints.values() if live.endpoint.workspace_id == workspace_id]
        return sorted(served, key=lambda live: live.endpoint.name)

    def _failure(self, named: str, workspace_id: str) -> Failure | None:
        """Return why a workspace's deployment does not answer, by its id or name."""
        failed = self._holder.state.failed
        failure = failed.get(named)
        if failure is not None and failure.workspace_id == workspace_id:
            return failure
        return next((one for one in failed.values() if (one.workspace_id, one.name) == (workspace_id, named)), None)

    def _names(self) -> dict[tuple[str, str], LiveEndpoint]:
        state = self._holder.state
        if state is not self._indexed:
            endpoints = state.endpoints.values()
            self._by_name = {(live.endpoint.workspace_id, live.endpoint.name): live for live in endpoints}
            self._indexed = state
        return self._by_name


class _Unnamed(Invalid):
    """The request does not say which deployment is meant."""

    status = 400
