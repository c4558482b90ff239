"""Where a request of a protocol without deployments in its paths says which one it means."""

from __future__ import annotations

from arkwright.serving.exchange import Request

HEADER = b"x-arkwright-deployment"


def named_beside_the_body(request: Request) -> str:
    """Return the deployment in ``?deployment=`` or in the header ``X-Arkwright-Deployment``; empty if there is none."""
    if request.scope["query_string"]:
        named = request.query(b"deployment")
        if named:
            return named
    return request.headers.get(HEADER, b"").decode("utf-8", "replace")
