"""Merging what a lead said before with what it says now.

Field by field: the newest non-empty value wins. A submission that is older than what is known (retried, parked,
replayed) only fills what is empty. Custom fields merge the same way, up to a limit.
"""

from datetime import datetime
from typing import Any, Final

import msgspec

from shared.contracts import Lead

MAX_CUSTOM_FIELDS: Final = 100
_FIELDS: Final = tuple(name for name in Lead.__struct_fields__ if name != "custom")


class KnownLead(msgspec.Struct, frozen=True, kw_only=True):
    """A lead's merged fields, and when the newest submission in them was received."""

    lead: Lead
    latest_at: datetime


def merge_lead(known: KnownLead | None, fresh: Lead, received_at: datetime) -> KnownLead:
    """Return *known* with *fresh* merged in."""
    if known is None:
        return KnownLead(lead=fresh, latest_at=received_at)
    is_newer = received_at >= known.latest_at
    newer, older = (fresh, known.lead) if is_newer else (known.lead, fresh)
    values: dict[str, Any] = {name: _first(getattr(newer, name), getattr(older, name)) for name in _FIELDS}
    custom = {**older.custom, **newer.custom}
    if len(custom) > MAX_CUSTOM_FIELDS:  # the newer submission's fields stay
        kept = [*newer.custom, *(name for name in older.custom if name not in newer.custom)][:MAX_CUSTOM_FIELDS]
        custom = {name: custom[name] for name in kept}
    return KnownLead(lead=Lead(**values, custom=custom), latest_at=max(received_at, known.latest_at))


def _first(newer: Any, older: Any) -> Any:
    return older if newer is None else newer
