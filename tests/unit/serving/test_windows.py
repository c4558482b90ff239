"""What an arm did in its last seconds."""

from __future__ import annotations

import math

from arkwright.serving.windows import KEEP_SECONDS, ArmWindows


def filled(seconds, latency_ms=2.0, per_second=1):
    windows = ArmWindows()
    for second in seconds:
        for _ in range(per_second):
            windows.at(second).add(latency_ms, 1)
    return windows


def test_sums_hold_the_seconds_asked_for_and_no_others():
    windows = filled(range(100, 130), per_second=2)
    assert windows.sums(110, 120).requests == 20
    assert windows.sums(200, 300).requests == 0
    assert math.isnan(windows.sums(200, 300).error_rate_pct)


def test_percentiles_are_those_of_what_was_counted():
    windows = filled([100], latency_ms=1.0, per_second=98)
    windows.at(100).add(50.0, 1)
    windows.at(100).add(50.0, 1)
    sums = windows.sums(100, 101)
    assert 1.0 <= sums.percentile(95) <= 1.1
    assert 50.0 <= sums.percentile(99) <= 55.0
    assert sums.slower_than(20.0) == 2
    assert sums.slower_than(50.0) == 0


def test_only_the_last_two_minutes_are_kept():
    windows = filled(range(1_000, 2_000))
    assert windows.sums(0, 3_000).requests == KEEP_SECONDS


def test_a_second_without_traffic_takes_no_room():
    windows = filled([100, 150, 10_000])
    assert windows.sums(0, 20_000).requests == 1


def test_each_finished_second_is_handed_out_once_and_the_running_one_later():
    windows = filled([100, 101, 102])
    assert [one.second for one in windows.take_finished(102)] == [100, 101]
    assert [one.second for one in windows.take_finished(102)] == []
    windows.at(103)
    assert [one.second for one in windows.take_finished(103)] == [102]


def test_a_clock_that_goes_back_counts_into_the_newest_second():
    windows = filled([100, 99, 98])
    assert windows.current.second == 100
    assert windows.current.requests == 3
