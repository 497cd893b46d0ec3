"""Instants that callers name, within what every later stage can hold and convert."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(2200, 1, 1, tzinfo=UTC)


def _within_reach(value: datetime) -> datetime:
    # 0001-01-01T00:00+14:00 is valid RFC 3339 and cannot be written in UTC: storing it would be our failure.
    if not _FIRST <= value < _END:
        message = "an instant from 1970 to 2199"
        raise ValueError(message)
    return value.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_within_reach)]
"""An RFC 3339 instant with its offset, from 1970 to 2199; arrives in UTC."""
