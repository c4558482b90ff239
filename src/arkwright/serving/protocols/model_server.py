"""The model server's paths: ``POST /predict``, ``GET /models``, ``POST /reload``.

A body of ``/predict`` is ``{"instances": [{...}]}`` or ``{"inputs": [{...}]}``, and may name its ``"deployment"`` (or
``"model"``); else the address does, or the workspace has only one.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from arkwright.core.errors import Invalid
from arkwright.serving.asgi import Receive
from arkwright.serving.auth import Authenticator
from arkwright.serving.catalogue import Catalogue
from arkwright.serving.exchange import Reply, Request
from arkwright.serving.instances import check_count, check_unique, decode_shape
from arkwright.serving.plan import PlanHolder
from arkwright.serving.protocols.selection import named_beside_the_body
from arkwright.serving.protocols.v1 import Predict
from arkwright.serving.state import LiveEndpoint

_HINT = 'Send {"instances": [{"column": value, ...}, ...]} or {"inputs": [...]}, as JSON.'
_encode = msgspec.json.Encoder().encode


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    instances: list[dict[str, Any]] | None = None
    inputs: list[dict[str, Any]] | None = None
    deployment: str = ""
    model: str = ""


_decoder = msgspec.json.Decoder(_Body)


class PredictSync(Predict):
    """``POST /predict``."""

    name: ClassVar[str] = "model_server"

    def select(self, request: Request) -> None:
        """Look for the deployment beside the body."""
        request.named = named_beside_the_body(request)

    def parse(self, request: Request) -> None:
        """Read the body, which may name the deployment."""
        body: _Body = decode_shape(_decoder, request.body, _HINT)
        if (body.instances is None) == (body.inputs is None):
            found = "neither" if body.instances is None else "both"
            raise Invalid(
                f"The body has {found} of 'instances' and 'inputs': it needs one.",
                code="prediction.malformed",
                hint=_HINT,
                errors=[{"field": "instances", "message": "is missing" if found == "neither" else "comes twice"}],
            )
        request.document = rows = body.instances if body.instances is not None else body.inputs
        request.named = request.named or body.deployment or body.model
        n_names = sum(map(len, rows or ())) + 1 + bool(body.deployment) + bool(body.model)
        check_unique(request.body, n_names)

    def rows_at_most(self, request: Request) -> int:
        """Return how many instances there are."""
        return len(request.document)

    def rows(self, request: Request, live: LiveEndpoint) -> list[dict[str, Any]]:  # noqa: ARG002 - see Adapter
        """Return the instances."""
        rows: list[dict[str, Any]] = request.document
        check_count(len(rows), request.max_rows)
        return rows

    def slices(self, request: Request, live: LiveEndpoint) -> Any:
        """Yield the instances, which are decoded already."""
        yield self.rows(request, live)


class Models:
    """``GET /models``: what the caller's workspace has deployed here."""

    def __init__(self, authenticator: Authenticator, catalogue: Catalogue) -> None:
        self._authenticator = authenticator
        self._catalogue = catalogue

    async def __call__(self, request: Request, _receive: Receive) -> Reply:
        """Answer a list."""
        principal = await self._authenticator.authenticate(request.scope)
        served = self._catalogue.of_workspace(principal.workspace_id)
        return Reply(_encode({"models": [describe(live) for live in served]}))


class Reload:
    """``POST /reload``: look for a newer plan now."""

    def __init__(self, authenticator: Authenticator, catalogue: Catalogue, holder: PlanHolder) -> None:
        self._authenticator = authenticator
        self._catalogue = catalogue
        self._holder = holder

    async def __call__(self, request: Request, _receive: Receive) -> Reply:
        """Pull the plan, wait for its bundles, and say what is served."""
        principal = await self._authenticator.authenticate(request.scope)
        await self._holder.refresh(endpoints=True)
        state = self._holder.state
        served = self._catalogue.of_workspace(principal.workspace_id)
        document = {
            "generation": state.generation,
            "control_plane_reachable": self._holder.reachable,
            "models": [describe(live) for live in served],
        }
        return Reply(_encode(document))


def describe(live: LiveEndpoint) -> dict[str, Any]:
    """Return a deployment as a list shows it."""
    endpoint = live.endpoint
    return {
        "id": endpoint.deployment_id,
        "name": endpoint.name,
        "model": endpoint.model_name,
        "strategy": endpoint.strategy,
        "arms": [
            {"name": one.arm.name, "version": one.arm.semver, "traffic_percent": one.arm.traffic_percent}
            for one in live.arms
        ],
    }
