"""Calendars: when work is done, in a time zone, as UTC windows per local day."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
HORIZON = timedelta(days=5 * 366)
_CACHED_DAYS = 2_000  # five years of one calendar: some 200 kB


class NoOpenTime(Exception):
    """The calendar does not open often enough: a search ended at the horizon of five years."""


class Holidays(Protocol):
    """A country's public holidays: ``get`` gives the name of the holiday on a day, or None."""

    def get(self, day: date) -> str | None:
        """Return the holiday's name, or None."""
        ...


@dataclass(frozen=True, slots=True, order=True)
class Shift:
    """Working time of one local day, in minutes after its midnight. A ``closes`` above 1440 lies in the next day."""

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens < 1440 or not self.opens < self.closes <= self.opens + 1440:
            message = f"a shift opens in its day and lasts at most 24 hours, not {self.opens}..{self.closes}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Open from ``start`` up to, not including, ``end``; UTC instants."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """Return how long it is open."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Closure:
    """A day on which the calendar would open, were it not for a holiday or a closed date."""

    day: date
    name: str


@dataclass(frozen=True)
class Calendar:
    """Weekly shifts (0 = Monday), minus holidays, with dates of their own that override both.

    Shifts are wall-clock times of ``time_zone``. A time that a clock change skips stands for the instant of the
    change; a time that happens twice stands for its first occurrence, so the repeated hour counts in the shift
    that spans it. A shift over midnight belongs to the day on which it opens.
    """

    calendar_id: str
    time_zone: str
    week: Mapping[int, Sequence[Shift]]
    special_days: Mapping[date, Sequence[Shift]] = field(default_factory=dict)
    closed_days: Mapping[date, str] = field(default_factory=dict)
    holidays: Holidays | None = None
    is_always_open: bool = False
    _zone: ZoneInfo = field(init=False, repr=False, compare=False)
    _windows: dict[date, tuple[Window, ...]] = field(init=False, repr=False, compare=False, default_factory=dict)
    _last_next: list[tuple[datetime, Window]] = field(init=False, repr=False, compare=False, default_factory=list)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_zone", ZoneInfo(self.time_zone))

    def windows(self, day: date) -> tuple[Window, ...]:
        """Return the open windows of the shifts that begin on local *day*: ordered, none empty, none overlapping."""
        found = self._windows.get(day)
        if found is None:
            if len(self._windows) >= _CACHED_DAYS:
                self._windows.clear()
            found = self._windows[day] = self._resolve(day)
        return found

    def next_window(self, start: datetime) -> Window | None:
        """Return the window that is open at *start* or opens next, whole; None if none opens within a fortnight.

        Clocks start now: the last answer is nearly always the next one too.
        """
        if self._last_next:
            asked, window = self._last_next[0]
            if asked <= start < window.end:
                return window
        day = self.local_day(start) - DAY  # yesterday's last shift may reach into today
        for _ in range(15):
            for window in self.windows(day):
                if window.end > start:
                    self._last_next[:] = [(start, window)]
                    return window
            day += DAY
        return None

    def open_windows(self, start: datetime, end: datetime) -> Iterator[Window]:
        """Yield what is open between two instants, in order, clipped to them."""
        if self.is_always_open:
            if start < end:
                yield Window(start, end)
            return
        day = self.local_day(start) - DAY  # yesterday's last shift may reach into today
        last = self.local_day(end)
        while day <= last:
            for window in self.windows(day):
                if window.start >= end:
                    return
                if window.end > start:
                    yield Window(max(window.start, start), min(window.end, end))
            day += DAY

    def closures(self, start: datetime, end: datetime) -> list[Closure]:
        """Return the local days between two instants that a holiday or a closed date took out."""
        found: list[Closure] = []
        if self.is_always_open:
            return found
        day, last = self.local_day(start), self.local_day(end)
        while day <= last:
            name = self._closed_because(day)
            if name is not None and self.week.get(day.weekday()):
                found.append(Closure(day, name))
            day += DAY
        return found

    def local_day(self, instant: datetime) -> date:
        """Return the date that a wall calendar shows at *instant*."""
        return instant.astimezone(self._zone).date()

    def _closed_because(self, day: date) -> str | None:
        if day in self.special_days:
            return None
        if day in self.closed_days:
            return self.closed_days[day]
        return None if self.holidays is None else self.holidays.get(day)

    def _shifts(self, day: date) -> Sequence[Shift]:
        if day in self.special_days:
            return self.special_days[day]
        if self._closed_because(day) is not None:
            return ()
        return self.week.get(day.weekday(), ())

    def _resolve(self, day: date) -> tuple[Window, ...]:
        # A long shift of yesterday can reach over today's first one (a special day): time is counted once.
        free_from = max((self._instant(day - DAY, shift.closes) for shift in self._shifts(day - DAY)), default=None)
        windows = []
        for shift in sorted(self._shifts(day)):
            start, end = self._instant(day, shift.opens), self._instant(day, shift.closes)
            if free_from is not None:
                start = max(start, free_from)
            if start < end:
                windows.append(Window(start, end))
                free_from = end
        return tuple(windows)

    def _instant(self, day: date, minutes: int) -> datetime:
        local = datetime.combine(day, time()) + timedelta(minutes=minutes)
        before = _offset(local, self._zone, fold=0)
        after = _offset(local, self._zone, fold=1)
        if after > before:
            return _find_change(local - after, local - before, self._zone)
        return (local - before).replace(tzinfo=UTC)


def _offset(local: datetime, zone: ZoneInfo, *, fold: int) -> timedelta:
    offset = local.replace(tzinfo=zone, fold=fold).utcoffset()
    assert offset is not None
    return offset


def _find_change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant in (low, high] from which on the zone's offset is that of *high* (naive UTC in, aware out)."""
    low, high = low.replace(tzinfo=UTC), high.replace(tzinfo=UTC)
    wanted = high.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle <= low:
            break
        if middle.astimezone(zone).utcoffset() == wanted:
            high = middle
        else:
            low = middle
    return high
