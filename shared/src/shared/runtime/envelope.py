"""From Kafka records to typed events, and the bytes kept of what was emitted."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka import ConsumerRecord

from shared.contracts import Event
from shared.kafka import Outgoing
from shared.logs import storable
from shared.runtime.tracing import valid_traceparent
from shared.runtime.work import Received

_EMITTED_ENCODER = msgspec.msgpack.Encoder()
_EMITTED_DECODER = msgspec.msgpack.Decoder(list[Outgoing])
MAX_REASON = 300
# 0.3 µs where uuid.UUID takes 2. Canonical only: the inbox compares ids as Postgres spells them. Version 7 and before
# the year 2527 only: the inbox has a partition for each day that stands in an id.
_UUID7 = re.compile(r"0[0-9a-f]{7}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}").fullmatch


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be decoded: kept with its raw bytes, where it was, and why."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: bytes
    payload: bytes
    reason: str


class Arrived(msgspec.Struct, frozen=True):
    """A decoded record, still knowing where it came from."""

    received: Received[Any]
    topic: str
    partition: int
    offset: int
    payload: bytes


class Decoder:
    """Decodes the event types one consumer handles; everything else on its topics is passed over."""

    def __init__(
        self, events: Mapping[type[Event], Any], wanted: Mapping[type[Event], Callable[[Any], bool]] | None = None
    ) -> None:
        self._decoders = {event.type.encode(): msgspec.json.Decoder(event) for event in events}
        self._wanted = {event.type.encode(): test for event, test in (wanted or {}).items()}

    def decode(self, record: ConsumerRecord) -> Arrived | DeadLetter | None:
        """Return the event, a dead letter if it is damaged, or None if this consumer has no interest in its type."""
        headers = dict(record.headers)
        event_type = headers.get("ce_type")
        if event_type is None:
            return self.dead_letter(record, "header ce_type is missing")
        decoder = self._decoders.get(event_type)
        if decoder is None:
            return None
        try:
            event = decoder.decode(record.value or b"")
            event_id = headers["ce_id"].decode()
            if not _UUID7(event_id):
                return self.dead_letter(record, "header ce_id is not a UUIDv7 in lower case")
            time = datetime.fromisoformat(headers["ce_time"].decode())
            if time.tzinfo is None:
                return self.dead_letter(record, "header ce_time has no zone")
            if "\0" in event.lead_id:
                return self.dead_letter(record, "lead_id holds a NUL, which Postgres cannot keep")
        except (KeyError, AttributeError) as error:
            return self.dead_letter(record, f"header {error} is missing or null")
        except (msgspec.MsgspecError, ValueError) as error:
            return self.dead_letter(record, str(error))
        is_wanted = self._wanted.get(event_type)
        if is_wanted is not None and not is_wanted(event):
            return None
        received = Received(event, event_id, event.lead_id, time, valid_traceparent(headers.get("traceparent")))
        return Arrived(received, record.topic, record.partition, record.offset, record.value or b"")

    @staticmethod
    def dead_letter(record: ConsumerRecord, reason: str) -> DeadLetter:
        """Keep *record* as it came."""
        return DeadLetter(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            headers=msgspec.msgpack.encode(
                [(name, None if value is None else bytes(value)) for name, value in record.headers]
            ),
            payload=record.value or b"",
            reason=storable(reason)[:MAX_REASON],
        )


def pack_emitted(emitted: list[Outgoing]) -> bytes:
    """Return the bytes the inbox keeps of what an event caused."""
    return _EMITTED_ENCODER.encode(emitted)


def unpack_emitted(packed: bytes | None) -> list[Outgoing]:
    """Return what `pack_emitted` was given; None is nothing."""
    return _EMITTED_DECODER.decode(packed) if packed else []


def received_from_outgoing(outgoing: Outgoing, event: Event) -> Received[Any]:
    """Return what a consumer would receive for *outgoing*."""
    time = datetime.fromisoformat(outgoing.time).astimezone(UTC)
    return Received(event, outgoing.id, outgoing.key, time, outgoing.traceparent)
