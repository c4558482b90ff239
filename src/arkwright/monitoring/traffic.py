"""What a deployment answered, how fast, and with which version: counts and percentiles over the prediction log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import numpy as np
import numpy.typing as npt


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles of the time from a request's arrival to its answer, in milliseconds."""

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class VersionTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the traffic that one version answered."""

    model_version_id: str
    semver: str
    n_requests: int
    n_rows: int
    latency: Latency | None


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Requests and rows of a span, in all and by version."""

    start: datetime | None
    end: datetime | None
    n_requests: int
    n_rows: int
    latency: Latency | None
    versions: tuple[VersionTraffic, ...]


def summarise_traffic(
    request_ids: Sequence[str],
    latencies_ms: Sequence[float],
    versions: Sequence[tuple[str, str]],
    *,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Traffic:
    """Summarise logged rows, one for each scored row.

    A request of many rows is logged as many rows with one latency; it counts once in the percentiles. Percentiles
    interpolate linearly between the two nearest values (NumPy's default).

    Parameters
    ----------
    request_ids, latencies_ms
        For each row.
    versions
        For each row, the id and semver of the version that answered.

    Examples
    --------
    >>> traffic = summarise_traffic(["a", "a", "b"], [2.0, 2.0, 4.0], [("mv_1", "1.0.0")] * 3)
    >>> traffic.n_requests, traffic.n_rows, traffic.latency.p50_ms
    (2, 3, 3.0)
    """
    by_version: dict[tuple[str, str], list[int]] = {}
    for index, version in enumerate(versions):
        by_version.setdefault(version, []).append(index)
    everything = _requests(request_ids, latencies_ms, range(len(request_ids)))
    parts = []
    for (model_version_id, semver), rows in sorted(by_version.items()):
        requests = _requests(request_ids, latencies_ms, rows)
        parts.append(
            VersionTraffic(
                model_version_id=model_version_id,
                semver=semver,
                n_requests=len(requests),
                n_rows=len(rows),
                latency=_latency(requests),
            )
        )
    return Traffic(
        start=start,
        end=end,
        n_requests=len(everything),
        n_rows=len(request_ids),
        latency=_latency(everything),
        versions=tuple(parts),
    )


def _requests(
    request_ids: Sequence[str], latencies_ms: Sequence[float], rows: Sequence[int]
) -> npt.NDArray[np.float64]:
    by_request: dict[str, float] = {}
    for row in rows:
        request_id = request_ids[row]
        by_request[request_id] = max(latencies_ms[row], by_request.get(request_id, 0.0))
    return np.fromiter(by_request.values(), dtype=np.float64)


def _latency(latencies_ms: npt.NDArray[np.float64]) -> Latency | None:
    if not latencies_ms.size:
        return None
    p50, p95, p99 = np.percentile(latencies_ms, [50, 95, 99])
    return Latency(mean_ms=float(latencies_ms.mean()), p50_ms=float(p50), p95_ms=float(p95), p99_ms=float(p99))
