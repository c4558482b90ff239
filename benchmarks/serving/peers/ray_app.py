"""Ray Serve with batching: ``python ray_app.py PORT``."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import ray
from answers import BATCH_WAIT_SECONDS, MAX_BATCH, load
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0.1})
class Reference:
    def __init__(self) -> None:
        self._predict = load()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=BATCH_WAIT_SECONDS)
    async def _together(self, requests: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
        answers = iter(self._predict([row for rows in requests for row in rows]))
        return [[next(answers) for _row in rows] for rows in requests]

    async def __call__(self, request: Request) -> dict[str, Any]:
        body = await request.json()
        return {"predictions": await self._together(body["instances"])}


if __name__ == "__main__":
    names = ("BENCH_MODEL", "BENCH_PREDICTOR", "PYTHONPATH", "OMP_NUM_THREADS")
    environment = {name: os.environ[name] for name in names if name in os.environ}
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100_000_000,
        runtime_env={"env_vars": environment},
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Reference.bind(), route_prefix="/predict")
    while True:
        time.sleep(60)
