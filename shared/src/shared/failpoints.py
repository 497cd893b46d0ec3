"""Named points at which a test makes a service die, stop, hang or fail, and a clock that jumps. Never for production.

``LEADRAIL_FAILPOINTS`` lists them, separated by commas: ``point=action[:argument][@nth]``. For example
``batch_after_commit=kill@40,callback_sent=stop,batch_before_commit=wait:0.5@3,clock=shift:-30@100``.
A process that was started without the variable passes every point as if it were not there.
"""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

import structlog

from shared.clock import Clock, SystemClock

log = structlog.get_logger(module=__name__)

VARIABLE = "LEADRAIL_FAILPOINTS"

Point = Literal[
    "door_verified",  # the sender is known and the body understood; nothing is kept yet
    "door_before_commit",
    "door_after_commit",  # kept, not answered, not published
    "batch_before_commit",
    "batch_after_commit",  # between COMMIT and publish
    "batch_published",  # between publish and the offset's commit
    "rebalance",
    "shutdown",  # 1st pass: told to stop; 2nd: consumers, timers and workers told; then the upkeep, relay and outbox
    "timer_claimed",  # inside the transaction of the claim
    "timer_committed",
    "outbox_before_publish",
    "callback_claimed",  # leased, not sent
    "callback_sent",  # answered, not recorded
]
Action = Literal["kill", "stop", "wait", "fail", "shift"]
POINTS: tuple[Point, ...] = get_args(Point)
CLOCK = "clock"

_ACTIONS: tuple[Action, ...] = get_args(Action)
_WITH_SECONDS = ("wait", "shift")
_ENTRY = re.compile(r"(?P<point>\w+)=(?P<action>\w+)(?::(?P<seconds>[^@]*))?(?:@(?P<nth>.*))?")
_SECONDS = re.compile(r"[+-]?\d+(\.\d+)?")


class FailpointsInvalid(ValueError):
    """The variable says something that cannot be done. The message is for the person who set it."""


class FailpointHit(Exception):
    """What ``fail`` raises: to all who catch it, a bug."""


@dataclass(frozen=True, slots=True)
class Failpoint:
    """One entry: at the *nth* pass of *point*, once. ``str()`` gives it as the variable wants it."""

    point: str
    action: Action
    seconds: float = 0.0
    nth: int = 1

    def __str__(self) -> str:
        argument = f":{self.seconds:g}" if self.action in _WITH_SECONDS else ""
        return f"{self.point}={self.action}{argument}@{self.nth}"


class ShiftedClock:
    """A clock that jumps by some seconds at its nth reading, and stays there."""

    def __init__(self, clock: Clock, shifts: Iterable[Failpoint]) -> None:
        self._clock = clock
        self._jumps = {shift.nth: timedelta(seconds=shift.seconds) for shift in shifts}
        self._readings = 0
        self._shift = timedelta(0)

    def now(self) -> datetime:
        """Return the instant that this clock shows, aware, in UTC."""
        self._readings += 1
        if (jump := self._jumps.get(self._readings)) is not None:
            self._shift += jump
            log.warning("failpoint_reached", point=CLOCK, action="shift", seconds=jump.total_seconds())
        return self._clock.now() + self._shift


_armed: dict[str, dict[int, Failpoint]] = {}
_passes: Counter[str] = Counter()


def arm(environ: Mapping[str, str]) -> None:
    """Do from now on what *environ* asks for, and nothing else. Errors: `FailpointsInvalid`."""
    failpoints = parse_failpoints(environ.get(VARIABLE, ""))
    _armed.clear()
    _passes.clear()
    for failpoint in failpoints:
        _armed.setdefault(failpoint.point, {})[failpoint.nth] = failpoint
    if failpoints:
        log.warning("failpoints_armed", failpoints=[str(failpoint) for failpoint in failpoints])


def reach(point: Point) -> None:
    """Pass *point*: nothing happens unless it is armed. Errors: `FailpointHit`."""
    if _armed:  # 70 ns when nothing is armed, and a batch of up to 500 events passes three points
        _pass_armed(point)


def process_clock() -> Clock:
    """Return the machine's clock, or the one that jumps if that is armed."""
    shifts = _armed.get(CLOCK)
    return ShiftedClock(SystemClock(), shifts.values()) if shifts else SystemClock()


def parse_failpoints(text: str) -> list[Failpoint]:
    """Return the entries of *text*. Errors: `FailpointsInvalid`."""
    failpoints = [_parse_entry(entry.strip()) for entry in text.split(",") if entry.strip()]
    places = Counter((failpoint.point, failpoint.nth) for failpoint in failpoints)
    for (point, nth), entries in places.items():
        if entries > 1:
            raise FailpointsInvalid(f"{VARIABLE} names {point}@{nth} {entries} times.")
    return failpoints


def _parse_entry(entry: str) -> Failpoint:
    found = _ENTRY.fullmatch(entry)
    if found is None:
        raise _invalid(entry, "an entry is point=action[:argument][@nth]")
    point, word, seconds, nth = found["point"], found["action"], found["seconds"], found["nth"]
    if point != CLOCK and point not in POINTS:
        raise _invalid(entry, f"there is no point {point!r}; there are {', '.join(POINTS)} and {CLOCK}")
    action = next((one for one in _ACTIONS if one == word), None)
    if action is None:
        raise _invalid(entry, f"there is no action {word!r}; there are {', '.join(_ACTIONS)}")
    if (point == CLOCK) != (action == "shift"):
        raise _invalid(entry, "shift is for the clock, and the clock only shifts")
    if (action in _WITH_SECONDS) != (seconds is not None):
        raise _invalid(entry, "wait and shift take seconds, the other actions take nothing")
    if seconds is not None and (_SECONDS.fullmatch(seconds) is None or (action == "wait" and float(seconds) < 0)):
        raise _invalid(entry, f"{seconds!r} is no number of seconds")
    if nth is not None and not (nth.isdecimal() and int(nth) > 0):
        raise _invalid(entry, f"@{nth} must be a number from 1")
    return Failpoint(point, action, float(seconds or 0), int(nth or 1))


def _invalid(entry: str, reason: str) -> FailpointsInvalid:
    return FailpointsInvalid(f"{VARIABLE} holds {entry!r}: {reason}.")


def _pass_armed(point: Point) -> None:
    _passes[point] += 1
    failpoint = _armed.get(point, {}).get(_passes[point])
    if failpoint is None:
        return
    log.warning("failpoint_reached", point=point, action=failpoint.action, nth=failpoint.nth)
    match failpoint.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "wait":
            time.sleep(failpoint.seconds)  # the whole process hangs, its heartbeats too: that is the fault
        case "fail":
            raise FailpointHit(str(failpoint))
        case "shift":
            raise AssertionError("only the clock shifts")
