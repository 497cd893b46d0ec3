"""What can come out of routing a lead."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from routing.domain.trace import Trace

Via = Literal["rule", "account_owner", "sla", "person"]
QueueReason = Literal["no_rule", "empty_pool", "nobody_available", "outside_working_hours"]


@dataclass(frozen=True, slots=True)
class Tenure:
    """A running assignment: who has a lead, since when, by what."""

    assignment_id: str
    lead_id: str
    rep_id: str
    rep_name: str
    team: str
    pool: str
    rule_id: str
    document_version: str
    assigned_at: datetime
    is_worked: bool = False
    """A deadline of this assignment was met: the lead no longer counts as open for its rep."""


@dataclass(frozen=True, slots=True)
class Assign:
    """The lead goes to ``rep_id``; it had no owner."""

    rep_id: str
    pool: str
    rule_id: str
    via: Via
    trace: Trace


@dataclass(frozen=True, slots=True)
class Move:
    """The lead goes from ``previous`` to ``rep_id``."""

    previous: Tenure
    rep_id: str
    pool: str
    rule_id: str
    via: Via
    reason: str
    trace: Trace


@dataclass(frozen=True, slots=True)
class Retain:
    """The lead stays with its owner."""

    owner: Tenure
    trace: Trace


@dataclass(frozen=True, slots=True)
class Queue:
    """Nobody can have the lead: it waits for a person."""

    reason: QueueReason
    rule_id: str | None
    trace: Trace


@dataclass(frozen=True, slots=True)
class Nurture:
    """Marketing keeps the lead."""

    trace: Trace


@dataclass(frozen=True, slots=True)
class Hold:
    """Consent was withdrawn after the verdict that cleared the lead: nobody may have it."""

    trace: Trace


Decision = Assign | Move | Retain | Queue | Nurture | Hold
