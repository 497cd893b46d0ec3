"""Plain HTML forms and scripts on a web site: JSON, urlencoded or multipart, from browsers of strangers."""

from ingest.domain.fields import flatten, map_fields
from ingest.domain.records import LeadRecord, Record, UnmappableRecord
from ingest.domain.senders.sender import Sender
from ingest.domain.source import Inbound
from ingest.domain.verification import Unsigned


def map_delivery(inbound: Inbound) -> tuple[Record, ...]:
    """One form is one lead; a filled honeypot is a bot's work until a person says otherwise."""
    payload = inbound.payload
    if not isinstance(payload, dict):
        return (UnmappableRecord(reason="not_an_object"),)
    if not inbound.is_reviewed and str(payload.get(inbound.source.honeypot_field) or "").strip():
        return (UnmappableRecord(reason="honeypot"),)
    mapped = map_fields(
        payload.items() if inbound.is_form else flatten(payload), inbound, is_absent_refusal=inbound.is_form
    )
    return (
        LeadRecord(
            lead=mapped.lead,
            touch=mapped.touch,
            consent=mapped.consent,
            activities=inbound.source.defaults.activities,
        ),
    )


SENDER = Sender(
    kind="web_form",
    schemes=(Unsigned(),),
    map_delivery=map_delivery,
    content_types=frozenset(
        # text/plain: what sendBeacon and fetch without a preflight send
        {"application/json", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}
    ),
    has_public_callers=True,
    needs_secret=False,
)
