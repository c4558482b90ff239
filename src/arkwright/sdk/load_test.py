"""Requests at an arrival rate: when each is due, who sends it, and what came of all of them.

A request is due at its moment whether or not the ones before it were answered, and its latency counts from that moment:
an endpoint that stalls is seen to stall (coordinated omission; see :mod:`arkwright.contracts.load_test`). How late the
client itself was, and how much of a processor it used, is kept beside it, so that a slow client is not taken for a slow
endpoint.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import NamedTuple

from arkwright.contracts.load_test import ANSWERED, NO_ANSWER, LoadTestReport
from arkwright.core.errors import Invalid

MAX_WAITING = 200
"""Most requests that wait for their answers at once."""

MOST_REQUESTS = 1_000_000
_LATE_SECONDS = 0.010
_NEWS_SECONDS = 0.5


class Answer(NamedTuple):
    """What came of one request: an HTTP status, ``fallback`` or ``no answer``, and the version that answered."""

    status: str
    version: str = ""


@dataclass(frozen=True)
class LoadPlan:
    """How many requests, and when: one every ``1 / rate_per_second`` seconds.

    Examples
    --------
    >>> plan = LoadPlan(rate_per_second=4, seconds=1)
    >>> plan.n_requests, [plan.due(number) for number in range(plan.n_requests)]
    (4, [0.0, 0.25, 0.5, 0.75])
    """

    rate_per_second: float
    seconds: float

    def __post_init__(self) -> None:
        known = math.isfinite(self.rate_per_second) and math.isfinite(self.seconds)
        if not known or self.rate_per_second <= 0 or self.seconds <= 0:
            raise Invalid(
                "A load test needs a rate and a time above zero.",
                code="load_test.plan",
                hint="Ask for --rate 50 requests a second, for --seconds 10.",
            )
        if self.rate_per_second * self.seconds > MOST_REQUESTS:
            raise Invalid(
                f"That is more than {MOST_REQUESTS:,} requests.",
                code="load_test.plan",
                hint="Ask for a lower rate, or for fewer seconds.",
            )

    @property
    def n_requests(self) -> int:
        """How many requests are due within the time."""
        return max(1, round(self.rate_per_second * self.seconds))

    def due(self, number: int) -> float:
        """Return when a request is due, in seconds from the start."""
        return number / self.rate_per_second


class Shot(NamedTuple):
    """One request: when it was due, when it was handed to a sender, and when it had ended, in seconds."""

    due: float
    handed: float
    ended: float
    answer: Answer


@dataclass(frozen=True)
class Fired:
    """All requests of a load test, and the processor time that the client spent on them."""

    shots: Sequence[Shot]
    cpu_seconds: float


@dataclass
class LoadNews:
    """How a load test stands."""

    sent: int = 0
    total: int = 0
    statuses: Counter[str] = field(default_factory=Counter)


def fire(
    plan: LoadPlan,
    send: Callable[[int], Answer],
    *,
    on_progress: Callable[[LoadNews], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> Fired:
    """Send every request of a plan when it is due, and wait for the answers.

    Parameters
    ----------
    send
        Sends the request of a number, and returns what came of it; it must not raise. Called in many threads.
    on_progress
        Told about twice a second.
    """
    team = _Senders(send, clock)
    news = LoadNews(total=plan.n_requests)
    cpu = time.process_time()
    start = told = clock()

    def tell(sent: int) -> None:
        nonlocal told
        if on_progress is not None and clock() - told >= _NEWS_SECONDS:
            on_progress(team.news(news, sent))
            told = clock()

    try:
        for number in range(plan.n_requests):
            due = start + plan.due(number)
            while due > clock():
                tell(number)
                # Telling takes time as well: only what is left after it is slept away.
                sleep(min(max(0.0, due - clock()), _NEWS_SECONDS))
            team.hand(number, due)
        while not team.done(plan.n_requests):
            tell(plan.n_requests)
            sleep(0.01)
    finally:
        team.stop()
    spent = time.process_time() - cpu
    if on_progress is not None:
        on_progress(team.news(news, plan.n_requests))
    shots = [shot._replace(due=shot.due - start, handed=shot.handed - start, ended=shot.ended - start)
             for shot in team.shots]  # fmt: skip
    return Fired(shots, spent)


def summarise(
    plan: LoadPlan,
    fired: Fired,
    *,
    deployment_id: str,
    deployment: str,
    p95_limit_ms: float,
    max_error_share: float = 0.0,
    rows: str = "",
    n_rows: int = 0,
) -> LoadTestReport:
    """Return what the requests amount to."""
    shots = fired.shots
    latencies = sorted((shot.ended - shot.due) * 1000.0 for shot in shots)
    statuses = Counter(shot.answer.status for shot in shots)
    versions = Counter(shot.answer.version for shot in shots if shot.answer.status == ANSWERED)
    late = sum(shot.handed - shot.due > _LATE_SECONDS for shot in shots)
    # One answer that is late at the very end is one answer less, and not a lower rate for all of them.
    end = plan.seconds + p95_limit_ms / 1000.0
    in_time = sum(shot.answer.status == ANSWERED and shot.ended <= end for shot in shots)
    return LoadTestReport(
        deployment_id=deployment_id,
        deployment=deployment,
        rate_per_second=plan.rate_per_second,
        seconds=plan.seconds,
        p95_limit_ms=p95_limit_ms,
        max_error_share=max_error_share,
        n_requests=len(shots),
        statuses=dict(sorted(statuses.items())),
        achieved_per_second=in_time / plan.seconds,
        p50_ms=percentile(latencies, 0.50),
        p95_ms=percentile(latencies, 0.95),
        p99_ms=percentile(latencies, 0.99),
        max_ms=latencies[-1],
        client_late_share=late / len(shots),
        # Of the time that was asked for: a client that needs longer for its own work takes more than one processor.
        client_cpu_share=fired.cpu_seconds / plan.seconds,
        versions=dict(sorted(versions.items())),
        rows=rows,
        n_rows=n_rows,
    )


def answer_of(status: int, content: bytes) -> Answer:
    """Read what a deployment answered; status 0 is no answer.

    Examples
    --------
    >>> answer_of(200, b'{"predictions": [], "model_version": "1.0.0", "arm": "stable"}')
    Answer(status='200', version='1.0.0')
    >>> answer_of(503, b"").status, answer_of(0, b"refused").status, answer_of(200, b"<html>").status
    ('503', 'no answer', 'no prediction')
    """
    if status != 200:
        return Answer(str(status) if status else NO_ANSWER)
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "predictions" not in document:
        return Answer("no prediction")
    if document.get("fallback"):
        return Answer("fallback")
    return Answer(ANSWERED, str(document.get("model_version", "")))


def percentile(ascending: Sequence[float], share: float) -> float:
    """Return the smallest value that a share of all values does not exceed (nearest rank).

    Examples
    --------
    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5), percentile([1.0, 2.0, 3.0, 4.0], 0.95)
    (2.0, 4.0)
    """
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]


class _Senders:
    """Threads that send; one more whenever a request is due and all of them wait for answers.

    They are daemons: whoever interrupts a load test leaves at once, without waiting for an endpoint that hangs.
    """

    def __init__(self, send: Callable[[int], Answer], clock: Callable[[], float]) -> None:
        self._send = send
        self._clock = clock
        self._waiting: SimpleQueue[tuple[int, float, float] | None] = SimpleQueue()
        self._n_threads = 0
        self._n_handed = 0
        self.shots: list[Shot] = []

    def hand(self, number: int, due: float) -> None:
        """Give a request to whoever is free."""
        self._waiting.put((number, due, self._clock()))
        self._n_handed += 1
        if self._n_handed - len(self.shots) > self._n_threads < MAX_WAITING:
            threading.Thread(target=self._work, name="load-test", daemon=True).start()
            self._n_threads += 1

    def done(self, n_requests: int) -> bool:
        """Tell whether all requests have ended."""
        return len(self.shots) >= n_requests

    def news(self, news: LoadNews, sent: int) -> LoadNews:
        """Return how it stands."""
        counted = news.statuses.total()  # only the new ones: whoever hands out requests has no time to count all
        news.sent = sent
        news.statuses.update(shot.answer.status for shot in self.shots[counted:])
        return news

    def stop(self) -> None:
        """Let the threads end, each after the request it is at."""
        while not self._waiting.empty():
            self._waiting.get()
        for _ in range(self._n_threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            number, due, handed = item
            answer = self._send(number)
            self.shots.append(Shot(due, handed, self._clock(), answer))
