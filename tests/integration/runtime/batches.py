"""Batches as a poll would bring them."""

from shared.clock import SystemClock, format_instant
from shared.contracts import LeadCaptured, encode_event
from shared.ids import new_id
from shared.kafka import Outgoing
from shared.runtime.envelope import Arrived, received_from_outgoing
from shared.testing.builders import make_captured, make_lead


def captured(lead_id: str, name: str) -> LeadCaptured:
    """A captured lead whose last name says which event this is."""
    return make_captured(lead_id, lead=make_lead(last_name=name))


def arrived(*events: LeadCaptured) -> list[Arrived]:
    """Events with fresh ids, at consecutive offsets."""
    now = format_instant(SystemClock().now())
    items = []
    for offset, event in enumerate(events):
        outgoing = Outgoing(new_id(), event.type, event.topic, event.lead_id, now, encode_event(event))
        items.append(Arrived(received_from_outgoing(outgoing, event), event.topic, 0, offset, outgoing.payload))
    return items
