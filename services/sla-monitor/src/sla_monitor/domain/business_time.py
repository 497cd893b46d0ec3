"""Arithmetic on business time: the time during which a calendar is open.

Laws (tests/unit/sla_monitor/test_business_time.py): adding and measuring are inverse, adding is additive and
monotone, measuring is additive over a split. All instants are aware UTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sla_monitor.domain.calendars import HORIZON, Calendar, Closure, NoOpenTime, Window

ZERO = timedelta(0)


def add_business_time(calendar: Calendar, start: datetime, duration: timedelta) -> datetime:
    """Return the earliest instant at which *duration* of open time has passed since *start*.

    A duration that ends with a shift ends at closing time, not at the next opening. Zero gives *start* itself.
    Errors: `NoOpenTime` when five years from *start* do not hold that much; ValueError for a negative duration.
    """
    return add_each(calendar, start, (duration,))[0]


def add_each(calendar: Calendar, start: datetime, durations: Sequence[timedelta]) -> list[datetime]:
    """Return `add_business_time` for each of several *durations*, given in ascending order, in one walk."""
    if durations and min(durations) < ZERO:
        message = "business time runs forward only"
        raise ValueError(message)
    if calendar.is_always_open:
        return [start + duration for duration in durations]
    window = calendar.next_window(start)
    if window is not None and durations and durations[0] > ZERO:
        opening = max(start, window.start)
        if opening + durations[-1] <= window.end:  # it is all over before the calendar closes: no walk
            return [opening + duration for duration in durations]
    found: list[datetime] = [start for duration in durations if duration == ZERO]
    wanted = list(durations[len(found) :])
    passed = ZERO
    if not wanted:
        return found
    for window in calendar.open_windows(start, start + HORIZON):
        while wanted and passed + window.length >= wanted[0]:
            found.append(window.start + (wanted.pop(0) - passed))
        if not wanted:
            return found
        passed += window.length
    raise NoOpenTime(f"calendar {calendar.calendar_id} is not open for {wanted[0]} within {HORIZON.days} days")


def business_time_between(calendar: Calendar, a: datetime, b: datetime) -> timedelta:
    """Return the open time from *a* to *b*; negative when *b* is earlier."""
    if b < a:
        return -business_time_between(calendar, b, a)
    return sum((window.length for window in calendar.open_windows(a, b)), ZERO)


@dataclass(frozen=True, slots=True)
class Span:
    """How a stretch of time was counted: each open window in it, and the days that a holiday took out."""

    counted: tuple[Window, ...]
    skipped: tuple[Closure, ...]
    total: timedelta
    is_truncated: bool


def explain_span(calendar: Calendar, start: datetime, end: datetime, *, most: int = 100) -> Span:
    """Return how the time between two instants counts. At most *most* windows are listed; ``total`` counts all."""
    counted: list[Window] = []
    total, number = ZERO, 0
    for window in calendar.open_windows(start, end):
        total += window.length
        number += 1
        if number <= most:
            counted.append(window)
    skipped = tuple(calendar.closures(start, end)[:most])
    return Span(tuple(counted), skipped, total, is_truncated=number > most)
