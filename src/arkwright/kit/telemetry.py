"""Prometheus metrics of a process.

Names start with ``arkwright_``, use base units and end in ``_total`` for counters; labels are bounded
(no user, no free text).
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

LATENCY_BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
    """Return a counter in this process's registry; ``name`` ends in ``_total``."""
    return Counter(name, text, labels, registry=REGISTRY)


def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
    """Return a gauge in this process's registry."""
    return Gauge(name, text, labels, registry=REGISTRY)


def histogram(name: str, text: str, labels: tuple[str, ...] = ()) -> Histogram:
    """Return a histogram of seconds in this process's registry."""
    return Histogram(name, text, labels, registry=REGISTRY, buckets=LATENCY_BUCKETS_SECONDS)


def exposition() -> bytes:
    """Return the metrics in Prometheus's text format."""
    return generate_latest(REGISTRY)
