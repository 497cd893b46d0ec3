"""CloudEvents 1.0 over HTTP: binary, structured and batch mode, and the web hook's OPTIONS handshake."""

import base64
import binascii
from typing import Final

from ingest.domain.fields import text_at
from ingest.domain.json_guard import Json, JsonLimits, parse_json
from ingest.domain.records import Answer, Record, UnmappableRecord
from ingest.domain.refusal import RefusedBody
from ingest.domain.senders.event_payload import EventEnvelope, instant_from, map_event
from ingest.domain.senders.sender import ANY_CONTENT_TYPE, MIB, Sender
from ingest.domain.source import Inbound, Source
from ingest.domain.verification import Headers, SharedSecret

MAX_BATCH: Final = 500
ALLOWED_RATE: Final = 6_000  # requests per minute granted to one emitter: far under what one process takes
_REQUIRED: Final = ("specversion", "type", "source", "id")
_JSON_LIMITS: Final = JsonLimits(keys=MAX_BATCH * 40)


def map_delivery(inbound: Inbound) -> tuple[Record, ...]:
    content_type = inbound.headers.get(b"content-type", b"").lower()
    payload = inbound.payload
    if content_type.startswith(b"application/cloudevents-batch+json"):
        if not isinstance(payload, list) or len(payload) > MAX_BATCH:
            return (UnmappableRecord(reason="batch_size"),)
        return tuple(_map_structured(event, inbound) for event in payload)
    if content_type.startswith(b"application/cloudevents+json"):
        return (_map_structured(payload, inbound),)
    attributes = {
        name: inbound.headers.get(b"ce-" + name.encode(), b"").decode("utf-8", "replace")
        for name in (*_REQUIRED, "time")
    }
    return (_map_one(attributes, payload, inbound, is_json=b"json" in content_type),)


def answer_options(source: Source, headers: Headers) -> Answer | None:
    """Grant the handshake of the CloudEvents web hook spec. The callback URL it may carry is never called."""
    origin = headers.get(b"webhook-request-origin", b"").decode("latin-1")
    if not origin:
        return None
    if source.allowed_origins and origin not in source.allowed_origins:
        return Answer(status=403)
    asked = headers.get(b"webhook-request-rate", b"")
    rate = min(int(asked), ALLOWED_RATE) if asked.isdigit() and len(asked) < 10 and int(asked) > 0 else ALLOWED_RATE
    return Answer(
        headers=(("Allow", "POST"), ("WebHook-Allowed-Origin", origin), ("WebHook-Allowed-Rate", str(rate))),
    )


def _map_structured(event: Json, inbound: Inbound) -> Record:
    if not isinstance(event, dict):
        return UnmappableRecord(reason="not_an_object")
    attributes = {name: text_at(event, name) or "" for name in (*_REQUIRED, "time")}
    content_type = text_at(event, "datacontenttype") or "application/json"
    if "data_base64" not in event:
        return _map_one(attributes, event.get("data"), inbound, is_json="json" in content_type)
    if "json" not in content_type:
        return _map_one(attributes, None, inbound, is_json=False)
    try:
        data = parse_json(base64.b64decode(str(event["data_base64"]), validate=True))
    except (binascii.Error, ValueError, RefusedBody):
        return UnmappableRecord(reason="data_not_json", dedupe_key=_dedupe_key(attributes))
    return _map_one(attributes, data, inbound, is_json=True)


def _map_one(attributes: dict[str, str], data: Json, inbound: Inbound, *, is_json: bool) -> Record:
    if not all(attributes[name] for name in _REQUIRED):
        return UnmappableRecord(reason="attribute_missing")
    if attributes["specversion"] != "1.0":
        return UnmappableRecord(reason="specversion", dedupe_key=_dedupe_key(attributes))
    if not is_json:
        return UnmappableRecord(reason="data_not_json", dedupe_key=_dedupe_key(attributes))
    envelope = EventEnvelope(
        type=attributes["type"],
        occurred_at=instant_from(attributes["time"], inbound.received_at),
        dedupe_key=_dedupe_key(attributes),
    )
    return map_event(envelope, data, inbound)


def _dedupe_key(attributes: dict[str, str]) -> str:
    """``source`` + ``id`` identify an event, says the specification."""
    return f"ce:{attributes['source']}:{attributes['id']}"


SENDER = Sender(
    kind="cloudevents",
    schemes=(SharedSecret(header=b"authorization", prefix=b"Bearer "),),
    map_delivery=map_delivery,
    content_types=frozenset({ANY_CONTENT_TYPE}),
    max_body=MIB,
    json_limits=_JSON_LIMITS,
    answer_options=answer_options,
)
