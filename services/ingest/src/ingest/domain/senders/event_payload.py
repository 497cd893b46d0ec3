"""Events of programs we do not know: the event type's words say what nature the data is of."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, get_args

import msgspec

from ingest.domain.fields import flatten, map_fields, text_at
from ingest.domain.json_guard import Json
from ingest.domain.records import ActivityRecord, ConsentRecord, IgnoredRecord, LeadRecord, Record, UnmappableRecord
from ingest.domain.source import EventNature, Inbound
from shared.contracts import ActivityKind, ConsentSignal

_CONSENT_WORDS: Final = frozenset({"unsubscribe", "unsubscribed", "withdrawn", "objected", "optout", "consent"})
_NO_WORDS: Final = _CONSENT_WORDS - {"consent"}
_YES_WORDS: Final = frozenset(
    {"given", "granted", "grant", "optin", "subscribe", "subscribed", "confirmed", "renewed", "accepted", "in"}
)
_TEST_WORDS: Final = frozenset({"ping", "test", "validation"})
_ACTIVITY_WORDS: Final = frozenset({"activity", "activities"})
_LEAD_WORDS: Final = frozenset({"lead", "contact", "person", "prospect", "registration", "form", "submission"})
_KINDS: Final = frozenset(get_args(ActivityKind))
_MAX_AGE: Final = timedelta(days=3_650)


class EventEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """What an event says of itself. ``dedupe_key``: the same for every delivery of this event."""

    type: str
    occurred_at: datetime
    dedupe_key: str | None


def map_event(envelope: EventEnvelope, data: Json, inbound: Inbound) -> Record:
    """Return the one record that an event is."""
    nature = inbound.source.defaults.event_natures.get(envelope.type) or nature_of(envelope.type)
    if nature in {"test", "ignored"}:
        return IgnoredRecord(reason="test" if nature == "test" else "event_type", dedupe_key=envelope.dedupe_key)
    if not isinstance(data, dict):
        return UnmappableRecord(reason="data_not_an_object", dedupe_key=envelope.dedupe_key)
    match nature:
        case "activity":
            return _map_activity(envelope, data, inbound)
        case "consent":
            return _map_consent(envelope, data, inbound)
        case _:
            mapped = map_fields(flatten(data), inbound)
            return LeadRecord(
                lead=mapped.lead,
                touch=mapped.touch,
                consent=mapped.consent,
                activities=inbound.source.defaults.activities,
                dedupe_key=envelope.dedupe_key,
            )


@lru_cache(maxsize=1_024)
def nature_of(event_type: str) -> EventNature:
    """Return the nature that the words of *event_type* (``com.example.lead.created``) speak of."""
    words = _words_of(event_type)
    if words & _CONSENT_WORDS:
        return "consent"
    if words & _TEST_WORDS:
        return "test"
    if words & _ACTIVITY_WORDS:
        return "activity"
    return "lead" if words & _LEAD_WORDS else "ignored"


def _words_of(event_type: str) -> set[str]:
    return set(re.split(r"[^a-z0-9]+", event_type.lower()))


def _map_activity(envelope: EventEnvelope, data: dict[str, Json], inbound: Inbound) -> Record:
    kind = text_at(data, "kind") or text_at(data, "activity")
    if kind not in _KINDS:
        return UnmappableRecord(reason="activity_kind", dedupe_key=envelope.dedupe_key)
    person = {name: value for name, value in data.items() if name not in {"kind", "activity", "occurred_at", "detail"}}
    mapped = map_fields(flatten(person), inbound)
    return ActivityRecord(
        lead=mapped.lead,
        kind=kind,  # type: ignore[arg-type] # membership in _KINDS was tested above
        occurred_at=instant_from(data.get("occurred_at"), inbound.received_at, default=envelope.occurred_at),
        detail=detail_from(data.get("detail")),
        touch=mapped.touch,
        dedupe_key=envelope.dedupe_key,
    )


def _map_consent(envelope: EventEnvelope, data: dict[str, Json], inbound: Inbound) -> Record:
    words = _words_of(envelope.type)
    if words & _YES_WORDS and not words & _NO_WORDS:  # a grant needs its proof: neither taken for one nor for a "no"
        return UnmappableRecord(reason="consent_grant", dedupe_key=envelope.dedupe_key)
    mapped = map_fields(flatten(data), inbound)
    is_objection = "object" in envelope.type
    return ConsentRecord(
        lead=mapped.lead,
        signal=ConsentSignal(
            state="objected" if is_objection else "withdrawn",
            purposes=("sales_contact", "marketing"),
            channels=("email", "phone", "sms"),
            at=envelope.occurred_at,
            method=f"{inbound.source.kind}_event",
        ),
        dedupe_key=envelope.dedupe_key,
    )


def detail_from(value: Json) -> dict[str, str]:
    """Return short code-like entries of *value*; free text has no place in an activity."""
    if not isinstance(value, dict):
        return {}
    entries = ((name, text_at(value, name)) for name in list(value)[:20])
    return {name[:60]: text for name, text in entries if text is not None and len(text) <= 100}


def instant_from(value: Json, received_at: datetime, *, default: datetime | None = None) -> datetime:
    """Return the instant in *value* (RFC 3339 text, epoch seconds or milliseconds), never later than *received_at*.

    What cannot be read is *default*, or *received_at*: a sender's odd clock must not move a deadline.
    """
    fallback = default or received_at
    try:
        if isinstance(value, str):
            instant = datetime.fromisoformat(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            instant = datetime.fromtimestamp(value / 1_000 if value > 100_000_000_000 else value, UTC)
        else:
            return fallback
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return fallback
    return min(instant, received_at) if instant > received_at - _MAX_AGE else fallback
