"""Which arm a request asks for: by the version it names, or by the unit it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from arkwright.core.errors import NotFound
from arkwright.serving.exchange import Request
from arkwright.serving.state import LiveArm, LiveEndpoint


def choose_arm(live: LiveEndpoint, request: Request, rows: Sequence[dict[str, Any]]) -> LiveArm:
    """Return the arm that answers a request."""
    chosen = _pinned(live, request) if request.version else None
    if chosen is None:
        unit = _unit(live, request, rows) if live.unit_column or live.unit_header else None
        chosen = live.runtime.choose(live, request.request_id, unit)
    request.answering = chosen.arm.semver
    return chosen


def _pinned(live: LiveEndpoint, request: Request) -> LiveArm:
    """Return the arm whose version a request names."""
    for one in live.arms:
        if request.version in (one.arm.semver, str(one.arm.number)):
            return one
    served = ", ".join(one.arm.semver for one in live.arms)
    raise NotFound(
        f"The deployment {live.endpoint.name!r} does not answer with version {request.version!r}: it has {served}.",
        code="model_version.not_found",
        hint="Leave the version out, or name one of these.",
    )


def _unit(live: LiveEndpoint, request: Request, rows: Sequence[dict[str, Any]]) -> str | None:
    """Return what stays with its arm: the value of a header, or of a column of the first row."""
    if live.unit_header is not None:
        given = request.headers.get(live.unit_header)
        return given.decode("latin-1") if given else None
    if live.unit_column is None or not rows:
        return None
    value = rows[0].get(live.unit_column)
    return None if value is None else str(value)
