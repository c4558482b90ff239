"""Plans over HTTP, from the control plane's unix socket."""

from __future__ import annotations

import ssl
from http import HTTPStatus
from pathlib import Path

import httpx
import msgspec

from arkwright.contracts import PlanAcknowledgement, RoutePlan, WindowReport
from arkwright.core.errors import Unavailable
from arkwright.serving.ports import FetchedPlan

INTERNAL_HEADER = "X-Arkwright-Internal"
EPOCH_HEADER = "X-Arkwright-Epoch"

_TIMEOUT_SECONDS = 2.0
_decoder = msgspec.json.Decoder(RoutePlan)


def unix_transport(socket: Path, limits: httpx.Limits | None = None) -> httpx.AsyncHTTPTransport:
    """Return a transport to a unix socket.

    It is given an empty TLS context, which it will never use: by itself it would load every certificate authority
    this machine knows, which takes up to 100 ms in which the event loop answers nobody.
    """
    return httpx.AsyncHTTPTransport(
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), uds=str(socket), limits=limits or httpx.Limits()
    )


class HttpPlanSource:
    """The control plane behind a unix socket.

    ``GET /internal/plan?after=<generation>`` answers 200 with a plan, or 204 when that generation is the current one;
    ``POST /internal/plan/ack`` takes the acknowledgement and ``POST /internal/windows`` the reports. All carry the
    shared token.

    A 204 names the epoch too: a control plane that was reset and has come to the same generation by another way has
    another plan, which is then asked for.
    """

    def __init__(self, socket: Path, token: str) -> None:
        self._client = httpx.AsyncClient(
            transport=unix_transport(socket),
            base_url="http://localhost",
            headers={INTERNAL_HEADER: token},
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
        )
        self._epoch = ""

    async def fetch(self, after: int) -> FetchedPlan | None:
        """Return the current plan, or None if its generation is ``after``."""
        answer = await self._get(after)
        epoch = answer.headers.get(EPOCH_HEADER, "")
        if answer.status_code == HTTPStatus.NO_CONTENT and self._epoch and epoch and epoch != self._epoch:
            answer = await self._get(-1)
        if answer.status_code in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            return None
        if answer.status_code != HTTPStatus.OK:
            raise _away(f"it answered {answer.status_code}")
        try:
            plan = _decoder.decode(answer.content)
        except msgspec.DecodeError as error:
            raise _away(f"its plan cannot be read: {error}") from error
        self._epoch = answer.headers.get(EPOCH_HEADER, "")
        return FetchedPlan(plan, self._epoch)

    async def acknowledge(self, acknowledgement: PlanAcknowledgement) -> None:
        """Report what became of a plan."""
        await self._post("/internal/plan/ack", msgspec.json.encode(acknowledgement))

    async def report(self, report: WindowReport) -> None:
        """Say what happened in the last seconds."""
        await self._post("/internal/windows", msgspec.json.encode(report))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _get(self, after: int) -> httpx.Response:
        try:
            return await self._client.get("/internal/plan", params={"after": after})
        except httpx.HTTPError as error:
            raise _away(str(error) or type(error).__name__) from error

    async def _post(self, path: str, content: bytes) -> None:
        try:
            answer = await self._client.post(path, content=content, headers={"Content-Type": "application/json"})
        except httpx.HTTPError as error:
            raise _away(str(error) or type(error).__name__) from error
        if answer.is_error:
            raise _away(f"it answered {path} with {answer.status_code}")


def _away(reason: str) -> Unavailable:
    return Unavailable(f"The control plane gave no plan: {reason}.", code="plan.unreachable", retry_after_seconds=1)
