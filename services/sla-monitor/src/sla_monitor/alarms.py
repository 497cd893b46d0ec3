"""Timers of clocks: the clocks of one batch that are due within a tenth of a second share one.

A timer per clock was a third of the service's work: set with a lead, cancelled 50 ms later when the lead got an owner.
A shared one is never cancelled. When it fires, one look by key tells which of its clocks still run.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from shared.ids import new_id
from shared.runtime import DueTimer, UnitOfWork
from sla_monitor.domain.clocks import Clock, next_instant
from sla_monitor.domain.journeys import LeadFile
from sla_monitor.repository import ClockRef

TIMER: Final = "clock"
# A timer later than this means that the service was down. What stopped the clock meanwhile may still wait in a topic,
# and a breach announced too early takes the lead from a rep who did call: let the consumers catch up once.
CATCH_UP: Final = timedelta(seconds=5)
# The runtime fires up to 200 timers in one transaction: that many clocks more than one by one.
MOST_TOGETHER: Final = 10
_PER_SECOND: Final = 10


def arm_changed(work: UnitOfWork[Any], files: Iterable[LeadFile]) -> None:
    """Set timers for the clocks whose next instant is another than when they were loaded."""
    by_tenth: dict[int, list[tuple[datetime, ClockRef]]] = {}
    overdue: list[ClockRef] = []
    for file in files:
        for clock_id, before in file.changed.items():
            clock = file.clocks[clock_id]
            instant = next_instant(clock)
            if instant is None or (before is not None and instant == next_instant(before)):
                continue
            if instant > work.now:
                tenth = int(instant.timestamp() * _PER_SECOND)
                by_tenth.setdefault(tenth, []).append((instant, ref_of(clock)))
            else:
                overdue.append(ref_of(clock))
    for together in by_tenth.values():
        for start in range(0, len(together), MOST_TOGETHER):
            some = together[start : start + MOST_TOGETHER]
            set_alarm(work, max(instant for instant, _ in some), [ref for _, ref in some])
    set_alarm(work, work.now + CATCH_UP, overdue, has_waited=True)


def set_alarm(work: UnitOfWork[Any], due_at: datetime, refs: Sequence[ClockRef], *, has_waited: bool = False) -> None:
    """Have these clocks looked at then."""
    if refs:
        payload: dict[str, Any] = {"clocks": refs}
        if has_waited:
            payload["has_waited"] = True
        work.set_timer(TIMER, new_id(), due_at, payload)


def refs_in(timer: DueTimer) -> list[ClockRef]:
    """Return the clocks of a timer."""
    return [(lead_id, number) for lead_id, number in timer.payload["clocks"]]


def must_wait(timer: DueTimer, now: datetime) -> bool:
    """Tell whether the consumers should catch up before this timer's clocks are judged."""
    return not timer.payload.get("has_waited") and now - timer.due_at > CATCH_UP


def due_clocks(files: Mapping[str, LeadFile], refs: Iterable[ClockRef]) -> dict[str, list[str]]:
    """Return the ids of the clocks of *refs*, per lead."""
    wanted = set(refs)
    return {
        lead_id: [clock.clock_id for clock in file.clocks.values() if ref_of(clock) in wanted]
        for lead_id, file in files.items()
    }


def ref_of(clock: Clock) -> ClockRef:
    """Return what finds a clock by its key."""
    return clock.lead_id, clock.number
