"""LitServe with batching: ``python litserve_app.py PORT``."""

from __future__ import annotations

import sys
from typing import Any

import litserve
from answers import BATCH_WAIT_SECONDS, MAX_BATCH, load


class Reference(litserve.LitAPI):
    def setup(self, _device: str) -> None:
        self._predict = load()

    # Without a type, or LitServe would look for the body in the query.
    def decode_request(self, request, **_):  # noqa: ANN001, ANN003, ANN201
        return request["instances"]

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def predict(self, x: list[list[dict[str, Any]]], **_: Any) -> list[list[dict[str, Any]]]:
        answers = iter(self._predict([row for rows in x for row in rows]))
        return [[next(answers) for _row in rows] for rows in x]

    def unbatch(self, output: list[Any]) -> list[Any]:
        return output

    def encode_response(self, output: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        return {"predictions": output}


if __name__ == "__main__":
    api = Reference(max_batch_size=MAX_BATCH, batch_timeout=BATCH_WAIT_SECONDS)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, track_requests=False)
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False, log_level="error"
    )
