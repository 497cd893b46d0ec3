"""Who can take a lead: reps, their hours, their time off and their limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Literal
from zoneinfo import ZoneInfo

MINUTES_PER_DAY = 24 * 60

Absence = Literal[
    "unknown_rep", "paused", "time_off", "outside_working_hours", "open_cap_reached", "daily_cap_reached",
    "previous_owner",
]  # fmt: skip
"""Why a member of a pool cannot take a lead."""


@dataclass(frozen=True, slots=True)
class Shift:
    """Minutes of a day, from inclusive, until exclusive; ``until`` may be 1440 (midnight). 0 is Monday."""

    weekday: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TimeOff:
    """Days a rep is away, both inclusive, in the rep's own time zone."""

    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Rep:
    """A salesperson. ``shifts`` None = always at work; empty = never. Caps None = no limit."""

    rep_id: str
    name: str
    team: str
    time_zone: str
    email: str | None = None
    shifts: tuple[Shift, ...] | None = None
    time_off: tuple[TimeOff, ...] = ()
    max_open: int | None = None
    max_per_day: int | None = None
    is_paused: bool = False

    def local(self, now: datetime) -> datetime:
        """Return *now* (aware) on the rep's wall clock. From UTC that is never ambiguous, not even in the hour that
        a change of clocks repeats or skips."""
        return now.astimezone(ZoneInfo(self.time_zone))


@dataclass(slots=True)
class Load:
    """What a rep has: leads not worked yet, and leads given on ``day`` of the rep's own calendar."""

    open: int = 0
    day: date | None = None
    given: int = 0

    def given_on(self, day: date) -> int:
        """Return how many leads the rep was given on *day*."""
        return self.given if self.day == day else 0


@dataclass(slots=True)
class Roster:
    """Every rep, as of ``version``. Keeps what it worked out for an instant, as one batch has one instant."""

    version: int
    reps: Mapping[str, Rep]
    _absences: dict[str, Absence | None] = field(default_factory=dict)
    _days: dict[str, date] = field(default_factory=dict)
    _instant: datetime | None = None

    def in_team(self, team: str) -> list[str]:
        """Return the ids of the team's reps."""
        return [rep.rep_id for rep in self.reps.values() if rep.team == team]

    def absence(self, rep_id: str, now: datetime) -> Absence | None:
        """Return why the rep is not there at *now*, caps aside."""
        self._turn_to(now)
        if rep_id not in self._absences:
            rep = self.reps.get(rep_id)
            self._absences[rep_id] = "unknown_rep" if rep is None else absence_of(rep, now)
        return self._absences[rep_id]

    def day_of(self, rep_id: str, now: datetime) -> date:
        """Return the rep's own calendar day at *now*."""
        self._turn_to(now)
        day = self._days.get(rep_id)
        if day is None:
            day = self._days[rep_id] = self.reps[rep_id].local(now).date()
        return day

    def _turn_to(self, now: datetime) -> None:
        if now != self._instant:
            self._instant = now
            self._absences.clear()
            self._days.clear()


def absence_of(rep: Rep, now: datetime) -> Absence | None:
    """Return why *rep* is not there at *now* (aware), the reason that lasts longest first."""
    if rep.is_paused:
        return "paused"
    local = rep.local(now)
    today = local.date()
    if any(off.first_day <= today <= off.last_day for off in rep.time_off):
        return "time_off"
    if not is_working(rep, local):
        return "outside_working_hours"
    return None


def is_working(rep: Rep, local: datetime) -> bool:
    """Say if *local* (the rep's wall clock) lies in a shift."""
    if rep.shifts is None:
        return True
    minute = local.hour * 60 + local.minute
    weekday = local.weekday()
    return any(shift.weekday == weekday and shift.start <= minute < shift.end for shift in rep.shifts)


def cap_reached(rep: Rep, load: Load, day: date) -> Absence | None:
    """Return which of the rep's limits is used up, or None."""
    if rep.max_open is not None and load.open >= rep.max_open:
        return "open_cap_reached"
    if rep.max_per_day is not None and load.given_on(day) >= rep.max_per_day:
        return "daily_cap_reached"
    return None


def minutes_of(text: str) -> int:
    """Return ``09:30`` as minutes since midnight; ``24:00`` is the end of the day. Errors: ValueError."""
    if text == "24:00":
        return MINUTES_PER_DAY
    moment = time.fromisoformat(text)
    if moment.second or moment.microsecond or moment.tzinfo is not None:
        message = "hours and minutes only, such as 09:30"
        raise ValueError(message)
    return moment.hour * 60 + moment.minute
