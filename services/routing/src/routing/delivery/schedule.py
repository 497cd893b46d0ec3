"""When a callback that failed is tried again."""

import zlib
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# Svix's schedule, as its documentation gives it: some 27 hours, then a person has to look.
DELAYS = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=10),
)
MAX_ATTEMPTS = len(DELAYS)
LONGEST_RETRY_AFTER = timedelta(hours=24)
JITTER = 0.2
"""Part of the delay that is spread, so that what failed together does not come back together."""


def next_due(callback_id: str, attempts: int, now: datetime, retry_after: timedelta | None = None) -> datetime | None:
    """Return when to try again after *attempts* failures; None when the schedule is used up.

    Jitter comes from the id: the same callback always gets the same instants. What the receiver asked for
    (*retry_after*) is a lower bound, itself bounded by a day.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    spread = zlib.crc32(f"{callback_id}/{attempts}".encode()) / 0xFFFFFFFF
    delay = DELAYS[attempts] * (1 - JITTER / 2 + JITTER * spread)
    if retry_after is not None:
        delay = max(delay, min(retry_after, LONGEST_RETRY_AFTER))
    return now + delay


def read_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Return what a Retry-After header asks for: seconds or an HTTP date. Nonsense and the past are None."""
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:9]), 10**8))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    delay = (at if at.tzinfo is not None else at.replace(tzinfo=UTC)) - now
    return delay if delay > timedelta(0) else None
