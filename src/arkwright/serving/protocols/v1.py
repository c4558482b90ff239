"""The platform's own protocol: ``POST /v1/inference/{deployment}:predict`` and ``:explain``.

``{"instances": [{...}]}`` is answered with ``{"predictions": [...], "latency_ms", "model_version", "arm",
"request_id"}``, and with ``"fallback"`` where one answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from arkwright.serving.exchange import Adapter, Reply, Request, Scored
from arkwright.serving.instances import decode_instances, decode_slices
from arkwright.serving.state import LiveEndpoint

PREFIX = "/v1/inference/"
_SLICE_ROWS = 100
_encode = msgspec.json.Encoder().encode


class Predict(Adapter):
    """``:predict``; ``?scores=true`` adds every class's score to a multiclass answer."""

    name: ClassVar[str] = "v1"
    typed: ClassVar[bool] = True

    def select(self, request: Request) -> None:
        """Read the deployment from the path; whoever routed here has checked its shape."""
        path: str = request.scope["path"]
        request.named = path[len(PREFIX) : path.rindex(":")]

    def rows(self, request: Request, live: LiveEndpoint) -> list[dict[str, Any]]:  # noqa: ARG002 - see Adapter
        """Return the instances."""
        return decode_instances(request.body, request.max_rows)

    def slices(self, request: Request, live: LiveEndpoint) -> Iterator[list[dict[str, Any]]]:  # noqa: ARG002 - same
        """Yield the instances, some at a time."""
        return decode_slices(request.body, request.max_rows, _SLICE_ROWS)

    def with_scores(self, request: Request) -> bool:
        """Read ``?scores=true``."""
        return bool(request.scope["query_string"]) and request.query(b"scores") == "true"

    def reply(self, request: Request, scored: Scored) -> Reply:
        """Return the predictions and who made them."""
        document = {
            "predictions": scored.predictions,
            "latency_ms": scored.latency_ms,
            "model_version": scored.version,
            "arm": scored.arm_name,
            "request_id": request.request_id,
        }
        if scored.fallback:
            document["fallback"] = scored.fallback
        return Reply(_encode(document))


class Explain(Predict):
    """``:explain``: each prediction with what each column added to its score."""

    name: ClassVar[str] = "v1.explain"
    explains: ClassVar[bool] = True

    def reply(self, request: Request, scored: Scored) -> Reply:
        """Return each prediction's members and its explanation's side by side."""
        flat = [
            {**each["prediction"], **{name: value for name, value in each.items() if name != "prediction"}}
            for each in scored.predictions
        ]
        return super().reply(request, msgspec.structs.replace(scored, predictions=flat))
