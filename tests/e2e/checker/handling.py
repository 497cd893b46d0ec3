"""Every event reached every consumer, in order; what a consumer caused is on its topic, and nothing else is."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from .facts import Emitted, Evidence, Seen, some

ASSIGNED = "leadrail.lead.assigned.v1"
REASSIGNED = "leadrail.lead.reassigned.v1"
UNASSIGNED = "leadrail.lead.unassigned.v1"
RETAINED = "leadrail.lead.retained.v1"
NURTURED = "leadrail.lead.nurtured.v1"
CLEARED = "leadrail.lead.cleared.v1"
WITHHELD = "leadrail.lead.withheld.v1"
SCORED = "leadrail.lead.scored.v1"
QUALIFIED = "leadrail.lead.qualified.v1"
ENRICHED = "leadrail.lead.enriched.v1"
CAPTURED = "leadrail.lead.captured.v1"
ACTIVITY = "leadrail.activity.recorded.v1"
SLA_CHANGED = "leadrail.sla.changed.v1"
CONSENT_CHANGED = "leadrail.consent.changed.v1"
PARKED = "leadrail.lead.parked.v1"
RELEASED = "leadrail.lead.released.v1"

# Who has to handle an event. What sla-monitor makes of activities is for its policies to say.
READERS = {
    CAPTURED: ("ingest-enrich", "sla-monitor"),
    ENRICHED: ("scoring",),
    SCORED: ("consent",),
    CLEARED: ("routing",),
    WITHHELD: ("ingest-ledger", "sla-monitor"),
    ASSIGNED: ("ingest-ledger", "sla-monitor"),
    REASSIGNED: ("ingest-ledger", "sla-monitor"),
    RETAINED: ("ingest-ledger", "sla-monitor"),
    NURTURED: ("ingest-ledger", "sla-monitor"),
    UNASSIGNED: ("ingest-ledger", "sla-monitor"),
    ACTIVITY: ("scoring", "consent"),
    SLA_CHANGED: ("routing",),
    CONSENT_CHANGED: ("routing",),
    PARKED: ("ingest-ledger",),
    RELEASED: ("ingest-ledger",),
}
# Each consumer decides its leads one event after the other, and an event of these types always causes one of those.
CAUSED_BY = {
    ENRICHED: "ingest-enrich",
    NURTURED: "routing",
    RETAINED: "routing",
    UNASSIGNED: "routing",
}


def find_unhandled(evidence: Evidence) -> list[str]:
    """Return what is still on its way to a consumer or to a topic."""
    events = evidence.firsts()
    handled = {(one.consumer, one.event_id) for one in evidence.handled}
    parked = {(consumer, event_id) for consumer, _, event_id in evidence.parked}
    refused = {(one.consumer, one.topic, one.partition, one.offset) for one in evidence.undecodable}
    missed: dict[str, list[str]] = defaultdict(list)
    for event in events:
        for consumer in readers_of(event):
            is_known = (
                (consumer, event.id) in handled
                or (consumer, event.id) in parked
                or (consumer, event.topic, event.partition, event.offset) in refused
            )
            if not is_known:
                missed[consumer].append(event.id)
    known = {event.id for event in events}
    caused = {out.id for one in evidence.handled for out in one.emitted}
    return [
        *(line for consumer in missed for line in some(f"events never reached {consumer}", missed[consumer])),
        *some("events were caused and never published", caused - known),
        *some(
            "services have something left in their outbox",
            (f"{name} ({rows})" for name, rows in evidence.unpublished.items() if rows),
        ),
    ]


def readers_of(event: Seen) -> tuple[str, ...]:
    """Return the consumers that must handle *event*."""
    if event.type == SLA_CHANGED:
        is_about_owner = event.body.get("assignment_id") is not None
        asks = event.body.get("action") == "reassign" or event.body.get("state") == "met"
        return READERS[event.type] if is_about_owner and asks else ()
    if event.type == UNASSIGNED and event.body.get("reason") != "consent_withdrawn":
        return ("ingest-ledger",)
    return READERS.get(event.type, ())


def judge_handling(evidence: Evidence) -> Iterator[str]:
    """Return a sentence per kind of broken promise."""
    yield from find_unhandled(evidence)
    yield from _judge_undecodable(evidence)
    yield from _judge_twins(evidence.events)
    yield from _judge_causes(evidence)
    yield from _judge_order(evidence)


def _judge_undecodable(evidence: Evidence) -> Iterator[str]:
    kept = {(one.topic, one.partition, one.offset) for one in evidence.undecodable}
    yield from some(
        "events cannot be read, and nobody kept them",
        (
            f"{event.topic}/{event.partition}/{event.offset}"
            for event in evidence.events
            if not event.body and (event.topic, event.partition, event.offset) not in kept
        ),
    )


def _judge_twins(events: Sequence[Seen]) -> Iterator[str]:
    """An event that was published again is the same to the byte."""
    contents: dict[str, set[tuple[str, str, int, bytes]]] = defaultdict(set)
    for event in events:
        contents[event.id].add((event.topic, event.key, event.partition, event.raw))
    yield from some("events have twins with another content", (o for o, seen in contents.items() if len(seen) > 1))


def _judge_causes(evidence: Evidence) -> Iterator[str]:
    """What is published is what was recorded: by one cause, with these bytes, under this lead."""
    events = {event.id: event for event in evidence.firsts()}
    causes: dict[str, set[str]] = defaultdict(set)
    altered = []
    for one in evidence.handled:
        for out in one.emitted:
            causes[out.id].add(f"{one.consumer}/{one.event_id}")
            event = events.get(out.id)
            if event is not None and Emitted(event.topic, event.key, event.id, event.type, event.digest) != out:
                altered.append(out.id)
    yield from some("events are not what was recorded of them", altered)
    yield from some("events have several causes", (o for o, found in causes.items() if len(found) > 1))
    yield from some(
        "events were published that no consumer recorded",
        (o for o, event in events.items() if event.type in CAUSED_BY and o not in causes),
    )
    yield from some(
        "events are keyed by another lead than they name",
        (o for o, event in events.items() if event.body and event.body.get("lead_id") != event.key),
    )


def _judge_order(evidence: Evidence) -> Iterator[str]:
    """Each consumer handles the events of a lead and a topic in the order in which they were published."""
    at: dict[tuple[str, str], Any] = {(one.consumer, one.event_id): one.at for one in evidence.handled}
    latest: dict[tuple[str, str, str], Any] = {}
    late: dict[str, set[str]] = defaultdict(set)
    for event in evidence.firsts():
        for consumer in readers_of(event):
            handled_at = at.get((consumer, event.id))
            if handled_at is None:
                continue
            place = (consumer, event.topic, event.key)
            if place in latest and handled_at < latest[place]:
                late[consumer].add(event.key)
            else:
                latest[place] = handled_at
    for consumer, leads in late.items():
        yield from some(f"leads were handled in another order by {consumer}", leads)
