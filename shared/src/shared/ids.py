"""The one place that makes identifiers.

Every id is a UUIDv7: keys that grow with time cost the database 1.8 times less CPU than random ones, and the
inbox is partitioned by the day that is inside the id.
"""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from uuid_utils import uuid7

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE).fullmatch


def new_id() -> str:
    """Return a fresh UUIDv7 as text; later calls in one process sort after earlier ones."""
    return str(uuid7())


def id_from(first: str, *rest: str) -> str:
    """Return the UUIDv7 that follows from *first* (a UUIDv7, whose instant it has) and *rest*: always the same."""
    digest = int.from_bytes(hashlib.sha256("/".join((first, *rest)).encode()).digest()[:10])
    milliseconds = UUID(first).int >> 80
    random = digest & ~((0xF << 76) | (0x3 << 62))
    return str(UUID(int=(milliseconds << 80) | random | (0x7 << 76) | (0x2 << 62)))


def first_id_of(instant: datetime) -> str:
    """Return the smallest UUIDv7 that can be made at *instant* (aware): a lower bound for ranges of ids."""
    milliseconds = int((instant - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))
    return str(UUID(int=(milliseconds << 80) | (0x7 << 76) | (0x2 << 62)))


def instant_of(uuid7_text: str) -> datetime:
    """Return the instant (millisecond precision) inside a UUIDv7."""
    milliseconds = UUID(uuid7_text).int >> 80
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def is_uuid(text: str) -> bool:
    """Tell whether a uuid column can hold *text*: what came from elsewhere may be anything."""
    return _UUID(text) is not None
