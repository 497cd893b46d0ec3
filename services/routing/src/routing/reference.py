"""Reps and endpoint subscriptions, held in memory: a batch asks for one number and reads the tables only if it grew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec

from routing.domain.roster import Rep, Roster, Shift, TimeOff, minutes_of
from shared.db import Record, Sql

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_LIST_REPS = "SELECT * FROM rep WHERE removed_at IS NULL ORDER BY rep_id"
# A disabled endpoint keeps collecting: what it missed is sent when it is enabled again.
_LIST_SUBSCRIPTIONS = """
    SELECT event_type, array_agg(endpoint_id::text ORDER BY endpoint_id) AS endpoint_ids
    FROM endpoint, unnest(events) AS event_type WHERE state <> 'removed' GROUP BY event_type
"""


@dataclass(frozen=True, slots=True)
class Reference:
    """What ``version`` of the reference tables says. ``endpoints``: who wants each event type."""

    version: int
    reps: Mapping[str, Rep]
    endpoints: Mapping[str, Sequence[str]]

    def roster(self) -> Roster:
        """Return the reps with an empty notebook for one instant."""
        return Roster(self.version, self.reps)


@dataclass(slots=True)
class ReferenceCache:
    """The newest reference this process has read. Shared by all repositories of a process."""

    current: Reference | None = field(default=None)

    async def load(self, sql: Sql) -> Reference:
        """Return the reference as of now."""
        version: int = await sql.fetchval("SELECT version FROM roster_version")
        if self.current is None or self.current.version != version:
            reps = {row["rep_id"]: rep_of(row) for row in await sql.fetch(_LIST_REPS)}
            rows = await sql.fetch(_LIST_SUBSCRIPTIONS)
            endpoints = {row["event_type"]: tuple(row["endpoint_ids"]) for row in rows}
            self.current = Reference(version, reps, endpoints)
        return self.current


def rep_of(row: Record) -> Rep:
    """Return the rep in a row of the table."""
    return Rep(
        rep_id=row["rep_id"],
        name=row["name"],
        team=row["team"],
        time_zone=row["time_zone"],
        email=row["email"],
        shifts=shifts_of(_loaded(row["working_hours"])),
        time_off=tuple(
            TimeOff(date.fromisoformat(off["first_day"]), date.fromisoformat(off["last_day"]))
            for off in _loaded(row["time_off"])
        ),
        max_open=row["max_open"],
        max_per_day=row["max_per_day"],
        is_paused=row["is_paused"],
    )


def shifts_of(hours: Mapping[str, Sequence[Sequence[str]]] | None) -> tuple[Shift, ...] | None:
    """Return ``{"mon": [["09:00", "12:30"], …]}`` as shifts; None stays None. Errors: ValueError."""
    if hours is None:
        return None
    return tuple(
        Shift(WEEKDAYS.index(day), minutes_of(start), minutes_of(end))
        for day, shifts in hours.items()
        for start, end in shifts
    )


def _loaded(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, str) else value
