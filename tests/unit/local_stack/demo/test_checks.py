"""The demo's checks notice every kind of broken promise. Each case below breaks one thing of a run that is right."""

from datetime import UTC, datetime
from typing import Any

import pytest

from local_stack.demo.checks import Run, find_problems
from local_stack.demo.posting import Delivery
from local_stack.demo.samples import LEAD, Fate
from local_stack.demo.story import Story
from local_stack.load.crm import Callback

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ALLOWED = {"channels": [{"channel": "email", "allowed": False}, {"channel": "phone", "allowed": True}]}
DENIED = {"channels": [{"channel": "email", "allowed": False}]}
OWNER = {"rep_id": "carol", "assignment_id": "a-1"}
SENT = [{"callback_id": "c-1", "state": "delivered"}]


def told(
    rep_id: str = "carol",
    *,
    callback_id: str = "c-1",
    digest: str = "d-1",
    assignment_id: str = "a-1",
    is_verified: bool = True,
) -> Callback:
    body = {"data": {"lead_id": "l-1", "owner": {"rep_id": rep_id}, "assignment": {"assignment_id": assignment_id}}}
    return Callback(callback_id, NOON.timestamp(), is_verified=is_verified, body=body, digest=digest)


def routed(owner: Any = OWNER, callbacks: Any = SENT, decision: Any = "decided") -> dict[str, Any]:
    return {"owner": owner, "callbacks": callbacks, "decision": decision}


def story(**fields: Any) -> Story:
    values: dict[str, Any] = {
        "title": "Ada L.",
        "kind": "zoom",
        "record_id": "r-1",
        "nature": "lead",
        "state": "assigned",
        "reason": None,
        "lead_id": "l-1",
        "received_at": NOON,
        "enriched_at": NOON,
        "score": {"decided": {}},
        "consent": ALLOWED,
        "may_contact": True,
        "routing": routed(),
        "callbacks": [told()],
    }
    return Story(**{**values, **fields})


def withheld(**fields: Any) -> Story:
    return story(
        **{"state": "withheld", "consent": DENIED, "may_contact": False, "routing": None, "callbacks": [], **fields}
    )


def nurtured(**fields: Any) -> Story:
    return story(**{"state": "nurtured", "routing": routed(None, []), "callbacks": [], **fields})


def quarantined(**fields: Any) -> Story:
    nothing = dict.fromkeys(("lead_id", "score", "consent", "routing"))
    values = {**nothing, "may_contact": False, "callbacks": (), "reason": "no_contact", **fields}
    return story(**{"nature": "quarantined", "state": "quarantined", **values})


def delivery(**fields: Any) -> Delivery:
    values: dict[str, Any] = {
        "title": "Ada L.",
        "kind": "zoom",
        "status": 200,
        "expected_status": 200,
        "expected": (LEAD,),
        "submission_id": "s-1",
        "record_ids": ("r-1",),
        "repeat": None,
    }
    return Delivery(**{**values, **fields})


def run(*stories: Story, **fields: Any) -> Run:
    """Return a run of one delivery with *stories*, by default one assigned lead."""
    values: dict[str, Any] = {
        "deliveries": [delivery()],
        "stories": {"s-1": stories or (story(),)},
        "ledger_before": {"accepted": 10},
        "ledger": ledger(),
        "pending_callbacks": 0,
        "refused": 0,
        "is_alone": True,
    }
    return Run(**{**values, **fields})


def ledger(**fields: Any) -> dict[str, Any]:
    return {"accepted": 11, "balanced": True, "differences": {}, "imbalance": 0, "in_flight": 0, **fields}


@pytest.mark.parametrize("right", [story(), withheld(), nurtured(), nurtured(state="unassigned")])
def test_lead_that_ended_as_it_should_is_no_problem(right: Story) -> None:
    assert find_problems(run(right)) == []


def test_quarantined_record_with_the_expected_reason_is_no_problem() -> None:
    expected = delivery(expected=(Fate("quarantined", "no_contact"),))
    assert find_problems(run(quarantined(), deliveries=[expected])) == []


def test_callback_repeated_with_the_same_bytes_is_no_problem() -> None:
    assert find_problems(run(story(callbacks=[told(), told()]))) == []


def test_refused_delivery_that_must_be_refused_is_no_problem() -> None:
    refused = delivery(status=401, expected_status=401, expected=(), submission_id=None, record_ids=())
    assert find_problems(run(deliveries=[delivery(), refused])) == []


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (story(state="in_flight"), "ended as in_flight"),
        (story(state="parked"), "ended as parked"),
        (story(state="erased"), "ended as erased"),
        (story(score=None), "assigned without a score"),
        (story(routing=None), "knows no owner"),
        (story(routing=routed(None)), "knows no owner"),
        (story(may_contact=False), "consent does not allow"),
        (story(consent=DENIED), "consent does not allow"),
        (story(consent=None), "consent does not allow"),
        (story(callbacks=[]), "0 different callbacks"),
        (story(callbacks=[told(), told(callback_id="c-2")]), "2 different callbacks"),
        (story(callbacks=[told(), told(digest="d-2")]), "different content"),
        (story(callbacks=[told(is_verified=False)]), "not verified"),
        (story(callbacks=[told("alice")]), "told alice, routing says carol"),
        (story(callbacks=[told(assignment_id="a-2")]), "another assignment"),
        (story(callbacks=[told(callback_id="c-9")]), "took callback c-9"),
        (story(routing=routed(callbacks=[{"callback_id": "c-1", "state": "pending"}])), "routing's are"),
        (story(routing=routed(callbacks=[])), "routing's are"),
        (withheld(callbacks=[told()]), "the CRM was told"),
        (withheld(routing=routed(None)), "the CRM was told"),
        (withheld(routing=routed(OWNER, [])), "yet carol has it"),
        (withheld(consent=ALLOWED), "consent allows contact"),
        (withheld(consent=None), "consent allows contact"),
        (withheld(score=None), "without a score"),
        (nurtured(callbacks=[told()]), "the CRM was told"),
        (nurtured(consent=DENIED), "consent does not allow"),
        (nurtured(score=None), "without a score"),
        (nurtured(routing=None), "knows no decision"),
        (nurtured(state="unassigned", routing=routed(None, [], None)), "knows no decision"),
    ],
)
def test_broken_promise_about_a_lead_is_named(broken: Story, says: str) -> None:
    [problem] = find_problems(run(broken))
    assert says in problem


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (delivery(status=500, detail="oh"), "answered 500, not 200: oh"),
        (delivery(status=200, expected_status=401, expected=()), "answered 200, not 401"),
        (delivery(repeat=(200, "s-2", ("r-1",))), "answered with other ids"),
        (delivery(repeat=(200, "s-1", ("r-2",))), "answered with other ids"),
        (delivery(repeat=(503, None, ())), "answered with other ids"),
        (delivery(record_ids=("r-9",)), "promised the records"),
        (delivery(expected=(Fate("ignored", "event_type"),)), "became lead, not ignored: event_type"),
        (delivery(expected=(LEAD, LEAD)), "became lead, not lead, lead"),
    ],
)
def test_broken_promise_about_a_delivery_is_named(broken: Delivery, says: str) -> None:
    [problem] = find_problems(run(deliveries=[broken]))
    assert says in problem


def test_wrong_reason_of_a_quarantined_record_is_named() -> None:
    expected = delivery(expected=(Fate("quarantined", "no_contact"),))
    [problem] = find_problems(run(quarantined(reason="mapping_failed"), deliveries=[expected]))
    assert "became quarantined: mapping_failed, not quarantined: no_contact" in problem


def test_accepted_delivery_that_nobody_knows_any_more_is_named() -> None:
    problems = find_problems(run(stories={}))
    assert any("promised the records" in problem for problem in problems)
    assert any("became nothing, not lead" in problem for problem in problems)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"ledger": ledger(balanced=False, imbalance=1)}, "does not balance"),
        ({"ledger": ledger(imbalance=-1)}, "does not balance"),
        ({"ledger": ledger(differences={"assigned": 1})}, "does not balance"),
        ({"ledger": ledger(in_flight=2)}, "2 records are still in flight"),
        ({"ledger": ledger(accepted=10)}, "counts 0 records since the start; the answers promised 1"),
        ({"ledger": ledger(accepted=12)}, "counts 2 records since the start; the answers promised 1"),
        ({"ledger": ledger(accepted=10), "is_alone": False}, "counts 0 records"),
        ({"refused": 3}, "refused 3 callbacks"),
        ({"pending_callbacks": 2}, "2 callbacks are still pending"),
    ],
)
def test_broken_ledger_or_callback_is_named(fields: dict[str, Any], says: str) -> None:
    [problem] = find_problems(run(**fields))
    assert says in problem


def test_records_of_others_are_no_problem_on_a_shared_stack() -> None:
    assert find_problems(run(ledger=ledger(accepted=500), is_alone=False)) == []


def test_two_people_who_became_one_lead_are_named() -> None:
    deliveries = [delivery(), delivery(submission_id="s-2", record_ids=("r-2",))]
    stories = {"s-1": [story()], "s-2": [story(record_id="r-2")]}
    [problem] = find_problems(run(deliveries=deliveries, stories=stories, ledger=ledger(accepted=12)))
    assert "several of the people" in problem
