"""Standard Webhooks (and Svix, whose headers have another prefix): ``{"type", "timestamp", "data"}``."""

from ingest.domain.fields import text_at
from ingest.domain.records import Record, UnmappableRecord
from ingest.domain.senders.event_payload import EventEnvelope, instant_from, map_event
from ingest.domain.senders.sender import Sender
from ingest.domain.source import Inbound
from ingest.domain.verification import Signature, Timestamp


def map_delivery(inbound: Inbound) -> tuple[Record, ...]:
    payload = inbound.payload
    message_id = (inbound.headers.get(b"webhook-id") or inbound.headers.get(b"svix-id") or b"").decode("latin-1")
    dedupe_key = f"webhook:{message_id}" if message_id else None
    if not isinstance(payload, dict):
        return (UnmappableRecord(reason="not_an_object", dedupe_key=dedupe_key),)
    envelope = EventEnvelope(
        type=text_at(payload, "type") or text_at(payload, "event_type") or "",
        occurred_at=instant_from(payload.get("timestamp"), inbound.received_at),
        dedupe_key=dedupe_key,
    )
    return (map_event(envelope, payload.get("data"), inbound),)


def _signature(prefix: bytes) -> Signature:
    return Signature(
        header=prefix + b"-signature",
        template="{id}.{timestamp}.{body}",
        parse="list",
        label=b"v1,",
        encoding="base64",
        key="base64",
        key_prefix=b"whsec_",
        timestamp=Timestamp(header=prefix + b"-timestamp"),
        id_header=prefix + b"-id",
    )


SENDER = Sender(
    kind="standard_webhooks",
    schemes=(_signature(b"webhook"), _signature(b"svix")),
    map_delivery=map_delivery,
    secret_prefix="whsec_",  # noqa: S106 - the public prefix of every such secret
)
