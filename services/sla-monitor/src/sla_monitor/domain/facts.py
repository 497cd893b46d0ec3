"""The facts that are kept of one lead: who had it when, what ended its way, what was done about it."""

from datetime import datetime
from typing import Literal

import msgspec

from sla_monitor.domain.policies import Inputs

OwnershipKind = Literal["assigned", "reassigned", "retained"]


class Capture(msgspec.Struct, frozen=True):
    """A submission record became this lead's. Never stored: its clocks hold all that is needed later."""

    record_id: str
    received_at: datetime
    inputs: Inputs


class Ownership(msgspec.Struct, frozen=True, array_like=True):
    """At ``at`` the lead got an owner, or a repeated submission found one (``retained``).

    ``is_timed``: clocks were started for it, so a policy that comes later does not start more.
    """

    kind: OwnershipKind
    at: datetime
    record_id: str
    received_at: datetime
    assignment_id: str
    rep_id: str
    inputs: Inputs
    is_timed: bool = False

    @property
    def anchor_id(self) -> str:
        """Return the id that its clocks are named after."""
        return self.record_id if self.kind == "retained" else self.assignment_id


class Ending(msgspec.Struct, frozen=True, array_like=True):
    """At ``at`` the lead stopped being sales' business, for this record (nurtured) or altogether."""

    kind: Literal["nurtured", "withheld", "consent_withdrawn"]
    at: datetime
    record_id: str


class Touch(msgspec.Struct, frozen=True, array_like=True):
    """An activity that may meet a stage."""

    activity_id: str
    kind: str
    at: datetime


Fact = Capture | Ownership | Ending | Touch


class Journey(msgspec.Struct, frozen=True, array_like=True):
    """The facts of one lead, each kind in order of time."""

    ownerships: tuple[Ownership, ...] = ()
    endings: tuple[Ending, ...] = ()
    touches: tuple[Touch, ...] = ()
