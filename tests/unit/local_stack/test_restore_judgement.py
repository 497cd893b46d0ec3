"""The judge of the restore drill finds each kind of violation, planted in a story that is all right."""

from collections.abc import Callable
from copy import deepcopy

import pytest

from local_stack.drill.evidence import Announced, Evidence, Told
from local_stack.drill.judgement import Story, find_faults
from local_stack.drill.traffic import Promise
from local_stack.load.senders import Post

POST = Post({}, b"")
KEPT = Promise("record-1", "lead", "ada@acme.example", "typeform", POST, 1.0)
NO = Promise("record-2", "lead", "bo@acme.example", "zoom", POST, 1.0)
LOST = Promise("record-3", "lead", "cy@acme.example", "zoom", POST, 2.0)
STORY = Story(kept=[KEPT, NO], lost=[LOST], repeated=[(KEPT, KEPT)], withdrawn=frozenset({"lead-2"}))


def make_evidence() -> Evidence:
    """Return one lead with an owner, and one that had one until it said no."""
    return Evidence(
        records=[
            {"record_id": "record-1", "lead_id": "lead-1", "nature": "lead", "state": "assigned"},
            {"record_id": "record-2", "lead_id": "lead-2", "nature": "lead", "state": "withheld"},
        ],
        counters={"accepted": 2, "assigned": 1, "withheld": 1},
        assignments=[
            {"assignment_id": "a-1", "lead_id": "lead-1", "rep_id": "alice", "is_running": True},
            {"assignment_id": "a-2", "lead_id": "lead-2", "rep_id": "bela", "is_running": False},
        ],
        parked=[],
        told=[
            Told("c-1", "x", "lead.assigned", "lead-1", "a-1", "alice"),
            Told("c-2", "y", "lead.assigned", "lead-2", "a-2", "bela"),
            Told("c-3", "z", "consent.withdrawn", "lead-2", None, None),
        ],
        announced=[Announced("e-1", "lead-1", "a-1", "alice"), Announced("e-2", "lead-2", "a-2", "bela")],
    )


def test_a_restore_that_kept_everything_is_right() -> None:
    assert find_faults(STORY, make_evidence(), make_evidence()) == []


def forget_a_counter(after: Evidence) -> None:
    after.counters["accepted"] = 3


def forget_a_record(after: Evidence) -> None:
    del after.records[0]


def end_otherwise(after: Evidence) -> None:
    after.records[1]["state"] = "assigned"


def make_a_second_lead(after: Evidence) -> None:
    after.records[0]["lead_id"] = "lead-9"


def bring_back_the_lost(after: Evidence) -> None:
    after.records.append({"record_id": "record-3", "lead_id": "lead-3", "nature": "lead", "state": "nurtured"})


def give_away(after: Evidence) -> None:
    after.assignments[0]["assignment_id"] = "a-9"


def give_to_two(after: Evidence) -> None:
    after.assignments.append({"assignment_id": "a-9", "lead_id": "lead-1", "rep_id": "bela", "is_running": True})


def lose_the_owner(after: Evidence) -> None:
    after.assignments[0]["is_running"] = False


def announce_twice(after: Evidence) -> None:
    after.announced.append(Announced("e-9", "lead-1", "a-1", "alice"))


def announce_another(after: Evidence) -> None:
    after.announced.append(Announced("e-9", "lead-1", "a-9", "bela"))


def tell_under_another_id(after: Evidence) -> None:
    after.told.append(Told("c-9", "x", "lead.assigned", "lead-1", "a-1", "alice"))


def tell_otherwise(after: Evidence) -> None:
    after.told.append(Told("c-1", "other", "lead.assigned", "lead-1", "a-1", "alice"))


def tell_of_another_owner(after: Evidence) -> None:
    after.told.append(Told("c-9", "x", "lead.reassigned", "lead-1", "a-9", "bela"))


def forget_the_no(after: Evidence) -> None:
    after.assignments[1]["is_running"] = True


def give_the_no_away(after: Evidence) -> None:
    after.told.append(Told("c-9", "x", "lead.assigned", "lead-2", "a-9", "alice"))


def park(after: Evidence) -> None:
    after.parked.append({"consumer": "scoring", "key": "lead-1"})


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (forget_a_counter, "the ledger counts"),
        (forget_a_record, "were promised, were on Kafka and are gone"),
        (end_otherwise, "came to another end"),
        (make_a_second_lead, "belong to another lead"),
        (bring_back_the_lost, "were on no topic and are there"),
        (give_away, "have another owner than before"),
        (give_to_two, "have several owners"),
        (lose_the_owner, "lost their owner"),
        (announce_twice, "announced as several events"),
        (announce_another, "announced and do not exist"),
        (tell_under_another_id, "told under several ids"),
        (tell_otherwise, "with different contents"),
        (tell_of_another_owner, "than the CRM was told last"),
        (forget_the_no, "said no and have an owner"),
        (give_the_no_away, "said no and were given to somebody again"),
        (park, "are parked"),
    ],
)
def test_a_planted_violation_is_found(plant: Callable[[Evidence], None], found: str) -> None:
    after = deepcopy(make_evidence())
    plant(after)
    assert [fault for fault in find_faults(STORY, make_evidence(), after) if found in fault]


def test_a_delivery_that_is_taken_in_twice_is_found() -> None:
    again = KEPT._replace(record_id="record-1b")
    story = STORY._replace(repeated=[(KEPT, again)])
    assert [fault for fault in find_faults(story, make_evidence(), make_evidence()) if "not recognised" in fault]


def test_a_person_who_became_two_leads_is_found() -> None:
    story = STORY._replace(kept=[KEPT, NO._replace(email=KEPT.email)])
    assert [fault for fault in find_faults(story, make_evidence(), make_evidence()) if "several leads" in fault]
