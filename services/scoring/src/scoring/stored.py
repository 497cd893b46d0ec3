"""How profiles, explanations and activities are kept.

Profiles and explanations are MessagePack without field names, half of what they are as JSON. Stored by position. A new
field of a contract goes to the end of its list here: rows written before are shorter, and what they lack gets its
default.
"""

from datetime import datetime
from operator import attrgetter
from typing import Any, Final

import msgspec

from scoring.domain.activity import Activity
from scoring.domain.decision import Profile
from scoring.domain.score import Line
from shared.contracts import ActivityKind, Facts, Lead, Origin, Touch

ORIGIN: Final = ("submission_id", "record_id", "source_key", "source_kind", "received_at", "is_new_lead")
TOUCH: Final = (
    "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "click_id", "landing_page", "referrer",
)  # fmt: skip
LEAD: Final = (
    "email", "phone", "first_name", "last_name", "title", "company", "website", "country", "region", "city", "industry",
    "employees", "language", "message", "custom",
)  # fmt: skip
FACTS: Final = (
    "email_kind", "company_domain", "seniority", "department", "is_competitor", "subject_kind", "notes",
)  # fmt: skip

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(tuple[list[Any], list[Any], list[Any], list[Any], bool]).decode
_LINES: Final = msgspec.msgpack.Decoder(tuple[Line, ...]).decode
_DETAIL: Final = msgspec.json.Decoder(dict[str, str]).decode
_NO_TOUCH: Final = Touch()
_of_origin, _of_touch, _of_lead, _of_facts = (attrgetter(*names) for names in (ORIGIN, TOUCH, LEAD, FACTS))


def pack_profile(profile: Profile) -> bytes:
    """Return the bytes that `unpack_profile` takes."""
    touch = profile.origin.touch
    return _ENCODE((
        _of_origin(profile.origin),
        () if touch == _NO_TOUCH else _of_touch(touch),
        _of_lead(profile.lead),
        _of_facts(profile.facts),
        profile.has_gpc,
    ))  # fmt: skip


def unpack_profile(packed: bytes) -> Profile:
    """Return the profile that was packed."""
    origin, touch, lead, facts, has_gpc = _DECODE(packed)
    return Profile(
        origin=Origin(**dict(zip(ORIGIN, origin, strict=False)), touch=Touch(**dict(zip(TOUCH, touch, strict=False)))),
        lead=Lead(**dict(zip(LEAD, lead, strict=False))),
        facts=Facts(**dict(zip(FACTS, facts, strict=False))),
        has_gpc=has_gpc,
    )


def pack_lines(lines: tuple[Line, ...]) -> bytes:
    """Return the bytes that `unpack_lines` takes."""
    return _ENCODE(lines)


def unpack_lines(packed: bytes) -> tuple[Line, ...]:
    """Return the lines that were packed."""
    return _LINES(packed)


def unpack_activity(
    activity_id: str,
    kind: ActivityKind,
    occurred_at: datetime,
    known_at: datetime,
    detail: bytes | None,
    *,
    is_colleagues: bool = False,
) -> Activity:
    """Return the activity of a stored row. *detail*: JSON; None = none."""
    return Activity(
        activity_id=activity_id,
        kind=kind,
        occurred_at=occurred_at,
        known_at=known_at,
        detail={} if detail is None else _DETAIL(detail),
        is_colleagues=is_colleagues,
    )
