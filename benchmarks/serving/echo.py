"""The least that the same server can do: read a body, answer 200 bytes. ``uvicorn echo:app`` is the yardstick."""

from __future__ import annotations

from typing import Any

_BODY = b"x" * 200
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"200")]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})
