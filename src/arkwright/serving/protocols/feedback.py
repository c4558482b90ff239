"""``POST /v1/inference/{deployment}:feedback``: the way of outcomes to :class:`~arkwright.serving.feedback`."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from arkwright.core.errors import Unavailable
from arkwright.serving.asgi import Receive
from arkwright.serving.auth import Authenticator
from arkwright.serving.core import InferenceCore
from arkwright.serving.errors import UnsupportedMediaType
from arkwright.serving.exchange import JSON_TYPE, Reply, Request
from arkwright.serving.feedback import FeedbackHandler
from arkwright.serving.log import PredictionLog
from arkwright.serving.protocols.v1 import PREFIX

_encode = msgspec.json.Encoder().encode


class Feedback:
    """Takes a request with outcomes; it needs a slot as a prediction does, so that neither can crowd out the other.

    Parameters
    ----------
    log
        Where the outcomes are kept.
    """

    def __init__(self, authenticator: Authenticator, core: InferenceCore, log: PredictionLog) -> None:
        self._authenticator = authenticator
        self._core = core
        self._keep = FeedbackHandler(log)

    async def __call__(self, request: Request, receive: Receive) -> Reply:
        """Answer 202 once the outcomes are on the disk."""
        if not self._core.ready:
            raise Unavailable(
                "This data plane has no plan yet.",
                code="plan.missing",
                retry_after_seconds=1,
                hint="Try again in a second.",
            )
        principal = await self._authenticator.authenticate(request.scope)
        path: str = request.scope["path"]
        live = await self._core.catalogue.find(path[len(PREFIX) : path.rindex(":")], principal)
        media_type = request.headers.get(b"content-type", JSON_TYPE).partition(b";")[0].strip().lower()
        if media_type != JSON_TYPE or b"content-encoding" in request.headers:
            raise UnsupportedMediaType(
                "Feedback is plain JSON.",
                hint="Send it uncompressed, with the header 'Content-Type: application/json'.",
            )
        self._core.slots.acquire(principal.actor_id)
        try:
            body = await self._core.bodies.read(request, receive)
            kept = await self._keep(request.scope, body, principal, live)
        finally:
            self._core.slots.release(principal.actor_id)
        return Reply(_encode(kept), HTTPStatus.ACCEPTED)
