"""A clock as a row: what can be queried in columns, the rest in a few bytes.

A lead has two clocks, and every one is written two or three times: as JSON they were the largest part of the
database's log (1.3 kB a row). ``detail`` is MessagePack without names and without what the columns say already.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args

import msgspec

from sla_monitor.domain.clocks import Action, Change, Clock, State, Stop
from sla_monitor.domain.policies import Deadline, Inputs

# Stored by position: append to these, never reorder.
_STATES: tuple[State, ...] = get_args(State)
_ACTIONS: tuple[Action, ...] = get_args(Action)
_STATE_CODES = {state: code for code, state in enumerate(_STATES)}
_ACTION_CODES = {action: code for code, action in enumerate(_ACTIONS)}

# What `clock_of` needs, in its order.
COLUMNS = (
    "number", "clock_id", "stage", "policy_id", "policy_version", "state", "started_at", "due_at", "rep_id", "detail",
)  # fmt: skip


_Line = tuple[int, datetime, int, datetime | None]


class Detail(msgspec.Struct, frozen=True, array_like=True):
    """What no column holds.

    ``floor``, ``received_at``: None = the start. ``record_id``, ``assignment_id``: "" = the id the clock is named
    after. ``history``: state, seen_at, action, and ``at`` where the deadline or the stop does not say it.
    """

    inputs: Inputs
    at_risk_at: datetime
    escalate_at: datetime | None
    floor: datetime | None
    received_at: datetime | None
    record_id: str
    assignment_id: str | None
    reassignments: int
    stop: Stop | None
    history: tuple[_Line, ...]


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(Detail).decode


def pack_detail(clock: Clock) -> bytes:
    """Return what no column holds."""
    deadline, anchor = clock.deadline, clock.anchor_id
    start = deadline.started_at
    instants = _instants(deadline, clock.stop)
    detail = Detail(
        clock.inputs,
        deadline.at_risk_at,
        deadline.escalate_at,
        None if clock.floor == start else clock.floor,
        None if clock.received_at == start else clock.received_at,
        "" if clock.record_id == anchor else clock.record_id,
        "" if clock.assignment_id == anchor else clock.assignment_id,
        clock.reassignments,
        clock.stop,
        tuple([_pack_line(line, instants[line.state]) for line in clock.history]),
    )
    return _ENCODE(detail)


def clock_of(lead_id: str, columns: Sequence[Any]) -> Clock:
    """Return the clock of a row's `COLUMNS`."""
    number, clock_id, stage, policy_id, policy_version, state, started_at, due_at, rep_id, packed = columns
    detail = _DECODE(packed)
    deadline = Deadline(started_at, detail.at_risk_at, due_at, detail.escalate_at)
    instants = _instants(deadline, detail.stop)
    anchor = clock_id.removesuffix(f".{stage}")
    return Clock(
        clock_id=clock_id,
        lead_id=lead_id,
        stage=stage,
        anchor_id=anchor,
        record_id=detail.record_id or anchor,
        policy_id=policy_id,
        policy_version=policy_version,
        inputs=detail.inputs,
        deadline=deadline,
        floor=detail.floor or started_at,
        received_at=detail.received_at or started_at,
        state=state,
        stop=detail.stop,
        history=tuple([_unpack_line(line, instants) for line in detail.history]),
        assignment_id=anchor if detail.assignment_id == "" else detail.assignment_id,
        rep_id=rep_id,
        reassignments=detail.reassignments,
        number=number,
    )


def _pack_line(line: Change, expected: datetime | None) -> _Line:
    at = None if line.at == expected else line.at
    return _STATE_CODES[line.state], line.seen_at, _ACTION_CODES[line.action], at


def _unpack_line(line: _Line, instants: dict[State, datetime | None]) -> Change:
    code, seen_at, action, at = line
    state = _STATES[code]
    return Change(state, at or instants[state] or seen_at, seen_at, _ACTIONS[action])


def _instants(deadline: Deadline, stop: Stop | None) -> dict[State, datetime | None]:
    stopped_at = None if stop is None else stop.at
    return {
        "started": deadline.started_at,
        "at_risk": deadline.at_risk_at,
        "met": stopped_at,
        "breached": deadline.due_at,
        "escalated": deadline.escalate_at,
        "cancelled": stopped_at,
    }
