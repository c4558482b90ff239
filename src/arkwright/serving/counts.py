"""How many requests were answered, how quickly, and what was refused: plain numbers until somebody scrapes them.

A request costs one look-up and a few additions here; Prometheus's own counters, with their locks and label look-ups,
took longer than the model. The event loop's thread is the only one that writes. The names without a prefix
(``inference_latency_ms`` and the like) are those of older dashboards.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from arkwright.kit.telemetry import LATENCY_BUCKETS_SECONDS, REGISTRY
from arkwright.serving import metrics

_N_BATCH_BUCKETS = 15  # 1, 2, 4, ... 16384 rows, and more
_BY_VERSION = ("deployment", "version")
_BY_STATUS = ("deployment", "version", "status")


class ArmCounts:
    """What one version answered at one deployment."""

    __slots__ = ("answered", "batches", "latencies", "rows", "seconds")

    def __init__(self) -> None:
        self.answered = 0
        self.rows = 0
        self.seconds = 0.0
        self.latencies = [0] * (len(LATENCY_BUCKETS_SECONDS) + 1)
        self.batches = [0] * (_N_BATCH_BUCKETS + 1)

    def add(self, seconds: float, n_rows: int) -> None:
        """Count one request that was answered."""
        self.answered += 1
        self.rows += n_rows
        self.seconds += seconds
        self.latencies[bisect_left(LATENCY_BUCKETS_SECONDS, seconds)] += 1
        self.batches[min((n_rows - 1).bit_length(), _N_BATCH_BUCKETS)] += 1

    def add_row(self, seconds: float) -> None:
        """Count one request of one row that was answered."""
        self.answered += 1
        self.rows += 1
        self.seconds += seconds
        self.latencies[bisect_left(LATENCY_BUCKETS_SECONDS, seconds)] += 1
        self.batches[0] += 1


class InferenceCounts(Collector):
    """Every count of a process, in Prometheus's terms when it is asked.

    Attributes
    ----------
    in_flight
        Says how many requests are being answered now.
    """

    def __init__(self) -> None:
        self._arms: dict[tuple[str, str], ArmCounts] = {}
        self._refused: dict[tuple[str, str, int], int] = {}
        self.in_flight: Callable[[], int] = int

    def arm(self, deployment_id: str, version: str) -> ArmCounts:
        """Return the counts of a version at a deployment."""
        key = (deployment_id, version)
        found = self._arms.get(key)
        if found is None:
            found = self._arms[key] = ArmCounts()
        return found

    def refuse(self, deployment_id: str, version: str, status: int) -> None:
        """Count a request that got no prediction; a deployment that nobody knows is ``unknown``."""
        key = (deployment_id, version, status)
        self._refused[key] = self._refused.get(key, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        arms, refused = list(self._arms.items()), list(self._refused.items())
        statuses = [((*key, "200"), counts.answered) for key, counts in arms]
        statuses += [((deployment, version, str(status)), n) for (deployment, version, status), n in refused]
        for name in ("arkwright_inference_requests", "inference_requests"):
            family = CounterMetricFamily(name, "Prediction requests, by status.", labels=_BY_STATUS)
            for keys, value in statuses:
                family.add_metric(keys, value)
            yield family
        rows = CounterMetricFamily("arkwright_inference_rows", "Rows scored.", labels=_BY_VERSION)
        for labels, counts in arms:
            rows.add_metric(labels, counts.rows)
        yield rows
        text = "From the first byte of a request to its answer."
        yield _latencies("arkwright_inference_latency_seconds", text, arms, 1.0)
        yield _latencies("inference_latency_ms", text, arms, 1000.0)
        sizes = HistogramMetricFamily("batch_size_histogram", "Rows in a request.", labels=_BY_VERSION)
        for labels, counts in arms:
            sizes.add_metric(labels, _cumulated([2.0**i for i in range(_N_BATCH_BUCKETS)], counts.batches), counts.rows)
        yield sizes
        loaded = GaugeMetricFamily("model_version_loaded", "1 for each version that answers.", labels=_BY_VERSION)
        for metric in metrics.MODEL_VERSION_LOADED.collect():
            for sample in metric.samples:
                loaded.add_metric([sample.labels["deployment"], sample.labels["version"]], sample.value)
        yield loaded
        # With arkwright_inference_queued, what a horizontal autoscaler goes by.
        yield GaugeMetricFamily(
            "arkwright_inference_in_flight", "Prediction requests being answered now.", value=self.in_flight()
        )
        yield CounterMetricFamily(
            "arkwright_process_cpu_seconds", "Processor time this process has used.", value=time.process_time()
        )


def _latencies(
    name: str, text: str, arms: list[tuple[tuple[str, str], ArmCounts]], scale: float
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=_BY_VERSION)
    bounds = [bound * scale for bound in LATENCY_BUCKETS_SECONDS]
    for labels, counts in arms:
        family.add_metric(labels, _cumulated(bounds, counts.latencies), counts.seconds * scale)
    return family


def _cumulated(bounds: list[float], counts: list[int]) -> list[tuple[str, float]]:
    """Return a histogram's buckets as Prometheus has them: each with all that lies below its bound."""
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, total))
    return buckets


COUNTS = InferenceCounts()
REGISTRY.register(COUNTS)
