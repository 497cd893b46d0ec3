"""The demo's checks notice every kind of broken promise."""

from datetime import UTC, datetime
from typing import Any

import pytest

from local_stack.demo.checks import find_problems
from local_stack.demo.report import percentile
from local_stack.demo.story import Story
from local_stack.load.crm import Callback

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LEDGER: dict[str, Any] = {"balanced": True, "differences": {}, "imbalance": 0, "in_flight": 0}


def told(
    rep_id: str = "carol", *, callback_id: str = "c-1", digest: str = "d-1", assignment_id: str = "a-1"
) -> Callback:
    body = {"data": {"lead_id": "l-1", "owner": {"rep_id": rep_id}, "assignment": {"assignment_id": assignment_id}}}
    return Callback(callback_id, NOON.timestamp(), is_verified=True, body=body, digest=digest)


def story(**fields: Any) -> Story:
    values: dict[str, Any] = {
        "title": "lead 1",
        "kind": "zoom",
        "submission_id": "s-1",
        "record_id": "r-1",
        "nature": "lead",
        "state": "assigned",
        "reason": None,
        "lead_id": "l-1",
        "received_at": NOON,
        "enriched_at": NOON,
        "score": None,
        "consent": {"may_contact": True, "last_decision": None},
        "routing": {"owner": {"rep_id": "carol", "assignment_id": "a-1"}},
        "callbacks": [told()],
    }
    return Story(**{**values, **fields})


def test_run_in_which_all_is_right_has_no_problems() -> None:
    stories = [story(), story(record_id="r-2", state="withheld", consent={"may_contact": False}, callbacks=[])]
    assert find_problems(stories, LEDGER, 0) == []


def test_callback_repeated_with_the_same_bytes_is_no_problem() -> None:
    assert find_problems([story(callbacks=[told(), told()])], LEDGER, 0) == []


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (story(state="in_flight"), "ended as in_flight"),
        (story(state="parked"), "ended as parked"),
        (story(routing=None), "knows no owner"),
        (story(routing={"owner": None}), "knows no owner"),
        (story(consent={"may_contact": False}), "consent does not allow"),
        (story(consent=None), "consent does not allow"),
        (story(callbacks=[]), "0 different callbacks"),
        (story(callbacks=[told(), told(callback_id="c-2")]), "2 different callbacks"),
        (story(callbacks=[told(), told(digest="d-2")]), "different content"),
        (story(callbacks=[told("alice")]), "told alice"),
        (story(callbacks=[told(assignment_id="a-2")]), "another assignment"),
        (story(state="withheld", consent={"may_contact": False}), "the CRM was told"),
        (story(state="nurtured"), "the CRM was told"),
        (story(state="withheld", callbacks=[]), "says it may be contacted"),
    ],
)
def test_broken_promise_is_named(broken: Story, says: str) -> None:
    [problem] = find_problems([broken], LEDGER, 0)
    assert says in problem


@pytest.mark.parametrize(
    ("ledger", "refused", "says"),
    [
        ({"balanced": False, "imbalance": 1}, 0, "does not balance"),
        ({"differences": {"assigned": 1}}, 0, "does not balance"),
        ({"in_flight": 2}, 0, "still in flight"),
        ({}, 3, "refused 3"),
    ],
)
def test_broken_ledger_or_signature_is_named(ledger: dict[str, Any], refused: int, says: str) -> None:
    [problem] = find_problems([story()], {**LEDGER, **ledger}, refused)
    assert says in problem


def test_record_told_twice_is_named() -> None:
    [problem] = find_problems([story(), story()], LEDGER, 0)
    assert "told 2 times" in problem


@pytest.mark.parametrize(("share", "value"), [(0.5, 2.0), (0.9, 4.0), (0.99, 4.0), (0.25, 1.0)])
def test_percentile_is_a_value_that_occurred(share: float, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], share) == value
