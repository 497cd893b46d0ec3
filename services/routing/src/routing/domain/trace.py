"""Why a lead went where it went: everything a decision looked at, and why each alternative lost."""

from datetime import datetime
from typing import Literal

import msgspec

from routing.domain.document import WhenClosed
from routing.domain.fields import Value
from routing.domain.roster import Absence

Step = Literal["consent", "existing_owner", "nurture", "account_owner", "rules", "pool", "person", "recovery"]
"""The order in which a decision is made; it ends at the first step that settles it. ``recovery``: decided before the
database was restored to an earlier instant, and known from its announcement only."""

MemberReason = Literal["later_turn"] | Absence


class RuleTried(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule that was considered; ``lost_because`` None means that it matched."""

    rule_id: str
    pool: str
    lost_because: str | None = None


class MemberTried(msgspec.Struct, frozen=True, omit_defaults=True):
    """A member that was considered, with the counters the decision used; ``lost_because`` None: got the lead.

    ``balance``: the stored balance (see routing.domain.distribution). ``behind``: leads behind its share, this one
    counted; ``deadline``: after how many more leads it would be a whole lead behind. Those two only for members that
    could take the lead.
    """

    rep_id: str
    weight: int
    balance: int
    open: int
    today: int
    lost_because: MemberReason | None = None
    behind: float | None = None
    deadline: int | None = None


class AccountTried(msgspec.Struct, frozen=True, omit_defaults=True):
    """The owner of the lead's company; ``lost_because`` None: got the lead."""

    rep_id: str
    lost_because: Absence | None = None


class Trace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The record of one decision. Enough to make it again: see `routing.domain.replay`."""

    decided_at: datetime
    document_version: str
    roster_version: int
    settled_by: Step
    reason: str
    inputs: dict[str, Value] = {}
    rules: tuple[RuleTried, ...] = ()
    pool: str | None = None
    when_closed: WhenClosed | None = None
    is_out_of_hours: bool = False
    members: tuple[MemberTried, ...] = ()
    account: AccountTried | None = None
    excluded_rep_id: str | None = None
