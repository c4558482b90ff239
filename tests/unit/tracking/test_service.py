from __future__ import annotations

import pytest

from arkwright.core.errors import AdapterError, Unavailable
from arkwright.testing import InMemoryTracking
from arkwright.tracking import TrackingServer, TrackingService


class Warming(InMemoryTracking):
    """A logbook that answers from the n-th ping on."""

    def __init__(self, pings: int) -> None:
        super().__init__()
        self.pings = pings

    def ping(self) -> TrackingServer:
        self.pings -= 1
        if self.pings > 0:
            raise Unavailable("Still warming.", hint="Wait.", retry_after_seconds=2)
        return super().ping()


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


def test_it_waits_until_the_logbook_answers_and_says_how_long_it_has_waited() -> None:
    time = Time()
    service = TrackingService(Warming(4), sleep=time.sleep, monotonic=time.monotonic)
    waited: list[float] = []
    assert service.wait_until_ready(10, poll_seconds=0.5, on_wait=waited.append).version == "memory"
    assert waited == [0.0, 0.5, 1.0]


def test_it_gives_up_after_the_time_it_was_given_with_the_reason() -> None:
    time = Time()
    service = TrackingService(Warming(1000), sleep=time.sleep, monotonic=time.monotonic)
    with pytest.raises(Unavailable, match=r"within 3 s: Still warming\.") as refused:
        service.wait_until_ready(3)
    assert (refused.value.hint, refused.value.retry_after_seconds) == ("Wait.", 2)
    assert time.now == 103.0


def test_an_error_that_waiting_cannot_cure_is_told_at_once() -> None:
    class Refusing(InMemoryTracking):
        def ping(self) -> TrackingServer:
            raise AdapterError("Wrong token.")

    with pytest.raises(AdapterError, match="Wrong token"):
        TrackingService(Refusing()).wait_until_ready(3)


def test_the_caller_can_stop_the_waiting() -> None:
    time = Time()

    def stop(_waited: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TrackingService(Warming(9), sleep=time.sleep, monotonic=time.monotonic).wait_until_ready(3, on_wait=stop)
