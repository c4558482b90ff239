"""What a load test found, and the rule that judges it: the client that measured and the platform that files agree.

References
----------
Tene (2013), "How NOT to Measure Latency": a latency counts from the moment the request was due, not from the moment it
could be sent, or a slow endpoint hides the requests that had to wait for it (coordinated omission).
"""

from __future__ import annotations

from typing import Literal

import msgspec

ANSWERED = "200"
NO_ANSWER = "no answer"
MIN_REQUESTS = 100
"""With fewer a 95th percentile rests on less than five requests."""

MIN_RATE_SHARE = 0.95
"""How much of the rate that was asked for must have been answered."""

MOST_LATE_SHARE = 0.05
"""Share of requests that the client may send too late by its own fault."""

MOST_CPU_SHARE = 0.9
"""Share of one processor from which on the client itself is what is being measured."""


class LoadTestReport(msgspec.Struct, frozen=True, kw_only=True):
    """One load test of an endpoint, at an arrival rate.

    Attributes
    ----------
    rate_per_second, seconds
        What was asked for.
    p95_limit_ms, max_error_share
        What it is held to; the share is between 0 and 1.
    statuses
        Requests by what came of them: the HTTP status, ``200`` only where the model itself answered; ``fallback``;
        ``no answer``.
    achieved_per_second
        Answers of the model in a second, of those that had come when the time was up and the latency limit with it.
    p50_ms, p95_ms, p99_ms, max_ms
        Of all requests, from the moment each was due.
    client_late_share, client_cpu_share
        Share of requests that the client sent late by its own fault, and how much of one processor it takes to send so
        many in that time; it can use one.
    versions
        Answers of the model by the semantic version that gave them.
    rows, n_rows
        Where the rows came from, and how many different ones were sent.
    """

    deployment_id: str
    deployment: str
    rate_per_second: float
    seconds: float
    p95_limit_ms: float
    max_error_share: float = 0.0
    n_requests: int
    statuses: dict[str, int]
    achieved_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    client_late_share: float = 0.0
    client_cpu_share: float = 0.0
    versions: dict[str, int] = {}
    rows: str = ""
    n_rows: int = 0


class LoadVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a load test showed, and why."""

    outcome: Literal["passed", "failed", "inconclusive"]
    reasons: tuple[str, ...]


def judge_load(report: LoadTestReport) -> LoadVerdict:
    """Judge a load test.

    It passed if no more requests failed than may, at least 95 % of the rate was answered and p95 is within its limit.
    More failures than may be are a failure however few requests there were. It is inconclusive where there were too
    few to say anything else, or where the client could not keep the rate: then a slow answer says nothing of the
    endpoint.

    Examples
    --------
    >>> report = LoadTestReport(
    ...     deployment_id="dep_1", deployment="churn", rate_per_second=50, seconds=10, p95_limit_ms=100, n_requests=500,
    ...     statuses={"200": 500}, achieved_per_second=49.9, p50_ms=3, p95_ms=8, p99_ms=12, max_ms=30)
    >>> judge_load(report).outcome, judge_load(msgspec.structs.replace(report, p95_ms=240.0)).reasons
    ('passed', ('p95 is 240 ms, and 100 ms are allowed.',))
    """
    kept_up = report.client_late_share <= MOST_LATE_SHARE and report.client_cpu_share <= MOST_CPU_SHARE
    failing, slow = _errors(report, kept_up=kept_up), _slowness(report)
    if failing:
        return LoadVerdict(outcome="failed", reasons=(*failing, *(slow if kept_up else ())))
    if report.n_requests < MIN_REQUESTS:
        few = f"{report.n_requests} requests are too few: at least {MIN_REQUESTS} are needed."
        return LoadVerdict(outcome="inconclusive", reasons=(few,))
    failed = _failed(report)
    if (slow or _too_many(failed, report)) and not kept_up:
        return LoadVerdict(outcome="inconclusive", reasons=(_client_fault(report),))
    if slow:
        return LoadVerdict(outcome="failed", reasons=slow)
    said = (
        f"{report.rate_per_second:g} requests a second for {report.seconds:g} s: p95 is {report.p95_ms:.3g} ms of at "
        f"most {report.p95_limit_ms:g} ms, {failed or 'none'} of {report.n_requests:,} failed."
    )
    return LoadVerdict(outcome="passed", reasons=(said,))


def _failed(report: LoadTestReport) -> int:
    return report.n_requests - report.statuses.get(ANSWERED, 0)


def _too_many(failed: int, report: LoadTestReport) -> bool:
    # As a quotient: 29 of 100 are the share 0.29, and 0.29 times 100 is less than 29.
    return failed > 0 and failed / report.n_requests > report.max_error_share


def _errors(report: LoadTestReport, *, kept_up: bool) -> tuple[str, ...]:
    """Say how many requests failed, if that is too many and not the client's fault."""
    failed = _failed(report)
    if not _too_many(failed if kept_up else failed - report.statuses.get(NO_ANSWER, 0), report):
        return ()
    kinds = ", ".join(f"{status}: {count:,}" for status, count in sorted(report.statuses.items()) if status != ANSWERED)
    return (f"{failed:,} of {report.n_requests:,} requests were not answered by the model ({kinds}).",)


def _slowness(report: LoadTestReport) -> tuple[str, ...]:
    found = []
    if report.achieved_per_second < MIN_RATE_SHARE * report.rate_per_second:
        found.append(
            f"{report.achieved_per_second:.3g} answers a second came, and {report.rate_per_second:g} were asked for."
        )
    if report.p95_ms > report.p95_limit_ms:
        found.append(f"p95 is {report.p95_ms:.3g} ms, and {report.p95_limit_ms:g} ms are allowed.")
    return tuple(found)


def _client_fault(report: LoadTestReport) -> str:
    return (
        f"The client could not keep the rate: it sent {report.client_late_share:.0%} of the requests late, and so many "
        f"take {report.client_cpu_share:.0%} of the one processor it can use. That says nothing of the endpoint: ask "
        "for a lower rate, or measure from another machine."
    )
