"""How often a credential may call an endpoint."""

from __future__ import annotations

import pytest

from arkwright.contracts import Endpoint, Limits
from arkwright.serving.errors import TooManyRequests
from arkwright.serving.rate import RateLimiter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def endpoint(deployment_id: str = "dep_1", **limits) -> Endpoint:
    return Endpoint(
        deployment_id=deployment_id,
        workspace_id="ws",
        project_id="p",
        name="n",
        model_name="m",
        arms=(),
        limits=Limits(**limits),
    )


def passed(limiter: RateLimiter, actor: str, where: Endpoint, tries: int) -> int:
    count = 0
    for _ in range(tries):
        try:
            limiter.take(actor, where)
            count += 1
        except TooManyRequests:
            pass
    return count


def test_an_endpoint_without_a_limit_refuses_nothing_and_remembers_nobody():
    limiter = RateLimiter()
    assert passed(limiter, "a", endpoint(), 1_000) == 1_000
    assert len(limiter) == 0


def test_a_burst_passes_and_then_the_rate():
    clock = Clock()
    limiter = RateLimiter(monotonic=clock)
    where = endpoint(requests_per_second=10.0, burst=5)
    assert passed(limiter, "a", where, 20) == 5
    clock.now = 1.0
    assert passed(limiter, "a", where, 20) == 5
    clock.now = 1.25
    assert passed(limiter, "a", where, 20) == 2


def test_over_a_long_time_exactly_the_rate_passes():
    clock = Clock()
    limiter = RateLimiter(monotonic=clock)
    where = endpoint(requests_per_second=7.0, burst=3)
    count = 0
    for step in range(10_000):
        clock.now = step * 0.01
        count += passed(limiter, "a", where, 1)
    assert abs(count - 700) <= 3


def test_the_refusal_says_when_to_come_back():
    clock = Clock()
    limiter = RateLimiter(monotonic=clock)
    where = endpoint(requests_per_second=0.2, burst=1)
    limiter.take("a", where)
    with pytest.raises(TooManyRequests) as refused:
        limiter.take("a", where)
    assert refused.value.status == 429
    assert refused.value.retry_after_seconds == 5
    clock.now = 5.0
    limiter.take("a", where)


def test_credentials_and_endpoints_do_not_share_a_bucket():
    limiter = RateLimiter(monotonic=Clock())
    first, second = (endpoint(name, requests_per_second=1.0) for name in ("dep_1", "dep_2"))
    assert passed(limiter, "a", first, 5) == 1
    assert passed(limiter, "b", first, 5) == 1
    assert passed(limiter, "a", second, 5) == 1


def test_processes_that_share_a_port_share_the_rate():
    limiter = RateLimiter(processes=4, monotonic=Clock())
    assert passed(limiter, "a", endpoint(requests_per_second=40.0), 100) == 10


def test_the_number_of_buckets_is_bounded():
    limiter = RateLimiter(max_buckets=10, monotonic=Clock())
    where = endpoint(requests_per_second=1.0)
    for index in range(1_000):
        limiter.take(f"actor_{index}", where)
    assert len(limiter) == 10
