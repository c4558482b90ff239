"""What the models that were not compiled do, each by the first digits of its bundle's digest."""

from __future__ import annotations

from collections.abc import Callable

from arkwright.kit.telemetry import counter, gauge

_QUEUED = gauge("arkwright_general_model_queued", "Requests that wait for a model.", ("model",))
_BATCHES = counter("arkwright_general_model_batches_total", "Batches that a model was given.", ("model",))
_ROWS = counter("arkwright_general_model_rows_total", "Rows in those batches.", ("model",))
_RESTARTS = counter("arkwright_general_model_restarts_total", "Times a model's process was started again.", ("model",))


class ModelMetrics:
    """One model's own counters."""

    def __init__(self, digest: str, queued: Callable[[], int]) -> None:
        self._name = digest.removeprefix("sha256:")[:12]
        self.batches = _BATCHES.labels(self._name)
        self.rows = _ROWS.labels(self._name)
        self.restarts = _RESTARTS.labels(self._name)
        _QUEUED.labels(self._name).set_function(queued)

    def withdraw(self) -> None:
        """Stop showing a model that is no longer served."""
        for metric in (_QUEUED, _BATCHES, _ROWS, _RESTARTS):
            metric.remove(self._name)
