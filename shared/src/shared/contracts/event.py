"""What every event has, and how events become bytes.

An event's payload is JSON; its envelope (id, type, source, time, trace) travels in Kafka headers as CloudEvents 1.0
binary mode. Readers ignore fields they do not know, so adding an optional field is not a breaking change.
"""

from typing import ClassVar

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to one lead. ``lead_id`` is the Kafka key: order is kept per lead and topic."""

    type: ClassVar[str]
    topic: ClassVar[str]

    lead_id: str


def encode_event(event: Event) -> bytes:
    """Return the JSON payload of *event*."""
    return _ENCODER.encode(event)


_ENCODER = msgspec.json.Encoder()
