"""What is filed about a rollout when it ends, and how an arm's counts read: pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from arkwright.contracts import latency_percentile
from arkwright.core.clock import isoformat
from arkwright.deployments.analysis import ArmCounts, Verdict, difference_interval
from arkwright.deployments.ports import ArmOutcomes, MetricSums

ROLLOUT_EVIDENCE = "rollout"


def summary(counts: ArmCounts) -> dict[str, Any]:
    """Return what a reader wants to know of an arm.

    Examples
    --------
    >>> shown = summary(ArmCounts(requests=50, errors=5, rows=50, score_sum=25.0))
    >>> shown["error_rate_pct"], shown["mean_score"], shown["latency_ms_p95"]
    (10.0, 0.5, None)
    """
    return {
        "requests": counts.requests,
        "failed": counts.failed,
        "fallbacks": counts.fallbacks,
        "rows": counts.rows,
        "error_rate_pct": _share(counts.failed, counts.requests, 100.0),
        "latency_ms_p50": _percentile(counts, 50),
        "latency_ms_p95": _percentile(counts, 95),
        "latency_ms_p99": _percentile(counts, 99),
        "mean_score": _share(counts.score_sum, counts.rows),
        "compared": counts.compared,
        "agreement_pct": _share(counts.agreed, counts.compared, 100.0),
        "mean_abs_difference": _share(counts.difference_sum, counts.compared),
        "fuse_blown": counts.blown,
    }


def score_shift(counts: ArmCounts, stable: ArmCounts) -> dict[str, float | None]:
    """Return how far an arm's mean score lies from the stable arm's, with an interval that holds at every look.

    Examples
    --------
    >>> stable = ArmCounts(rows=1000, score_sum=300.0, score_squares=100.0)
    >>> shift = score_shift(ArmCounts(rows=1000, score_sum=350.0, score_squares=132.5), stable)
    >>> round(shift["score_shift"], 3), shift["score_shift_low"] > 0
    (0.05, True)
    """
    if not counts.rows or not stable.rows:
        return {"score_shift": None, "score_shift_low": None, "score_shift_high": None}
    own = MetricSums(counts.rows, counts.score_sum, counts.score_squares)
    other = MetricSums(stable.rows, stable.score_sum, stable.score_squares)
    low, high = difference_interval(own, other, alpha=0.05)
    return {
        "score_shift": own.mean - other.mean,
        "score_shift_low": low if math.isfinite(low) else None,
        "score_shift_high": high if math.isfinite(high) else None,
    }


def evidence_body(
    facts: Mapping[str, Any],
    verdict: Verdict,
    counts: Mapping[str, ArmCounts],
    outcomes: Mapping[str, ArmOutcomes],
    decided_at: datetime,
) -> dict[str, Any]:
    """Return the evidence of a decision: what was decided, on which conditions, from which numbers.

    The windows' sums are whole (latencies bucket by bucket), so that anybody can compute the conditions again.
    """
    return {
        **facts,
        "decided_at": isoformat(decided_at),
        "verdict": verdict.decision,
        "verdict_reason": verdict.reason,
        "conditions": [asdict(finding) for finding in verdict.findings],
        "windows": {
            arm: {
                **summary(each),
                **({} if arm == "stable" else score_shift(each, counts["stable"])),
                "errors": each.errors,
                "score_sum": each.score_sum,
                "score_squares": each.score_squares,
                "agreed": each.agreed,
                "difference_sum": each.difference_sum,
                "latency_counts": [[bucket, count] for bucket, count in enumerate(each.latency_counts) if count],
            }
            for arm, each in counts.items()
        },
        "outcomes": {
            arm: {"n": each.n, "metrics": {name: asdict(sums) for name, sums in each.metrics.items()}}
            for arm, each in outcomes.items()
        },
    }


def _share(part: float, whole: int, scale: float = 1.0) -> float | None:
    return part / whole * scale if whole else None


def _percentile(counts: ArmCounts, percent: float) -> float | None:
    value = latency_percentile(counts.latency_counts, percent)
    return None if math.isnan(value) else value
