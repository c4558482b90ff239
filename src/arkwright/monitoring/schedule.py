"""Which monitors are due: five-field cron expressions in UTC, decided from times handed in.

The syntax is POSIX crontab's: minute, hour, day of month, month, day of week (0 or 7 is Sunday), each ``*``, a
number, a range ``a-b``, a step ``*/n`` or ``a-b/n``, or a list of those. Where both day fields are restricted, a day
that matches either fires.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from arkwright.core.errors import Invalid

EVERY_SIX_HOURS = "0 */6 * * *"

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
# 29 February is the rarest day a schedule can name; 1896-1904 had eight years between two of them.
_LONGEST_GAP_DAYS = 8 * 366


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed cron expression."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Read a cron expression.

        Raises
        ------
        Invalid
            If it is not one, or names a day that never comes.

        Examples
        --------
        >>> sorted(Schedule.parse("0 */6 * * *").hours)
        [0, 6, 12, 18]
        """
        parts = text.split()
        if len(parts) != len(_FIELDS):
            raise _unreadable(text, f"it has {len(parts)} fields and not five")
        minutes, hours, days, months, weekdays = (
            _read_field(text, part, *field) for part, field in zip(parts, _FIELDS, strict=True)
        )
        schedule = cls(
            minutes=minutes,
            hours=hours,
            days=days,
            months=months,
            weekdays=frozenset(day % 7 for day in weekdays),
            any_day=parts[2].startswith("*"),
            any_weekday=parts[4].startswith("*"),
        )
        # 2000 was a leap year, so a day of month that a named month can have is found there.
        if not any(schedule.on(date(2000, 1, 1) + timedelta(days=offset)) for offset in range(366)):
            raise _unreadable(text, "no such day exists")
        return schedule

    def on(self, day: date) -> bool:
        """Tell whether the schedule fires at some time of a day."""
        in_days, in_weekdays = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        both = self.any_day or self.any_weekday
        matches = (in_days and in_weekdays) if both else (in_days or in_weekdays)
        return day.month in self.months and matches

    def last(self, now: datetime) -> datetime:
        """Return the latest time at or before ``now`` at which the schedule fires, in UTC.

        Examples
        --------
        >>> Schedule.parse("0 */6 * * *").last(datetime(2026, 3, 1, 5, 59, tzinfo=UTC)).isoformat()
        '2026-03-01T00:00:00+00:00'
        """
        moment = now.astimezone(UTC)
        for offset in range(_LONGEST_GAP_DAYS + 1):
            day = moment.date() - timedelta(days=offset)
            if self.on(day):
                found = self._last_time(moment.time() if offset == 0 else time(23, 59))
                if found is not None:
                    return datetime.combine(day, found, tzinfo=UTC)
        raise AssertionError("parse() accepts no schedule that never fires")  # pragma: no cover

    def _last_time(self, until: time) -> time | None:
        candidates = [
            time(hour, minute)
            for hour in self.hours
            for minute in self.minutes
            if (hour, minute) <= (until.hour, until.minute)
        ]
        return max(candidates, default=None)


@dataclass(frozen=True, slots=True)
class MonitorTiming:
    """When a monitor is to run and when it last did.

    ``last_run_at`` is the time of its latest scheduled or manual run, or of its creation before there was one.
    """

    monitor_id: str
    schedule: str
    last_run_at: datetime
    active: bool = True


def due_monitors(now: datetime, monitors: Iterable[MonitorTiming]) -> list[str]:
    """Return the ids of the active monitors whose schedule fired since their last run.

    Asked every minute. Runs missed while nobody asked are made up for once, not once each.

    Examples
    --------
    >>> created = datetime(2026, 3, 1, 5, 0, tzinfo=UTC)
    >>> monitor = MonitorTiming("mon_1", EVERY_SIX_HOURS, created)
    >>> due_monitors(datetime(2026, 3, 1, 5, 59, tzinfo=UTC), [monitor])
    []
    >>> due_monitors(datetime(2026, 3, 1, 6, 0, tzinfo=UTC), [monitor])
    ['mon_1']
    """
    return [
        monitor.monitor_id
        for monitor in monitors
        if monitor.active and Schedule.parse(monitor.schedule).last(now) > monitor.last_run_at
    ]


def _read_field(text: str, part: str, name: str, lowest: int, highest: int) -> frozenset[int]:
    values: set[int] = set()
    for item in part.split(","):
        span, slash, step_text = item.partition("/")
        if slash and not (step_text.isdecimal() and int(step_text) > 0):
            raise _unreadable(text, f"{item!r} has no step above 0")
        step = int(step_text) if slash else 1
        if span == "*":
            low, high = lowest, highest
        else:
            first, dash, second = span.partition("-")
            if not first.isdecimal() or (dash and not second.isdecimal()):
                raise _unreadable(text, f"{item!r} is not a {name}")
            low = int(first)
            high = int(second) if dash else (highest if slash else low)
        if not lowest <= low <= high <= highest:
            raise _unreadable(text, f"{item!r} is not a {name} from {lowest} to {highest}")
        values.update(range(low, high + 1, step))
    return frozenset(values)


def _unreadable(text: str, reason: str) -> Invalid:
    return Invalid(
        f"{text!r} is not a schedule: {reason}.",
        code="monitoring.schedule",
        hint=f"Write five cron fields (minute hour day month weekday, UTC), such as {EVERY_SIX_HOURS!r}.",
    )
