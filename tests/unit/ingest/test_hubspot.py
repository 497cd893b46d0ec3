"""What HubSpot's arrays of changes turn into."""

from collections.abc import Callable
from typing import Any

import pytest

from ingest.domain.records import (
    ActivityRecord,
    ConsentRecord,
    IgnoredRecord,
    LeadRecord,
    Record,
    UnmappableRecord,
)
from ingest.domain.senders import hubspot
from ingest.domain.source import Inbound

MakeInbound = Callable[..., Inbound]
Webhook = Callable[[str], Any]


def only(records: tuple[Record, ...]) -> Any:
    [record] = records
    return record


def change(**fields: Any) -> dict[str, Any]:
    return {
        "eventId": 1, "subscriptionId": 12345, "portalId": 62515, "occurredAt": 1564113600000, "attemptNumber": 0,
        "subscriptionType": "contact.propertyChange", "objectId": 123, "changeSource": "CRM_UI", "appId": 54321,
        **fields,
    }  # fmt: skip


def test_a_contacts_changes_of_one_delivery_are_one_lead(make_inbound: MakeInbound, webhook: Webhook):
    events = [
        change(eventId=3, propertyName="jobtitle", propertyValue="Chef", occurredAt=1564113600002),
        change(eventId=2, propertyName="jobtitle", propertyValue="Cook", occurredAt=1564113600001),
        *webhook("hubspot/contact.creation.sdk-test.json"),
        change(eventId=4, propertyName="email", propertyValue="jill@example.com"),
    ]
    record = only(hubspot.map_delivery(make_inbound(events, "hubspot")))
    assert (record.lead.email, record.lead.title, record.external_id) == (
        "jill@example.com", "Chef", "hubspot:62515:123",
    )  # fmt: skip


def test_a_hubspot_retry_has_the_same_key_and_another_attempt_number(make_inbound: MakeInbound):
    events = [
        change(propertyName="email", propertyValue="a@b.de"),
        change(eventId=2, propertyName="city", propertyValue="B"),
    ]
    again = [{**event, "attemptNumber": 3} for event in reversed(events)]
    keys = [only(hubspot.map_delivery(make_inbound(batch, "hubspot"))).dedupe_key for batch in (events, again)]
    assert keys[0] == keys[1]


def test_an_event_id_alone_does_not_make_a_duplicate(make_inbound: MakeInbound):
    batches = [[change(propertyName="email", propertyValue="a@b.de", objectId=n)] for n in (1, 2)]
    keys = [only(hubspot.map_delivery(make_inbound(batch, "hubspot"))).dedupe_key for batch in batches]
    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"propertyName": "lifecyclestage", "propertyValue": "customer"}, (ActivityRecord, "won")),
        ({"propertyName": "hs_lead_status", "propertyValue": "CONNECTED"}, (ActivityRecord, "first_touch")),
        ({"propertyName": "hs_lead_status", "propertyValue": "NEW"}, (IgnoredRecord, "property")),
        ({"propertyName": "hs_email_optout", "propertyValue": "true"}, (ConsentRecord, "withdrawn")),
        ({"propertyName": "favourite", "propertyValue": "x"}, (IgnoredRecord, "property")),
        ({"propertyName": "email", "propertyValue": "REDACTED"}, (IgnoredRecord, "redacted")),
        ({"subscriptionType": "contact.privacyDeletion"}, (UnmappableRecord, "erasure_order")),
        ({"subscriptionType": "contact.creation"}, (UnmappableRecord, "contact_not_fetched")),
        ({"subscriptionType": "deal.creation"}, (IgnoredRecord, "event_type")),
        ({"objectId": None}, (UnmappableRecord, "not_a_change")),
        (
            {"propertyName": "email", "propertyValue": "a@b.de", "changeSource": "INTEGRATION", "sourceId": "54321"},
            (IgnoredRecord, "echo"),
        ),
    ],
)
def test_each_hubspot_change_goes_where_it_belongs(
    make_inbound: MakeInbound, fields: dict[str, Any], expected: tuple[type, str]
):
    record = only(hubspot.map_delivery(make_inbound([change(**fields)], "hubspot")))
    assert (type(record), told_by(record)) == expected


def told_by(record: Record) -> str:
    match record:
        case ActivityRecord():
            return record.kind
        case ConsentRecord():
            return record.signal.state
        case IgnoredRecord() | UnmappableRecord():
            return record.reason
        case LeadRecord():
            return "lead"


def test_the_recorded_redacted_change_is_ignored(make_inbound: MakeInbound, webhook: Webhook):
    payload = webhook("hubspot/contact.propertyChange.sensitive-redacted.json")
    assert only(hubspot.map_delivery(make_inbound(payload, "hubspot"))).reason == "redacted"


def test_more_than_a_hundred_events_are_quarantined_whole(make_inbound: MakeInbound):
    assert only(hubspot.map_delivery(make_inbound([change()] * 101, "hubspot"))).reason == "batch_size"
