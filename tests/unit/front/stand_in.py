"""Stands where the control plane is: a real process on a unix socket, small enough to start at once.

Run as ``uvicorn tests.unit.front.stand_in:app --uds SOCKET`` from the repository's root, with the plan to hand out in
the file that ``STAND_IN_PLAN`` names.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

left: list[str] = []
METRICS = b"""# HELP stand_in_total Counts.
# TYPE stand_in_total counter
stand_in_total 3.0
# HELP arkwright_plan_generation Again.
# TYPE arkwright_plan_generation gauge
arkwright_plan_generation 99.0
"""


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for _ in range(2):
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
        return
    query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
    await HANDLERS.get(scope["path"], echo)(scope, receive, send, query)


async def respond(send: Any, status: int, body: bytes, headers: Any = (), *, more: bool = False) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def echo(scope: Any, receive: Any, send: Any, _query: dict[str, str]) -> None:
    digest, size, more = hashlib.sha256(), 0, True
    while more:
        message = await receive()
        digest.update(message.get("body", b""))
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    answer = {
        "method": scope["method"],
        "target": scope["raw_path"].decode() + "?" + scope["query_string"].decode(),
        "headers": [[key.decode(), value.decode()] for key, value in scope["headers"]],
        "size": size,
        "sha256": digest.hexdigest(),
    }
    await respond(send, 200, json.dumps(answer).encode())


async def plan(_scope: Any, _receive: Any, send: Any, query: dict[str, str]) -> None:
    current = Path(os.environ["STAND_IN_PLAN"]).read_bytes()
    known = json.loads(current)["generation"] == int(query["after"])
    await respond(send, 204 if known else 200, b"" if known else current)


async def stream(_scope: Any, _receive: Any, send: Any, _query: dict[str, str]) -> None:
    await respond(send, 200, b"", [(b"content-type", b"text/event-stream")], more=True)
    for index in range(3):
        await send({"type": "http.response.body", "body": f"data: {index}\n\n".encode(), "more_body": True})
        await asyncio.sleep(0.05)
    await send({"type": "http.response.body", "body": b""})


async def wait(_scope: Any, receive: Any, _send: Any, query: dict[str, str]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    left.append(query["who"])


async def cut(_scope: Any, _receive: Any, send: Any, _query: dict[str, str]) -> None:
    await respond(send, 200, b"half", [(b"content-length", b"100")], more=True)
    os._exit(9)


async def who(_scope: Any, _receive: Any, send: Any, _query: dict[str, str]) -> None:
    await respond(send, 200, json.dumps({"pid": os.getpid(), "left": left}).encode())


async def many_bytes(_scope: Any, _receive: Any, send: Any, query: dict[str, str]) -> None:
    await respond(send, 200, b"x" * int(query["n"]))


async def metrics(_scope: Any, _receive: Any, send: Any, _query: dict[str, str]) -> None:
    await respond(send, 200, METRICS)


async def moved(_scope: Any, _receive: Any, send: Any, query: dict[str, str]) -> None:
    headers = [(b"location", query["to"].encode()), (b"connection", b"x-gone"), (b"x-gone", b"1")]
    await respond(send, 307, b"", headers)


async def run(_scope: Any, _receive: Any, send: Any, query: dict[str, str]) -> None:
    """Whose a run is, by its first letter: a is ours, b somebody's, anything else nobody's."""
    tags = {"a": ["mlflow.note.content", "arkwright.trial_key"], "b": ["mlflow.user"]}.get(query["run_id"][0])
    data = {"run": {"data": {"tags": [{"key": key, "value": "x"} for key in tags or ()]}}}
    await respond(send, 200 if tags else 404, json.dumps(data).encode())


async def experiment(_scope: Any, _receive: Any, send: Any, query: dict[str, str]) -> None:
    tags = [{"key": "arkwright.experiment_id", "value": "x"}] if query["experiment_id"] == "1" else []
    await respond(send, 200, json.dumps({"experiment": {"tags": tags}}).encode())


HANDLERS = {
    "/api/2.0/mlflow/runs/get": run,
    "/api/2.0/mlflow/experiments/get": experiment,
    "/internal/plan": plan,
    "/stream": stream,
    "/wait": wait,
    "/cut": cut,
    "/who": who,
    "/bytes": many_bytes,
    "/metrics": metrics,
    "/moved": moved,
}
