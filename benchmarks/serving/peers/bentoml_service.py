"""BentoML with adaptive batching: ``bentoml serve bentoml_service:Reference``."""

from __future__ import annotations

from typing import Any

import bentoml
from answers import MAX_BATCH, load


@bentoml.service(workers=1, traffic={"timeout": 60})
class Reference:
    def __init__(self) -> None:
        self._predict = load()

    @bentoml.api(batchable=True, max_batch_size=MAX_BATCH, max_latency_ms=1000)
    def predict(self, instances: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return self._predict(instances)
