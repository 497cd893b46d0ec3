"""What a lead did, and since when it counts."""

from datetime import datetime

import msgspec

from shared.contracts import ActivityKind


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a lead did. Both instants are aware UTC.

    ``is_colleagues``: not the lead itself did it but somebody else of the same account. Only the signals of a model's
    account group count it.
    """

    activity_id: str
    kind: ActivityKind
    occurred_at: datetime
    known_at: datetime
    detail: dict[str, str] = {}
    is_colleagues: bool = False

    @property
    def counts_from(self) -> datetime:
        """The instant decay starts. Never later than the activity was known: a sender's clock in the future would
        otherwise keep its points fresh until then."""
        return min(self.occurred_at, self.known_at)


def submitted_activity_id(record_id: str, kind: ActivityKind) -> str:
    """Return the id of an activity that a submission record itself proves: the same record gives the same id."""
    return f"{record_id}:{kind}"
