from types import SimpleNamespace
from typing import Any

import msgspec

from local_stack.bench.decisions import collect
from shared.contracts import ActivityRecorded, LeadAssigned, LeadCaptured, LeadNurtured, LeadRetained


def record(event_type: str, *, record_id="r1", lead_id="l1", timestamp=1_000, assignment_id=None) -> Any:
    value: dict[str, Any] = {"lead_id": lead_id, "origin": {"record_id": record_id, "source_key": "x"}}
    if assignment_id is not None:
        value["owner"] = {"assignment_id": assignment_id, "rep_id": "alice"}
    headers = (("ce_id", b"e"), ("ce_type", event_type.encode()))
    return SimpleNamespace(headers=headers, value=msgspec.json.encode(value), timestamp=timestamp)


def test_way_of_a_lead_is_read_from_its_events() -> None:
    decided = collect([record(LeadCaptured.type), record(LeadAssigned.type, timestamp=1_500, assignment_id="a1")])
    assert decided.lead_of == {"r1": "l1"}
    assert decided.decisions["r1"].kind == "assigned"
    assert decided.decisions["r1"].at == 1.5
    assert decided.assigned == {"a1": "l1"}


def test_first_decision_about_a_record_stays_and_a_later_assignment_is_known() -> None:
    decided = collect([record(LeadNurtured.type), record(LeadAssigned.type, timestamp=9_000, assignment_id="a1")])
    assert decided.decisions["r1"].kind == "nurtured"
    assert decided.assigned == {"a1": "l1"}


def test_twin_of_an_event_changes_nothing() -> None:
    once = [record(LeadAssigned.type, assignment_id="a1")]
    assert collect(once) == collect(once * 2)


def test_lead_that_keeps_its_owner_is_decided_and_not_assigned_again() -> None:
    decided = collect([record(LeadRetained.type, assignment_id="a1")])
    assert decided.decisions["r1"].kind == "retained"
    assert decided.assigned == {}


def test_events_that_decide_nothing_are_passed_over() -> None:
    assert collect([record(ActivityRecorded.type)]).decisions == {}
