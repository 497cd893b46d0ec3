"""HubSpot: an unordered array of up to 100 changes; a contact's changes in one delivery make one lead record."""

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from ingest.domain.fields import CANONICAL_FIELDS, canonical_name, map_fields, text_at
from ingest.domain.json_guard import Json, JsonLimits
from ingest.domain.records import ActivityRecord, ConsentRecord, IgnoredRecord, LeadRecord, Record, UnmappableRecord
from ingest.domain.senders.event_payload import instant_from
from ingest.domain.senders.sender import Sender
from ingest.domain.source import Inbound
from ingest.domain.verification import Signature, Timestamp
from shared.contracts import ActivityKind, ConsentSignal, Lead

MAX_EVENTS: Final = 100
_CONTACT_OBJECT: Final = "0-1"
_ACTIVITY_BY_VALUE: Final[dict[tuple[str, str], ActivityKind]] = {
    ("lifecyclestage", "salesqualifiedlead"): "accepted",
    ("lifecyclestage", "opportunity"): "opportunity",
    ("lifecyclestage", "customer"): "won",
    ("hs_lead_status", "ATTEMPTED_TO_CONTACT"): "first_touch",
    ("hs_lead_status", "CONNECTED"): "first_touch",
    ("hs_lead_status", "IN_PROGRESS"): "accepted",
    ("hs_lead_status", "OPEN_DEAL"): "opportunity",
    ("hs_lead_status", "UNQUALIFIED"): "rejected",
    ("hs_lead_status", "BAD_TIMING"): "rejected",
    ("hs_email_optout", "true"): "unsubscribe",
}
_STATUS_PROPERTIES: Final = frozenset(name for name, _ in _ACTIVITY_BY_VALUE)


class _Change(msgspec.Struct, frozen=True, kw_only=True):
    subject: str  # portal and object: the contact
    type: str
    property: str
    value: str
    occurred_at: int
    dedupe_key: str
    is_echo: bool


def map_delivery(inbound: Inbound) -> tuple[Record, ...]:
    events = inbound.payload
    if not isinstance(events, list):
        return (UnmappableRecord(reason="not_an_array"),)
    if len(events) > MAX_EVENTS:
        return (UnmappableRecord(reason="batch_size"),)
    records: list[Record] = []
    changes_by_contact: dict[str, list[_Change]] = {}
    for event in events:
        change = _change_of(event)
        if change is None:
            records.append(UnmappableRecord(reason="not_a_change"))
        elif _is_about_fields(change):
            changes_by_contact.setdefault(change.subject, []).append(change)
        else:
            records.append(_map_change(change, inbound))
    records.extend(_map_contact(subject, changes, inbound) for subject, changes in changes_by_contact.items())
    return tuple(records)


def _change_of(event: Json) -> _Change | None:
    if not isinstance(event, dict):
        return None
    portal, subject = text_at(event, "portalId"), text_at(event, "objectId")
    event_type = text_at(event, "subscriptionType")
    if portal is None or subject is None or event_type is None:
        return None
    if event_type.startswith("object.") and text_at(event, "objectTypeId") == _CONTACT_OBJECT:
        event_type = "contact." + event_type.removeprefix("object.")
    occurred_at = event.get("occurredAt")
    name = text_at(event, "propertyName") or ""
    app = text_at(event, "appId")
    return _Change(
        subject=f"hubspot:{portal}:{subject}",
        type=event_type,
        property=name,
        value=text_at(event, "propertyValue") or "",
        occurred_at=occurred_at if isinstance(occurred_at, int) else 0,
        # eventId alone is not unique, and attemptNumber changes with every retry of the same change
        dedupe_key=f"hubspot:{portal}:{event_type}:{subject}:{text_at(event, 'eventId')}:{occurred_at}:{name}",
        is_echo=app is not None
        and text_at(event, "changeSource") == "INTEGRATION"
        and text_at(event, "sourceId") == app,
    )


def _is_about_fields(change: _Change) -> bool:
    if change.is_echo or change.value == "REDACTED":
        return False
    if change.type == "contact.creation":
        return True
    return (
        change.type == "contact.propertyChange"
        and change.property not in _STATUS_PROPERTIES
        and canonical_name(change.property) in CANONICAL_FIELDS
    )


def _map_change(change: _Change, inbound: Inbound) -> Record:
    if change.type == "contact.privacyDeletion":
        return UnmappableRecord(reason="erasure_order", dedupe_key=change.dedupe_key)
    if change.is_echo:
        return IgnoredRecord(reason="echo", dedupe_key=change.dedupe_key)
    if change.type != "contact.propertyChange":
        return IgnoredRecord(reason="event_type", dedupe_key=change.dedupe_key)
    if change.value == "REDACTED":
        return IgnoredRecord(reason="redacted", dedupe_key=change.dedupe_key)
    kind = _ACTIVITY_BY_VALUE.get((change.property, change.value))
    if kind is None:
        return IgnoredRecord(reason="property", dedupe_key=change.dedupe_key)
    occurred_at = instant_from(change.occurred_at, inbound.received_at)
    if kind == "unsubscribe":
        return ConsentRecord(
            lead=Lead(),
            signal=ConsentSignal(
                state="withdrawn",
                purposes=("sales_contact", "marketing"),
                channels=("email",),
                at=occurred_at,
                method="hubspot_optout",
            ),
            external_id=change.subject,
            dedupe_key=change.dedupe_key,
        )
    return ActivityRecord(
        lead=Lead(),
        kind=kind,
        occurred_at=occurred_at,
        detail={"property": change.property, "value": change.value},
        external_id=change.subject,
        dedupe_key=change.dedupe_key,
    )


def _map_contact(subject: str, changes: list[_Change], inbound: Inbound) -> Record:
    """Fold one contact's changes; the array is unordered, so the time of each change decides which value is last."""
    ordered = sorted(changes, key=lambda change: (change.occurred_at, change.dedupe_key))
    dedupe_key = _joined_key(change.dedupe_key for change in ordered)
    properties = {change.property: change.value for change in ordered if change.property}
    if not properties:  # ids only: the contact's fields are in HubSpot
        return UnmappableRecord(reason="contact_not_fetched", dedupe_key=dedupe_key)
    mapped = map_fields(properties.items(), inbound)
    return LeadRecord(
        lead=mapped.lead,
        touch=mapped.touch,
        consent=mapped.consent,
        activities=inbound.source.defaults.activities,
        external_id=subject,
        dedupe_key=dedupe_key,
    )


def _joined_key(keys: Iterable[str]) -> str:
    ordered = sorted(keys)
    if len(ordered) == 1:
        return ordered[0]
    return "hubspot:" + hashlib.sha256("\n".join(ordered).encode()).hexdigest()


SENDER = Sender(
    kind="hubspot",
    schemes=(
        Signature(
            header=b"x-hubspot-signature-v3",
            template="{method}{url}{body}{timestamp}",
            encoding="base64",
            timestamp=Timestamp(header=b"x-hubspot-request-timestamp", unit="ms"),
        ),
        Signature(
            header=b"x-hubspot-signature",
            template="{secret}{method}{url}{body}",
            is_keyed=False,
            when=(b"x-hubspot-signature-version", b"v2"),
        ),
        Signature(
            header=b"x-hubspot-signature",
            template="{secret}{body}",
            is_keyed=False,
            when=(b"x-hubspot-signature-version", b"v1"),
        ),
    ),
    map_delivery=map_delivery,
    json_limits=JsonLimits(keys=MAX_EVENTS * 40),
)
