"""Stands where the control plane is: a real process on a unix socket, small enough to start at once.

Run as ``uvicorn tests.unit.front.stand_in:app --uds SOCKET`` from the repository's root, with the plan to hand out in
the file that ``STAND_IN_PLAN`` names.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

left: list[str] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    path, query = scope["path"], parse_qs(scope["query_string"].decode())
    answer: dict[str, Any] = {}
    if path == "/internal/plan":
        plan = Path(os.environ["STAND_IN_PLAN"]).read_bytes()
        if json.loads(plan)["generation"] == int(query["after"][0]):
            await _send(send, 204, b"")
        else:
            await _send(send, 200, plan)
        return
    if path == "/burn":
        until = time.monotonic() + float(query["seconds"][0])
        while time.monotonic() < until:
            pass
    elif path == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for index in range(3):
            await send({"type": "http.response.body", "body": f"data: {index}\n\n".encode(), "more_body": True})
            await receive() if index == 99 else await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b""})
        return
    elif path == "/wait":
        while (await receive())["type"] != "http.disconnect":
            pass
        left.append(query["who"][0])
        return
    elif path == "/cut":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        os._exit(9)
    elif path == "/pid":
        answer = {"pid": os.getpid(), "left": left}
    elif path == "/bytes":
        await _send(send, 200, b"x" * int(query["n"][0]))
        return
    elif path == "/metrics":
        text = "# HELP stand_in_total Counts.\n# TYPE stand_in_total counter\nstand_in_total 3.0\n"
        text += "# HELP arkwright_plan_generation Again.\n# TYPE arkwright_plan_generation gauge\n"
        await _send(send, 200, f"{text}arkwright_plan_generation 99.0\n".encode())
        return
    elif path == "/moved":
        await send(
            {
                "type": "http.response.start",
                "status": 307,
                "headers": [(b"location", query["to"][0].encode()), (b"connection", b"x-gone"), (b"x-gone", b"1")],
            }
        )
        await send({"type": "http.response.body", "body": b""})
        return
    else:
        digest, size = hashlib.sha256(), 0
        while True:
            message = await receive()
            digest.update(message.get("body", b""))
            size += len(message.get("body", b""))
            if not message.get("more_body", False):
                break
        answer = {
            "method": scope["method"],
            "target": scope["raw_path"].decode() + "?" + scope["query_string"].decode(),
            "headers": [[key.decode(), value.decode()] for key, value in scope["headers"]],
            "size": size,
            "sha256": digest.hexdigest(),
        }
    await _send(send, 200, json.dumps(answer).encode())


async def _send(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json")] if status != 204 else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
