"""Any program that can post JSON with a bearer secret: one person, or a list of persons."""

from ingest.domain.fields import flatten, map_fields
from ingest.domain.json_guard import Json, JsonLimits
from ingest.domain.records import LeadRecord, Record, UnmappableRecord
from ingest.domain.senders.sender import Sender
from ingest.domain.source import Inbound
from ingest.domain.verification import SharedSecret

MAX_BATCH = 500


def map_delivery(inbound: Inbound) -> tuple[Record, ...]:
    payload = inbound.payload
    if not isinstance(payload, list):
        return (_map_person(payload, inbound),)
    if not 1 <= len(payload) <= MAX_BATCH:
        return (UnmappableRecord(reason="batch_size"),)
    return tuple(_map_person(person, inbound) for person in payload)


def _map_person(person: Json, inbound: Inbound) -> Record:
    if not isinstance(person, dict):
        return UnmappableRecord(reason="not_an_object")
    mapped = map_fields(flatten(person), inbound)
    return LeadRecord(
        lead=mapped.lead, touch=mapped.touch, consent=mapped.consent, activities=inbound.source.defaults.activities
    )


SENDER = Sender(
    kind="json",
    schemes=(SharedSecret(header=b"authorization", prefix=b"Bearer "),),
    map_delivery=map_delivery,
    json_limits=JsonLimits(keys=MAX_BATCH * 40),
)
