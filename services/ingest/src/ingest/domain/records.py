"""What one delivery turns out to hold. Every record is of exactly one nature, and the ledger counts each once."""

from datetime import datetime
from typing import Literal

import msgspec

from shared.contracts import ActivityKind, ConsentSignal, Lead, Touch


class LeadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A person with fields. ``external_id``: the sender's own id of the person, to recognise later records by."""

    lead: Lead
    touch: Touch = Touch()
    consent: tuple[ConsentSignal, ...] = ()
    activities: tuple[ActivityKind, ...] = ()
    external_id: str | None = None
    dedupe_key: str | None = None


class ActivityRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A person did something. If nobody knows the person yet, ``lead`` is enough to start one."""

    lead: Lead
    kind: ActivityKind
    occurred_at: datetime
    detail: dict[str, str] = {}
    touch: Touch = Touch()
    external_id: str | None = None
    dedupe_key: str | None = None
    lead_id: str | None = None


class ConsentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A person took consent back, or objected."""

    lead: Lead
    signal: ConsentSignal
    external_id: str | None = None
    dedupe_key: str | None = None


class IgnoredRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Understood and not for us: a test, an event type nobody asked for, our own echo, a handshake."""

    reason: str
    dedupe_key: str | None = None


class UnmappableRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Verified, but no mapping knows what to do with it: a person has to look. ``reason`` is a code."""

    reason: str
    dedupe_key: str | None = None


Record = LeadRecord | ActivityRecord | ConsentRecord | IgnoredRecord | UnmappableRecord

Nature = Literal["lead", "activity", "ignored", "quarantined"]
LeadState = Literal["in_flight", "assigned", "unassigned", "withheld", "nurtured", "parked", "erased"]
State = Literal[
    "in_flight", "assigned", "unassigned", "withheld", "nurtured", "parked", "erased", "activity", "ignored",
    "quarantined", "discarded",
]  # fmt: skip
LEAD_STATES: tuple[LeadState, ...] = (
    "in_flight", "assigned", "unassigned", "withheld", "nurtured", "parked", "erased",
)  # fmt: skip
STATES: tuple[State, ...] = (*LEAD_STATES, "activity", "ignored", "quarantined", "discarded")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a sender wants to hear instead of our ids."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
