"""The judge itself: it acquits what is right and names each broken promise that is planted."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from .evidence import Evidence, Seen
from .traffic import Promise
from .verdict import find_faults

LEADS = ("a", "b")


def promise(lead: str) -> Promise:
    return Promise(f"record-{lead}", f"submission-{lead}", "zoom", "lead", lead, f"{lead}@example.com")


def seen(topic: str, event_type: str, lead: str, offset: int, record: str = "", **body: Any) -> Seen:
    record = record or f"record-{lead}"
    content = {"lead_id": lead, "origin": {"record_id": record}, **body}
    event_id = f"{topic}/{record}/{event_type}"
    return Seen(topic, 0, offset, lead, event_id, event_type, json.dumps(content).encode(), ())


def assigned(lead: str, offset: int, assignment: str = "") -> Seen:
    owner = {"assignment_id": assignment or f"assignment-{lead}"}
    return seen("leads.routed", "leadrail.lead.assigned.v1", lead, offset, owner=owner)


def callback(lead: str, callback_id: str = "", digest: str = "same") -> dict[str, Any]:
    data = {"lead_id": lead, "assignment": {"assignment_id": f"assignment-{lead}"}}
    return {"id": callback_id or f"callback-{lead}", "digest": digest, "body": {"type": "lead.assigned", "data": data}}


def right() -> Evidence:
    """Return what there is when all went well: two leads, each with one owner."""
    return Evidence(
        records=[
            {"record_id": f"record-{one}", "lead_id": one, "nature": "lead", "state": "assigned"} for one in LEADS
        ],
        counters={"accepted": 2, "assigned": 2},
        assignments=[
            {"assignment_id": f"assignment-{one}", "lead_id": one, "rep_id": "alice", "ended_at": None} for one in LEADS
        ],
        sent=[
            {"callback_id": f"callback-{one}", "lead_id": one, "event_type": "lead.assigned", "state": "delivered"}
            for one in LEADS
        ],
        clocks=[
            clock
            for one in LEADS
            for clock in (
                {"clock_id": f"assignment-{one}.first_touch", "stage": "first_touch", "closed_at": None},
                {"clock_id": f"record-{one}.assign", "stage": "assign", "closed_at": "now"},
            )
        ],
        received=[callback(one) for one in LEADS],
        events=[
            *(seen("leads.captured", "captured", one, offset) for offset, one in enumerate(LEADS)),
            *(assigned(one, offset) for offset, one in enumerate(LEADS)),
        ],
    )


PROMISES = [promise(one) for one in LEADS]


def test_what_is_right_is_acquitted() -> None:
    assert find_faults(PROMISES, right()) == []


def test_twin_of_an_event_and_of_a_callback_is_no_fault() -> None:
    evidence = right()
    evidence.events.append(assigned("a", 7))
    evidence.received.append(callback("a"))
    assert find_faults(PROMISES, evidence) == []


PLANTED: dict[str, Callable[[Evidence], object]] = {
    "answered with 2xx are unknown": lambda seen_: seen_.records.pop(),
    "records are in flight": lambda e: e.records.__setitem__(0, {**e.records[0], "state": "in_flight"}),
    "in another state than their decision": lambda e: e.records.__setitem__(0, {**e.records[0], "state": "nurtured"}),
    "the ledger counts": lambda e: e.counters.update(assigned=3),
    "records have no decision": lambda e: e.events.pop(),
    "records have several decisions": lambda e: e.events.append(
        seen("leads.routed", "leadrail.lead.nurtured.v1", "a", 9)
    ),
    "decisions are about records nobody sent": lambda e: e.events.append(
        seen("leads.routed", "leadrail.lead.nurtured.v1", "c", 9)
    ),
    "leads have several assignments": lambda e: e.assignments.append({**e.assignments[0], "assignment_id": "other"}),
    "leads have lost their owner": lambda e: e.assignments.__setitem__(0, {**e.assignments[0], "ended_at": "now"}),
    "assignments were not announced": lambda e: e.events.__delitem__(2),
    "announced as several events": lambda e: e.events.append(
        seen("leads.routed", "leadrail.lead.assigned.v1", "a", 9, "again", owner={"assignment_id": "assignment-a"})
    ),
    "announced assignments do not exist": lambda e: e.assignments.pop(),
    "callbacks are pending": lambda e: e.sent.__setitem__(0, {**e.sent[0], "state": "pending"}),
    "assignments are unknown to the CRM": lambda e: e.received.pop(),
    "callbacks came with different contents": lambda e: e.received.append(callback("a", digest="other")),
    "assignments were told under several ids": lambda e: e.received.append(callback("a", "second")),
    "callbacks are about no assignment": lambda e: e.received.append(callback("c", "third")),
    "callbacks were sent that nobody wrote": lambda e: e.sent.pop(),
    "assignments have no clock": lambda e: e.clocks.__delitem__(0),
    "no closed clock of their assignment": lambda e: e.clocks.pop(),
    "twins with another content": lambda e: e.events.append(assigned("a", 9, "another")),
    "records in another order on leads.routed": lambda e: e.events.extend(
        [
            seen("leads.captured", "captured", "a", 8, "later"),
            *(seen("leads.routed", "noted", "b", offset, name) for offset, name in ((8, "y"), (9, "x"))),
            *(seen("leads.captured", "captured", "b", offset, name) for offset, name in ((8, "x"), (9, "y"))),
        ]
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_fault_is_named(fault: str) -> None:
    evidence = deepcopy(right())
    PLANTED[fault](evidence)
    assert [found for found in find_faults(PROMISES, evidence) if fault in found] != []
