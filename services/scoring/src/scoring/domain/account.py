"""Which leads belong together: the account of a lead, and what its colleagues did."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final

from scoring.domain.activity import Activity
from shared.contracts import Facts

MOST_DEEDS: Final = 200
"""Of one account, the newest so many activities are looked at: a cap is met long before."""

PAUSE: Final = timedelta(seconds=10)
"""What an account does within so much time is one reason to score its leads again, not one each."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

MOST_MEMBERS: Final = 100
"""Of one account, the newest so many leads act for each other, and are scored again when one of them acts."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that a lead of an account did, as an activity of a colleague of all others."""

    lead_id: str
    activity: Activity


def account_of(facts: Facts) -> str | None:
    """Return the id (UUID text) of the account that *facts* put a lead in: the company whose mail domain it writes
    from. ``None``: a private, shared or unknown mailbox says nothing about a company.

    The id is a digest of the domain, so that keys of timers and log lines hold no name of anybody.
    """
    if facts.email_kind != "business" or not facts.company_domain:
        return None
    domain = facts.company_domain.casefold().rstrip(".")
    digest = blake2b(domain.encode(), digest_size=16, person=b"account").hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))


def colleagues_activities(deeds: Iterable[Deed], lead_id: str) -> list[Activity]:
    """Return what others than *lead_id* did: what counts for it, beside its own activities."""
    return [deed.activity for deed in deeds if deed.lead_id != lead_id]


def end_of_pause(now: datetime) -> datetime:
    """Return when the leads of an account in which something happened at *now* are scored again: the same instant for
    all of a pause, so that a busy account does not push it ahead of itself."""
    return now + PAUSE - (now - _EPOCH) % PAUSE
