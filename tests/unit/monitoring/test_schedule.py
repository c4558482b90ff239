from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from arkwright.core.errors import Invalid
from arkwright.monitoring.schedule import EVERY_SIX_HOURS, MonitorTiming, Schedule, due_monitors

moments = st.datetimes(datetime(2024, 1, 1), datetime(2032, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))  # noqa: DTZ001


def field(lowest: int, highest: int) -> st.SearchStrategy[str]:
    number = st.integers(lowest, highest)
    # croniter reads 0-0 as the whole week.
    pair = st.lists(number, min_size=2, max_size=2, unique=True).map(lambda ends: f"{min(ends)}-{max(ends)}")
    step = st.integers(1, 20).map(lambda n: f"*/{n}")
    some = st.lists(number, min_size=1, max_size=3, unique=True).map(lambda items: ",".join(map(str, sorted(items))))
    return st.one_of(st.just("*"), number.map(str), pair, step, some)


@given(moments, field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6))
def test_schedules_agree_with_croniter(
    now: datetime, minute: str, hour: str, day: str, month: str, weekday: str
) -> None:
    # croniter calls a day field restricted when it is a step too; POSIX and Vixie cron go by the leading star.
    if day.startswith("*/"):
        day = "*"
    if weekday.startswith("*/"):
        weekday = "*"
    text = f"{minute} {hour} {day} {month} {weekday}"
    found = Schedule.parse(text).last(now)
    # croniter looks strictly before its start.
    expected = croniter(text, now.replace(second=0, microsecond=0) + timedelta(minutes=1)).get_prev(datetime)
    assert found == expected


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *", "*/0 * * * *",
     "5-1 * * * *", "1,, * * * *", "0 0 31 2 *", "-1 * * * *", "* * * * MON"],
)  # fmt: skip
def test_what_is_no_schedule_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        Schedule.parse(text)
    assert refused.value.code == "monitoring.schedule"
    assert EVERY_SIX_HOURS in str(refused.value.hint)


def test_sunday_is_nought_and_seven() -> None:
    sunday = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert Schedule.parse("0 0 * * 7") == Schedule.parse("0 0 * * 0")
    assert Schedule.parse("0 0 * * 0").last(sunday) == sunday.replace(hour=0)


def test_the_rarest_day_is_found() -> None:
    assert Schedule.parse("0 0 29 2 *").last(datetime(2027, 6, 1, tzinfo=UTC)) == datetime(2024, 2, 29, tzinfo=UTC)


def test_a_schedule_is_in_utc_whatever_the_clocks_zone() -> None:
    tokyo = datetime(2026, 3, 1, 8, 0, tzinfo=timezone(timedelta(hours=9)))
    assert Schedule.parse(EVERY_SIX_HOURS).last(tokyo) == datetime(2026, 2, 28, 18, 0, tzinfo=UTC)


def test_missed_runs_are_made_up_for_once() -> None:
    monitor = MonitorTiming("mon_1", EVERY_SIX_HOURS, datetime(2026, 3, 1, 0, 5, tzinfo=UTC))
    now = datetime(2026, 3, 4, 1, 0, tzinfo=UTC)
    assert due_monitors(now, [monitor]) == ["mon_1"]
    assert due_monitors(now, [MonitorTiming("mon_1", EVERY_SIX_HOURS, now)]) == []


def test_a_monitor_that_rests_is_never_due() -> None:
    monitor = MonitorTiming("mon_1", "* * * * *", datetime(2026, 1, 1, tzinfo=UTC), active=False)
    assert due_monitors(datetime(2026, 3, 1, tzinfo=UTC), [monitor]) == []


@given(moments, st.integers(0, 10_000))
def test_a_monitor_runs_once_for_each_time_its_schedule_fires(start: datetime, minutes: int) -> None:
    end = start + timedelta(minutes=minutes)
    last_run, runs = start, 0
    now = start
    while now <= end:
        if due_monitors(now, [MonitorTiming("mon_1", EVERY_SIX_HOURS, last_run)]):
            runs, last_run = runs + 1, now
        now += timedelta(minutes=30)
    fired = (end - start) / timedelta(hours=6)
    assert abs(runs - fired) <= 1
